"""What a simulated system is to those who run it: a start, a way to advance, and a choice of lanes."""

from __future__ import annotations

import dataclasses
from typing import Any, Protocol

from scaling_models.montecarlo.arrays import Array, Indices
from scaling_models.montecarlo.streams import Streams

LANES = 128  # that settle, half of them from either start: a multiple of 32
BLOCK = 64  # steps between two looks at the clock


@dataclasses.dataclass(frozen=True, eq=False)
class Outcomes:
    """What a block of steps told: samples in seconds (rows, lanes), NaN for none, and sums over the block by lane."""

    times: dict[str, Array]
    tallies: dict[str, Array]


class System(Protocol):
    """A system of many independent lanes: a frozen record that can be sent to another process.

    A state belongs to whoever holds it: `advance` may change it in place, `pick` copies. One that is better advanced in
    other numbers of `lanes` or steps a `block` than `LANES` and `BLOCK` says so (lanes a multiple of 32, blocks of 64).
    """

    @property
    def copies(self) -> int:
        """How many copies of the settled lanes are best advanced together."""

    def start(self, backlog: Array, rngs: Streams) -> Any:
        """A lane for each backlog: empty where it is 0, else so full that a request waits about that long on average.

        The wait may be random (exponential with that mean, say, which has a tail as the steady state's).
        """

    def advance(self, state: Any, rngs: Streams, customers: int) -> tuple[Outcomes, Any]:
        """Let `customers` steps happen in every lane; the times have one called `latency`."""

    def pick(self, state: Any, lanes: Indices) -> Any:
        """The state of the named lanes, with repeats."""


def lanes_of(system: System) -> int:
    """How many lanes of it settle."""
    return getattr(system, "lanes", LANES)


def block_of(system: System) -> int:
    """How many steps of it are made at once."""
    return getattr(system, "block", BLOCK)
