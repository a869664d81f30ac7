"""The numerics under the distributions: graded panels, Gauss nodes, moments, inversion."""

from __future__ import annotations

import functools
import math
from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import elementwise

if TYPE_CHECKING:
    from scaling_models.latency.distribution import Distribution

Array = NDArray[np.float64]
NEAREST = 1e-30  # of the whole span
SAME = 1e-12  # relative: places nearer than this differ by rounding only
NARROW, FEWER = 1e-3, 2  # of the distance from the start: panels on which two nodes do as well as twelve
ALL_AT_ONCE = 128  # places that are all asked at once for a bracket: of more it is found by bisection
RATIO = 8.0  # neighbouring cuts lie at most this factor apart, seen from the start: 12 nodes then give 1e-9


@functools.cache
def gauss(nodes: int) -> tuple[Array, Array]:
    """Gauss-Legendre nodes and weights on [0, 1]."""
    x, w = np.polynomial.legendre.leggauss(nodes)
    return (x + 1.0) / 2.0, w / 2.0


def merged(places: Array, masses: Array | None = None) -> tuple[Array, Array]:
    """Places in order, those that only rounding tells apart made one, and their masses added."""
    order = np.argsort(places, kind="stable")  # at once where they are sorted runs, one a part
    sorted_places = places[order]
    new = np.diff(sorted_places, prepend=-np.inf) > SAME * np.abs(sorted_places)
    weights = (np.zeros(len(places)) if masses is None else masses)[order]
    totals = np.bincount(np.cumsum(new) - 1, weights=weights, minlength=0)
    return sorted_places[new], np.asarray(totals, dtype=float)


def graded(points: Iterable[float], start: float) -> Array:
    """The finite points in order, with geometric ones between, so that distances from `start` grow by RATIO at most."""
    given = np.asarray(points if isinstance(points, np.ndarray) else list(points), dtype=float)
    cuts, _ = merged(given[np.isfinite(given)])
    away = cuts - start
    # From a place that hardly differs from the start there is nothing to grade: the span is cut to NEAREST.
    away = np.where(away > 0, np.maximum(away, NEAREST * (away[-1] if len(away) else 1.0)), 0.0)
    far = np.flatnonzero((away[:-1] > 0) & (away[1:] > RATIO * away[:-1]))
    steps = [2 + int(np.log(away[i + 1] / away[i]) / np.log(RATIO)) for i in far]
    more = [start + np.geomspace(away[i], away[i + 1], count) for i, count in zip(far, steps, strict=True)]
    return np.unique(np.concatenate([cuts, *more]))


def panels(cuts: Array, nodes: int = 12) -> tuple[Array, Array]:
    """Composite Gauss nodes and weights over the panels between ascending cuts, flat."""
    return _over(cuts, np.ones(max(len(cuts) - 1, 0), bool), nodes)


def _over(cuts: Array, chosen: NDArray[np.bool_], nodes: int) -> tuple[Array, Array]:
    """Gauss nodes and weights over the chosen of the panels between the cuts, flat."""
    x, w = gauss(nodes)
    low, width = cuts[:-1][chosen, None], np.diff(cuts)[chosen, None]
    return (low + width * x).ravel(), (width * w).ravel()


def moments(latency: Distribution) -> tuple[float, float]:
    """Mean and variance from the ccdf S: a + int S dt, and 2 int (t - a) S dt - (mean - a)^2, from the start a."""
    if latency.lost > 0 or latency.tail_index <= 1:
        return math.inf, math.inf
    start = latency.support[0]
    if latency.discrete:  # nothing of it is lost
        places, masses = latency.atom_table
        mean = float(places @ masses)
        return mean, float(((places - mean) ** 2) @ masses)
    cuts = _far(latency, np.union1d(latency.cuts[latency.cuts > start], [start]))
    narrow = np.diff(cuts) < NARROW * (cuts[:-1] - start)
    t, w = (np.concatenate(column) for column in zip(_over(cuts, ~narrow, 12), _over(cuts, narrow, FEWER), strict=True))
    tail = latency._ccdf(t) * w
    rest = [_remainder(latency, float(cuts[-1]), order) for order in (1, 2)]
    beyond = float(tail.sum()) + rest[0]
    if latency.tail_index <= 2:
        return start + beyond, math.inf
    return start + beyond, max(0.0, 2.0 * (float(((t - start) * tail).sum()) + rest[1]) - beyond**2)


def _remainder(latency: Distribution, last: float, order: int) -> float:
    """int_last^inf t^{order - 1} S dt of a power law: last^order S(last) / (index - order)."""
    index = latency.tail_index
    if math.isinf(index) or index <= order or math.isfinite(latency.support[1]):
        return 0.0
    return last**order * float(latency._ccdf(np.array(last))) / (index - order)


def _far(latency: Distribution, cuts: Array) -> Array:
    """Cuts continued into a power-law tail, which still holds weight at a ccdf of 1e-13."""
    if math.isinf(latency.tail_index) or math.isfinite(latency.support[1]):
        return cuts
    away = cuts[-1] - latency.support[0]
    decades = min(290.0 / latency.tail_index, 140.0)  # down to a ccdf near 1e-300, and t squared must not overflow
    return np.concatenate([cuts, latency.support[0] + away * 10.0 ** np.arange(0.5, decades, 0.5)])


def invert(latency: Distribution, levels: Array, *, upper: bool) -> Array:
    """Quantiles: the least t with ccdf(t) <= level (upper) or cdf(t) >= level (lower), from whichever face is precise.

    A level inside a jump answers the jump's place; the others are bracketed by the cuts and found by Chandrupatla's
    method on the log of the face (scipy's `find_root`).
    """
    shape, wanted = np.shape(levels), np.atleast_1d(np.asarray(levels, dtype=float)).ravel()
    start, end = latency.support
    done = wanted >= 1.0 if upper else wanted <= 0.0
    found = np.where(done, start, math.nan)
    never = wanted < latency.lost if upper else wanted > 1.0 - latency.lost
    last = wanted <= latency.lost if upper else wanted >= 1.0 - latency.lost
    found = np.where(~done & last, np.where(never | (latency.lost > 0), math.inf, end), found)
    found = _jumps(latency, wanted, found, upper)
    open_ = np.isnan(found)
    if open_.any():
        found[open_] = _roots(latency, wanted[open_], upper)
    return found.reshape(shape)


def _face(latency: Distribution, t: Array, upper: bool) -> Array:
    return latency._ccdf(t) if upper else latency._cdf(t)


def _jumps(latency: Distribution, wanted: Array, found: Array, upper: bool) -> Array:
    places, masses = latency.atom_table
    if not len(places):
        return found
    right = places * (1.0 + SAME)  # surely to the right, whatever rounding made of the place
    first = _first_reached(latency, right, wanted, upper)
    at = np.minimum(first, len(places) - 1)
    after = _face(latency, right[at], upper)
    inside = (wanted < after + masses[at]) if upper else (wanted > after - masses[at])
    return np.where(np.isnan(found) & (first < len(places)) & inside, places[at], found)


def _first_reached(latency: Distribution, places: Array, wanted: Array, upper: bool) -> Array:
    """The first of ascending places at which the face has reached each level; their number where none has."""
    if len(places) <= ALL_AT_ONCE:
        face = _face(latency, places, upper)
        reached = face[:, None] <= wanted if upper else face[:, None] >= wanted
        return np.where(reached.any(axis=0), reached.argmax(axis=0), len(places))
    low, high = np.full(len(wanted), -1), np.full(len(wanted), len(places))
    for _ in range(len(places).bit_length()):  # of a large sample there are too many to ask at each
        middle = np.clip((low + high) // 2, 0, len(places) - 1)
        face = _face(latency, places[middle], upper)
        reached = face <= wanted if upper else face >= wanted
        low, high = np.where(reached, low, middle), np.where(reached, middle, high)
    return high


def _roots(latency: Distribution, wanted: Array, upper: bool) -> Array:
    low, high = _brackets(latency, wanted, upper)
    sign = 1.0 if upper else -1.0

    def above(t: Array, level: Array) -> Array:
        return sign * np.log(np.maximum(_face(latency, t, upper), 1e-300) / level)

    result = elementwise.find_root(above, (low, high), args=(wanted,), tolerances={"xrtol": 1e-14, "xatol": 0.0})
    return np.where(low == high, high, np.where(np.isfinite(result.x), result.x, high))


def _brackets(latency: Distribution, wanted: Array, upper: bool) -> tuple[Array, Array]:
    cuts = np.union1d(latency.cuts, [latency.support[0]])
    while _unreached(latency, cuts[-1], wanted, upper) and cuts[-1] < min(latency.support[1], 1e300):
        away = cuts[-1] - cuts[0] or max(cuts[-1], 1e-9)
        cuts = np.append(cuts, min(cuts[0] + RATIO * away, latency.support[1]))
    first = np.minimum(_first_reached(latency, cuts, wanted, upper), len(cuts) - 1)
    return cuts[np.maximum(first - 1, 0)], cuts[first]


def _unreached(latency: Distribution, t: float, wanted: Array, upper: bool) -> bool:
    face = _face(latency, np.array(t), upper)
    return bool((face > wanted).any() if upper else (face < wanted).any())
