"""A law as a few thousand points: for integrals over large samples, and over sums of them."""

from __future__ import annotations

import functools

import numpy as np

from scaling_models.latency.distribution import Array, Distribution

CELLS = 600  # of equal chance
DECADE = 20  # cells to a factor of ten of the ccdf, or of the cdf
ENDS = 16  # of these decades at either end
LEVELS = np.union1d(np.geomspace(10.0**-ENDS, 0.1, DECADE * (ENDS - 1) + 1), np.linspace(0.0, 0.5, CELLS // 2 + 1)[1:])
MOST = 2000  # atoms that are taken one by one


@functools.lru_cache(maxsize=32)
def spread(law: Distribution) -> tuple[Array, Array]:
    """Places and masses that stand for the law: its atoms, or the means over cells of at most 1/600 of it.

    Over a cell a smooth function is as good as straight: an integral to about (1/600)^2, relative to what is left
    beyond; with the many steps of another sample in it, to half a cell times a step.
    """
    if law.discrete and len(law.atom_table[0]) <= MOST:
        return law.atom_table
    below, above = law.icdf_levels(LEVELS, upper=False), law.icdf_levels(LEVELS, upper=True)
    edges = np.unique(np.concatenate([[law.support[0]], below, above]))
    if law.discrete:
        places, masses = law.atom_table
        cell = np.searchsorted(edges, places, side="left")
        total, moment = (np.bincount(cell, weights=each) for each in (masses, masses * places))
        return np.asarray(moment[total > 0] / total[total > 0]), np.asarray(total[total > 0], dtype=float)
    late = np.asarray(law.ccdf(edges))
    masses = np.append(1.0 - late[0], -np.diff(late))
    middles = np.append(edges[0], (edges[1:] + edges[:-1]) / 2.0)
    return middles[masses > 0], masses[masses > 0]
