"""A limit on the requests present, and a lower one for those that matter less: a chain of births and deaths."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import special

Array = NDArray[np.float64]
MOST = 10_000  # requests: the highest limit that is tried
FAR = 9.0  # standard deviations of the requests that are served within a deadline: nobody beyond is in time
SAME = 1e-9  # goodputs that differ by less are the same


class Loads(NamedTuple):
    """The slots, and what is offered to them in erlangs: by all, and by the important requests alone."""

    slots: int
    all: float
    important: float


def present(loads: Loads, limit: int, other_limit: int) -> Array:
    """Chances of 0 ... K requests in M/M/c where the important are admitted below K = `limit`, others below less.

    p_{n+1} = p_n a_n / min(n + 1, c), a_n the load of all for n < `other_limit` (at most K) and that of the important
    beyond. An arrival sees p. With limits up to c for any service (a loss system whose arrivals depend on its number).
    Exact.
    """
    n = np.arange(limit)
    logs = np.log(np.where(n < other_limit, loads.all, loads.important)) - np.log(np.minimum(n + 1.0, loads.slots))
    whole = np.concatenate([[0.0], np.cumsum(logs)])
    with np.errstate(under="ignore"):
        weights = np.exp(whole - whole.max())
    return np.asarray(weights / weights.sum())


def in_time(slots: int, served_in_time: float, most: int) -> Array:
    """P(response <= d) of an exponential service for who finds 0 ... most - 1 present, r = c mu d = `served_in_time`.

    n - c + 1 stages of rate c mu, then the service, which every later event of that rate ends with probability 1/c:
    with N Poisson of mean r, and k = n - c + 1, (1/c) sum_{j >= 0} (1 - 1/c)^j P(N > k + j). Exact, of positive terms.
    """
    stages = np.maximum(0, np.arange(most) - slots + 1)
    last = max(float(stages[-1]), served_in_time)
    counted = np.arange(1.0, math.ceil(last + 4.0 * FAR * math.sqrt(last)) + 102.0)
    with np.errstate(under="ignore"):
        found = _from_behind(special.gammainc(counted, served_in_time) / slots, 1.0 - 1.0 / slots)
    return np.where(stages > 0, found[stages], -math.expm1(-served_in_time / slots))


def _from_behind(values: Array, decay: float) -> Array:
    """u_k = v_k + decay u_{k+1}."""
    from scipy import signal  # late: it takes as long to import as all the models

    return np.asarray(signal.lfilter([1.0], [1.0, -decay], values[::-1])[::-1])


def goodputs(loads: Loads, reserved: int, timely: Array) -> Array:
    """Requests answered in time per mean service, for limits K = 1 ... `len(timely)`, of which the last `reserved`
    places are for the important.

    `timely[n]` is the chance of who finds n present. The chains of all K at once: up to L = max(0, K - reserved) all
    go by one of them, from there on by the important requests' own. Exact.
    """
    steps = np.log(np.minimum(np.arange(1.0, len(timely) + 1.0), loads.slots))
    every, important = (
        np.concatenate([[0.0], np.cumsum(math.log(load) - steps)]) for load in (loads.all, loads.important)
    )
    with np.errstate(divide="ignore"):
        good = np.log(timely)
    last = np.maximum(0, np.arange(1, len(timely) + 1) - reserved)
    over = every[last] - important[last]
    states = np.logaddexp(np.logaddexp.accumulate(every)[last], over + _trailing(important[1:], reserved))
    below = np.concatenate([[-np.inf], np.logaddexp.accumulate(every[:-1] + good)])[last]
    above = over + _trailing(important[:-1] + good, reserved)
    served = np.logaddexp(math.log(loads.all) + below, math.log(loads.important) + above)
    return np.asarray(np.exp(served - states))


def _trailing(logs: Array, width: int) -> Array:
    """The logarithm of the sum of the last `width` (or all there are) up to each, by doubling."""
    total, block, done, size = np.full(len(logs), -np.inf), logs, 0, 1
    while width:
        if width & 1:
            total, done = np.logaddexp(total, _delayed(block, done)), done + size
        block, size, width = np.logaddexp(block, _delayed(block, size)), 2 * size, width >> 1
    return total


def _delayed(logs: Array, by: int) -> Array:
    return np.concatenate([np.full(min(by, len(logs)), -np.inf), logs[: max(0, len(logs) - by)]])


def best_limit(loads: Loads, reserved: int, served_in_time: float) -> int:
    """The least limit (up to 10,000) at which most requests are answered in time, r = c mu d = `served_in_time`.

    Of those behind c + r + 9 sqrt(r) others nobody is. Goodputs within 1e-9 of the highest count as the same. Where
    nothing is reserved the goodput rises with K as long as it is below c mu P(in time | K present), then falls.
    """
    if served_in_time >= MOST:
        return MOST  # in time whatever the limit
    far = loads.slots + math.ceil(served_in_time + FAR * math.sqrt(served_in_time) + 20.0) + reserved
    most = min(MOST, far)
    found = goodputs(loads, reserved, in_time(loads.slots, served_in_time, most))
    return 1 + int(np.argmax(found >= (1.0 - SAME) * found.max()))
