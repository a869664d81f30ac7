"""Pointwise operations on latencies: their ccdf at t is a formula in the parts' ccdf at t, so they cost no integral."""

from __future__ import annotations

import functools
import math
from collections import Counter
from collections.abc import Iterable, Sequence

import numpy as np

from scaling_models.latency.affine import Shifted
from scaling_models.latency.counting import at_least, exactly
from scaling_models.latency.distribution import Array, Distribution
from scaling_models.latency.phases import Phases, in_branches
from scaling_models.latency.quadrature import graded, merged, moments
from scaling_models.latency.record import LATENCY
from scaling_models.parameters import Integer, Real, Rows, Slider, parameter
from scaling_models.wording import short

HAIR = 1e-11  # relative: to either side of an atom
LEAST_MASS = 1e-9  # of an atom: what the density gives between its sides is far less
SAME_SUM = 1e-15  # from one: what the rounding of weights leaves of their sum


class Composed(Distribution):
    """Base of the operations on several parts: their kinks and cuts are the parts' together."""

    @property
    def _parts(self) -> tuple[Distribution, ...]:
        raise NotImplementedError

    @functools.cached_property
    def kinks(self) -> tuple[float, ...]:
        """Those of all parts, merged."""
        return _kinks_of(self)

    @functools.cached_property
    def cuts(self) -> Array:
        """Those of all parts, their kinks among them, merged and graded from the start."""
        return _cuts_of(self)

    @property
    def discrete(self) -> bool:
        """True where it is of every part."""
        return all(part.discrete for part in self._parts)

    @functools.cached_property
    def atoms(self) -> tuple[tuple[float, float], ...]:
        """Where the ccdf jumps: the parts' places, with the ccdf before minus the ccdf after."""
        return tuple(zip(*(each.tolist() for each in self.atom_table), strict=True))

    @functools.cached_property
    def atom_table(self) -> tuple[Array, Array]:
        """The same, an array each."""
        return _atoms_of(self)

    @functools.cached_property
    def places(self) -> Array:
        """Those of all parts, merged."""
        return merged(np.concatenate([part.places for part in self._parts]))[0]

    @functools.cached_property
    def _moments(self) -> tuple[float, float]:
        return _moments_of(self)

    @property
    def highest_level(self) -> float:
        """The lowest of its parts'."""
        return min(part.highest_level for part in self._parts)

    @property
    def mean_known(self) -> bool:
        """Only where all laws are: which of several is the one depends on how they spread."""
        return self.spread_known and all(part.mean_known for part in self._parts)

    @property
    def depth(self) -> int:
        """The deepest part's."""
        return max(part.depth for part in self._parts)

    @property
    def hidden_atoms(self) -> bool:
        """True where it is of any part."""
        return any(part.hidden_atoms for part in self._parts)

    @property
    def costly(self) -> bool:
        """True."""
        return True


# Of large samples these take their time, and a slider leaves most laws as they are.
@functools.lru_cache(maxsize=32)
def _atoms_of(law: Composed) -> tuple[Array, Array]:
    places = law.places
    if not len(places):
        return places, places
    # The ccdf a hair to either side, for the parts may tell a place by another rounding than the merged one.
    after = law.ccdf(places * (1.0 + HAIR))
    if law.discrete and not law.lost:
        masses, least = -np.diff(after, prepend=1.0), 0.0
    else:
        masses, least = law.ccdf(np.where(places > 0, places * (1.0 - HAIR), -1.0)) - after, LEAST_MASS
    return places[masses > least], masses[masses > least]


@functools.lru_cache(maxsize=8)
def _kinks_of(law: Composed) -> tuple[float, ...]:
    return tuple(merged(np.concatenate([part.kinks for part in law._parts]))[0].tolist())


@functools.lru_cache(maxsize=32)
def _cuts_of(law: Composed) -> Array:
    kinks = [np.array(part.kinks) for part in law._parts if not part.discrete]
    return graded(np.concatenate([*kinks, *(part.cuts for part in law._parts)]), law.support[0])


@functools.lru_cache(maxsize=256)
def _moments_of(law: Composed) -> tuple[float, float]:
    return moments(law)


def _chance(weights: tuple[float, ...]) -> tuple[float, ...]:
    """The weights over their sum; as they are where that is one to the last digits, so that a repr repeats them."""
    total = math.fsum(weights)
    return weights if abs(total - 1.0) <= SAME_SUM else tuple(weight / total for weight in weights)


def level_known(whole: Distribution, parts: Iterable[Distribution]) -> float:
    """The level of `whole` at the time up to which all of its parts are known; 0 where only a mean is of one."""
    limited = [part for part in parts if part.highest_level < 1.0]
    if not limited:
        return 1.0
    if not all(part.spread_known for part in limited):
        return 0.0
    return float(whole.cdf(min(part.icdf(part.highest_level) for part in limited)))


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


class Hedge(Composed):
    """A copy sent after a delay, the first answer taken: ccdf S(t) before it, then S(t) S(t - after).

    The copy draws its own, independent time. Where the time belongs to the job (a large answer), a copy gains less.
    """

    distribution: Distribution = parameter(default=0.010, domain=LATENCY, unit="s", about="the time of either copy")
    after: float = parameter(
        default=0.020,
        domain=Real(open_low=False),
        unit="s",
        symbol="d",
        about="when the second copy is sent",
        slider=Slider(0.0, 0.2, 0.005),
    )

    @functools.cached_property
    def _parts(self) -> tuple[Distribution, ...]:
        return (self.distribution, Shifted(self.distribution, self.after))

    @property
    def support(self) -> tuple[float, float]:
        """The part's: a copy can only help."""
        return self.distribution.support

    @property
    def tail_index(self) -> float:
        """Twice the part's: both copies have to be late."""
        return 2.0 * self.distribution.tail_index

    @property
    def lost(self) -> float:
        """The part's, squared."""
        return self.distribution.lost**2

    def _ccdf(self, t: Array) -> Array:
        first, second = self._parts
        return first._ccdf(t) * second._ccdf(t)

    def _cdf(self, t: Array) -> Array:
        first, second = self._parts
        done = first._cdf(t)
        return done + (1.0 - done) * second._cdf(t)

    def _pdf(self, t: Array) -> Array:
        first, second = self._parts
        return first._pdf(t) * second._ccdf(t) + second._pdf(t) * first._ccdf(t)

    def _draw(self, shape: tuple[int, ...], rng: np.random.Generator) -> Array:
        first, second = self._parts
        return np.minimum(first._draw(shape, rng), second._draw(shape, rng))
