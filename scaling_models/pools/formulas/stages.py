"""Times made of a random number of exponential stages, by the Poisson process that ends the stages."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special

from scaling_models.pools.formulas.erlang import log_poisson

Array = NDArray[np.float64]
LEVELS = 40  # of the continued fraction: 1e-14 from three standard deviations below on
LEAST = 1e-50  # of the incomplete gamma function, whose logarithm is less exact below
MOST = 2**20  # Poisson probabilities held at once


def log_kummer(order: ArrayLike, z: ArrayLike) -> Any:
    """log 1F1(1; a + 1; z) = log(P(a, z) / pois(a; z)), P the lower incomplete gamma function, a the order.

    Shapes broadcast; a > 0, z >= 0. By P where that is not tiny, else by the continued fraction (NIST Handbook
    of Mathematical Functions, eq. 8.9.1), which takes forty times as long. Exact to about 1e-12 of 1F1.
    """
    a, z = np.broadcast_arrays(np.asarray(order, dtype=float), np.asarray(z, dtype=float))
    below, out = special.gammainc(a, z), np.empty(z.shape)
    far = ~(below > LEAST)
    if far.any():
        out[far] = -np.log1p(-_fraction(a[far], z[far]))
    if not far.all():
        out[~far] = np.log(below[~far]) - log_poisson(a[~far], z[~far])
    return out[()]


def _fraction(a: Array, z: Array) -> Array:
    """z/(a+1 + z/(a+2 - (a+1)z/(a+3 + 2z/(a+4 - ...)))), from behind."""
    below = a + 2 * LEVELS - 1.0
    for k in range(LEVELS - 1, 0, -1):
        below = a + 2 * k - 1 + k * z / (a + 2 * k - (a + k) * z / below)
    return z / below


def poisson_average(
    x: ArrayLike, values: Array, first: int = 0, before: float = 0.0, decay: float = 0.0
) -> NDArray[np.float64]:
    """E[v(N)], N Poisson with mean x: v(n) = `before` for n < `first`, then `values`, then their last x decay^{n - J}.

    J is the place of the last value. Any shape of x >= 0. Sums of positive terms: relative precision everywhere.
    """
    means = np.asarray(x, dtype=float)
    flat, n = means.ravel(), first + np.arange(len(values))
    rows = max(1, MOST // len(values))
    parts = [_weighed(flat[at : at + rows], n, values) for at in range(0, len(flat), rows)]
    total = np.concatenate(parts) if parts else flat
    if before and first:
        total = total + before * special.gammaincc(first, flat)
    if decay and len(flat):
        total = total + values[-1] * _beyond(flat, first + len(values), decay)
    return total.reshape(means.shape)


def poisson_averages(x: Array, values: Array, decays: Array) -> Array:
    """E[v_i(N_i)], N_i Poisson with mean x_i, v_i the rows of `values` and then their last times decay_i^j. Flat x."""
    total = np.einsum("ij,ij->i", _poisson(x, np.arange(values.shape[1])), values)
    return np.asarray(total + values[:, -1] * _beyond(x, values.shape[1], decays))


def _weighed(x: Array, n: NDArray[np.intp], values: Array) -> Array:
    return np.asarray(_poisson(x, n) @ values)


def _poisson(x: Array, n: NDArray[np.intp]) -> Array:
    logs = np.multiply.outer(np.log(np.maximum(x, 1e-300)), n)  # in place: the matrix is what costs
    logs -= x[:, None]
    logs -= special.gammaln(n + 1.0)
    with np.errstate(under="ignore"):
        return np.exp(logs, out=logs)


def _beyond(x: Array, start: int, decay: float | Array) -> Array:
    """sum_{n >= start} pois(n; x) decay^{n - start + 1} = decay pois(start; x) 1F1(1; start + 1; decay x)."""
    mean = np.maximum(x, 1e-300)
    place = np.full(mean.shape, float(start))
    with np.errstate(under="ignore"):
        return np.asarray(decay * np.exp(log_poisson(place, mean) + log_kummer(place, decay * mean)))


def in_last_stage(chances: Array, decay: float) -> Array:
    """s_j = decay s_{j-1} + chances_j: after the j-th event a last stage is under way, which it ends seldom."""
    return np.fromiter(itertools.accumulate(chances, lambda before, new: decay * before + new), dtype=float)
