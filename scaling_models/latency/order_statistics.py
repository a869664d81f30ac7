"""The k-th smallest of several latencies."""

from __future__ import annotations

import functools
import math
from collections import Counter
from collections.abc import Iterable, Sequence

import numpy as np

from scaling_models.domains import Integer, Rows
from scaling_models.latency.composed import Composed, level_known
from scaling_models.latency.counting import at_least, exactly
from scaling_models.latency.distribution import Array, Distribution
from scaling_models.latency.record import LATENCY
from scaling_models.parameters import Slider, parameter


class KOfN(Composed):
    """The k-th smallest of n independent latencies, equal or different.

    cdf P(at least k of the n have ended by t), ccdf P(at least n - k + 1 have not): both by the one counting law,
    equal parts grouped, so neither loses precision to the other. Exact.
    """

    k: int = parameter(
        default=1, domain=Integer(1, 10**6), symbol="k", about="how many have to end", slider=Slider(1, 10, 1)
    )
    distributions: tuple[Distribution, ...] = parameter(
        default=(0.005, 0.020), domain=Rows(LATENCY), unit="s", about="the n parts"
    )

    def _check(self) -> None:
        if self.k > len(self.distributions):
            raise ValueError(
                f"KOfN.k must lie in [1, {len(self.distributions)}], the number of distributions; got {self.k}"
            )

    @functools.cached_property
    def _groups(self) -> Counter[Distribution]:
        return Counter(self.distributions)

    @property
    def _parts(self) -> tuple[Distribution, ...]:
        return tuple(self._groups)

    @property
    def _against(self) -> int:
        """How many have to be late for the whole to be late."""
        return len(self.distributions) - self.k + 1

    @property
    def support(self) -> tuple[float, float]:
        """The k-th smallest start and the k-th smallest end."""
        return (self._kth(0), self._kth(1))

    def _kth(self, end: int) -> float:
        return sorted(part.support[end] for part in self.distributions)[self.k - 1]

    @property
    def tail_index(self) -> float:
        """The sum of the n - k + 1 smallest: so many have to be late together."""
        return math.fsum(sorted(part.tail_index for part in self.distributions)[: self._against])

    @functools.cached_property
    def lost(self) -> float:
        """The probability that n - k + 1 parts never end."""
        never = [np.array(part.lost) for part in self._parts]
        return float(at_least(self._against, never, tuple(self._groups.values())))

    def mean(self) -> float:
        """Of n equal exponentials sum_{i=n-k+1}^n 1/i of theirs; else the integral of the ccdf."""
        phases = self._parts[0].phases if len(self._parts) == 1 else None
        if phases is None or len(phases.ends) > 1:
            return super().mean()
        return self._parts[0].mean() * math.fsum(1.0 / i for i in range(self._against, len(self.distributions) + 1))

    @functools.cached_property
    def highest_level(self) -> float:
        """By the counting law: that k of them have ended when the first leaves what is known of it."""
        return level_known(self, self._parts)

    @property
    def mean_known(self) -> bool:
        """Only where all laws are, or there is no other part."""
        return super().mean_known if len(self.distributions) > 1 else self.distributions[0].mean_known

    def _late(self, chances: Sequence[Array], counts: Iterable[int]) -> Array:
        return at_least(self._against, chances, tuple(counts))

    def _ccdf(self, t: Array) -> Array:
        return self._late([part._ccdf(t) for part in self._parts], self._groups.values())

    def _cdf(self, t: Array) -> Array:
        return at_least(self.k, [part._cdf(t) for part in self._parts], tuple(self._groups.values()))

    def _pdf(self, t: Array) -> Array:
        """The sum over parts of f_i P(exactly n - k of the others are late)."""
        late = [part._ccdf(t) for part in self._parts]
        total = np.zeros(np.shape(t))
        for part, count in self._groups.items():
            others = [c - (other == part) for other, c in self._groups.items()]
            total += count * part._pdf(t) * exactly(self._against - 1, late, others)
        return total

    def _draw(self, shape: tuple[int, ...], rng: np.random.Generator) -> Array:
        drawn = np.stack([part._draw(shape, rng) for part in self.distributions])
        return np.asarray(np.partition(drawn, self.k - 1, axis=0)[self.k - 1])
