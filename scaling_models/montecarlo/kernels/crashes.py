"""Crashes of leaders, drawn: when each follower last heard, what the election draws, and how long it lasts."""

from __future__ import annotations

import dataclasses
from typing import NamedTuple

import numpy as np

from scaling_models.latency import Distribution
from scaling_models.montecarlo.arrays import Array, Indices
from scaling_models.montecarlo.kernels.clusters import Draws, Rules
from scaling_models.montecarlo.kernels.elections import elections

OFTEN = 0.2  # of the trials end in an election at least
ROWS = 4  # of random numbers at a time: few terms take more


class Crashed(NamedTuple):
    """Per crash, in seconds: the time without a leader; when after the crash the first timer fires; the first timeout
    and the majority, after the last heartbeat would have arrived; and the term that elected.
    """

    downtime: Array
    fires: Array
    first: Array
    majority: Array
    terms: Indices


@dataclasses.dataclass(frozen=True)
class Crashes:
    """A leader that crashes at any moment between two heartbeats, and the election after it.

    `least` and `spread` of the timeouts are whole ticks where there is a `tick` (s), numbers least .. least + spread -
    1, and else seconds. Each heartbeat reaches each follower with probability 1 - loss, but not so many in a row are
    lost that its timer had fired before. Flights and writes are independent, each of its law; a candidate
    `writes_first`, or has written when the votes come. `behind` of the members have an old log; `in_step` ticks have
    one phase. Over it is with the votes, a flight later (announced), or when a majority has the new leader's first
    entry and it itself (committed); and not before the lease of the old one is.
    """

    members: int
    alive: int
    least: float
    spread: float
    heartbeat: float
    one_way: Distribution
    fsync: Distribution
    tick: float = 0.0
    loss: float = 0.0
    quiet: bool = False
    pre_vote: bool = False
    lease: float = 0.0
    until: str = "announced"
    writes_first: bool = True
    behind: int = 0
    in_step: bool = False

    @property
    def rules(self) -> Rules:
        """What the members agree on."""
        logs = (0,) * self.behind + (1,) * (self.alive - self.behind)
        return Rules(self.members // 2 + 1, logs, self.tick, self.least if self.quiet else 0.0, self.pre_vote)

    def draws(self, lanes: int, rng: np.random.Generator) -> Draws:
        """The random numbers of an election."""
        each, pairs = (ROWS, lanes, self.alive), (ROWS, lanes, self.alive, self.alive)
        if self.tick:
            timeouts = self.least + np.floor(rng.random(each) * self.spread)
        else:
            timeouts = self.least + rng.random(each) * self.spread
        out, back, writes = (drawn(law, pairs, rng) for law in (self.one_way, self.one_way, self.fsync))
        if not self.writes_first:
            writes = writes * (1.0 - np.eye(self.alive))
        return Draws(timeouts, out, back, writes)

    def hearing(self, lanes: int, rng: np.random.Generator) -> tuple[Array, Array]:
        """When the last heartbeat before the crash was sent (lanes), and when each last heard one (lanes, members)."""
        each = (lanes, self.alive)
        sent = -self.heartbeat * rng.random(lanes)
        least = (self.least - 1.0) * self.tick if self.tick else self.least
        missed = rng.geometric(1.0 - self.loss, each) - 1 if self.loss else np.zeros(each)
        missed = np.minimum(missed, max(np.floor(least / self.heartbeat) - 1, 0))
        return sent, sent[:, None] - self.heartbeat * missed + drawn(self.one_way, each, rng)

    def phases(self, lanes: int, rng: np.random.Generator) -> Array:
        """The phases of the ticks (s), by members or one for all."""
        drawn = rng.random((lanes, 1 if self.in_step else self.alive))
        return np.array(np.broadcast_to(self.tick * drawn, (lanes, self.alive)))

    def play(self, lanes: int, rng: np.random.Generator) -> Crashed:
        """So many crashes."""
        sent, heard = self.hearing(lanes, rng)
        found = elections(self.rules, heard, self.phases(lanes, rng), lambda left: self.draws(left, rng))
        arrival = sent + self.one_way.mean()
        over = np.maximum(found.elected + self.told(lanes, rng), sent + self.lease)
        return Crashed(over, found.first, found.first - arrival, found.elected - arrival, found.terms)

    def told(self, lanes: int, rng: np.random.Generator) -> Array:
        """From the votes until it is over (s)."""
        if self.until == "elected":
            return np.zeros(lanes)
        if self.until == "announced":
            return drawn(self.one_way, (lanes,), rng)
        followers = (lanes, self.alive - 1)
        replies = drawn(self.one_way, followers, rng) + drawn(self.fsync, followers, rng)
        replies = np.sort(replies + drawn(self.one_way, followers, rng), axis=1)
        return np.maximum(replies[:, self.members // 2 - 1], drawn(self.fsync, (lanes,), rng))


def drawn(law: Distribution, shape: tuple[int, ...], rng: np.random.Generator) -> Array:
    """So many times of this law, without chance where it has none."""
    if law.support[0] == law.support[1]:
        return np.broadcast_to(np.float64(law.support[0]), shape)
    return np.asarray(law.sample(shape, rng=rng))


def false_elections(least: Array, loss: float, rng: np.random.Generator) -> tuple[float, float]:
    """How often a follower's timer fires though the leader is there, and over how many heartbeats.

    `least` (trials) is how many heartbeats in a row it has to miss, drawn anew after each that it receives; a trial
    lasts until the next received, or until it fires. How often is drawn with so many lost that one trial in five fires,
    where it has the least to miss, and weighed (importance sampling): it may be far too rare to be seen. Unbiased.
    """
    missed = _misses(least.shape, loss, rng)
    beats = float(np.minimum(missed + 1.0, least).sum())
    often = max(loss, OFTEN ** (1.0 / max(float(least.min()), 1.0)))
    fired = least[_misses(least.shape, often, rng) >= least]
    return float(((loss / often) ** fired).sum()), beats


def _misses(shape: tuple[int, ...], loss: float, rng: np.random.Generator) -> Array:
    return np.asarray(rng.geometric(1.0 - loss, shape) - 1.0)
