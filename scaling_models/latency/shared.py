"""k of n behind a delay that several of the parts share."""

from __future__ import annotations

import functools
import math

import numpy as np

from scaling_models.answers import NoClosedForm
from scaling_models.domains import Integer, Rows
from scaling_models.latency.affine import Shifted
from scaling_models.latency.composed import HAIR, LEAST_MASS, level_known
from scaling_models.latency.condensed import condensed
from scaling_models.latency.counting import at_least
from scaling_models.latency.distribution import Array, Distribution
from scaling_models.latency.integrals import MANY, ROUNDING, Integrated, in_chunks
from scaling_models.latency.lattices import Survival
from scaling_models.latency.order_statistics import KOfN
from scaling_models.latency.quadrature import merged
from scaling_models.latency.record import LATENCY
from scaling_models.latency.spread import LEVELS, spread
from scaling_models.parameters import Slider, parameter

ROUGH, SPARSE = 200, 4  # times to begin with, and of how many levels


class SharedKOfN(Integrated):
    """The k-th smallest of n latencies of which some wait for one shared delay X first: T_i = X + D_i, else F_i.

    Conditioned on X the parts are independent: ccdf E[P(at least n - k + 1 late | X)]. Exact; behind a large sample it
    is found at a thousand quantiles, and straight between them.
    """

    k: int = parameter(
        default=1, domain=Integer(1, 10**6), symbol="k", about="how many have to end", slider=Slider(1, 10, 1)
    )
    delayed: tuple[Distribution, ...] = parameter(
        default=(0.005, 0.010), domain=Rows(LATENCY), unit="s", about="what the parts that wait take afterwards"
    )
    free: tuple[Distribution, ...] = parameter(
        default=(), domain=Rows(LATENCY, least=0), unit="s", about="the parts that do not wait"
    )
    shared: Distribution = parameter(
        default=0.001, domain=LATENCY, unit="s", about="the delay that all of the delayed parts share"
    )

    def _check(self) -> None:
        if self.k > self._size:
            raise ValueError(f"SharedKOfN.k must lie in [1, {self._size}], the number of parts; got {self.k}")

    @property
    def _size(self) -> int:
        return len(self.delayed) + len(self.free)

    @property
    def _against(self) -> int:
        return self._size - self.k + 1

    @property
    def _outer(self) -> Distribution:
        return self.shared

    @property
    def _inner(self) -> tuple[Distribution, ...]:
        return self.delayed

    @property
    def _free(self) -> tuple[Distribution, ...]:
        return self.free

    @functools.cached_property
    def _coarse(self) -> bool:
        """Whether the shared delay has too many atoms to be summed one by one at every value."""
        return self.lost == 0.0 and (self.shared.hidden_atoms or len(self.shared.places) > MANY)

    @functools.cached_property
    def _tabulated(self) -> bool:
        return not self._coarse and super()._tabulated

    @functools.cached_property
    def _many(self) -> bool:
        return self._coarse or super()._many

    @functools.cached_property
    def cuts(self) -> Array:
        """Where the shared delay is coarse, the quantiles that are known of it."""
        return self.support[0] + _known(self).times[::SPARSE] if self._coarse else super().cuts

    @functools.cached_property
    def kinks(self) -> tuple[float, ...]:
        """Every kink of the shared delay plus every kink within, and those of the free parts; else the ends alone."""
        return Distribution.kinks.__get__(self) if self._coarse else super().kinks

    @functools.cached_property
    def _moments(self) -> tuple[float, float]:
        if not self._coarse:
            return super()._moments
        (first, second), start = _known(self).moments, self.support[0]
        return start + first, 2.0 * second - first**2

    def _log_ccdf(self, t: Array) -> Array:
        if not self._coarse:
            return super()._log_ccdf(t)
        start, end = self.support
        known = _known(self)(np.maximum(t - start, 0.0))
        return np.where(t < start, 0.0, np.where(t >= end, -np.inf, known))

    def _icdf(self, q: Array) -> Array:
        with np.errstate(divide="ignore"):
            return self._at(np.log1p(-q)) if self._coarse else super()._icdf(q)

    def _iccdf(self, p: Array) -> Array:
        with np.errstate(divide="ignore"):
            return self._at(np.log(p)) if self._coarse else super()._iccdf(p)

    def _at(self, logs: Array) -> Array:
        start, end = self.support
        return np.minimum(start + _known(self).inverse(np.maximum(logs, -1e300)), end)

    @property
    def hidden_atoms(self) -> bool:
        """Where the atoms of the shared delay are too many, those of the parts, or a part hides some."""
        parts = (self.shared, *self.delayed, *self.free)
        pairs = len(self.shared.places) * sum(len(part.places) for part in self.delayed)
        return any(part.hidden_atoms for part in parts) or self._coarse or pairs > MANY**2

    def _integral(self, t: Array) -> Array:
        if not self._coarse:
            return super()._integral(t)
        places, masses = spread(self.shared)

        def over(t: Array) -> Array:
            return np.asarray(self._late(t[:, None], t[:, None] * (1.0 + ROUNDING) - places) @ masses)

        return in_chunks(over, t, len(places))

    def _late(self, t: Array, s: Array) -> Array:
        chances = [condensed(part).ccdf(t) for part in self.free] + [condensed(part).ccdf(s) for part in self.delayed]
        return at_least(self._against, chances)

    @functools.cached_property
    def support(self) -> tuple[float, float]:
        """The k-th smallest start and the k-th smallest end."""
        ends = [
            sorted([*(p.support[e] + self.shared.support[e] for p in self.delayed), *(p.support[e] for p in self.free)])
            for e in (0, 1)
        ]
        return (ends[0][self.k - 1], ends[1][self.k - 1])

    @property
    def tail_index(self) -> float:
        """At most the shared delay's, and that of the n - k + 1 heaviest parts together."""
        parts = sorted(part.tail_index for part in (*self.delayed, *self.free))
        return min(self.shared.tail_index, math.fsum(parts[: self._against]))

    @functools.cached_property
    def lost(self) -> float:
        """That n - k + 1 parts never end: the delayed ones together where the shared delay never does."""
        free, delayed = [np.array(p.lost) for p in self.free], [np.array(p.lost) for p in self.delayed]
        ends = float(at_least(self._against, [*free, *delayed]))
        never = float(at_least(self._against, [*free, *(np.ones(()) for _ in delayed)]))
        return (1.0 - self.shared.lost) * ends + self.shared.lost * never

    @functools.cached_property
    def atoms(self) -> tuple[tuple[float, float], ...]:
        """Where the ccdf jumps: at atoms of free parts, and of delayed parts together with the shared delay."""
        if self.hidden_atoms:
            return ()
        delayed = np.concatenate([part.places for part in self.delayed])
        free = [part.places for part in self.free]
        places, _ = merged(np.concatenate([np.add.outer(self.shared.places, delayed).ravel(), *free]))
        if not places.size:
            return ()
        # Both sides of the jump, a hair away; what the density adds between them is far below a mass that counts.
        masses = self._integral(places * (1.0 - HAIR)) - self._integral(places * (1.0 + HAIR))
        return tuple((float(p), float(m)) for p, m in zip(places, masses, strict=True) if m > LEAST_MASS)

    def _direct_pdf(self, t: Array) -> Array:
        """Where the shared delay is a few atoms (or there are very many): a mixture over them."""
        if self._coarse:
            return _known(self).density(t - self.support[0])
        total = np.zeros(len(t))
        for place, mass in self.shared.atoms:
            parts = (*(Shifted(part, place) for part in self.delayed), *self.free)
            total += mass * KOfN(self.k, parts)._pdf(t)
        if not self._pure_atoms:
            raise NoClosedForm("the density behind a shared delay with very many atoms is not known: simulate it")
        return total

    @functools.cached_property
    def highest_level(self) -> float:
        """Its level at the time up to which every part, and the shared delay, are known."""
        return level_known(self, (*self.delayed, *self.free, self.shared))

    @property
    def mean_known(self) -> bool:
        """Only where all laws are: which part is the k-th depends on how they spread."""
        return self.spread_known and all(part.mean_known for part in (*self.delayed, *self.free, self.shared))

    def _draw(self, shape: tuple[int, ...], rng: np.random.Generator) -> Array:
        wait = self.shared._draw(shape, rng)
        drawn = [wait + part._draw(shape, rng) for part in self.delayed]
        drawn += [part._draw(shape, rng) for part in self.free]
        return np.asarray(np.partition(np.stack(drawn), self.k - 1, axis=0)[self.k - 1])


@functools.lru_cache(maxsize=32)
def _known(law: SharedKOfN) -> Survival:
    """The log ccdf behind a coarse delay at some hundred times, evenly in the ccdf and in its log: straight between."""
    start, end = law.support
    guesses = np.unique(law._guesses)
    times = np.unique(np.concatenate([guesses[:: max(len(guesses) // ROUGH, 1)], guesses[-1:]])) - start
    for levels in (LEVELS[::SPARSE], LEVELS):
        wanted = np.concatenate([np.log1p(-levels), np.log(levels)])
        times = np.unique(np.minimum(_asked(law, times).inverse(wanted), end - start))
    return _asked(law, times)


def _asked(law: SharedKOfN, times: Array) -> Survival:
    """What it is at so many times after the start, and straight between."""
    after = times[times > 0.0]
    logs = np.log(np.clip(law._integral(law.support[0] + after), 1e-300, 1.0))
    return Survival(np.append(0.0, after), np.append(0.0, logs), decay=1.0 / after[-1])
