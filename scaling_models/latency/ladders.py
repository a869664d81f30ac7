"""Sums of large samples by convolution: lattices of growing steps, each for the times to which it is fine enough."""

from __future__ import annotations

import functools
import math
from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from scaling_models.latency.distribution import Array, Distribution
from scaling_models.latency.lattices import Survival
from scaling_models.latency.quadrature import gauss

CELLS = 1 << 16  # of a lattice
LONGER = 2  # binary digits: each lattice reaches four times as far as the one before, in steps four times as long
NEAR = 0.02  # the level of the parts to which the finest lattice reaches
FAR, FAR_HEAVY = 1e-17, 1e-13  # the ccdf of a part to which the longest does; of a part with a power law
SURE = 1e-6  # what lies beyond a lattice is one less what lies on it, if that is more; else the next lattice tells
LAST = 0.75  # of a lattice: from here on the next may take over, where it has least mass
FLOOR = 1e-15  # of the ccdf: below it there is only rounding


def survival(parts: Sequence[Distribution]) -> Survival:
    """log ccdf of the sum of independent parts without what they lose, less their starts.

    Each part is put on the lattice with its mean kept: an atom is shared between the nodes at either side, a density
    told by its mean over each cell; what that adds is taken off again to second order in the step, which is 1/65,536 to
    4/65,536 of the time. What is left is of fourth order where the sum is smooth over so little; where single atoms
    stand apart each is smeared over two steps. The transform's rounding adds 1e-16 to the ccdf.
    """
    wide, least, most = math.log2(CELLS), *_reach(parts)
    scales = range(math.ceil(math.log2(least) - wide), math.ceil(math.log2(most) - wide) + LONGER, LONGER)
    times, late = np.zeros(0), np.zeros(0)
    for scale in reversed(scales):
        step = 2.0**scale
        mass = _mass(parts, scale)
        end = CELLS
        above = max(1.0 - float(mass.sum()), 0.0)
        if len(times):
            first = int(np.searchsorted(times, LAST * CELLS * step))
            last = max(int(np.searchsorted(times, (CELLS - 1) * step)), first + 1)
            take = first + int(np.argmin(-np.diff(late[first - 1 : last])))
            end = int(times[take] / step)
            above = float(late[take] + 0.5 * mass[end])  # of which the next lattice has half on either side
            if above > SURE:
                above = max(1.0 - float(mass[:end].sum()), 0.0)
            times, late = times[take:], late[take:]
        else:
            above = min(above, sum(float(part.ccdf(part.support[0] + end * step)) for part in parts))
        tail = _sharpened(np.append(np.cumsum(mass[:end][::-1])[::-1], 0.0)[1:] + above, len(parts))
        times = np.concatenate([(np.arange(end) + 0.5) * step, times])
        late = np.concatenate([tail, late])
    return _kept(parts, times, late)


def _sharpened(late: Array, parts: int) -> Array:
    """The ccdf half way between the nodes, less what the lattice adds to it: (2n - 1)/24 of its second difference.

    Of each of n parts the hats of its lattice, of variance h^2/6; less the rule of midpoints' h^2/24.
    """
    sharp = late.copy()
    sharp[1:-1] -= (2 * parts - 1) / 24.0 * np.diff(late, 2)
    return sharp


def _kept(parts: Sequence[Distribution], times: Array, late: Array) -> Survival:
    """From the first time on, where all are late, down to FLOOR."""
    kept = max(int(np.searchsorted(-late, -FLOOR)), 2)
    times, logs = np.append(0.0, times[:kept]), np.append(0.0, np.log(np.maximum(late[:kept], FLOOR)))
    index = min(part.tail_index for part in parts)
    if math.isfinite(index) and math.isinf(sum(part.support[1] for part in parts)):
        edge = math.log(times[-1])
        return Survival(
            times, logs, far=(np.array([edge, edge + 1.0]), np.array([logs[-1], logs[-1] - index])), index=index
        )
    span = max(len(times) // 100, 1)
    return Survival(
        times, logs, decay=max((logs[-1 - span] - logs[-1]) / (times[-1] - times[-1 - span]), 1.0 / times[-1])
    )


def _reach(parts: Sequence[Distribution]) -> tuple[float, float]:
    """The times, from the start on, to which the finest and the longest lattice reach (s)."""
    near = far = 0.0
    for part in parts:
        start, end = part.support
        rare = np.array([FAR if math.isinf(part.tail_index) else FAR_HEAVY])
        each = [law for _, law in part.alternatives]
        near = max(near, min(float(law.icdf_levels(np.array([NEAR]), upper=False)[0]) for law in each) - start)
        last = end if math.isfinite(end) else max(float(law.icdf_levels(rare, upper=True)[0]) for law in each)
        far += last - start
    far *= 1.0 + 2.0 / CELLS
    return min(max(near, far / 2.0**40), far), far


def _mass(parts: Sequence[Distribution], scale: int) -> Array:
    """Masses of the sum on the lattice of step 2^scale, as far as it goes."""
    return _convolved([_mixed(part, scale) for part in parts])


def _convolved(transforms: Iterable[NDArray[np.complex128]]) -> Array:
    """Masses from transforms, one after the other, for the ring is only as long as two lattices."""
    first, *others = transforms
    mass = np.asarray(fft.irfft(first, 2 * CELLS)[:CELLS])
    for each in others:
        mass = np.asarray(fft.irfft(fft.rfft(mass, 2 * CELLS) * each, 2 * CELLS)[:CELLS])
    return mass


def _mixed(part: Distribution, scale: int) -> NDArray[np.complex128]:
    """The transform of a mixture from its parts', which a slider of the weights leaves as they are."""
    start = part.support[0]
    return np.asarray(sum(weight * _transform(each, scale, start) for weight, each in part.alternatives))


@functools.lru_cache(maxsize=64)  # 1 MB each: a slider leaves most parts of a sum as they are
def _transform(part: Distribution, scale: int, start: float) -> NDArray[np.complex128]:
    return np.asarray(fft.rfft(_lattice(part, scale, start), 2 * CELLS))


def _lattice(part: Distribution, scale: int, start: float) -> Array:
    """Masses at multiples of the step 2^scale after the start that keep the part's mean."""
    summands = part.summands
    if len(summands) > 1 and any(len(each.places) for each in summands):  # of samples: costly to ask at every node
        starts = [each.support[0] for each in summands]
        starts[0] -= math.fsum(starts) - start
        return _convolved(_transform(each, scale, at) for each, at in zip(summands, starts, strict=True))
    step = 2.0**scale
    places, masses = part.atom_table
    at = np.maximum(places - start, 0.0) / step
    inside = at < CELLS - 1
    mass = _shared(at[inside], masses[inside])
    if part.discrete:
        return mass
    u, w = gauss(2)
    t = (np.arange(CELLS)[:, None] + u) * step
    late = np.asarray(part.ccdf(start + t.ravel())).reshape(t.shape)
    if len(places):
        left = np.append(np.cumsum(masses[::-1])[::-1], 0.0)
        late = np.maximum(late - left[np.searchsorted(places, start + t, side="right")], 0.0)
    cell = late @ w
    smooth = 1.0 - float(masses.sum()) - part.lost
    return mass + np.maximum(-np.diff(cell, prepend=smooth), 0.0)


def _shared(places: Array, masses: Array) -> Array:
    """Atoms, each shared between the nodes at either side."""
    low = places.astype(int)
    part = places - low
    found = np.bincount(low, weights=masses * (1.0 - part), minlength=CELLS)
    found[1:] += np.bincount(low, weights=masses * part, minlength=CELLS)[:-1]
    return np.asarray(found[:CELLS], dtype=float)
