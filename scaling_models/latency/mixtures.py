"""One of several latencies, by chance."""

from __future__ import annotations

import functools
import math

import numpy as np

from scaling_models.domains import Real, Rows
from scaling_models.latency.composed import Composed
from scaling_models.latency.distribution import Array, Distribution
from scaling_models.latency.phases import Phases, in_branches
from scaling_models.latency.record import LATENCY
from scaling_models.parameters import parameter
from scaling_models.wording import short

SAME_SUM = 1e-15  # from one: what the rounding of weights leaves of their sum


def _chance(weights: tuple[float, ...]) -> tuple[float, ...]:
    """The weights over their sum; as they are where that is one to the last digits, so that a repr repeats them."""
    total = math.fsum(weights)
    return weights if abs(total - 1.0) <= SAME_SUM else tuple(weight / total for weight in weights)


class Mixture(Composed):
    """One of several latencies, chosen with given weights: ccdf sum w_i S_i(t)."""

    weights: tuple[float, ...] = parameter(
        default=(0.5, 0.5), domain=Rows(Real(open_low=False)), symbol="w", about="how often each part is the one"
    )
    distributions: tuple[Distribution, ...] = parameter(
        default=(0.005, 0.020), domain=Rows(LATENCY), unit="s", about="the parts"
    )

    def _check(self) -> None:
        if len(self.weights) != len(self.distributions) or abs(math.fsum(self.weights) - 1.0) > 1e-9:
            raise ValueError(
                f"Mixture.weights must be one a distribution ({len(self.distributions)}) and sum to 1; "
                f"got {short(self.weights)}"
            )
        # A sum within 1e-9 of one is one: without this the ccdf would keep the difference for ever.
        object.__setattr__(self, "weights", _chance(self.weights))

    @functools.cached_property
    def _pairs(self) -> tuple[tuple[float, Distribution], ...]:
        return tuple((w, d) for w, d in zip(self.weights, self.distributions, strict=True) if w > 0)

    @property
    def _parts(self) -> tuple[Distribution, ...]:
        return tuple(part for _, part in self._pairs)

    @property
    def support(self) -> tuple[float, float]:
        """From the least start to the largest end."""
        return (min(p.support[0] for p in self._parts), max(p.support[1] for p in self._parts))

    @property
    def tail_index(self) -> float:
        """The heaviest part's."""
        return min(part.tail_index for part in self._parts)

    @property
    def lost(self) -> float:
        """The parts', weighted."""
        return math.fsum(w * part.lost for w, part in self._pairs)

    @property
    def alternatives(self) -> tuple[tuple[float, Distribution], ...]:
        """The parts."""
        return self._pairs

    @property
    def phases(self) -> Phases | None:
        """The parts' side by side."""
        each = [(w, part.phases) for w, part in self._pairs]
        known = [(w, phases) for w, phases in each if phases is not None]
        return in_branches(*zip(*known, strict=True)) if len(known) == len(each) else None

    @property
    def mean_known(self) -> bool:
        """True where it is of every part."""
        return all(part.mean_known for part in self._parts)

    def mean(self) -> float:
        """The parts' means, weighted."""
        return math.fsum(w * part.mean() for w, part in self._pairs)

    def variance(self) -> float:
        """The mean of the variances plus the variance of the means."""
        mean = self.mean()
        if math.isinf(mean):
            return math.inf
        return math.fsum(w * (part.variance() + (part.mean() - mean) ** 2) for w, part in self._pairs)

    def _ccdf(self, t: Array) -> Array:
        return np.asarray(sum(w * part._ccdf(t) for w, part in self._pairs))

    def _cdf(self, t: Array) -> Array:
        return np.asarray(sum(w * part._cdf(t) for w, part in self._pairs))

    def _pdf(self, t: Array) -> Array:
        return np.asarray(sum(w * part._pdf(t) for w, part in self._pairs))

    def _draw(self, shape: tuple[int, ...], rng: np.random.Generator) -> Array:
        which = rng.choice(len(self._pairs), size=shape, p=[w for w, _ in self._pairs])
        drawn = np.stack([part._draw(shape, rng) for part in self._parts])
        return np.asarray(np.take_along_axis(drawn, which[None], axis=0)[0])
