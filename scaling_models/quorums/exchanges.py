"""One commit as swim lanes: who sends what when, and which reply completes the quorum."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from scaling_models import units
from scaling_models.answers import SwimLanes
from scaling_models.latency import Distribution
from scaling_models.montecarlo.kernels.commits import Rule
from scaling_models.montecarlo.streams import stream

WRITE, DELAY = "writes to disk", "held up"
SENT, REPLY, DECIDES, CLIENT = "sends", "replies", "the reply that decides", "client"
BARS, ARROWS = (WRITE, DELAY), (SENT, REPLY, DECIDES, CLIENT)


Trip = tuple[float, float, float]
"""Seconds there, of the disk write, and back."""


class Draw(NamedTuple):
    """What a round takes: the leader's own write, its followers' trips, the delay that the replies share; seconds."""

    own: float
    trips: Sequence[Trip]
    delay: float


@dataclasses.dataclass(eq=False)
class Exchange:
    """A protocol's messages being written down: lane 0 the client, 1 the leader, then the followers."""

    followers: int
    bars: list[tuple[str, int, float, float]] = dataclasses.field(default_factory=list)
    arrows: list[tuple[str, int, float, int, float]] = dataclasses.field(default_factory=list)
    marks: list[tuple[int, float, str]] = dataclasses.field(default_factory=list)

    def round(self, begins: float, draw: Draw, rule: Rule, *, waits: bool) -> float:
        """A round of the leader from `begins`; when its quorum is complete. `waits`: the delay holds up its write."""
        held = begins + draw.delay if waits else begins
        if draw.delay > 0.0:
            self.bars.append((DELAY, 1, begins, begins + draw.delay))
        own = held + draw.own
        self.bars.append((WRITE, 1, held, own))
        after = rule.leader_write == "before_send"
        sent = (own if after else held) + (0.0 if waits else draw.delay)
        replies = [sent + sum(trip) for trip in draw.trips]
        # Places on one clock, of which the rule picks one: so the leader's write, which came before, is no term.
        complete = float(rule.times(np.array([0.0 if after and rule.acks else own]), np.array([replies]))[0])
        self._ask(1, sent, draw.trips, replies, complete)
        self.marks.append((1, complete, "its own write decides" if complete == own else "quorum"))
        return complete

    def ask(self, trips: Sequence[Trip], needed: int) -> float:
        """The client asks all replicas itself; when so many have replied."""
        replies = [sum(trip) for trip in trips]
        complete = sorted(replies)[needed - 1]
        self._ask(0, 0.0, trips, replies, complete)
        self.marks.append((0, complete, "quorum"))
        return complete

    def _ask(self, asks: int, sent: float, trips: Sequence[Trip], replies: list[float], complete: float) -> None:
        for i, ((there, write, _), back) in enumerate(zip(trips, replies, strict=True)):
            asked, got = asks + i + 1, sent + there
            self.arrows.append((SENT, asks, sent, asked, got))
            if write > 0.0:
                self.bars.append((WRITE, asked, got, got + write))
            self.arrows.append((DECIDES if back == complete else REPLY, asked, got + write, asks, back))

    def travel(self, begins: float, takes: float, *, home: bool = False) -> float:
        """The client's message to the leader, or its answer; when it is there."""
        if takes > 0.0:
            self.arrows.append((CLIENT, int(home), begins, int(not home), begins + takes))
        return begins + takes

    def lanes(self, name: str, answered: float) -> SwimLanes:
        """What was written down; the client's answer is marked."""
        self.marks.append((0, answered, "answer"))
        names = ("client", "leader", *(f"follower {i + 1}" for i in range(self.followers)))
        says = f"{name}: answered after {units.human(answered, 's')}"
        return SwimLanes(says, names, BARS, ARROWS, tuple(self.bars), tuple(self.arrows), tuple(self.marks))


@dataclasses.dataclass(frozen=True)
class Chances:
    """The draws of one command: place by place, so that two protocols with the same laws have the same ones."""

    seed: int

    def of(self, law: Distribution | None, *place: int) -> float:
        """A time of this law at a place; 0 where there is no law."""
        return 0.0 if law is None else float(law.sample(rng=stream(self.seed, 9, *place)))

    def trips(self, laws: Sequence[Distribution], *place: int) -> list[Trip]:
        """Round trips of these laws, half of each on the way there."""
        halves = [self.of(law, *place, i) / 2.0 for i, law in enumerate(laws)]
        return [(half, 0.0, half) for half in halves]


def beside(*records: SwimLanes) -> SwimLanes:
    """Several exchanges one below the other on the same time: a protocol beside another. ValueError for none."""
    if not records:
        raise ValueError("beside must be given one record of swim lanes at least; got none")
    lanes: list[str] = []
    bars, arrows, marks = [], [], []
    for record in records:
        base, name = len(lanes), record.says.partition(":")[0]
        lanes += [f"{name} · {lane}" for lane in record.lanes]
        bars += [(kind, base + lane, begin, end) for kind, lane, begin, end in record.bars]
        arrows += [(kind, base + a, sent, base + b, got) for kind, a, sent, b, got in record.arrows]
        marks += [(base + lane, t, text) for lane, t, text in record.marks]
    bar_kinds = tuple(dict.fromkeys(kind for record in records for kind in record.bar_kinds))
    arrow_kinds = tuple(dict.fromkeys(kind for record in records for kind in record.arrow_kinds))
    says = "; ".join(record.says for record in records)
    return SwimLanes(says, tuple(lanes), bar_kinds, arrow_kinds, tuple(bars), tuple(arrows), tuple(marks))
