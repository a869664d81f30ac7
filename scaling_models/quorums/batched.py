"""What batches make commands wait, as distributions."""

from __future__ import annotations

import functools
import math

import numpy as np

from scaling_models.domains import Integer, Real
from scaling_models.latency.distribution import Array, Distribution
from scaling_models.latency.lattices import Lattice, Survival
from scaling_models.latency.quadrature import graded
from scaling_models.latency.tables import STRAIGHT
from scaling_models.parameters import parameter
from scaling_models.quorums.formulas import gathering, group_commits

TIMES = Real(open_low=False)
KNOWN_TO = 1e-10  # the ccdf below which the tail of a lattice is taken to be exponential
PARTS = np.array([0.1, 0.2, 0.4, 0.6, 0.8, 1.0])
TAIL = 1e3  # how much of it tells the decay


class GatherWait(Distribution):
    """A command's wait until its batch leaves, full or late: see `gather_ccdf`. Exact."""

    rate: float = parameter(default=5000.0, domain=Real(), unit="1/s", symbol="λ", about="commands a second")
    size: int = parameter(default=20, domain=Integer(2, 10**6), symbol="B", about="commands of a full batch")
    window: float = parameter(
        default=0.002, domain=Real(high=math.inf, open_high=False), unit="s", symbol="w", about="longest wait"
    )

    @property
    def support(self) -> tuple[float, float]:
        """From nothing to the window."""
        return (0.0, self.window)

    @functools.cached_property
    def atoms(self) -> tuple[tuple[float, float], ...]:
        """The last of a full batch does not wait, the first of a late one waits for all of the window."""
        mean = float(gathering.gathered_size(self.rate, self.size, self.window))
        after = float(gathering.gather_ccdf(0.0, self.rate, self.size, self.window))
        late = (
            float(gathering.places_left(self.size - 1.0, self.rate * self.window))
            - float(gathering.places_left(self.size - 2.0, self.rate * self.window))
        ) / mean
        both = ((0.0, 1.0 - after), (self.window, late))
        return tuple((place, mass) for place, mass in both if mass > 0.0)

    @property
    def kinks(self) -> tuple[float, ...]:
        """Both ends."""
        return (0.0, self.window) if math.isfinite(self.window) else (0.0,)

    @functools.cached_property
    def cuts(self) -> Array:
        """Even parts of the time in which a batch fills or is late."""
        fills = (self.size + gathering.FILLS * math.sqrt(self.size) + gathering.MORE) / self.rate
        return graded([*self.kinks, *(min(self.window, fills) * PARTS)], 0.0)

    def _ccdf(self, t: Array) -> Array:
        return np.asarray(gathering.gather_ccdf(t, self.rate, self.size, self.window))

    def _pdf(self, t: Array) -> Array:
        return np.asarray(gathering.gather_pdf(t, self.rate, self.size, self.window))

    def _draw(self, shape: tuple[int, ...], rng: np.random.Generator) -> Array:
        return np.asarray(self._icdf(rng.random(shape)))


class BatchTime(Lattice):
    """A command's time until its server is done with its batch: see `batch_times`. Load below 1."""

    rate: float = parameter(default=5000.0, domain=Real(), unit="1/s", symbol="λ", about="commands a second")
    size: int = parameter(default=20, domain=Integer(1, 10**6), symbol="B", about="commands of a full batch")
    window: float = parameter(
        default=0.002,
        domain=Real(high=math.inf, open_low=False, open_high=False),
        unit="s",
        symbol="w",
        about="longest wait for a batch to fill",
    )
    fixed: float = parameter(default=0.0005, domain=TIMES, unit="s", symbol="f", about="work on a batch")
    each: float = parameter(default=0.00002, domain=TIMES, unit="s", symbol="c", about="work on each command")

    def _check(self) -> None:
        if self.fixed + self.each <= 0.0:
            raise ValueError(f"BatchTime.fixed must lie above 0 s where a command takes none; got {self.fixed!r}")

    @property
    def support(self) -> tuple[float, float]:
        """From the work on a batch of one."""
        sizes, _ = gathering.Batches(*self._key()).sizes()
        return (self.fixed + self.each * float(sizes[0]), math.inf)

    @functools.cached_property
    def _masses(self) -> tuple[float, Array]:
        return gathering.batch_times(gathering.Batches(*self._key()))

    @functools.cached_property
    def _survival(self) -> Survival:
        """A mass at a node spread over the steps at its sides."""
        step, mass = self._masses
        above = np.cumsum(mass[::-1])[::-1]
        t = step * (np.arange(len(mass)) + 0.5)
        ccdf = np.append(above[1:], 0.0)
        first = int(np.argmax(mass > KNOWN_TO))
        kept = (ccdf > KNOWN_TO) & (t > step * (first - 1))
        near = np.flatnonzero(ccdf < TAIL * KNOWN_TO)[0]
        last = np.flatnonzero(kept)[-1]
        decay = math.log(ccdf[near] / ccdf[last]) / (step * (last - near)) if last > near else 1.0 / step
        start = max(step * (first - 0.5), 0.0)
        times, logs = np.concatenate([[0.0, start], t[kept]]), np.log(np.minimum(ccdf[kept], 1.0))
        times, unique = np.unique(times, return_index=True)
        return Survival(times, np.concatenate([[0.0, 0.0], logs])[unique], decay=decay)


class Bent(Distribution):
    """Base of laws whose ccdf is straight between knots, with an atom at the first."""

    rate: float = parameter(default=5000.0, domain=Real(), unit="1/s", symbol="λ", about="commands a second")
    fixed: float = parameter(default=0.0005, domain=TIMES, unit="s", symbol="f", about="work on a group")
    each: float = parameter(default=0.00002, domain=TIMES, unit="s", symbol="c", about="work on each command")

    @property
    def _knots(self) -> tuple[Array, Array]:
        raise NotImplementedError

    @property
    def support(self) -> tuple[float, float]:
        """From the first to the last knot."""
        times, _ = self._knots
        return (float(times[0]), float(times[-1]))

    @property
    def atoms(self) -> tuple[tuple[float, float], ...]:
        """Who finds no group under way."""
        times, ccdf = self._knots
        return ((float(times[0]), 1.0 - float(ccdf[0])),)

    @property
    def depth(self) -> int:
        """So deep that no table over it chases its knots."""
        return STRAIGHT

    @functools.cached_property
    def cuts(self) -> Array:
        """Quantiles, and the knots where these are few."""
        times, ccdf = self._knots
        at = np.interp(-np.array([1e-16, 1e-10, 1e-6, 1e-3, 0.03, 0.3, 0.7, 0.97]), -ccdf, times)
        return graded([*self.kinks, *at, *(times if len(times) < 12 else ())], self.support[0])

    def _ccdf(self, t: Array) -> Array:
        times, ccdf = self._knots
        return np.where(t < times[0], 1.0, np.interp(t, times, ccdf))

    def _pdf(self, t: Array) -> Array:
        times, ccdf = self._knots
        slopes = np.append(-np.diff(ccdf) / np.diff(times), 0.0)
        return np.where(t < times[0], 0.0, slopes[np.maximum(np.searchsorted(times, t, side="right") - 1, 0)])

    def _icdf(self, q: Array) -> Array:
        return self._iccdf(1.0 - q)

    def _iccdf(self, p: Array) -> Array:
        times, ccdf = self._knots
        return np.asarray(np.interp(-p, -ccdf, times))

    def mean(self) -> float:
        """The integral of the ccdf."""
        times, ccdf = self._knots
        return float(times[0]) + float(np.trapezoid(ccdf, times))

    def variance(self) -> float:
        """Twice the integral of t times the ccdf, by Simpson's rule exact on each piece, less the mean squared."""
        times, ccdf = self._knots
        t, s = (times[1:] + times[:-1]) / 2.0, (ccdf[1:] + ccdf[:-1]) / 2.0
        ends = times * ccdf
        second = times[0] ** 2 + float(((ends[1:] + ends[:-1] + 4.0 * t * s) * np.diff(times)).sum()) / 3.0
        return max(float(second) - self.mean() ** 2, 0.0)

    def _draw(self, shape: tuple[int, ...], rng: np.random.Generator) -> Array:
        return self._iccdf(rng.random(shape))


class GroupWait(Bent):
    """A command's wait for its group to begin, where each takes all that wait: see `begin_knots`. Exact."""

    @functools.cached_property
    def _knots(self) -> tuple[Array, Array]:
        return group_commits.begin_knots(self.rate, self.fixed, self.each)


class GroupResponse(Bent):
    """The time until a command's group is done, where each takes all that wait: see `done_knots`. Exact."""

    @functools.cached_property
    def _knots(self) -> tuple[Array, Array]:
        return group_commits.done_knots(self.rate, self.fixed, self.each)
