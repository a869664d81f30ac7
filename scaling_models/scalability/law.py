"""Amdahl's law and the Universal Scalability Law, evaluated and inverted. Exact, and arrays broadcast.

X(N) = g N / (1 + a (N - 1) + b N (N - 1)), with the rate g > 0 of one node (requests/s), contention a in [0, 1] (the
share of the work that is done one after the other) and coherency b >= 0 (what each pair of nodes costs the other); b =
0 is Amdahl's law. N is 0, or 1 and more; between the law goes on as far as the denominator is positive, as it always is
for b < 4 (1 - a). X(0) = 0. Gunther, Guerrilla Capacity Planning, 2007, chapter 4.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]


def usl_throughput(nodes: ArrayLike, rate: ArrayLike, contention: ArrayLike, coherency: ArrayLike) -> Any:
    """X(N) in requests/s, for N nodes. Raises ValueError outside of the domains that the module names."""
    n, g, a, b = _checked(nodes, rate, contention, coherency)
    return np.where(n > 0, n * g / _slowdown(np.where(n > 0, n, 1.0), a, b), 0.0)[()]


def usl_efficiency(nodes: ArrayLike, contention: ArrayLike, coherency: ArrayLike) -> Any:
    """X(N) / (N g), the share of N nodes' own throughput that is left; 1 for one node."""
    n, _, a, b = _checked(nodes, 1.0, contention, coherency)
    with np.errstate(divide="ignore"):
        return (1.0 / _slowdown(n, a, b))[()]


def usl_latency(nodes: ArrayLike, rate: ArrayLike, contention: ArrayLike, coherency: ArrayLike) -> Any:
    """R(N) = N / X(N) in seconds: the mean time that a request takes where each node has one (Little's law)."""
    n, g, a, b = _checked(nodes, rate, contention, coherency)
    return (_slowdown(n, a, b) / g)[()]


def usl_peak(contention: ArrayLike, coherency: ArrayLike) -> Any:
    """N* = sqrt((1 - a) / b), where X(N) is largest; infinite for b = 0, and 0 for a = 1, where nothing is gained."""
    _, _, a, b = _checked(1.0, 1.0, contention, coherency)
    gained = 1.0 - a
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(gained > 0, np.sqrt(gained / b), 0.0)[()]


def usl_limit(rate: ArrayLike, contention: ArrayLike) -> Any:
    """g / a in requests/s: what contention alone would let many nodes reach; infinite for a = 0."""
    _, g, a, _ = _checked(1.0, rate, contention, 0.0)
    with np.errstate(divide="ignore"):
        return (g / a)[()]


def usl_knee(contention: ArrayLike) -> Any:
    """N = 1 / a, where N nodes without contention would reach the limit g / a; infinite for a = 0."""
    _, _, a, _ = _checked(1.0, 1.0, contention, 0.0)
    with np.errstate(divide="ignore"):
        return (1.0 / a)[()]


def usl_nodes_at_latency(latency: ArrayLike, rate: ArrayLike, contention: ArrayLike, coherency: ArrayLike) -> Any:
    """N(R), the inverse of `usl_latency`: the N >= 0 at which a request takes R >= 0 seconds.

    (b - a + sqrt((a - b)^2 + 4 b (a + g R - 1))) / (2 b). 0 where R is below R(0), and infinite where R never grows
    so long (a = b = 0).
    """
    _, g, a, b = _checked(1.0, rate, contention, coherency)
    r = _within("latency", latency, "s")
    g, a, b, r = np.broadcast_arrays(g, a, b, r)
    over = g * r - (1.0 - a)  # what the growing terms have to make up: b N^2 + (a - b) N = over
    found = _positive_root(b, a - b, np.maximum(over, 0.0))
    flat = (a == 0) & (b == 0)
    return np.where(over < 0, 0.0, np.where(flat, np.inf, found))[()]


def usl_throughput_at_latency(latency: ArrayLike, rate: ArrayLike, contention: ArrayLike, coherency: ArrayLike) -> Any:
    """X(R) = N(R) / R in requests/s, for a latency R > 0 s; infinite where R never grows so long."""
    r = _within("latency", latency, "s", open_low=True)
    return (np.asarray(usl_nodes_at_latency(r, rate, contention, coherency)) / r)[()]


def usl_nodes_at_throughput(throughput: ArrayLike, rate: ArrayLike, contention: ArrayLike, coherency: ArrayLike) -> Any:
    """The least N with X(N) = X >= 0 requests/s; infinite where no number of nodes reaches it.

    The smaller root of X b N^2 - (g - X (a - b)) N + X (1 - a) = 0; where the peak lies below one node (b > 1 - a)
    throughput only falls from X(1) = g on, and it is the larger one.
    """
    _, g, a, b = _checked(1.0, rate, contention, coherency)
    x = _within("throughput", throughput, "requests/s")
    g, a, b, x = np.broadcast_arrays(g, a, b, x)
    slope, square = g - x * (a - b), 4.0 * x * b * x * (1.0 - a)
    reached = (slope > 0) & (slope * slope >= square * (1.0 - 1e-12))  # the peak itself, but for rounding
    root = np.sqrt(np.maximum(slope * slope - square, 0.0))
    with np.errstate(divide="ignore", invalid="ignore"):
        rising = np.where(reached, 2.0 * x * (1.0 - a) / (slope + root), np.inf)
        falling = np.where(reached & (x <= g), np.maximum((slope + root) / (2.0 * x * b), 1.0), np.inf)
    flat = np.where(x == g, 1.0, np.inf)  # a = 1, b = 0: any number of nodes is as good as one
    found = np.where(b > 1.0 - a, falling, np.where((a == 1.0) & (b == 0.0), flat, rising))
    return np.where(x == 0.0, 0.0, found)[()]


def _slowdown(n: Array, a: Array, b: Array) -> Array:
    return 1.0 + a * (n - 1.0) + b * n * (n - 1.0)


def _positive_root(square: Array, slope: Array, over: Array) -> Array:
    """The larger root of square x^2 + slope x = over, for square >= 0 and over >= 0; nothing cancels."""
    root = np.sqrt(slope * slope + 4.0 * square * over)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(slope >= 0, 2.0 * over / (slope + root), (root - slope) / (2.0 * square))


def _checked(nodes: ArrayLike, rate: ArrayLike, contention: ArrayLike, coherency: ArrayLike) -> tuple[Array, ...]:
    n, g = _within("nodes", nodes, "nodes"), _within("rate", rate, "requests/s", open_low=True)
    a, b = _within("contention", contention, high=1.0), _within("coherency", coherency)
    parts, slowdown = np.broadcast_arrays(n, _slowdown(n, a, b))
    lost = parts[(parts > 0) & (slowdown <= 0)]
    if lost.size:
        raise ValueError(f"nodes must be 0 or lie in [1, inf) at such a coherency; got {float(lost[0])!r}")
    return n, g, a, b


def _within(name: str, given: ArrayLike, unit: str = "", high: float = np.inf, *, open_low: bool = False) -> Array:
    values = np.asarray(given, dtype=float)
    legal = ((values > 0) if open_low else (values >= 0)) & (values <= high) & np.isfinite(values)
    if not legal.all():
        said = f"{'(' if open_low else '['}0, {high:g}{']' if np.isfinite(high) else ')'}{' ' + unit if unit else ''}"
        raise ValueError(f"{name} must lie in {said}; got {float(values[~legal].flat[0])!r}")
    return values
