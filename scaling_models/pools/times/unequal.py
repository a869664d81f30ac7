"""The times at many FIFO servers of unequal speed and load that share one service, as distributions."""

from __future__ import annotations

import functools
import math

import numpy as np

from scaling_models.domains import Real, Rows
from scaling_models.latency import LATENCY, Distribution, Exponential
from scaling_models.latency.distribution import Array
from scaling_models.latency.integrals import MANY
from scaling_models.latency.lattices import Lattice, Survival
from scaling_models.latency.quadrature import graded
from scaling_models.parameters import parameter
from scaling_models.pools.formulas.loads import Unequal, queued_at_any

AT_ONCE = 1_000_000  # service times asked for, for the memory's sake
CUTS = 3  # speeds whose cuts are taken: the fastest, the middle, the slowest


class AtSpeeds(Distribution):
    """A latency over a random speed: P(S / V > t) = sum_i w_i P(S > v_i t)."""

    service: Distribution = parameter(default=Exponential(0.010), domain=LATENCY, unit="s", about="the time at speed 1")
    speeds: tuple[float, ...] = parameter(default=(1.0, 2.0), domain=Rows(Real()), symbol="v", about="the speeds")
    shares: tuple[float, ...] = parameter(default=(0.5, 0.5), domain=Rows(Real()), symbol="w", about="how often each")

    @functools.cached_property
    def _table(self) -> tuple[Array, Array]:
        """Ascending speeds and their weights, which sum to 1."""
        speeds, places = np.unique(self.speeds, return_inverse=True)
        weights = np.bincount(places, weights=self.shares)
        return speeds, weights / weights.sum()

    def _over(self, t: Array, face: str, power: int = 0) -> Array:
        speeds, weights = self._table
        times = np.ravel(t)
        found = np.empty(times.shape)
        size = max(1, AT_ONCE // len(speeds))
        for start in range(0, len(times), size):
            some = slice(start, start + size)
            # A time that was made of a place and a speed may miss the place by one rounding: stay on its right.
            each = getattr(self.service, face)(times[some, None] * (1.0 + 4e-16) * speeds)
            found[some] = each @ (weights * speeds**power)
        return found.reshape(np.shape(t))

    def _ccdf(self, t: Array) -> Array:
        return self._over(t, "_ccdf")

    def _cdf(self, t: Array) -> Array:
        return self._over(t, "_cdf")

    def _pdf(self, t: Array) -> Array:
        return self._over(t, "_pdf", 1)

    def _draw(self, shape: tuple[int, ...], rng: np.random.Generator) -> Array:
        speeds, weights = self._table
        return np.asarray(self.service._draw(shape, rng) / rng.choice(speeds, size=shape, p=weights))

    @property
    def support(self) -> tuple[float, float]:
        """From the least at the fastest to the longest at the slowest."""
        speeds, _ = self._table
        low, high = self.service.support
        return (low / float(speeds[-1]), high / float(speeds[0]))

    @functools.cached_property
    def atoms(self) -> tuple[tuple[float, float], ...]:
        """The service's at every speed."""
        speeds, weights = self._table
        each = [
            (place / v, mass * w)
            for place, mass in self.service.atoms
            for v, w in zip(speeds.tolist(), weights.tolist(), strict=True)
        ]
        return tuple(sorted(each))

    @functools.cached_property
    def kinks(self) -> tuple[float, ...]:
        """The service's at every speed."""
        speeds, _ = self._table
        return tuple(np.unique([kink / speeds for kink in self.service.kinks]).tolist())

    @functools.cached_property
    def cuts(self) -> Array:
        """The service's at some of the speeds."""
        speeds, _ = self._table
        some = speeds[np.linspace(0, len(speeds) - 1, CUTS).astype(int)]
        return graded(np.concatenate([self.kinks, *(self.service.cuts / speed for speed in some)]), self.support[0])

    @property
    def tail_index(self) -> float:
        """The service's."""
        return self.service.tail_index

    def mean(self) -> float:
        """E[S] E[1/V]."""
        speeds, weights = self._table
        return self.service.mean() * float(weights @ (1.0 / speeds))

    def variance(self) -> float:
        """E[S^2] E[1/V^2] less the mean squared."""
        speeds, weights = self._table
        second = (self.service.variance() + self.service.mean() ** 2) * float(weights @ speeds**-2.0)
        return second - self.mean() ** 2


class UnequalWait(Lattice):
    """The wait of those that wait at one of several M/G/1 servers: see `queued_at_any`."""

    service: Distribution = parameter(default=Exponential(0.010), domain=LATENCY, unit="s", about="the time at speed 1")
    shares: tuple[float, ...] = parameter(default=(0.5, 0.5), domain=Rows(Real()), about="of all that wait, each's")
    loads: tuple[float, ...] = parameter(
        default=(0.5, 0.4), domain=Rows(Real(high=1.0)), symbol="ρ", about="how busy each of the servers is"
    )
    speeds: tuple[float, ...] = parameter(default=(1.0, 2.0), domain=Rows(Real()), symbol="v", about="the speeds")

    @property
    def _unequal(self) -> Unequal:
        return Unequal(self.shares, self.loads, self.speeds)

    @functools.cached_property
    def _survival(self) -> Survival:
        return queued_at_any(self.service, self._unequal, False)

    @property
    def known_to(self) -> float:
        """The least ccdf that is more than an extrapolation."""
        return self._survival.known_to

    @property
    def tail_index(self) -> float:
        """One less than the service's: a long service makes many wait."""
        return self.service.tail_index - 1.0

    @functools.cached_property
    def kinks(self) -> tuple[float, ...]:
        """The start, and those of the service at each speed."""
        each = [kink / speed for kink in self.service.kinks for speed in self.speeds]
        return tuple(sorted({self.support[0], *(each if len(each) <= MANY else ())}))

    def mean(self) -> float:
        """That of each server, E S^2 / (2 E S (1 - rho)) (Pollaczek and Khinchine), weighted."""
        first = self.service.mean()
        remaining = (self.service.variance() / first + first) / 2.0
        shares, loads, speeds = (np.array(each) for each in (self.shares, self.loads, self.speeds))
        return float(shares @ (remaining / (speeds * (1.0 - loads))))


class UnequalLatency(UnequalWait):
    """The wait of those that wait at one of several M/G/1 servers, and their service after it."""

    @functools.cached_property
    def _survival(self) -> Survival:
        return queued_at_any(self.service, self._unequal, True)

    @property
    def support(self) -> tuple[float, float]:
        """From the shortest service of the fastest server on."""
        return (self.service.support[0] / max(self.speeds), math.inf)

    def mean(self) -> float:
        """With the service at each server."""
        each = math.fsum(share / speed for share, speed in zip(self.shares, self.speeds, strict=True))
        return super().mean() + self.service.mean() * each
