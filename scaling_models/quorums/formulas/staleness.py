"""Partial quorums: how likely a read is to miss the last write."""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special

from scaling_models.latency import Distribution, k_of_n
from scaling_models.latency.quadrature import gauss, panels
from scaling_models.latency.spread import spread
from scaling_models.quorums.formulas.falling import Falling

Array = NDArray[np.float64]
Four = tuple[Distribution, Distribution, Distribution, Distribution]  # write, acknowledgement, request, response
Place = tuple[Four, float, float]  # and how much longer (s) each of a write's, and of a read's, two messages takes
LEVELS = np.concatenate([np.geomspace(1e-12, 1e-3, 10), np.linspace(0.0, 1.0, 129)[1:-1]])  # of the places in a table
TAIL = np.geomspace(1e-14, 5e-3, 48)
COARSE = np.concatenate([[1e-9, 1e-6, 1e-4], np.linspace(0.002, 0.5, 24)])
MOST = 200  # atoms that are taken one by one
FEW, MANY = 12, 12  # Gauss nodes a panel
FEWER, PANELS = 6, 40  # where there are so many panels, a table's
EDGE = 1e-12  # relative: just before and just after a jump
LEAST = 1e-300  # s, and absolute: before one at 0


def missed_versions(replicas: ArrayLike, read_quorum: ArrayLike, write_quorum: ArrayLike, versions: ArrayLike) -> Any:
    """P(a read returns nothing of the last `versions` writes) = (C(N - W, R) / C(N, R))^k; broadcasts.

    Long after the writes, each of which reached its W replicas, drawn at random, and no others. Exact. Bailis and
    others, VLDB 2012, equation 2.
    """
    n, r, w, k = (np.asarray(each, dtype=float) for each in (replicas, read_quorum, write_quorum, versions))
    none = np.where(r > n - w, -np.inf, _log_choose(np.maximum(n - w, r), r) - _log_choose(n, r))
    return np.exp(np.where(k > 0, k * np.where(k > 0, none, 0.0), 0.0))[()]


def _log_choose(n: Array, k: Array) -> Array:
    return np.asarray(special.gammaln(n + 1.0) - special.gammaln(k + 1.0) - special.gammaln(n - k + 1.0))


def older_than_before(
    replicas: ArrayLike, read_quorum: ArrayLike, write_quorum: ArrayLike, writes_per_read: ArrayLike
) -> Any:
    """P(a client's read returns an older version than its read before), Poisson writes and reads; broadcasts.

    K writes come between the two, geometric with mean g, and the read must miss them all: E[p^K] = 1 / (1 + g (1 - p)),
    p being the chance to miss one version. Of those before that, either read finds one or both miss it, and the newest
    that is found must be the first read's alone: (p - u) / (1 - u), u the chance that both miss one, on average over
    how many replicas the two have in common. Exact for versions that spread no further. (Bailis and others, VLDB 2012,
    section 3.2, bound it by the chance to miss K + 1 versions: as if the first read had found the newest.)
    """
    n, r, w, g = (np.asarray(each, dtype=float) for each in (replicas, read_quorum, write_quorum, writes_per_read))
    missed, back = missed_versions(n, r, w, 1), 0.0
    for common in range(int(np.max(r)) + 1):
        asked = np.clip(2.0 * r - common, 1.0, n)
        neither = missed_versions(n, asked, w, 1)
        back = back + special.binom(r, common) * _chosen(n - r, r - common, n, r) * (missed - neither) / (1.0 - neither)
    return (back / (1.0 + g * (1.0 - missed)))[()]


def _chosen(some: Array, few: Array, all_: Array, many: Array) -> Array:
    """C(some, few) / C(all, many); 0 where there are not so many."""
    there = (few >= 0.0) & (few <= some)
    return np.where(there, np.exp(_log_choose(some, np.clip(few, 0.0, some)) - _log_choose(all_, many)), 0.0)


class Staleness:
    """P(a read that starts a given age after a write's completion misses it), as a function of the age (s). Exact.

    A replica of the R that answer the read first is stale if the write reaches it after the read's request: then its
    acknowledgement was not among the first W, so that the write's time is that of the others:
    P(age) = sum over sets S of R, E[prod_{i in S} P(W_i > w + age + r_i)], w the W-th smallest W + A outside S. The
    integral is taken by quadrature, to about 1e-5. `replicas` are kinds of replica, each with how many there are.
    """

    def __init__(self, replicas: Sequence[tuple[Place, int]], read_quorum: int, write_quorum: int) -> None:
        self.kinds = [_Kind(_tables(four), *delays) for (four, *delays), _ in replicas]
        self.counts = [count for _, count in replicas]
        self.read_quorum, self.write_quorum = read_quorum, write_quorum
        self.terms = list(self._terms())

    def __call__(self, age: ArrayLike) -> Array:
        """P(stale) at ages >= 0, of any shape."""
        ages = np.asarray(age, dtype=float)
        found = np.zeros(ages.shape)
        for written, masses, late in self.terms:
            at = ages[..., None] + written
            found += late(at) @ masses
        return np.minimum(found, 1.0)

    def density(self, age: ArrayLike) -> Array:
        """How fast it falls with the age (1/s)."""
        ages = np.asarray(age, dtype=float)
        found = np.zeros(ages.shape)
        for written, masses, late in self.terms:
            found += late.density(ages[..., None] + written) @ masses
        return found

    def _terms(self) -> Iterator[tuple[Array, Array, Falling]]:
        """When the write was done (places, masses), and how likely all readers come too early: one for each set S."""
        for inside in _subsets(self.counts, self.read_quorum):
            outside = [count - taken for count, taken in zip(self.counts, inside, strict=True)]
            if sum(outside) < self.write_quorum:
                continue
            kinds = [kind for kind, left in zip(self.kinds, outside, strict=True) for _ in range(left)]
            times = k_of_n(self.write_quorum, [kind.written for kind in kinds])
            yield *_points(times, FEW if len(times.cuts) < PANELS else FEWER), self._late(inside, outside)

    @functools.cached_property
    def moments(self) -> tuple[float, float]:
        """The integrals over the age of P(stale), and of the age times it."""
        found = [masses @ late.beyond(written) for written, masses, late in self.terms]
        first, second = np.sum(found, axis=0) if found else (0.0, 0.0)
        return float(first), float(second)

    def _late(self, inside: Sequence[int], outside: Sequence[int]) -> Falling:
        ways = math.prod(math.comb(count, taken) for count, taken in zip(self.counts, inside, strict=True))
        places = np.unique(
            np.concatenate([kind.reached for kind, taken in zip(self.kinds, inside, strict=True) if taken])
        )
        spots = np.unique(np.concatenate([kind.answered for kind in self.kinds]))
        readers = [(kind.both(places, spots), taken) for kind, taken in zip(self.kinds, inside, strict=True) if taken]
        answers = [kind.back(spots) for kind in self.kinds]
        u, weights = gauss((sum(self.counts) + 2) // 2)
        total = np.zeros(len(places))
        for node, weight in zip(u, weights, strict=True):
            early = math.prod((_between(late, node) ** taken for late, taken in readers), start=np.ones(1))
            for last, left in enumerate(outside):
                if not left:
                    continue
                others = [count - (kind == last) for kind, count in enumerate(outside)]
                after = math.prod(
                    ((1.0 - _between(cdf, node)) ** count for cdf, count in zip(answers, others, strict=True)),
                    start=np.ones(1),
                )
                total += weight * left * ways * ((early * after) @ np.diff(answers[last]))
        return Falling(places, total)


class _Kind:
    """Replicas of one kind, so far away."""

    def __init__(self, tables: _Tables, write_delay: float, read_delay: float) -> None:
        self.tables, self.write_delay, self.read_delay = tables, write_delay, read_delay
        self.written = tables.written + 2.0 * write_delay if write_delay else tables.written
        self.reached = np.maximum(0.0, np.append(0.0, tables.reached + write_delay - read_delay))
        self.answered = np.append(0.0, tables.answered + 2.0 * read_delay)

    def both(self, places: Array, spots: Array) -> Array:
        """P(write > place + request, request + response <= spot), (places, spots)."""
        return self.tables.both(places + self.read_delay - self.write_delay, spots - 2.0 * self.read_delay)

    def back(self, spots: Array) -> Array:
        """P(request + response <= spot)."""
        return self.tables.back(spots - 2.0 * self.read_delay)[1]


@functools.lru_cache(maxsize=32)
def _tables(four: Four) -> _Tables:
    return _Tables(*four)


class _Tables:
    """What is known of four legs; kept from one move of a slider to the next."""

    def __init__(
        self, write: Distribution, acknowledgement: Distribution, request: Distribution, response: Distribution
    ) -> None:
        self.write, self.request, self.response = write, request, response
        self.written = write + acknowledgement
        self._back = functools.lru_cache(maxsize=8)(self._back_at)  # each is asked for by several sets S

    @functools.cached_property
    def reached(self) -> Array:
        """Times at which the chance that a write has not reached the replica is worth a table's entry."""
        jumps = self.request.places
        few = [*_sides(jumps)] if len(jumps) <= MOST else []
        early = np.concatenate([self.request.icdf(COARSE), self.request.iccdf(COARSE), *few])
        ahead = np.subtract.outer(_kinks(self.write), early).ravel()  # where a request meets a kink
        return np.union1d(_places(self.write), ahead)

    @functools.cached_property
    def answered(self) -> Array:
        """Times at which the chance that a response is back is."""
        return _places(self.request + self.response)

    def both(self, places: Array, spots: Array) -> Array:
        """P(write > place + request, request + response <= spot), (places, spots)."""
        requests, masses = self.requests
        late = self.write.ccdf(places[:, None] + requests) * masses
        return np.asarray(late @ self.back(spots)[0])

    @functools.cached_property
    def requests(self) -> tuple[Array, Array]:
        """Places and masses that stand for the requests."""
        return _points(self.request, MANY)

    def back(self, spots: Array) -> tuple[Array, Array]:
        """P(response <= spot - request), (requests, spots), and its mean over the requests."""
        return self._back(spots.tobytes())

    def _back_at(self, spots: bytes) -> tuple[Array, Array]:
        requests, masses = self.requests
        found = np.asarray(self.response.cdf(np.frombuffer(spots) - requests[:, None]))
        return found, masses @ found


def _between(table: Array, node: float) -> Array:
    """Within each cell, the value a share `node` of the way along."""
    return np.asarray(table[..., :-1] + node * np.diff(table, axis=-1))


def _places(law: Distribution) -> Array:
    """Quantiles, and both sides of every jump."""
    found = np.concatenate([law.icdf(LEVELS), law.iccdf(TAIL)])
    return np.unique(np.concatenate([found, *_sides(_kinks(law)), [0.0]]))


def _kinks(law: Distribution) -> Array:
    """Its finite kinks; of a large sample only the ends, between which it is as good as smooth."""
    if len(law.places) > MOST:
        return np.array([end for end in law.support if math.isfinite(end)])
    return np.array([place for place in law.kinks if math.isfinite(place)])


def _sides(jumps: Array) -> tuple[Array, Array]:
    """Just before, and just after: before 0 too, where a time may always be none."""
    return jumps * (1.0 - EDGE) - LEAST, jumps * (1.0 + EDGE)


def _points(law: Distribution, nodes: int) -> tuple[Array, Array]:
    """Places and masses that stand for a law: Gauss nodes under its density, and its atoms; cells of a large sample."""
    if law.hidden_atoms or len(law.places) > MOST:
        return spread(law)
    places, masses = panels(law.cuts, nodes) if len(law.cuts) > 1 else (np.empty(0), np.empty(0))
    found = [(places, masses * law.pdf(places)), *(([place], [mass]) for place, mass in law.atoms)]
    return np.concatenate([each for each, _ in found]), np.concatenate([each for _, each in found])


def _subsets(counts: Sequence[int], size: int) -> Iterator[tuple[int, ...]]:
    """How many of each kind, `size` in all."""
    for inside in itertools.product(*(range(min(count, size) + 1) for count in counts)):
        if sum(inside) == size:
            yield inside
