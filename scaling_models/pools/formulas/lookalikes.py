"""A service of a few exponential branches that looks like another one to a queue with several slots."""

from __future__ import annotations

import functools
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import optimize

from scaling_models.latency import Distribution
from scaling_models.pools.formulas.residuals import residual

Array = NDArray[np.float64]
FROM, TO, POINTS = 0.03, 300.0, 80  # mean services, between which the areas are compared
START, APART = 0.5, 3.7  # the mean of the fastest branch, and the ratio of neighbours, to begin with
SAME_MEAN = 30.0  # how much a wrong mean counts
MOST_STEPS = 60
NEAR = 1e-6  # relative: a fit that gets better by less is done


class Lookalike(NamedTuple):
    """Branches with `weights` and `means` (in mean services); `error` is the root mean square of the areas' errors."""

    weights: tuple[float, ...]
    means: tuple[float, ...]
    error: float


@functools.lru_cache(maxsize=64)
def lookalike(service: Distribution, branches: int) -> Lookalike:
    """Hyperexponential of the same mean whose int_0^t (1 - Ge) comes nearest to the service's, relatively, at all t.

    Ge is the equilibrium distribution. 1 - Ge is the correlation of the number of busy slots over time where there are
    infinitely many (Riordan 1951), whose area up to t is what a queue that lasts for t feels of the service; up to all
    t it is (1 + scv)/2. Found by least squares.
    """
    left = residual(service)
    t = np.geomspace(FROM, TO, POINTS)
    area = np.interp(t, left.t, left.area)

    def parts(x: Array) -> tuple[Array, Array]:
        means = np.exp(np.cumsum(np.concatenate([x[:1], np.exp(x[1:branches])])))
        shares = np.exp(np.append(0.0, x[branches:]) - max(0.0, *x[branches:]))
        return shares / shares.sum(), means

    def errors(x: Array) -> Array:
        shares, means = parts(x)
        found = -np.expm1(-t[:, None] / means) @ (shares * means)
        return np.append(found / area - 1.0, SAME_MEAN * np.log((shares / means).sum()))

    start = np.concatenate([[np.log(START)], np.full(branches - 1, np.log(np.log(APART))), np.zeros(branches - 1)])
    best = optimize.least_squares(errors, start, ftol=NEAR, xtol=NEAR, max_nfev=MOST_STEPS)
    shares, means = parts(best.x)
    means *= (shares / means).sum()  # exactly the same mean
    weights = shares / means
    error = float(np.sqrt(np.mean(errors(best.x)[:-1] ** 2)))
    return Lookalike(tuple((weights / weights.sum()).tolist()), tuple(means.tolist()), error)
