"""One failover as swim lanes: the last heartbeat, the timeouts, the votes, the first write."""

from __future__ import annotations

import dataclasses

import numpy as np

from scaling_models.answers import SwimLanes
from scaling_models.montecarlo.arrays import Array
from scaling_models.montecarlo.kernels.clusters import Draws
from scaling_models.montecarlo.kernels.crashes import Crashes
from scaling_models.montecarlo.kernels.elections import Event, elections
from scaling_models.montecarlo.streams import stream
from scaling_models.quorums.group import Group

LANES = 512  # crashes of which the one shown is chosen
PIECES = 5  # of random numbers: 20 restarts of a timer, more than a crash takes that is shown
TIMER, WRITE, LEADS = "timer runs", "writes its vote", "leads"
HEARTBEAT, REQUEST, VOTE, FIRST = "last heartbeat", "asks for a vote", "votes", "announces itself"


@dataclasses.dataclass(frozen=True, eq=False)
class Replay:
    """One crash at time 0, event by event: when each member last heard, and what happened until a leader was there."""

    heard: Array
    flight: float
    draws: Draws
    events: tuple[Event, ...]
    winner: int
    terms: int
    elected: float
    over: float


def replay(group: Group, seed: int) -> Replay:
    """A crash whose first term elects nobody, if there is one among 512; the first of them to be over."""
    crashes, rng = group.crashes(), stream(seed, 3)
    sent, heard = crashes.hearing(LANES, rng)
    phases = crashes.phases(LANES, rng)
    draws = _draws(crashes, rng)
    whole = elections(crashes.rules, heard, phases, lambda left: _some(draws, left))
    split = (whole.terms > 1) & (whole.campaigns < PIECES)
    lane = int(np.where(split, whole.elected, np.inf).argmin() if split.any() else whole.elected.argmin())
    own = Draws(*(part[:, lane : lane + 1] for part in draws))
    log: list[Event] = []
    found = elections(crashes.rules, heard[lane : lane + 1], phases[lane : lane + 1], lambda _: own, log)
    elected = float(found.elected[0])
    over = max(elected + group.told, float(sent[lane]) + group.lease)
    return Replay(
        heard[lane], group.one_way.mean(), own, tuple(log), int(found.winner[0]), int(found.terms[0]), elected, over
    )


def _draws(crashes: Crashes, rng: np.random.Generator) -> Draws:
    pieces = [crashes.draws(LANES, rng) for _ in range(PIECES)]
    return Draws(*(np.concatenate(parts) for parts in zip(*pieces, strict=True)))


def _some(draws: Draws, lanes: int) -> Draws:
    return Draws(*(part[:, :lanes] for part in draws))


def swim_lanes(shown: Replay, says: str) -> SwimLanes:
    """The replay as lanes: the old leader above, and a lane for each member that is left."""
    names = ("old leader", *(f"member {i + 2}" for i in range(len(shown.heard))))
    end = shown.over + 0.05 * (shown.over - float(shown.heard.min()))
    bars = [(LEADS, 0, float(shown.heard.min()) - shown.flight, 0.0), (LEADS, shown.winner + 1, shown.elected, end)]
    arrows = [(HEARTBEAT, 0, float(t) - shown.flight, i + 1, float(t)) for i, t in enumerate(shown.heard)]
    marks = [(0, 0.0, "crash")]
    for event in shown.events:
        bars += _written(shown, event)
        arrows += _sent(shown, event)
        if event.kind == 0:
            marks.append((event.one + 1, event.time, "timeout"))
    marks += [(shown.winner + 1, shown.elected, "elected"), (shown.winner + 1, shown.over, "first write")]
    others = [i for i in range(len(shown.heard)) if i != shown.winner]
    arrows += [(FIRST, shown.winner + 1, shown.elected, i + 1, shown.elected + shown.flight) for i in others]
    kinds = ((TIMER, WRITE, LEADS), (HEARTBEAT, REQUEST, VOTE, FIRST))
    return SwimLanes(says, names, *kinds, (*_timers(shown), *bars), tuple(arrows), tuple(marks))


def _timers(shown: Replay) -> list[tuple[str, int, float, float]]:
    """When each timer ran, from every start to the next."""
    begun, bars = [float(t) for t in shown.heard], []
    due = shown.events[0].due * np.nan
    for number, event in enumerate(shown.events):
        for i, (new, old) in enumerate(zip(event.due, due, strict=True)):
            if (number and new != old) or (not number and event.kind == 0 and i == event.one):
                bars.append((TIMER, i + 1, begun[i], event.time))
                begun[i] = event.time
        due = event.due
    return bars + [(TIMER, i + 1, start, shown.elected) for i, start in enumerate(begun)]


def _row(shown: Replay, event: Event) -> tuple[int, int, int, int]:
    return (min(event.round - 1, len(shown.draws.out) - 1), 0, event.one, event.other)


def _sent(shown: Replay, event: Event) -> list[tuple[str, int, float, int, float]]:
    one, other = event.one + 1, event.other + 1
    if event.kind == 1:
        return [(REQUEST, one, event.time - float(shown.draws.out[_row(shown, event)]), other, event.time)]
    if event.kind == 2:
        return [(VOTE, other, event.time - float(shown.draws.back[_row(shown, event)]), one, event.time)]
    return []


def _written(shown: Replay, event: Event) -> list[tuple[str, int, float, float]]:
    """The disk write of a candidate's own vote, and of a vote that was sent."""
    row = _row(shown, event)
    if event.kind == 0:
        return [
            (WRITE, event.one + 1, event.time, event.time + float(shown.draws.writes[row[0], 0, event.one, event.one]))
        ]
    if event.kind == 2:
        sent = event.time - float(shown.draws.back[row])
        return [(WRITE, event.other + 1, sent - float(shown.draws.writes[row]), sent)]
    return []
