"""The time until a quorum has replied, where a replica appears more than once or has several votes."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable

import numpy as np

from scaling_models.domains import Record, Rows
from scaling_models.latency import LATENCY, Distribution
from scaling_models.latency.composed import Composed
from scaling_models.latency.distribution import Array
from scaling_models.parameters import parameter
from scaling_models.quorums.expressions.completion import influence
from scaling_models.quorums.expressions.expression import Expression, Leaf

EXPRESSION = Record("a quorum expression, such as Leaf('a') * Leaf('b')", base=lambda: Expression, kinds=lambda: ())


class QuorumTime(Composed):
    """The expression at independent latencies: cdf at p_i = F_i(t); ccdf from the dual at p_i = S_i(t). Exact.

    The distributions stand in the order of the expression's names.
    """

    expression: Expression = parameter(default=Leaf("a") + Leaf("b"), domain=EXPRESSION, about="which replies it takes")
    distributions: tuple[Distribution, ...] = parameter(
        default=(0.005, 0.020), domain=Rows(LATENCY), unit="s", about="the latency of each replica"
    )

    def _check(self) -> None:
        if len(self.distributions) != len(self.expression.names()):
            raise ValueError(
                f"QuorumTime.distributions must be one a replica ({len(self.expression.names())}); "
                f"got {len(self.distributions)}"
            )

    @property
    def _parts(self) -> tuple[Distribution, ...]:
        return self.distributions

    @functools.cached_property
    def _laws(self) -> dict[str, Distribution]:
        return dict(zip(self.expression.names(), self.distributions, strict=True))

    @functools.cached_property
    def _dual(self) -> Expression:
        return self.expression.dual()

    def _least(self, worth: Callable[[Distribution], float]) -> float:
        """The largest in the quorum whose largest is least."""
        values = {name: worth(law) for name, law in self._laws.items()}
        for limit in sorted(set(values.values())):
            if self.expression.survives([name for name, value in values.items() if value <= limit]):
                return limit
        return math.inf

    @functools.cached_property
    def support(self) -> tuple[float, float]:
        """From when the earliest quorum can be there to when one must be."""
        return (self._least(lambda law: law.support[0]), self._least(lambda law: law.support[1]))

    @functools.cached_property
    def tail_index(self) -> float:
        """The least sum over a set that every quorum meets: so many have to be late together."""
        if all(math.isinf(law.tail_index) for law in self.distributions):
            return math.inf
        return min(math.fsum(self._laws[name].tail_index for name in late) for late in self._dual.quorums())

    @functools.cached_property
    def lost(self) -> float:
        """The dual at the probabilities that replies never come."""
        return float(self._dual.evaluate({name: law.lost for name, law in self._laws.items()}))

    def _ccdf(self, t: Array) -> Array:
        return np.clip(self._dual.evaluate({name: law._ccdf(t) for name, law in self._laws.items()}), 0.0, 1.0)

    def _cdf(self, t: Array) -> Array:
        return np.clip(self.expression.evaluate({name: law._cdf(t) for name, law in self._laws.items()}), 0.0, 1.0)

    def _pdf(self, t: Array) -> Array:
        late = {name: law._ccdf(t) for name, law in self._laws.items()}
        return np.asarray(sum(law._pdf(t) * influence(self._dual, name, late) for name, law in self._laws.items()))

    def _draw(self, shape: tuple[int, ...], rng: np.random.Generator) -> Array:
        drawn = {name: law._draw(shape, rng) for name, law in self._laws.items()}
        found = np.full(shape, math.inf)
        for times in drawn.values():
            there = self.expression.evaluate({name: (other <= times).astype(float) for name, other in drawn.items()})
            found = np.where(there > 0.5, np.minimum(found, times), found)
        return found
