"""SciPy distributions as latencies: the older frozen kind (sf, ppf, rvs) and the new kind (ccdf, icdf, sample)."""

from __future__ import annotations

import functools
import math
from typing import Any

import numpy as np
from scipy import stats

from scaling_models.domains import Illegal, Record, is_number
from scaling_models.latency.distribution import Array, Distribution
from scaling_models.latency.points import Deterministic
from scaling_models.parameters import parameter
from scaling_models.wording import short


def as_latency(value: Any) -> Any:
    """A distribution as it is, a number of seconds as a constant, a SciPy distribution adapted; else unchanged."""
    if isinstance(value, Distribution | type):
        return value
    if is_number(value):
        return Deterministic(float(value))
    if hasattr(value, "icdf") and hasattr(value, "sample"):
        return Scipy(_New(value))
    if hasattr(value, "ppf") and hasattr(value, "rvs") and hasattr(value, "dist"):  # frozen: parameters given
        return Scipy(_Frozen(value))
    return value


MOST_ATOMS = 100_000


class _Frozen:
    """The faces of a frozen distribution under the newer names."""

    def __init__(self, law: Any) -> None:
        self.law = law
        self.cdf, self.ccdf, self.icdf, self.iccdf = law.cdf, law.sf, law.ppf, law.isf
        self.mean, self.variance, self.support = law.mean, law.var, law.support
        self.discrete = hasattr(law.dist, "_pmf")
        self.density = law.pmf if self.discrete else law.pdf
        self.identity = _identity(law)

    def draw(self, shape: tuple[int, ...], rng: np.random.Generator) -> Any:
        return self.law.rvs(size=shape, random_state=rng)

    def __repr__(self) -> str:
        inside = [*map(repr, self.law.args), *(f"{key}={value!r}" for key, value in self.law.kwds.items())]
        return f"scipy.stats.{self.law.dist.name}({', '.join(inside)})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Frozen) and self.identity == other.identity

    def __hash__(self) -> int:
        return hash(self.identity)


def _identity(law: Any) -> tuple[Any, ...]:
    """Name and parameters of a law that SciPy knows by its name; of any other, the object itself."""
    known: Any = getattr(stats, str(law.dist.name), None)
    if type(known) is not type(law.dist):
        return (id(law),)
    return (law.dist.name, law.args, tuple(sorted(law.kwds.items())))


class _New:
    """The faces of a distribution of the new kind, which has no identity but its own."""

    def __init__(self, law: Any) -> None:
        self.law = law
        self.cdf, self.ccdf, self.icdf, self.iccdf = law.cdf, law.ccdf, law.icdf, law.iccdf
        self.mean, self.variance, self.support = law.mean, law.variance, law.support
        self.discrete = any(each.__name__ == "DiscreteDistribution" for each in type(law).__mro__)
        self.density = law.pmf if self.discrete else law.pdf

    def draw(self, shape: tuple[int, ...], rng: np.random.Generator) -> Any:
        return self.law.sample(shape, rng=rng)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _New) and self.law is other.law

    def __hash__(self) -> int:
        return id(self.law)

    def __repr__(self) -> str:
        return repr(self.law)


class Scipy(Distribution):
    """A SciPy distribution of a non-negative time in seconds, with the answers of a latency."""

    law: Any = parameter(
        default=None,
        domain=Record("a SciPy distribution", base=lambda: object, kinds=lambda: ()),
        about="the SciPy distribution",
    )

    def _check(self) -> None:
        if np.ndim(self.law.mean()) > 0:
            raise Illegal(f"must be one latency; {short(self.law)} is several, by parameters that are arrays")
        low = float(self.law.support()[0])
        if not low >= 0:
            raise Illegal(f"must be a latency, so never negative; {short(self.law)} begins at {low:g} s")
        _ = self.atoms  # refuses discrete laws that it cannot list

    @functools.cached_property
    def support(self) -> tuple[float, float]:
        """As SciPy tells it."""
        low, high = self.law.support()
        return (float(low), float(high))

    @functools.cached_property
    def atoms(self) -> tuple[tuple[float, float], ...]:
        """Of a discrete distribution, its points down to a tail of 1e-13."""
        if not self.law.discrete:
            return ()
        low, last = self.support[0], float(self.law.iccdf(1e-13))
        places = np.arange(low, min(last, low + MOST_ATOMS) + 1)
        masses = np.asarray(self.law.density(places))
        if abs(masses.sum() - 1.0) > 1e-9:
            raise ValueError(
                f"{short(self.law)} must take whole numbers only, at most {MOST_ATOMS:,} of them, to be a latency: use "
                "mixture(weights, seconds) or Empirical(samples) instead"
            )
        return tuple(zip(places.tolist(), masses.tolist(), strict=True))

    @functools.cached_property
    def kinks(self) -> tuple[float, ...]:
        """The support's ends and the atoms."""
        return tuple(sorted({*(e for e in self.support if math.isfinite(e)), *(p for p, _ in self.atoms)}))

    @property
    def costly(self) -> bool:
        """True: SciPy checks much at every call."""
        return True

    def mean(self) -> float:
        """As SciPy tells it."""
        return float(self.law.mean())

    def variance(self) -> float:
        """As SciPy tells it."""
        return float(self.law.variance())

    @functools.cached_property
    def tail_index(self) -> float:
        """Read off the far tail: a power law keeps its slope from ccdf levels 1e-20..1e-40 to 1e-40..1e-60."""
        near, middle, far = (float(self.law.iccdf(p)) for p in (1e-20, 1e-40, 1e-60))
        if math.isfinite(self.support[1]) or not (0 < near < middle < far < math.inf):
            return math.inf
        slopes = [20.0 * math.log(10.0) / math.log(b / a) for a, b in ((near, middle), (middle, far))]
        return round(slopes[1], 9) if math.isclose(*slopes, rel_tol=1e-3) else math.inf

    def _ccdf(self, t: Array) -> Array:
        return np.asarray(self.law.ccdf(t))

    def _cdf(self, t: Array) -> Array:
        return np.asarray(self.law.cdf(t))

    def _pdf(self, t: Array) -> Array:
        return np.zeros(np.shape(t)) if self.law.discrete else np.asarray(self.law.density(t))

    def _icdf(self, q: Array) -> Array:
        return np.asarray(np.maximum(self.law.icdf(q), self.support[0]), dtype=float)

    def _iccdf(self, p: Array) -> Array:
        return np.asarray(np.maximum(self.law.iccdf(p), self.support[0]), dtype=float)

    def _draw(self, shape: tuple[int, ...], rng: np.random.Generator) -> Array:
        return np.asarray(self.law.draw(shape, rng), dtype=float)

    def __repr__(self) -> str:
        return repr(self.law)
