"""Clients of a consensus leader who wait for their answers: each sends again when its last command is answered."""

from __future__ import annotations

import numpy as np

from scaling_models.montecarlo.arrays import Array, Flags
from scaling_models.montecarlo.kernels.leader_load import Desk, Server, leader_steps
from scaling_models.montecarlo.streams import stream, streams_of

BLOCK = 256  # steps at a time
TRIPS = 2  # purpose of a stream


class Circle:
    """When commands of each lane's clients will come, in order: the leader is through with answers one after the other.

    `ready` (lanes, clients) is a ring of times (s), `head` and `tail` (lanes,) count those taken and put there.
    """

    def __init__(self, ready: Array) -> None:
        self.ready = np.sort(ready, axis=1)
        self.lane = np.arange(len(ready))
        self.head = np.zeros(len(ready), dtype=np.intp)
        self.tail = np.full(len(ready), ready.shape[1])

    def __call__(self, comes: Flags, answers: Flags, free: Array) -> Array:
        """When the next command of each lane comes, inf where all clients wait."""
        clients = self.ready.shape[1]
        self.ready[self.lane[answers], self.tail[answers] % clients] = free[answers]
        self.tail += answers
        self.head += comes
        coming = self.ready[self.lane, self.head % clients]
        return np.where(self.tail > self.head, coming, np.inf)

    def forward(self, time: Array) -> None:
        """Count times from so much later."""
        self.ready -= time[:, None]


def loop_throughput(server: Server, ready: Array, steps: int, settling: int, seed: int) -> Array:
    """Commands/s of each lane in `steps` steps, after those that let it settle; `ready` (lanes, clients): the first."""
    rng, circle = stream(seed, TRIPS), Circle(ready)
    state = server.start(np.zeros(len(ready)), streams_of(seed))
    state = Desk(state.free, circle.ready[:, 0].copy(), state.rounds)
    answered, time = np.zeros(len(ready)), np.zeros(len(ready))
    none = np.zeros((BLOCK, len(ready)))
    for begun in range(0, steps + settling, BLOCK):
        trips = np.sort(server.round_trip._draw((*none.shape, server.followers), rng), axis=2)
        taken, state = leader_steps(server, none, trips, state, circle)
        circle.forward(taken.time)
        if begun >= settling:
            answered += np.isfinite(taken.latency).sum(axis=0)
            time += taken.time
    return np.asarray(answered / time)
