"""How to split requests at random among servers of unequal speed."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import optimize

Array = NDArray[np.float64]
MOST_VARIABLE = 1e6  # scv: of more, and of an infinite one, the same split is taken


def best_weights(rates: ArrayLike, arrival_rate: float, scv: float = 1.0) -> Array:
    """The shares of the requests, one a server, at which a random split has the least mean response time.

    Servers M/G/1 with service rates mu_i (requests/s) and one `scv` of the service; k = (1 + scv)/2. The derivative of
    lambda_i T_i is the same theta at all servers that get any: rho_i = max(0, 1 - (1 + (theta mu_i - 1)/k)^{-1/2}),
    sum mu_i rho_i = lambda. For scv 1 in closed form, lambda_i = mu_i - sqrt(mu_i) (sum mu - lambda)/sum sqrt(mu) over
    those that get any. In proportion to the rates at or over capacity. Exact to 1e-9. Raises ValueError unless rates
    and arrival rate are positive, and scv not negative. Tantawi and Towsley 1985; Bell and Stidham 1983.
    """
    mu = np.asarray(rates, dtype=float)
    if mu.ndim != 1 or not mu.size or not (np.isfinite(mu) & (mu > 0)).all():
        raise ValueError(f"best_weights: rates must lie in (0, inf) requests/s, one a server; got {rates!r}")
    if not (0 < arrival_rate < math.inf and scv >= 0):
        raise ValueError(
            f"best_weights: arrival_rate must lie in (0, inf) requests/s and scv in [0, inf]; "
            f"got {arrival_rate!r} and {scv!r}"
        )
    if arrival_rate >= mu.sum():
        return np.asarray(mu / mu.sum())
    shares = _square_roots(mu, arrival_rate) if scv == 1 else _equal_slopes(mu, arrival_rate, (1.0 + scv) / 2.0)
    return np.asarray(shares / shares.sum()) if shares.any() else np.where(mu == mu.max(), 1.0, 0.0)


def _square_roots(mu: Array, arrival_rate: float) -> Array:
    """Exponential services: the slowest are left out as long as they would get a negative share."""
    order = np.argsort(-mu)
    fast = mu[order]
    spare = (np.cumsum(fast) - arrival_rate) / np.cumsum(np.sqrt(fast))
    used = np.sqrt(fast) > spare  # true for the fastest few
    level = spare[np.flatnonzero(used)[-1]] if used.any() else math.inf  # none: the load is lost in rounding
    return np.asarray(np.maximum(0.0, mu - np.sqrt(mu) * level))


def _equal_slopes(mu: Array, arrival_rate: float, variability: float) -> Array:
    k = min(variability, MOST_VARIABLE)
    faster = mu / mu.max()

    def loads(beyond: float) -> Array:  # theta = (1 + beyond) / mu_max: what is near 1 is told without cancelling
        slope = np.maximum(0.0, beyond * faster + (faster - 1.0))
        return np.asarray(mu * -np.expm1(-0.5 * np.log1p(slope / k)))

    high = 1.0 / faster.min()
    while loads(high).sum() < arrival_rate:
        high *= 4.0
    lacking = optimize.brentq(lambda beyond: loads(beyond).sum() - arrival_rate, 0.0, high, xtol=1e-300, rtol=1e-14)
    return loads(float(lacking))
