"""Queues whose arrivals are Erlang: what one of N servers sees of Poisson arrivals dealt in turn; all exact."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special
from scipy.optimize import elementwise

Array = NDArray[np.float64]
NEAR = 1e-6  # relative: a removable singularity is taken by its derivative


def busy_root(stages: ArrayLike, utilization: ArrayLike) -> Any:
    """The root sigma in (0, 1) of sigma = A*(c mu (1 - sigma)) for Erlang gaps of `stages` stages: E_N/M/c.

    sigma = (N rho / (N rho + 1 - sigma))^N, of constant gaps (`inf` stages: D/M/c) e^{-(1 - sigma)/rho}; the wait,
    where there is one, is exponential with rate c mu (1 - sigma). Shapes broadcast; 0 < utilization < 1 (ValueError
    outside). Exact to about 1e-12. Takacs, Introduction to the Theory of Queues, 1962, chapter 2.
    """
    n, rho = np.broadcast_arrays(np.asarray(stages, dtype=float), np.asarray(utilization, dtype=float))
    outside = rho[~((rho > 0) & (rho < 1))]
    if outside.size:
        raise ValueError(f"busy_root: utilization must lie in (0, 1); got {float(outside.flat[0])!r}")
    if (n < 1).any():
        raise ValueError(f"busy_root: stages must be at least 1; got {float(n[n < 1].flat[0])!r}")

    def below(x: Array, n: Array, rho: Array) -> Array:  # x = -log sigma
        return np.asarray(_minus_log_gap(n, -np.expm1(-x) / rho) - x)

    # From rho = 1 on down the root leaves 0 as 2 (1 - rho) rho / (rho + 1 / n): a quarter of that lies before it.
    low = 0.5 * (1.0 - rho) * rho / (rho + 1.0 / n)
    high = _minus_log_gap(n, 1.0 / rho) * (1.0 + 1e-12)
    found = elementwise.find_root(below, (low, high), args=(n, rho), tolerances={"xrtol": 1e-15, "xatol": 0.0})
    return np.exp(-found.x)[()]


def _minus_log_gap(stages: Array, x: Array) -> Array:
    """-log A*(x) of gaps of mean 1: N log(1 + x/N), of constant ones x itself."""
    some = np.minimum(stages, 1e300)
    return np.asarray(np.where(np.isinf(stages), x, some * np.log1p(x / some)))


def erlang_arrivals_wait(stages: float, servers: int, utilization: float) -> tuple[float, float]:
    """P(wait) and sigma of E_N/M/c, or of D/M/c with `inf` stages: P(W > t) = P(wait) e^{-c mu (1 - sigma) t}.

    With phi_j = A*(j mu) and C_j = prod_{i <= j} phi_i / (1 - phi_i),
    P(wait) (1 - sigma) = 1 / (1/(1 - sigma) + sum_{j=1}^c binom(c, j) / (C_j (1 - phi_j))
    (c (1 - phi_j) - j)/(c (1 - sigma) - j)), all of whose terms are positive. Exact. Takacs 1962, chapter 2, theorem 1.
    """
    sigma = float(busy_root(stages, utilization))
    c, j = servers, np.arange(1.0, servers + 1.0)
    log_phi = -_minus_log_gap(np.asarray(stages, dtype=float), j / (utilization * c))
    free = -np.expm1(log_phi)
    gap = c * (1.0 - sigma) - j
    near = np.abs(gap) < NEAR * c
    slope = 1.0 - np.exp(log_phi) / (utilization + j / (c * stages))
    ratio = np.where(near, slope, (c * free - j) / np.where(near, 1.0, gap))
    log_c = np.cumsum(log_phi - np.log(free))
    binomial = special.gammaln(c + 1.0) - special.gammaln(j + 1.0) - special.gammaln(c - j + 1.0)
    terms = binomial - log_c - np.log(free) + np.log(ratio)
    total = special.logsumexp(np.append(terms, -np.log1p(-sigma)))
    return float(np.exp(-total) / (1.0 - sigma)), sigma
