"""Wait and response time of M/G/c, as far as approximations tell them."""

from __future__ import annotations

import functools
import math

import numpy as np

from scaling_models.domains import Integer, Real
from scaling_models.latency import LATENCY, Distribution, Exponential
from scaling_models.latency.distribution import Array
from scaling_models.latency.integrals import in_chunks
from scaling_models.latency.quadrature import graded
from scaling_models.parameters import parameter
from scaling_models.pools.formulas.general_queue import Waited, mean_of_those_who_wait, tijms_wait

MOST_CUTS = (
    200  # of a service's places, between which the panels lie: a large sample's mean is told to 1e-4 then (2e-5 seen)
)
EVEN = 250  # waits that stand for the body
TAIL = (((1.0, 5.0), 240), ((5.0, 12.0), 84))  # decades of the tail, and how many waits stand for them


class TijmsWait(Distribution):
    """The wait of those who wait in M/G/c, by `tijms_wait`: an approximation."""

    arrival_rate: float = parameter(
        default=800.0, domain=Real(), unit="requests/s", symbol="λ", about="requests arriving a second"
    )
    slots: int = parameter(default=10, domain=Integer(1, 10**10), unit="slots", symbol="c", about="slots of the pool")
    service: Distribution = parameter(
        default=Exponential(0.010), domain=LATENCY, unit="s", symbol="S", about="the time that a request takes"
    )

    @property
    def _load(self) -> float:
        return self.arrival_rate * self.service.mean() / self.slots

    @functools.cached_property
    def _waited(self) -> Waited:
        return tijms_wait(self.slots, self._load, self.service)

    @functools.cached_property
    def _decay(self) -> float:
        """The rate (per mean service) at which the ccdf falls at the lattice's end; of a power law, its index."""
        t, late = self._waited
        last = np.flatnonzero(late > 10.0 * late[-1])[-1]
        fallen = math.log(late[last] / late[-1])
        heavy = math.isfinite(self.service.tail_index)
        return fallen / (math.log(t[-1] / t[last]) if heavy else t[-1] - t[last])

    def mean(self) -> float:
        """See `mean_of_those_who_wait`."""
        return self.service.mean() * mean_of_those_who_wait(self.slots, self._load, self.service)

    @functools.cached_property
    def cuts(self) -> Array:
        """Where the ccdf has fallen to round levels."""
        return graded([0.0, *self._iccdf(np.geomspace(0.9, 1e-14, 24))], 0.0)

    def _log_ccdf(self, t: Array) -> Array:
        at, late = self._waited
        x = t / self.service.mean()
        beyond = np.maximum(x, at[-1])
        heavy = math.isfinite(self.service.tail_index)
        fallen = self._decay * (np.log(beyond / at[-1]) if heavy else beyond - at[-1])
        return np.asarray(np.interp(x, at, np.log(late)) - fallen)

    def _ccdf(self, t: Array) -> Array:
        return np.exp(self._log_ccdf(t))

    def _cdf(self, t: Array) -> Array:
        return -np.expm1(self._log_ccdf(t))

    def _pdf(self, t: Array) -> Array:
        at, late = self._waited
        x = np.clip(t / self.service.mean(), 0.0, at[-1] * (1.0 - 1e-12))
        cell = np.searchsorted(at, x, side="right") - 1
        slope = -np.diff(np.log(late)) / np.diff(at) / self.service.mean()
        return np.asarray(slope[cell] * self._ccdf(t))

    def _iccdf(self, p: Array) -> Array:
        at, late = self._waited
        logs = np.log(np.maximum(p, 1e-300))
        inside = np.interp(-logs, -np.log(late), at)
        more = np.maximum(np.log(late[-1]) - logs, 0.0) / self._decay
        heavy = math.isfinite(self.service.tail_index)
        return np.asarray(self.service.mean() * (inside * np.exp(more) if heavy else inside + more))

    def _icdf(self, q: Array) -> Array:
        return self._iccdf(1.0 - q)

    def _draw(self, shape: tuple[int, ...], rng: np.random.Generator) -> Array:
        return self._iccdf(1.0 - rng.random(shape))


class ResponseAfter(Distribution):
    """A wait that `chance` of the requests have, and then an independent service.

    The wait stands in a few hundred points: where the service hardly spreads them, the ccdf is off by 2% of its value.
    """

    chance: float = parameter(
        default=0.5, domain=Real(0, 1, open_low=False, open_high=False), symbol="C", about="how often there is a wait"
    )
    waited: Distribution = parameter(
        default=Exponential(0.010), domain=LATENCY, unit="s", symbol="W", about="the wait of those who have one"
    )
    service: Distribution = parameter(
        default=Exponential(0.010), domain=LATENCY, unit="s", symbol="S", about="the service after it"
    )

    @functools.cached_property
    def _points(self) -> tuple[Array, Array]:
        """Waits, with zero the first, and their chances: each the median of its share."""
        near, far = (10.0 ** -np.linspace(*decades, count + 1)[1:] for decades, count in TAIL)
        levels = np.concatenate([np.linspace(1.0, 0.1, EVEN), near, far, [0.0]])
        middles = (levels[:-1] + levels[1:]) / 2.0
        waits = self.waited.iccdf(middles)
        return np.append(0.0, waits), np.append(1.0 - self.chance, -self.chance * np.diff(levels))

    @property
    def support(self) -> tuple[float, float]:
        """From the fastest service on."""
        return (self.service.support[0], math.inf if self.chance > 0 else self.service.support[1])

    @property
    def atom_table(self) -> tuple[Array, Array]:
        """The service's, of those who do not wait."""
        places, masses = self.service.atom_table
        return places, masses * (1.0 - self.chance)

    @functools.cached_property
    def atoms(self) -> tuple[tuple[float, float], ...]:
        """The service's, of those who do not wait."""
        return tuple((place, mass * (1.0 - self.chance)) for place, mass in self.service.atoms)

    @property
    def kinks(self) -> tuple[float, ...]:
        """The service's."""
        return self.service.kinks

    @property
    def tail_index(self) -> float:
        """The service's."""
        return self.service.tail_index

    @functools.cached_property
    def cuts(self) -> Array:
        """The service's and the wait's after the service's start."""
        start, cuts = self.service.support[0], self.service.cuts
        every = -(-len(cuts) // MOST_CUTS)  # so many steps of a sample are small
        return graded(np.concatenate([cuts[::every], cuts[-1:], self.waited.cuts + start]), start)

    def mean(self) -> float:
        """The wait's and the service's."""
        return self.chance * self.waited.mean() + self.service.mean()

    def variance(self) -> float:
        """That of the points, and the service's."""
        waits, chances = self._points
        mean = float(waits @ chances)
        return float(waits**2 @ chances) - mean**2 + self.service.variance()

    def _over(self, face: str, t: Array) -> Array:
        waits, chances = self._points

        def total(t: Array) -> Array:
            return np.asarray(getattr(self.service, face)(t[:, None] - waits) @ chances)

        return in_chunks(total, np.ravel(t), len(waits)).reshape(np.shape(t))

    def _ccdf(self, t: Array) -> Array:
        return self._over("ccdf", t)

    def _cdf(self, t: Array) -> Array:
        return self._over("cdf", t)

    def _pdf(self, t: Array) -> Array:
        return self._over("pdf", t)

    def _draw(self, shape: tuple[int, ...], rng: np.random.Generator) -> Array:
        waits = np.where(rng.random(shape) < self.chance, self.waited._draw(shape, rng), 0.0)
        return waits + self.service._draw(shape, rng)


class Later(Distribution):
    """The later of two latencies, level by level: ccdf the larger of both. The upper end of a band."""

    first: Distribution = parameter(default=0.005, domain=LATENCY, unit="s", about="one latency")
    second: Distribution = parameter(default=0.010, domain=LATENCY, unit="s", about="the other")

    @property
    def support(self) -> tuple[float, float]:
        """The later start and the later end."""
        (a, b), (c, d) = self.first.support, self.second.support
        return (max(a, c), max(b, d))

    @property
    def tail_index(self) -> float:
        """The heavier one's."""
        return min(self.first.tail_index, self.second.tail_index)

    @property
    def kinks(self) -> tuple[float, ...]:
        """Both."""
        return tuple(sorted({*self.first.kinks, *self.second.kinks}))

    @functools.cached_property
    def cuts(self) -> Array:
        """Both."""
        return graded(np.concatenate([self.first.cuts, self.second.cuts]), self.support[0])

    def _ccdf(self, t: Array) -> Array:
        return np.maximum(self.first._ccdf(t), self.second._ccdf(t))

    def _cdf(self, t: Array) -> Array:
        return np.minimum(self.first._cdf(t), self.second._cdf(t))

    def _pdf(self, t: Array) -> Array:
        later = self.first._ccdf(t) > self.second._ccdf(t)
        return np.where(later, self.first._pdf(t), self.second._pdf(t))

    def _draw(self, shape: tuple[int, ...], rng: np.random.Generator) -> Array:
        return self._iccdf(1.0 - rng.random(shape))
