"""The time until a reversible chain first reaches a set of states: the distribution, and its weights and rates."""

from __future__ import annotations

import functools
import math
from typing import Any

import numpy as np

from scaling_models.domains import Real, Rows
from scaling_models.latency.distribution import Array, Distribution
from scaling_models.parameters import parameter
from scaling_models.wording import short

NOTHING = 40.0  # mean times: what is left then is e^-40
GRADE = 2.5  # between cuts


class PassageTime(Distribution):
    """ccdf sum w_j e^{-r_j t}: weights that sum to one, some perhaps negative, and rates, the slowest first. Exact."""

    weights: tuple[float, ...] = parameter(
        default=(2.0, -1.0), domain=Rows(Real(-math.inf)), symbol="w", about="the weight of each exponential"
    )
    rates: tuple[float, ...] = parameter(
        default=(1.0, 2.0), domain=Rows(Real()), unit="1/s", symbol="r", about="the rate of each exponential"
    )

    def _check(self) -> None:
        if len(self.weights) != len(self.rates) or abs(math.fsum(self.weights) - 1.0) > 1e-9:
            raise ValueError(
                f"PassageTime.weights must be one a rate ({len(self.rates)}) and sum to 1; got {short(self.weights)}"
            )

    @property
    def _terms(self) -> tuple[Array, Array]:
        return np.array(self.weights), np.array(self.rates)

    @functools.cached_property
    def cuts(self) -> Array:
        """From what the fastest rate does to where nothing is left."""
        first, end = 1.0 / max(self.rates), NOTHING / min(self.rates)
        return np.append(0.0, np.geomspace(first, end, 2 + int(math.log(end / first, GRADE))))

    def mean(self) -> float:
        """sum w/r."""
        weights, rates = self._terms
        return math.fsum(weights / rates)

    def variance(self) -> float:
        """2 sum w/r^2 less the mean's square."""
        weights, rates = self._terms
        return 2.0 * math.fsum(weights / rates**2) - self.mean() ** 2

    def _sum(self, factors: Array, t: Array, face: Any) -> Array:
        found = np.zeros(np.shape(t))
        for factor, rate in zip(factors, self.rates, strict=True):
            found += factor * face(-rate * t)
        return found

    def _ccdf(self, t: Array) -> Array:
        return np.clip(self._sum(self._terms[0], t, np.exp), 0.0, 1.0)

    def _cdf(self, t: Array) -> Array:
        return np.clip(self._sum(-self._terms[0], t, np.expm1), 0.0, 1.0)

    def _pdf(self, t: Array) -> Array:
        weights, rates = self._terms
        return np.maximum(self._sum(weights * rates, t, np.exp), 0.0)

    def _draw(self, shape: tuple[int, ...], rng: np.random.Generator) -> Array:
        return self._iccdf(1.0 - rng.random(shape))


def first_passage(rates: Array, ends: Array, chances: Array) -> tuple[Array, Array]:
    """Weights and rates (1/s) of P(T > t) = sum w_j e^{-r_j t}, T the time that a chain takes from state 0 to its end.

    `rates` (states, states) between states that are left, `ends` (states,) out of each; `chances` (states,) are in
    proportion to the stationary ones, and the chain must be reversible: chances_a rates_ab = chances_b rates_ba. Its
    generator is then similar to a symmetric matrix (Keilson 1979); the slowest rate, of which a decomposition would
    know an absolute error only, is taken from the mean. Exact.
    """
    roots = np.sqrt(chances)
    # By detailed balance pi_a G_ab = pi_b G_ba, the similar matrix has the roots of G_ab G_ba off its diagonal.
    symmetric = np.sqrt(rates * rates.T) - np.diag(rates.sum(axis=1) + ends)
    values, vectors = np.linalg.eigh(symmetric)
    weights = vectors[0] * (roots @ vectors) / roots[0]
    speeds = -values[::-1]
    weights = weights[::-1]
    others = math.fsum(weights[1:] / speeds[1:])
    slowest = (1.0 - math.fsum(weights[1:])) / (mean_passage(rates, ends) - others)
    return np.append(1.0 - math.fsum(weights[1:]), weights[1:]), np.append(slowest, speeds[1:])


def mean_passage(rates: Array, ends: Array) -> float:
    """The mean time from state 0 until the chain ends, its rates (1/s) off the diagonal and `ends` out of each state.

    States are taken out one by one, and nothing is subtracted (Grassmann, Taksar, Heyman 1985): a mean of 1e15 steps is
    as precise as one of ten.
    """
    flows, leaves, times = rates.copy(), ends.copy(), np.ones(len(ends))
    np.fill_diagonal(flows, 0.0)
    for last in range(len(ends) - 1, 0, -1):
        share = flows[:last, last] / (flows[last, :last].sum() + leaves[last])
        flows[:last, :last] += np.outer(share, flows[last, :last])
        np.fill_diagonal(flows, 0.0)
        leaves[:last] += share * leaves[last]
        times[:last] += share * times[last]
    return float(times[0] / leaves[0])
