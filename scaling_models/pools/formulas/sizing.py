"""How many servers, and how much load: the formulas of pools turned round, over arrays of loads at once.

A target is met where it is exceeded by no more than rounding: one part in a billion of the chance to be late.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special
from scipy.optimize import elementwise

from scaling_models.pools.formulas.erlang import erlang_c

Array = NDArray[np.float64]
ROUNDING = 1e-9
MOST = 2.0**40  # servers: where the search gives up


def least_whole(meets: Callable[[Array], Any], above: ArrayLike, most: float = MOST) -> Array:
    """The least whole n > `above` with `meets(n)`, where more of it never hurts; `inf` where none is up to `most`.

    `above` is an array of whole numbers that do not meet it, and `meets` answers for an array of that shape. First
    steps of about the square root of `above`, each twice the last, then bisection: exact.
    """
    low = np.array(above, dtype=float)
    step = 1.0 + np.floor(np.sqrt(low))
    high = np.minimum(low + step, most)
    while True:
        good = np.asarray(meets(high), dtype=bool)
        growing = ~good & (high < most)
        if not growing.any():
            break
        low = np.where(growing, high, low)
        step = np.where(growing, 2.0 * step, step)
        high = np.where(growing, np.minimum(high + step, most), high)
    while (open_ := good & (high - low > 1.0)).any():
        middle = np.where(open_, np.floor((low + high) / 2.0), high)
        enough = np.asarray(meets(middle), dtype=bool)
        low, high = np.where(open_ & ~enough, middle, low), np.where(open_ & enough, middle, high)
    return np.where(good, high, np.inf)


def central_servers(
    arrival_rate: ArrayLike,
    service_mean: ArrayLike,
    latency: ArrayLike,
    level: ArrayLike = 0.99,
    workers: ArrayLike = 1,
) -> Any:
    """The least servers before which one queue (M/M/c, c = servers x workers) holds a quantile of the latency.

    The least n with P(T > latency) <= 1 - level; `inf` where none can, for the service alone takes longer: where
    e^{-latency / service_mean} >= 1 - level. Requests/s, seconds, level a fraction; shapes broadcast. Exact: P(T > t)
    decreases in n. 2,000 loads take some 10 ms. Raises ValueError for what is not positive, and levels outside (0, 1).
    """
    given = (arrival_rate, service_mean, latency, level, workers)
    rate, mean, time, late, slots = _checked("central_servers", "arrival_rate", *given)
    spare = late - np.exp(-time / mean)
    possible = spare > 0

    def meets(servers: Array) -> Any:
        return ~possible | (_late_by_waiting(servers * slots, rate, mean, time) <= spare + ROUNDING * late)

    return np.where(possible, least_whole(meets, np.floor(rate * mean / slots)), np.inf)[()]


def split_servers(
    arrival_rate: ArrayLike,
    service_mean: ArrayLike,
    latency: ArrayLike,
    level: ArrayLike = 0.99,
    workers: ArrayLike = 1,
) -> Any:
    """The least servers, each with a queue of its own and its random share of the requests, that hold a quantile.

    N queues M/M/workers: the least N with arrival_rate / N <= `central_load` of one server. Otherwise as
    `central_servers`. Exact.
    """
    given = (arrival_rate, service_mean, latency, level, workers)
    rate, mean, time, late, slots = _checked("split_servers", "arrival_rate", *given)
    each = np.asarray(central_load(1, mean, time, 1.0 - late, slots))
    ratio = np.divide(rate, each, out=np.full(rate.shape, np.inf), where=each > 0)
    return np.maximum(1.0, np.ceil(ratio * (1.0 - ROUNDING)))[()]


def central_load(
    servers: ArrayLike, service_mean: ArrayLike, latency: ArrayLike, level: ArrayLike = 0.99, workers: ArrayLike = 1
) -> Any:
    """The highest arrival rate (requests/s) at which one queue before `servers` x `workers` slots holds a quantile.

    The root of P(T > latency) = 1 - level, which increases with the load; 0 where none is low enough, for the service
    alone takes longer. Arguments as of `central_servers`. Exact to about 1e-12.
    """
    count, mean, time, late, slots = _checked("central_load", "servers", servers, service_mean, latency, level, workers)
    c = count * slots
    spare = late - np.exp(-time / mean)
    possible = spare > 0

    def excess(load: Array, c: Array, mean: Array, time: Array, spare: Array) -> Array:
        return np.asarray(_late_by_waiting(c, load * c / mean, mean, time) / spare - 1.0)

    where = np.where(possible, spare, 1.0)
    columns = tuple(np.broadcast_arrays(c, mean, np.where(possible, time, 1e3 * mean), where))
    # At the upper end of the load everybody waits for ever: late are all but those whose service alone was late.
    found = elementwise.find_root(excess, (np.zeros(c.shape), np.ones(c.shape)), args=columns)
    return np.where(possible, found.x * c / mean, 0.0)[()]


def split_load(
    servers: ArrayLike, service_mean: ArrayLike, latency: ArrayLike, level: ArrayLike = 0.99, workers: ArrayLike = 1
) -> Any:
    """The highest arrival rate (requests/s) at which servers with random shares of it hold a quantile: N of one's."""
    count, *others = _checked("split_load", "servers", servers, service_mean, latency, level, workers)
    mean, time, late, slots = others
    return (count * central_load(1, mean, time, 1.0 - late, slots))[()]


def zoned(needed: ArrayLike, zones: ArrayLike) -> Any:
    """Servers to be spread over `zones` as evenly as can be, so that `needed` are left when any zone is lost.

    The least N with N - ceil(N / zones) >= needed: N = ceil(needed x zones / (zones - 1)). One zone stands for no loss
    to survive: N = needed. Shapes broadcast; `inf` stays `inf`. Exact.
    """
    left, many = np.broadcast_arrays(np.asarray(needed, dtype=float), np.asarray(zones, dtype=float))
    # Zones lose one server for each zones - 1 left, the last of them counted whole: no division that could round.
    others = np.maximum(many - 1.0, 1.0)
    finite = np.where(np.isfinite(left), left, 0.0)
    return np.where(many > 1, left - np.floor_divide(-finite, others), left)[()]


def left_of_zones(servers: ArrayLike, zones: ArrayLike) -> Any:
    """Servers that are left when the fullest of `zones` is lost: N - ceil(N / zones); all of them in one zone."""
    many, parts = np.broadcast_arrays(np.asarray(servers, dtype=float), np.asarray(zones, dtype=float))
    return np.where(parts > 1, many + np.floor_divide(-many, parts), many)[()]


def spares_for(servers: ArrayLike, availability: ArrayLike, target: ArrayLike) -> Any:
    """The least k such that of `servers` + k servers fewer than `servers` are up no more often than `target`.

    P(Binomial(N, A) < n) = I_{1-A}(N - n + 1, n) <= target, N = n + k: servers are up with probability
    `availability` each, independently (a lost zone is not: see `zoned`). Shapes broadcast. Exact; Johnson, Kemp and
    Kotz, Univariate Discrete Distributions, chapter 3. Raises ValueError unless servers >= 1, and availability and
    target lie in (0, 1].
    """
    n, up, most = np.broadcast_arrays(*(np.asarray(each, dtype=float) for each in (servers, availability, target)))
    _refuse("spares_for: servers", n, (n >= 1) & (n == np.floor(n)), "be whole numbers in [1, inf)")
    _refuse("spares_for: availability", up, (up > 0) & (up <= 1), "lie in (0, 1]")
    _refuse("spares_for: target", most, (most > 0) & (most <= 1), "lie in (0, 1]")

    def meets(all_servers: Array) -> Any:
        return special.betainc(all_servers - n + 1.0, n, 1.0 - up) <= most

    return (least_whole(meets, n - 1.0) - n)[()]


def _late_by_waiting(c: Array, rate: Array, mean: Array, time: Array) -> Any:
    """P(T > t) - P(S > t) of M/M/c: C mu t e^{-min(mu, d) t} exprel(-|d - mu| t), d = c mu - lambda."""
    mu = 1.0 / mean
    drain = np.maximum(c * mu - rate, 0.0)
    sooner = np.exp(-np.minimum(mu, drain) * time) * special.exprel(-np.abs(drain - mu) * time)
    return erlang_c(c, rate * mean) * mu * time * sooner


def _checked(owner: str, first: str, *given: ArrayLike) -> tuple[Array, ...]:
    """The arguments of `owner` as arrays of one shape, the level as the share that may be late."""
    arrays = np.broadcast_arrays(*(np.asarray(each, dtype=float) for each in given))
    names = (first, "service_mean", "latency", "level", "workers")
    for name, values in zip(names, arrays, strict=True):
        end = 1.0 if name == "level" else np.inf
        unit = UNITS.get(name, "")
        _refuse(f"{owner}: {name}", values, (values > 0) & (values < end), f"lie in (0, {end:g}){unit}")
    head, mean, time, level, workers = arrays
    return head, mean, time, 1.0 - level, workers


UNITS = {"arrival_rate": " requests/s", "service_mean": " s", "latency": " s"}


def _refuse(name: str, values: Array, good: Any, must: str) -> None:
    """Raise `ValueError` with the first value that is not good."""
    outside = values[~good]
    if outside.size:
        raise ValueError(f"{name} must {must}; got {float(outside.flat[0])!r}")
