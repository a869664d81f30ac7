"""A latency: the distribution of a non-negative random time in seconds, one object with several faces."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from scaling_models.answers import NoClosedForm
from scaling_models.domains import is_number
from scaling_models.latency import quadrature
from scaling_models.latency.phases import Phases
from scaling_models.parameters import Declared
from scaling_models.wording import short

Array = NDArray[np.float64]
SLACK = 1e-9  # of a level: 1 - 0.001 is one too
Values = Any  # a number for a scalar argument, an array for an array


def _plain(times: Array) -> Values:
    """A float for a scalar, which prints as one."""
    return times if np.ndim(times) else float(times)


class Distribution(Declared):
    """Base of all latencies. A kind gives `_ccdf`, `_cdf`, `_pdf` on arrays t >= 0, `support`, and its kinks and atoms.

    Times are seconds, probabilities plain fractions; every face broadcasts over arrays.
    """

    @classmethod
    def _quantiles(cls) -> str:
        return "icdf(0.99), or percentiles(50, 99)"

    @property
    def support(self) -> tuple[float, float]:
        """The least and the largest time possible (seconds)."""
        return (0.0, math.inf)

    @property
    def atoms(self) -> tuple[tuple[float, float], ...]:
        """Times that happen with positive probability, with that probability, in order of time."""
        return ()

    @property
    def atom_table(self) -> tuple[Array, Array]:
        """The atoms' places and masses, an array each."""
        table = np.array(self.atoms).reshape(-1, 2)
        return table[:, 0], table[:, 1]

    @property
    def places(self) -> Array:
        """Where it may have atoms, in order (an internal: their masses may cost more)."""
        return self.atom_table[0]

    @property
    def kinks(self) -> tuple[float, ...]:
        """Finite times where the ccdf is not smooth: the ends of the support, the atoms, and breaks of the density."""
        return tuple(end for end in self.support if math.isfinite(end))

    @property
    def tail_index(self) -> float:
        """The order below which moments exist: infinite for light tails, the Pareto index for heavy ones."""
        return math.inf

    @property
    def lost(self) -> float:
        """The probability that the time never ends: overload, or a lost quorum."""
        return 0.0

    @property
    def hidden_atoms(self) -> bool:
        """Whether it has more atoms than it lists, so that its density does not tell all of it (an internal)."""
        return False

    @property
    def depth(self) -> int:
        """How many tables of numerical integrals lie under each other in it (see `tables.tolerance_at`)."""
        return 0

    @property
    def discrete(self) -> bool:
        """Whether all of it lies on the atoms that it lists (an internal)."""
        return False

    @property
    def costly(self) -> bool:
        """Whether one value of it asks several laws, so that integrals had better ask a table of it (an internal)."""
        return False

    @property
    def phases(self) -> Phases | None:
        """The Markov chain whose time to absorption it is, if it is declared as one."""
        return None

    @property
    def branches(self) -> tuple[tuple[float, float], ...]:
        """The chances and rates (1/s) of the exponentials that it is declared as a mixture of; none if it is not."""
        return ()

    @property
    def alternatives(self) -> tuple[tuple[float, Distribution], ...]:
        """The latencies that it is one of, each with its chance; itself where it is no mixture."""
        return ((1.0, self),)

    @property
    def spread_known(self) -> bool:
        """False where only a mean stands behind it, so that no percentile can be told."""
        return self.highest_level > 0.0

    @property
    def highest_level(self) -> float:
        """The level up to which its quantiles can be told: 0 where only a mean is known, below 1 of an approximation
        whose error was measured up to there."""
        return 1.0

    @property
    def mean_known(self) -> bool:
        """False where even its mean rests on constants in place of laws of which only the means are known."""
        return True

    @property
    def summands(self) -> tuple[Distribution, ...]:
        """The independent latencies that it is the plain sum of; itself where it is none."""
        return (self,)

    def _ccdf(self, t: Array) -> Array:
        raise NotImplementedError

    def _cdf(self, t: Array) -> Array:
        return 1.0 - self._ccdf(t)

    def _pdf(self, t: Array) -> Array:
        raise NotImplementedError

    def _draw(self, shape: tuple[int, ...], rng: np.random.Generator) -> Array:
        raise NotImplementedError

    def ccdf(self, t: ArrayLike) -> Values:
        """P(T > t), with its relative precision kept in the tail."""
        return self._asked(self._ccdf, t, before=1.0, never=self.lost)

    def cdf(self, t: ArrayLike) -> Values:
        """P(T <= t)."""
        return self._asked(self._cdf, t, before=0.0, never=1.0 - self.lost)

    def pdf(self, t: ArrayLike) -> Values:
        """The density of the continuous part (1/s); atoms are not in it."""
        return self._asked(self._pdf, t, before=0.0, never=0.0)

    @staticmethod
    def _asked(face: Callable[[Array], Array], t: ArrayLike, before: float, never: float) -> Values:
        """A face at any t: what it is before zero and at infinity is known without asking it."""
        times = np.asarray(t, dtype=float)
        if np.isfinite(times).all():
            return np.where(times < 0, before, face(np.where(times < 0, 1.0, times)))[()]
        ordinary = np.isfinite(times) & (times >= 0)
        known = np.where(np.isnan(times), math.nan, np.where(times < 0, before, never))
        return np.where(ordinary, face(np.where(ordinary, times, 1.0)), known)[()]

    def icdf(self, q: ArrayLike) -> Values:
        """The quantile: the least t with P(T <= t) >= q, for q in [0, 1]. `inf` where that is never."""
        levels = self._levels("q", q)
        self._refuse_beyond(levels)
        upper = levels > 0.5
        if upper.all():  # one search instead of two
            return _plain(self._iccdf(1.0 - levels))
        low = self._icdf(np.where(upper, 0.5, levels))
        return _plain(np.where(upper, self._iccdf(np.where(upper, 1.0 - levels, 0.5)), low))

    def iccdf(self, p: ArrayLike) -> Values:
        """The upper quantile: the least t with P(T > t) <= p, precise for tiny p in [0, 1]."""
        levels = self._levels("p", p)
        self._refuse_beyond(1.0 - levels)
        return _plain(self._iccdf(levels))

    def percentiles(self, *levels: float) -> Array:
        """The quantiles at `levels` in per cent (50, 95 and 99 unless told), seconds."""
        wanted = np.asarray(levels or (50.0, 95.0, 99.0), dtype=float)
        outside = wanted[~((wanted >= 0) & (wanted <= 100))]
        if outside.size:
            raise ValueError(f"{type(self).__name__}.percentiles must lie in [0, 100] per cent; got {outside[0]}")
        return np.asarray(self.icdf(wanted / 100.0))

    @classmethod
    def icdf_of(cls, latencies: Sequence[Distribution], q: Array) -> Array:
        """Quantiles of several latencies of this kind, (latencies, levels): where a vector path exists, it is here."""
        return np.array([latency.icdf(q) for latency in latencies]).reshape(len(latencies), len(q))

    def _levels(self, name: str, given: ArrayLike) -> Array:
        if not self.spread_known:
            raise NoClosedForm(
                "only the mean is known here: simulate it for a percentile, or choose a jitter where it rests on mean "
                "round trips"
            )
        levels = np.asarray(given, dtype=float)
        outside = levels[~((levels >= 0) & (levels <= 1))]
        if outside.size:
            raise ValueError(f"{type(self).__name__}: the level {name} must lie in [0, 1]; got {outside.flat[0]}")
        return levels

    def _refuse_beyond(self, levels: Array) -> None:
        """Raise where a level lies beyond what is known (1 itself is the end of the support)."""
        if self.highest_level < 1.0 and ((levels > self.highest_level + SLACK) & (levels < 1.0)).any():
            raise NoClosedForm(f"percentiles are known up to p{100.0 * self.highest_level:g} only: simulate it beyond")

    def _icdf(self, q: Array) -> Array:
        return quadrature.invert(self, q, upper=False)

    def _iccdf(self, p: Array) -> Array:
        return quadrature.invert(self, p, upper=True)

    def mean(self) -> float:
        """The mean in seconds; `inf` where it does not exist."""
        return self._moments[0]

    def variance(self) -> float:
        """The variance in seconds squared; `inf` where it does not exist."""
        return self._moments[1]

    @property
    def scv(self) -> float:
        """The squared coefficient of variation, variance over mean squared: 1 for an exponential."""
        mean, variance = self.mean(), self.variance()
        if math.isinf(variance):
            return math.inf
        return variance / mean**2 if mean else 0.0

    @functools.cached_property
    def _moments(self) -> tuple[float, float]:
        return quadrature.moments(self)

    @functools.cached_property
    def cuts(self) -> Array:
        """Times that grade the support from its start into the tail, for panels of quadrature: finite, ascending."""
        below = self.icdf_levels(np.array([1e-7, 1e-2, 0.5]), upper=False)
        above = self.icdf_levels(np.array([1e-2, 1e-7, 1e-16]), upper=True)
        return quadrature.graded([*self.kinks, *below, *above], self.support[0])

    def icdf_levels(self, levels: Array, upper: bool) -> Array:
        """Quantiles given that the time ends at all (an internal of quadrature)."""
        ends = (1.0 - self.lost) * levels
        return self._iccdf(self.lost + ends) if upper else self._icdf(ends)

    def sample(self, shape: int | tuple[int, ...] = (), *, rng: np.random.Generator | int | None = None) -> Values:
        """Independent draws in seconds; `rng` is a generator or a seed."""
        sizes = shape if isinstance(shape, tuple | list) else (shape,)
        if not all(isinstance(size, int | np.integer) and size >= 0 for size in sizes):
            raise ValueError(f"{type(self).__name__}.sample: shape must be whole numbers from 0 on; got {short(shape)}")
        return self._draw(tuple(sizes), np.random.default_rng(rng))[()]

    # The algebra. The imports are late because each operation builds a kind that derives from this class.
    def __add__(self, other: Any) -> Distribution:
        from scaling_models.latency.operations import add

        return add(self, other)

    def __radd__(self, other: Any) -> Distribution:
        return self.__add__(other)

    def __mul__(self, factor: Any) -> Distribution:
        from scaling_models.latency.operations import scale

        return scale(self, factor)

    def __rmul__(self, factor: Any) -> Distribution:
        return self.__mul__(factor)

    def __truediv__(self, divisor: float) -> Distribution:
        if not (is_number(divisor) and 0 < divisor < math.inf):
            raise ValueError(f"a latency can be divided by a number in (0, inf) only; got {short(divisor)}")
        return self * (1.0 / divisor)
