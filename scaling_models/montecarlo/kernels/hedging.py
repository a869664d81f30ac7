"""Hedged requests at FIFO servers: a copy of a slow request goes to another server."""

from __future__ import annotations

import dataclasses
from typing import ClassVar

import numpy as np

from scaling_models.latency import Distribution
from scaling_models.montecarlo.arrays import Array, Indices
from scaling_models.montecarlo.kernels.calendar import Calendar
from scaling_models.montecarlo.kernels.cancelling import cancelled_responses
from scaling_models.montecarlo.kernels.copies import HedgingRule
from scaling_models.montecarlo.kernels.forks import distinct
from scaling_models.montecarlo.kernels.pending import Pending, hedged_responses
from scaling_models.montecarlo.kernels.residuals import overfull_slots
from scaling_models.montecarlo.streams import Streams
from scaling_models.montecarlo.systems import Outcomes

START = 8  # purpose of a stream; 0 and 1 are services and gaps, 2 the candidates
CANCELLATIONS = ("never", "waiting", "anywhere")


@dataclasses.dataclass(frozen=True)
class Hedging:
    """Requests at FIFO servers with one worker each, copied by `rule`; done when the first of their copies is.

    The other copies then run to their end (cancel = "never"), are dropped if they still wait when a server comes to
    them ("waiting"), or are cancelled at once wherever they are ("anywhere", with delay 0 redundancy-d). A step is an
    event: an arrival or a copy falling due, and with cancellation also the end of a service. Samples: latency. Tallies:
    requests, copies (the first ones included), busy (seconds of work, per server) and time (s).
    """

    gap: Distribution
    service: Distribution
    rule: HedgingRule
    cancel: str = "never"
    copies: ClassVar[int] = 4

    def __post_init__(self) -> None:
        if self.cancel not in CANCELLATIONS:
            raise ValueError(f"Hedging.cancel must be one of {', '.join(CANCELLATIONS)}; got {self.cancel!r}")

    def start(self, backlog: Array, rngs: Streams) -> Pending | Calendar:
        """All servers empty, or all with `backlog` seconds of wait behind a service under way; an arrival at once."""
        servers = self.rule.servers
        busy = overfull_slots(1, np.repeat(backlog, servers), self.service, rngs(START)).reshape(-1, servers)
        if self.cancel == "never":
            return Pending.begin(busy, self.rule)
        return Calendar.begin(busy, self.rule.copies)

    def advance(self, state: Pending | Calendar, rngs: Streams, customers: int) -> tuple[Outcomes, Pending | Calendar]:
        """`customers` events of every lane."""
        shape = (customers, len(state.coming))
        services, gaps = self.service._draw(shape, rngs(0)), self.gap._draw(shape, rngs(1))
        candidates = distinct(self.rule.drawn, self.rule.servers, shape, rngs(2))
        new: Pending | Calendar
        if isinstance(state, Pending):
            responses, tallies, new = hedged_responses(services, gaps, candidates, state, self.rule)
        else:
            anywhere = self.cancel == "anywhere"
            responses, tallies, new = cancelled_responses(services, gaps, candidates, state, self.rule, anywhere)
        return Outcomes({"latency": responses}, tallies), new

    def pick(self, state: Pending | Calendar, lanes: Indices) -> Pending | Calendar:
        """The state of the named lanes."""
        return state.pick(lanes)
