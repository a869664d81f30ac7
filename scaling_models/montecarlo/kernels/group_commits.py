"""Two-phase commits played: every message to a participant and every group's own commit drawn."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

from scaling_models.latency import Distribution
from scaling_models.montecarlo.arrays import Array

WAITS = ("none", "overlapped", "added")  # for the clock: not at all, during the coordinator's commit, or after it


@dataclasses.dataclass(frozen=True, eq=False)
class GroupCommits:
    """Of each transaction (s): when all are prepared, when it is visible, and how long its rows were locked."""

    prepared: Array
    visible: Array
    locked: Array


def play(
    commit: Distribution,
    round_trips: Sequence[Distribution],
    size: int,
    rng: np.random.Generator,
    *,
    clock: float,
    wait: str,
    visible_early: bool,
    together: bool,
) -> GroupCommits:
    """`size` transactions of one coordinating group and a participant for each of the round trips.

    The coordinator asks all participants at once, each commits a prepare record in its group and answers; then the
    coordinator commits the decision in its own group, and waits out `clock` (s) where told. With `visible_early` it
    answers when all are prepared. With `together` all groups are as slow as each other in a transaction.
    """
    written = commit.sample((len(round_trips) + 1, size), rng=rng)
    if together:
        written = np.broadcast_to(written[0], written.shape)
    asked = [law.sample(size, rng=rng) for law in round_trips]
    answers = [trip + prepare for trip, prepare in zip(asked, written[1:], strict=True)]
    prepared = np.max(answers, axis=0) if answers else np.zeros(size)
    decided = written[0]
    waited = {"none": decided, "overlapped": np.maximum(decided, clock), "added": decided + clock}[wait]
    done = prepared + waited
    return GroupCommits(prepared, prepared if visible_early and answers else done, done)
