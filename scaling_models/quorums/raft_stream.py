"""Raft's commands one after another on FIFO streams: back to back, or paced."""

from __future__ import annotations

import dataclasses
import functools
import math
from collections import Counter
from typing import ClassVar

import numpy as np

from scaling_models.answers import (
    EXACT,
    Accuracy,
    Assumption,
    Model,
    NoClosedForm,
    Simulation,
    SwimLanes,
    Timeline,
    answer,
)
from scaling_models.domains import Choice, Real, Rows
from scaling_models.latency import LATENCY, Distribution
from scaling_models.montecarlo.arrays import Array
from scaling_models.montecarlo.estimates import SimulatedLatency
from scaling_models.montecarlo.kernels.command_streams import Draws, Pattern, Streams, batched, stream_commands
from scaling_models.montecarlo.kernels.commits import counting
from scaling_models.montecarlo.progress import progress
from scaling_models.montecarlo.streams import checked_requests, stream
from scaling_models.parameters import Slider, parameter
from scaling_models.quorums.exchanges import Chances, Draw, Exchange
from scaling_models.quorums.followed import WAYS, WAYS_MEAN, in_sequence
from scaling_models.quorums.links import LINK, Link, constant, under_way
from scaling_models.quorums.raft import Raft

LANES, BLOCK, WARM_UP = 512, 64, 128  # streams at once, commands drawn at once, commands forgotten
BATCHES, KEPT = 64, 20_000_000  # of lanes; commands
OVERTAKING = "messages overtake each other"
BESIDE, AT_FOLLOWER = "beside the leader", "at the first follower"
RARE = 1e-3  # commands that find a message of an earlier one under way, and whose share is not told
SHORT = 0.01  # of the mean: what these may add to it
PACED = Accuracy("within 3%", 0.01, "fewer than one command in a thousand finds an earlier one's messages under way")


class RaftStream(Model):
    """Raft's commands one after another: nothing on a stream overtakes what was sent before it.

    A follower's late message holds up those behind it, so that it cannot acknowledge a command before its predecessor.
    With notices every commit is told to the followers at once, in messages that the next command's stand behind (as in
    etcd). Where a command finds nothing of its predecessor under way it is `Raft`'s commit, which is exact where links
    are constant or commands far enough apart; back to back on links that vary no closed form is known.
    """

    followers: tuple[Link, ...] = parameter(
        default=(Link(), Link()), domain=Rows(LINK, least=0, most=20), about="the followers' links"
    )
    fsync: Distribution = parameter(
        default=0.002, domain=LATENCY, unit="s", symbol="D", about="the leader's own disk write"
    )
    leader_write: str = parameter(default="required", domain=WAYS, about=WAYS_MEAN)
    interval: float = parameter(
        default=0.0,
        domain=Real(open_low=False),
        unit="s",
        symbol="T",
        about="least time from one command to the next, which also waits for the last one's answer; 0: back to back",
        slider=Slider(0.0, 0.2, 0.01),
    )
    notices: str = parameter(
        default="yes", domain=Choice(("yes", "no")), about="whether followers are told of each commit at once (etcd)"
    )
    client: str = parameter(
        default=BESIDE, domain=Choice((BESIDE, AT_FOLLOWER)), about="who hands the client's command to the leader"
    )
    client_legs: tuple[Distribution, ...] = parameter(
        default=(),
        domain=Rows(LATENCY, least=0, most=10),
        unit="s",
        about="the client's journey to that replica and back, leg by leg",
    )
    work: tuple[Distribution, ...] = parameter(
        default=(),
        domain=Rows(LATENCY, least=0, most=10),
        unit="s",
        about="what client and leader spend on a command besides network and disks",
    )

    headline: ClassVar[str] = "write_latency"
    verified_with: ClassVar[int] = 200_000
    violations: ClassVar[tuple[str, ...]] = (OVERTAKING,)
    _assumptions: ClassVar[tuple[Assumption, ...]] = (
        Assumption("one client, which waits for each answer", "optimistic: more of them queue at the leader"),
        Assumption("messages delayed independently, delivered in order", "errs either way if delays come in runs"),
        Assumption("a stable leader", "optimistic around elections"),
        Assumption("followers keep up", "optimistic: one that falls behind for good leaves the quorum to the others"),
    )

    def _check(self) -> None:
        if self.client == AT_FOLLOWER and not self.followers:
            raise ValueError(f"RaftStream.client must be {BESIDE!r} where there is no follower; got {self.client!r}")

    @property
    def _pattern(self) -> Pattern:
        return Pattern(
            acknowledgements=(len(self.followers) + 1) // 2,
            leader_write=self.leader_write,
            interval=self.interval,
            notices=self.notices == "yes",
            at_follower=self.client == AT_FOLLOWER,
        )

    @functools.cached_property
    def raft(self) -> Raft:
        """One command alone."""
        return Raft(tuple(link.round_trip for link in self.followers), self.fsync, self.leader_write)

    @answer("s", "time from the leader's receipt of a command to its commit, were no other under way")
    def alone_latency(self) -> Distribution:
        """The work, and `Raft`'s commit."""
        work = in_sequence(self.work)
        return self.raft.commit_latency if work is None else work + self.raft.commit_latency

    @answer("s", "time from the leader's receipt of a command to its commit")
    def commit_latency(self) -> Distribution:
        """As alone, where nothing of the last command is under way."""
        self._refuse_if_coupled()
        return self.alone_latency

    @answer("s", "time from the client's request to its answer")
    def write_latency(self) -> Distribution:
        """The commit, with the journey of the command and its answer."""
        self._refuse_if_coupled()
        legs = self.client_legs
        if self.client == AT_FOLLOWER:
            first = self.followers[0]
            busy = first.out.support[1] + first.write.support[1]
            if busy > self.raft.commit_latency.support[0] + first.out.support[0]:
                raise NoClosedForm("RaftStream whose first follower may hear of a commit while it writes: simulate it")
            legs = (*legs, first.back, first.out)
        journey = in_sequence(legs)
        return self.alone_latency if journey is None else journey + self.alone_latency

    def _accuracy(self, metric: str, level: float | None = None) -> Accuracy:
        return EXACT if metric == "alone_latency" or self._never_meet else PACED

    @functools.cached_property
    def _never_meet(self) -> bool:
        """Whether no command finds a message of the last one under way, or none that matters."""
        steady = all(constant(law) for link in self.followers for law in (link.out, link.write, link.back))
        steady &= self.leader_write != "counted" or constant(self.fsync)
        waited = len(self.followers) == 1 and self.notices == "no" and self.leader_write != "counted"
        return not self.followers or steady or (waited and self.client == BESIDE) or self._found_under_way[0] == 0.0

    @functools.cached_property
    def _found_under_way(self) -> tuple[float, float]:
        """Bounds on the share of commands that find any message of an earlier one under way, and on how long (s) these
        take yet on average."""
        if not self.interval:
            return 1.0, math.inf
        legs = [*self.client_legs, *self.work]
        if self.client == AT_FOLLOWER:
            legs += [self.followers[0].back]
        before = [*legs, self.alone_latency] if self.notices == "yes" else legs
        each = [(*before, self.fsync, link.out, link.write, link.back) for link in self.followers]
        whole = (*legs, self.alone_latency, self.fsync)
        counted = Counter([*each, whole]).items()
        found = [(count, under_way(parts, self.interval, RARE)) for parts, count in counted]
        return math.fsum(n * share for n, (share, _) in found), math.fsum(n * longer for n, (_, longer) in found)

    def _refuse_if_coupled(self) -> None:
        if self._never_meet:
            return
        share, longer = self._found_under_way
        if share >= RARE or longer > SHORT * self.alone_latency.mean():
            raise NoClosedForm("RaftStream of commands behind the last one's messages on links that vary: simulate it")

    def simulate(self, requests: int = 200_000, seed: int = 0, *, violating: str | None = None) -> Simulation:
        """Every message of 512 streams of commands, after 128 that are forgotten; exact but for chance.

        `violating` "messages overtake each other" sends them as datagrams.
        """
        ordered = self.known_violation(violating) is None
        checked_requests(self, requests, most=KEPT)
        pattern = dataclasses.replace(self._pattern, ordered=ordered)
        wanted, streams = -(-requests // LANES), Streams.empty(LANES, len(self.followers))
        kept, alone = [], []
        for block in progress(range(-(-(wanted + WARM_UP) // BLOCK)), "commands"):
            draws = self._draws(BLOCK, LANES, stream(seed, 1, block))
            commits, answers, streams = stream_commands(draws, streams, pattern)
            kept.append((commits, answers))
            fresh = Streams.empty(BLOCK * LANES, len(self.followers))
            flat = Draws(*(each.reshape(1, BLOCK * LANES, *each.shape[2:]) for each in draws))
            alone.append(stream_commands(flat, fresh, pattern)[0].reshape(BLOCK, LANES))
        later = slice(WARM_UP, WARM_UP + wanted)
        found = [np.concatenate(each)[later] for each in (*zip(*kept, strict=True), alone)]
        commit, answered, single = (SimulatedLatency(batched(each, BATCHES)) for each in found)
        return Simulation(self, requests, seed, alone_latency=single, commit_latency=commit, write_latency=answered)

    def _draws(self, commands: int, lanes: int, rng: np.random.Generator) -> Draws:
        shape = (commands, lanes)

        def each(name: str) -> Array:
            drawn = [getattr(link, name).sample(shape, rng=rng) for link in self.followers]
            return np.stack(drawn, axis=2) if drawn else np.zeros((*shape, 0))

        def total(laws: tuple[Distribution, ...]) -> Array:
            return np.asarray(sum((law.sample(shape, rng=rng) for law in laws), np.zeros(shape)))

        there = (self.followers[0].back,) if self.client == AT_FOLLOWER else ()
        return Draws(
            out=each("out"),
            write=each("write"),
            back=each("back"),
            notice=each("out"),
            reply=each("back"),
            fsync=self.fsync.sample(shape, rng=rng),
            there=total(there),
            home=total(self.client_legs),
            work=total(self.work),
        )

    def swim_lanes(self, seed: int = 0) -> SwimLanes:
        """One command that finds no other under way, the followers' disks among the bars, for `figures.swim_lanes`."""
        chances, exchange = Chances(seed), Exchange(len(self.followers))
        trips = [
            (chances.of(link.out, 1, i, 0), chances.of(link.write, 1, i, 1), chances.of(link.back, 1, i, 2))
            for i, link in enumerate(self.followers)
        ]
        leg = chances.of(in_sequence(self.client_legs), 0) / 2.0
        hand, told = (
            chances.of(law, 3, i) if self.client == AT_FOLLOWER else 0.0
            for i, law in enumerate((self.followers[0].back, self.followers[0].out) if self.followers else (None, None))
        )
        begins = exchange.travel(0.0, leg + hand) + chances.of(in_sequence(self.work), 2)
        draw = Draw(chances.of(self.fsync, 0, 0), trips, 0.0)
        complete = exchange.round(
            begins, draw, counting(self._pattern.acknowledgements, self.leader_write), waits=False
        )
        return exchange.lanes("Raft", exchange.travel(complete, leg + told, home=True))

    def timeline(self, seed: int = 0) -> Timeline:
        """One message to every follower is late, as where a packet was lost, and holds up all that comes behind it."""
        if not self.followers:
            raise ValueError("RaftStream.followers is empty: with the leader alone there is no message to be late")
        count, late = 200, 100
        draws = self._draws(count, 1, stream(seed, 2))
        draws.out[late] += 5.0 * self.raft.commit_latency.mean()
        _, answers, _ = stream_commands(draws, Streams.empty(1, len(self.followers)), self._pattern)
        taken = answers[:, 0]
        times = np.concatenate([[0.0], np.cumsum(np.maximum(taken, self.interval))[:-1]])
        says = (
            f"A packet lost and sent again: the command takes {1e3 * taken[late]:.0f} ms instead of "
            f"{1e3 * np.median(taken):.0f}, and nothing sent meanwhile can be acknowledged before it"
        )
        return Timeline(says, times, {"answer": taken}, "s", ((float(times[late]), "messages late"),))
