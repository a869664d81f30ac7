"""The law of the load of one shard, any of them, given that all loads sum to the whole: see `loads`."""

from __future__ import annotations

import functools
from collections.abc import Callable

import numpy as np

from scaling_models.shards.formulas.hottest_load import POINTS, Dealt, dealt, table
from scaling_models.shards.formulas.loads import Array, Complex
from scaling_models.shards.placements.shares import Nodes
from scaling_models.shards.popularities import Popularity

FINER = 4  # than the lattice of the hottest: most shards have no hot key, so that the small loads count


@functools.lru_cache(maxsize=128)
def share_of_one(
    kinds: tuple[Nodes, ...], popularity: Popularity, copies: int, level: float = 0.0
) -> tuple[Array, Array]:
    """Points and cdf of the load of one shard, any of them; `level` as in `share_of_hottest`."""
    shards = sum(kind.number for kind in kinds)
    tables = []
    for asked, kind in enumerate(kinds):
        others = (each._replace(number=each.number - (at == asked)) for at, each in enumerate(kinds))
        keys = dealt((kind._replace(number=1), *others), popularity, copies, level, FINER * POINTS)
        tables.append((kind.number / shards, *table(keys, _first_below(keys))))
    x = np.unique(np.concatenate([points for _, points, _ in tables]))
    cdf = np.asarray(sum(weight * np.interp(x, points, below, left=0.0) for weight, points, below in tables))
    for each in (x, cdf):
        each.setflags(write=False)
    return x, cdf


def _first_below(keys: Dealt) -> Callable[[Array], Array]:
    """P(the first shard has at most x | all sum to the whole): its density times that of the others at the rest."""
    from scipy import signal  # late: it takes as long to import as all the models

    loads, others = keys.loads, _others(keys)
    middle = loads.edges[0] + 0.5 * loads.step - loads.total / loads.shards
    wave = loads.waves[-1] / max(len(loads.waves) - 1, 1)
    # A chirp transform (Bluestein 1970) is the sum of the waves at every step of the lattice.
    each = np.array(list(others.values())) * loads.weights * np.exp(-1j * loads.waves * middle)
    rest = signal.czt(each, loads.points, np.exp(-1j * wave * loads.step)).real
    mass = {size: loads.mass(0, size) for size in {len(held) for held in others}}
    found = []
    for held, density in zip(others, rest, strict=True):
        below = np.append(0.0, np.cumsum(mass[len(held)] * density))
        found.append((float(keys.top[list(held)].sum()), below))
    whole = sum(below[-1] for _, below in found)

    def cdf(x: Array) -> Array:
        each = sum(np.interp(x - held, loads.edges, below) for held, below in found)
        return np.asarray(np.clip(each / whole, 0.0, 1.0))

    return cdf


def _others(keys: Dealt) -> dict[tuple[int, ...], Complex]:
    """By the hot keys on the first shard: E[e^{-iu(X - mean)}] of the sum of all others, times the probability."""
    logs: dict[tuple[int, int], Complex] = {}
    found: dict[tuple[int, ...], Complex] = {}
    for deal, share in keys.ways:
        log = np.full(len(keys.loads.waves), np.log(share), dtype=complex)
        mine: tuple[int, ...] = ()
        for (kind, held), number in deal:
            if kind == 0:
                mine = held
                continue
            law = (kind, len(held))
            if law not in logs:
                logs[law] = keys.loads.whole(*law)
            log += number * logs[law]
        found[mine] = found.get(mine, 0.0) + np.exp(log)
    return found
