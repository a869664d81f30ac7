"""What a flow of requests is: customers dealt block after block to many lanes, so that the law notices no cut.

Services come from `rngs(0)`, gaps from `rngs(1)`, the modulation from `rngs(6)`, and starts from `rngs(7)`.
"""

from __future__ import annotations

import dataclasses
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from scaling_models.latency import Distribution
from scaling_models.montecarlo.arrays import Array, Indices
from scaling_models.montecarlo.streams import Streams

FlowState = tuple[NDArray[Any], ...]  # arrays with the lanes along the last axis
Drawn = tuple[Array, Array, FlowState]


class Flow(Protocol):
    """Requests as they come: a frozen record. A customer's `gap` (s) is the time from the one before to it."""

    @property
    def arrival_rate(self) -> float:
        """The mean rate (requests/s)."""

    @property
    def service(self) -> Distribution:
        """The law of a request's service time."""

    @property
    def cycle(self) -> float:
        """In how many requests all states of the flow come round; 0 where it has none."""

    def start(self, lanes: int, rngs: Streams) -> FlowState:
        """The state that a customer leaves behind in the long run."""

    def draw(self, state: FlowState, rngs: Streams, customers: int) -> Drawn:
        """Services and gaps of the next customers, both (customers, lanes) in seconds, and the state after them."""

    def pick(self, state: FlowState, lanes: Indices) -> FlowState:
        """The state of the named lanes (with repeats), copied."""


@dataclasses.dataclass(frozen=True)
class FlowRecord:
    """What every flow does with its state; one that remembers nothing has only to count its lanes."""

    @property
    def cycle(self) -> float:
        """In how many requests all states of the flow come round; 0 where it has none."""
        return 0.0

    def start(self, lanes: int, rngs: Streams) -> FlowState:
        """Nothing to remember but how many lanes there are."""
        return (np.zeros(lanes),)

    def pick(self, state: FlowState, lanes: Indices) -> FlowState:
        """The state of the named lanes (with repeats), copied."""
        return tuple(part[..., lanes] for part in state)

    def require(self, legal: bool, sentence: str) -> None:
        """Raise `ValueError` with the sentence where the fields are not legal."""
        if not legal:
            raise ValueError(f"{type(self).__name__}: {sentence}; got {self!r}")
