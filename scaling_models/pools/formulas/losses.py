"""Requests lost: few places to wait (M/M/c/K), and clients who give up (Erlang A). Broadcasting; all exact."""

from __future__ import annotations

import dataclasses
import functools
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from scaling_models.pools.formulas.erlang import erlang_b
from scaling_models.pools.formulas.stages import log_kummer

Array = NDArray[np.float64]


class ErlangA(NamedTuple):
    """What `erlang_a` answers: how often a request waits, and how often it is abandoned."""

    probability_of_wait: Any
    probability_of_abandonment: Any


def blocking(servers: ArrayLike, offered_load: ArrayLike, queue_limit: ArrayLike = 0) -> Any:
    """Probability that a request finds all servers busy and `queue_limit` others waiting, and is lost (M/M/c/K).

    K = c + L for a queue limit L; p_K = B r^L / (1 + B (r + ... + r^L)), B = `erlang_b`, r = a/c with the offered load
    a in erlangs, over capacity too. For L = 0 Erlang's B, for any service. Shapes broadcast; c > 0, a >= 0, L >= 0.
    Raises ValueError outside. Exact to about 1e-12. Cooper, Introduction to Queueing Theory, section 3.5.
    """
    c, a, places = _checked(servers, offered_load, queue_limit)
    b, r = np.asarray(erlang_b(c, a)), a / c
    # Above capacity all is divided by r^L, so that nothing overflows: 1/r takes the place of r.
    over = r > 1.0
    ratio = np.where(over, 1.0 / np.where(over, r, 1.0), r)
    with np.errstate(under="ignore"):
        last = np.where(places == 0, 1.0, ratio**places)
        sums = _geometric(ratio, places)
        return (np.where(over, b, b * last) / np.where(over, last + b * sums, 1.0 + b * ratio * sums))[()]


def _geometric(ratio: Array, terms: Array) -> Array:
    """1 + r + ... + r^{n-1} for r <= 1, right near r = 1."""
    less = np.where(ratio < 1.0, 1.0 - ratio, 1.0)
    with np.errstate(divide="ignore"):  # r = 0: the logarithm of 0, whose exponential is 0
        many = -np.expm1(np.maximum(terms, 1.0) * np.log1p(-less)) / less
    return np.where(terms == 0, 0.0, np.where(ratio < 1.0, many, terms))


def places_taken(servers: float, offered_load: float, queue_limit: int) -> tuple[float, Array]:
    """M/M/c/K in the long run: the probability that a server is free, and those of 0 ... L requests waiting
    with all servers busy. Scalars; exact.
    """
    b, r = float(erlang_b(servers, offered_load)), offered_load / servers
    logs = np.arange(queue_limit + 1.0) * np.log(r)
    top = max(0.0, float(logs[-1]))
    with np.errstate(under="ignore"):
        waiting = b * np.exp(logs - top)
        free = (1.0 - b) * np.exp(-top)
    total = free + waiting.sum()
    return float(free / total), waiting / total


def erlang_a(servers: ArrayLike, offered_load: ArrayLike, impatience: ArrayLike) -> ErlangA:
    """How often requests wait, and are abandoned, where each waits for an exponential patience at most (M/M/c+M).

    With x = c mu/theta, y = lambda/theta, A = 1F1(1; x + 1; y), B = `erlang_b`: P(wait) = A B/(1 - B + A B) and
    P(abandoned | wait) = 1 - x/(x + 1) 1F1(1; x + 2; y)/A. The mean wait is P(abandoned)/theta. `impatience` is
    theta/mu > 0, mean service over mean patience; offered load a = lambda/mu >= 0 in erlangs, over capacity too;
    c > 0. Shapes broadcast. Raises ValueError outside. P(wait) is exact to about 1e-12, P(abandoned) to about
    1e-15 x. Garnett, Mandelbaum and Reiman, Designing a call center with impatient customers, 2002.
    """
    c, a, theta = _checked(servers, offered_load, impatience, "impatience")
    if (theta <= 0).any():
        raise ValueError("impatience must lie in (0, inf); got 0")
    x, y = c / theta, a / theta
    log_a, b = log_kummer(x, y), np.asarray(erlang_b(c, a))
    with np.errstate(under="ignore", over="ignore", divide="ignore"):
        waits = 1.0 / (1.0 + np.exp(np.log((1.0 - b) / b) - log_a))
        leaves = np.maximum(0.0, 1.0 - x / (x + 1.0) * np.exp(log_kummer(x + 1.0, y) - log_a))
    return ErlangA(waits[()], (waits * leaves)[()])


def _checked(servers: ArrayLike, offered_load: ArrayLike, third: ArrayLike, name: str = "queue_limit") -> list[Array]:
    given = (servers, offered_load, third)
    arrays = np.broadcast_arrays(*(np.asarray(each, dtype=float) for each in given))
    for said, unit, values in zip(("servers", "offered_load", name), ("", " erlangs", ""), arrays, strict=True):
        outside = values[~((values >= 0) & np.isfinite(values))]
        if outside.size:
            raise ValueError(f"{said} must lie in [0, inf){unit}; got {float(outside.flat[0])!r}")
    if (arrays[0] <= 0).any():
        raise ValueError("servers must lie in (0, inf); got 0")
    return list(arrays)


@dataclasses.dataclass(frozen=True)
class Impatience:
    """The wait that M/M/c+M offers, by the rates (1/s) of the capacity c mu, of arrivals, and of giving up, theta.

    With x = c mu/theta, y = lambda/theta and z = y e^{-theta t}, all in terms of 1F1(1; x + 1; z). Exact.
    """

    capacity: float
    arrivals: float
    theta: float

    @functools.cached_property
    def _start(self) -> float:
        return float(log_kummer(self.capacity / self.theta, self.arrivals / self.theta))

    def _ends(self, t: Array) -> Array:
        """log of z^x e^{-z} / (y^x e^{-y}), and of what that is a part of at t = 0."""
        return -self.capacity * t - self.arrivals / self.theta * np.expm1(-self.theta * t) - self._start

    def begins(self, t: Array) -> Array:
        """The density (1/s) at t of the wait that is offered, given that there is one."""
        return np.asarray(self.capacity * np.exp(self._ends(t)))

    def offered(self, t: Array) -> Array:
        """P(offered wait > t | wait) = P(x, z) / P(x, y), P the lower incomplete gamma function."""
        return np.asarray(np.exp(self._ends(t) + self._kummer(t, 0.0)))

    def served(self, t: Array) -> Array:
        """P(served, and waits > t | wait) = (x/y) P(x + 1, z) / P(x, y)."""
        x = self.capacity / self.theta
        return np.asarray(x / (x + 1.0) * np.exp(self._ends(t) - self.theta * t + self._kummer(t, 1.0)))

    def _kummer(self, t: Array, more: float) -> Array:
        z = self.arrivals / self.theta * np.exp(-self.theta * t)
        return np.asarray(log_kummer(self.capacity / self.theta + more, z))
