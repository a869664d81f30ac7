"""How many requests each server of a pool has, in the course of one run."""

from __future__ import annotations

import dataclasses
from typing import Any, ClassVar

import numpy as np

from scaling_models.montecarlo.arrays import Array, Indices
from scaling_models.montecarlo.kernels.dispatch import Dispatch
from scaling_models.montecarlo.kernels.rules import Choice, Generator, Rule
from scaling_models.montecarlo.kernels.servers import Servers
from scaling_models.montecarlo.streams import streams_of


@dataclasses.dataclass(frozen=True)
class Recorded:
    """A rule that keeps the rows that it chose."""

    rule: Rule
    rows: list[Indices]

    looks: ClassVar[int] = 0  # so that the rows come in the order of the customers

    @property
    def counts(self) -> bool:
        """As the rule."""
        return self.rule.counts

    def draw(self, rng: Generator, offsets: Indices, servers: int, turn: int) -> Any:
        """As the rule."""
        return self.rule.draw(rng, offsets, servers, turn)

    def choose(self, pool: Servers, drawn: Any, offsets: Indices) -> Choice:
        """As the rule."""
        rows, words = self.rule.choose(pool, drawn, offsets)
        self.rows.append(rows)
        return rows, words


def occupancy(
    system: Dispatch, arrivals: Array, services: Array, times: Array, seed: int, *, at: float, speeds: tuple[float, ...]
) -> Array:
    """Requests at each server (times, servers), served or waiting, at each of the `times` (s, ascending), from empty.

    `arrivals` (s, ascending) want `services` (s); from `at` on the servers have `speeds`, before it the system's own.
    FIFO servers only, for sharing ones do not tell which server a request leaves: raises `ValueError`.
    """
    if system.sharing:
        raise ValueError("occupancy: the servers must be FIFO; got servers that share themselves")
    pool, _ = system.start(np.zeros(1), streams_of(seed))
    pool.log = []
    rule = Recorded(system.rule, [])
    first = int(np.searchsorted(arrivals, at))
    for part, (low, high) in enumerate(((0, first), (first, len(arrivals)))):
        stage = dataclasses.replace(system, rule=rule, speeds=(system.speeds, speeds)[part])
        gaps = np.diff(arrivals[low:high], prepend=float(pool.now[0]))[:, None]
        if len(gaps):
            stage.deal(pool, services[low:high, None], gaps, streams_of(seed, part))
    server, left = np.concatenate(rule.rows) % system.servers, np.concatenate(pool.log)
    return _counts(arrivals, server, times, system.servers) - _counts(left, server, times, system.servers)


def _counts(moments: Array, server: Indices, times: Array, servers: int) -> Array:
    """How many of each server's moments there have been by each of the times: (times, servers)."""
    first = np.searchsorted(times, moments)
    counts = np.bincount(first * servers + server, minlength=(len(times) + 1) * servers)
    return np.cumsum(counts.reshape(-1, servers)[: len(times)], axis=0).astype(float)
