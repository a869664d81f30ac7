"""Priority classes before one server, the highest first: mean waits. Broadcasting; exact."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from scaling_models.latency.quadrature import panels

Array = NDArray[np.float64]
NODES = 12  # a panel


def cobham(rates: ArrayLike, means: ArrayLike, second_moments: ArrayLike) -> Any:
    """Mean waits (s) of priority classes in M/G/1 where nobody is interrupted; classes along the last axis.

    W_k = sum_i lambda_i E[S_i^2]/2 / ((1 - s_{k-1}) (1 - s_k)), s_k the load of the classes up to k. Arrival rates in
    requests/s, means in s, second moments in s^2. Where a class overloads the server, it and those below wait for ever,
    and those above find in service one of its requests when none of their own. Raises ValueError for negative input.
    Cobham, Priority assignment in waiting line problems, 1954.
    """
    loads, before, rates, seconds = _cumulated(rates, means, second_moments)
    own = np.diff(np.concatenate([np.zeros((*loads.shape[:-1], 1)), np.minimum(loads, 1.0)], axis=-1))
    served = np.where(own > 0, own / np.where(rates > 0, loads - before, 1.0) * rates, 0.0)
    work = (served * np.where(served > 0, seconds, 0.0) / 2.0).sum(axis=-1, keepdims=True)
    return _or_never(work, before, loads)


def preemptive_resume(rates: ArrayLike, means: ArrayLike, second_moments: ArrayLike) -> Any:
    """Mean waits (s) of priority classes in M/G/1 where a higher class interrupts, and the interrupted then goes on.

    The response less the own service, so interruptions are in it: E[S_k] s_{k-1}/(1 - s_{k-1}) +
    sum_{i<=k} lambda_i E[S_i^2]/2 / ((1 - s_{k-1}) (1 - s_k)). Otherwise as `cobham`. Conway, Maxwell and Miller,
    Theory of Scheduling, 1967, chapter 8.
    """
    loads, before, rates, seconds = _cumulated(rates, means, second_moments)
    work = np.cumsum(rates * seconds / 2.0, axis=-1)
    interrupted = np.where(before < 1, before / np.where(before < 1, 1.0 - before, 1.0), np.inf) * np.asarray(means)
    return _or_never(work, before, loads) + interrupted


def _cumulated(rates: ArrayLike, means: ArrayLike, seconds: ArrayLike) -> tuple[Array, Array, Array, Array]:
    given = np.broadcast_arrays(*(np.asarray(each, dtype=float) for each in (rates, means, seconds)))
    for name, values, unit in zip(("rates", "means", "second_moments"), given, ("requests/s", "s", "s^2"), strict=True):
        outside = values[~(values >= 0)]
        if outside.size:
            raise ValueError(f"{name} must lie in [0, inf) {unit}; got {float(outside.flat[0])!r}")
    means, seconds = (np.where(given[0] > 0, each, 0.0) for each in given[1:])  # nobody brings no work, however long
    loads = np.cumsum(given[0] * means, axis=-1)
    return loads, loads - given[0] * means, given[0], seconds


def _or_never(work: Array, before: Array, loads: Array) -> Array:
    stable = loads < 1.0
    spare = np.where(stable, (1.0 - before) * (1.0 - loads), 1.0)
    return np.where(stable, work / spare, np.inf)


def overtaken(ahead: float, load: float) -> tuple[Array, Array]:
    """Rates (per capacity c mu) and weights of the exponentials of which the lower class's wait is a mixture.

    The wait, given that there is one, in M/M/c with two classes of one mean: who comes waits until those before, a
    geometric number, and all of the higher class that come meanwhile have gone, so that its transform is
    (1 - rho) B/(1 - rho B), B that of a busy period with the higher class only (Kella and Yechiali, Waiting times in
    the non-preemptive priority M/M/c queue, 1985). Inverted on its cut, by Gauss's rule on graded panels, and at its
    pole, which is there if rho^2 > rho_1. `ahead` is rho_1 in (0, rho), `load` rho in (rho_1, 1): of the higher class,
    of both. Exact to about 1e-13.
    """
    r = float(np.sqrt(ahead))
    # The integrand turns within these angles of zero: the panels double from there.
    least = max(1e-8, min(1.0 - r, abs(load - r)) / 4.0)
    edges = np.geomspace(least, np.pi, 2 + int(np.log2(np.pi / least)))
    angle, width = panels(np.concatenate([[0.0], edges]), NODES)
    rates = (1.0 - r) ** 2 + 4.0 * r * np.sin(angle / 2.0) ** 2
    near = (load - r) ** 2 + 4.0 * r * load * np.sin(angle / 2.0) ** 2
    weights = width * (2.0 / np.pi) * (1.0 - load) * ahead * np.sin(angle) ** 2 / near / rates
    if load > r:
        rates = np.append(rates, (1.0 - load) * (1.0 - ahead / load))
        weights = np.append(weights, (1.0 - ahead / load**2) / (1.0 - ahead / load))
    return rates, weights
