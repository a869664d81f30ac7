"""Group commit whose time grows with the group: one at a time, and each takes all that wait."""

from __future__ import annotations

import functools
import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import special

Array = NDArray[np.float64]
MOST = 500  # commands in a group
SPREAD, MORE = 12.0, 30.0  # deviations and commands beyond the mean


class Groups(NamedTuple):
    """Stationary groups: sizes, how often each (of all groups), and its time (s)."""

    sizes: Array
    chances: Array
    times: Array


def largest_group(rate: float, fixed: float, each: float) -> float:
    """A size that less than 1e-12 of the groups exceed: n' = Poisson(lambda (f + c n)), or 1. `inf` without a limit."""
    slope = rate * each
    if slope >= 1.0:
        return math.inf
    mean = (1.0 + rate * fixed) / (1.0 - slope)
    return mean + SPREAD * math.sqrt(mean / (1.0 - slope**2)) + MORE


@functools.lru_cache(maxsize=8)
def groups(rate: float, fixed: float, each: float) -> Groups:
    """The chain of group sizes of Poisson commands (1/s): the next is all that come meanwhile, or the first after.

    Exact but for groups beyond `largest_group`. Bailey 1954 for times that do not depend on the size.
    """
    n = np.arange(1.0, math.ceil(largest_group(rate, fixed, each)) + 1.0)
    times = fixed + each * n
    came = np.exp(special.xlogy(n, rate * times[:, None]) - rate * times[:, None] - special.gammaln(n + 1.0))
    came[:, 0] += np.exp(-rate * times)
    came[:, -1] += np.maximum(1.0 - came.sum(axis=1), 0.0)
    balance = came.T - np.eye(len(n))
    balance[-1] = 1.0
    right = np.zeros(len(n))
    right[-1] = 1.0
    return Groups(n, np.maximum(np.linalg.solve(balance, right), 0.0), times)


def found_under_way(rate: float, found: Groups) -> tuple[float, Array]:
    """Of commands: the share that find no group under way, and the shares that come during one of each size."""
    busy, idle = rate * found.chances * found.times, found.chances * np.exp(-rate * found.times)
    commands = busy.sum() + idle.sum()
    return float(idle.sum() / commands), np.asarray(busy / commands)


def begin_knots(rate: float, fixed: float, each: float) -> tuple[Array, Array]:
    """Times and P(the wait until a command's group begins > t) there, straight between them: 0, or U(0, T_n)."""
    found = groups(rate, fixed, each)
    _, during = found_under_way(rate, found)
    slopes = during / found.times
    return _straight(np.concatenate([np.zeros(len(slopes)), found.times]), np.concatenate([slopes, -slopes]))


def done_knots(rate: float, fixed: float, each: float) -> tuple[Array, Array]:
    """The same until a command's group is done: T_1, or U(0, T_n) + T_m with m - 1 Poisson of mean lambda T_n."""
    found = groups(rate, fixed, each)
    _, during = found_under_way(rate, found)
    others, mean = found.sizes - 1.0, rate * found.times[:, None]
    both = (during / found.times)[:, None] * np.exp(special.xlogy(others, mean) - mean - special.gammaln(others + 1.0))
    count = len(found.sizes)
    together = np.add.outer(np.arange(count), np.arange(count)).ravel()
    falls = np.bincount(together, weights=both.ravel())
    ends = 2.0 * fixed + each * (2.0 + np.arange(len(falls)))
    return _straight(np.concatenate([found.times, ends]), np.concatenate([both.sum(axis=0), -falls]))


def _straight(places: Array, bends: Array) -> tuple[Array, Array]:
    """Knots of a ccdf whose slope bends by so much at each place, from its end backwards to keep what is left exact."""
    times, which = np.unique(places, return_inverse=True)
    bent = np.bincount(which, weights=bends)
    slopes = np.maximum(-np.cumsum(bent[::-1])[::-1][1:], 0.0)
    left = np.append(np.cumsum((slopes * np.diff(times))[::-1])[::-1], 0.0)
    return times, np.minimum(left, 1.0)
