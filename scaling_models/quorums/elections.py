"""Elections and failover: how long a group is without a leader, and how often without need."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import ClassVar, Self

import numpy as np

from scaling_models import units
from scaling_models.answers import Assumption, Simulation, SwimLanes, Timeline
from scaling_models.latency import Deterministic
from scaling_models.montecarlo.estimates import Estimate, SimulatedLatency, from_batches, proportion, ratio
from scaling_models.montecarlo.kernels.crashes import Crashed, Crashes, false_elections
from scaling_models.montecarlo.kernels.disruptions import disruptions, follower_pauses, leader_pauses
from scaling_models.montecarlo.progress import progress
from scaling_models.montecarlo.streams import checked_requests, stream
from scaling_models.quorums.disturbances import TOGETHER, Disturbances
from scaling_models.quorums.group import DAY
from scaling_models.quorums.replay import Replay, replay, swim_lanes

BATCHES, TRIALS = 64, 16  # of a simulation; runs of heartbeats a crash
KEPT = 20_000_000  # crashes of a simulation: its times take 640 MB
FEWER = 4  # disruptions than crashes
NEAR = 0.2  # of the time shown: marks that are nearer have one label

BEHIND, IN_STEP = "a follower's log is behind", "ticks in step"


class Election(Disturbances):
    """A leader of a Raft group is gone; its followers' randomised timers elect the next.

    The last heartbeat starts all timers, U(a, a + R), or of so many whole ticks (etcd: 10 to 19 ticks of a heartbeat,
    of free phases, so U(0.9, 1.9) s). The first to fire asks for votes; others that fire before its request reaches
    them split the term, P = P(Bin(s, l / R) >= s - floor(n / 2)). Downtime = heartbeat's flight + time until the winner
    stands + votes + announcement - U(0, H), see `time_to_stand`. Where etcd's members check the quorum they also ignore
    a candidate that fires before they have counted the least number of ticks, which costs every tenth crash of three
    members a second term. Ongaro, Consensus: Bridging Theory and Practice (2014), chapters 3, 4.2.3 and 9.
    """

    headline: ClassVar[str] = "downtime"
    verified_with: ClassVar[int] = 200_000
    violations: ClassVar[tuple[str, ...]] = (BEHIND, IN_STEP)
    _assumptions: ClassVar[tuple[Assumption, ...]] = (
        Assumption("all followers' logs are equally new", "optimistic: one that is behind cannot win, and may split"),
        Assumption("ticks of the members have free phases", "in step nobody refuses, and ties split the votes instead"),
        Assumption("heartbeats are lost independently", "optimistic if a partition loses many in a row"),
        Assumption("members pause independently", "optimistic if they share a host, or a disk"),
        Assumption(
            "a follower who wakes looks at its clock first, one who counts ticks hears the leader first",
            "pessimistic for clocks where heartbeats that wait are read first",
        ),
        Assumption("a leader that wakes while others vote stays away", "optimistic: it may delay those who refuse"),
        Assumption(
            "clients find each new leader after the same time", "a downtime does not count it, the unavailability does"
        ),
        Assumption("leaders crash one at a time", "optimistic if a zone fails, or the quorum is lost"),
    )

    @classmethod
    def example(cls) -> Self:
        """Five members whose terms often split, with continuous timers."""
        return cls(
            members=5,
            heartbeat=0.1,
            timeout=0.3,
            timers="continuous",
            one_way=Deterministic(0.020),
            loss=0.005,
            mtbf=DAY,
        )

    def simulate(self, requests: int = 200_000, seed: int = 0, *, violating: str | None = None) -> Simulation:
        """So many crashes, event by event, see `montecarlo.kernels.elections`; and runs of lost heartbeats."""
        broken = self.known_violation(violating)
        crashes = self.crashes(int(broken == BEHIND and self.alive > self.majority), broken == IN_STEP)
        checked_requests(self, requests, most=KEPT)
        if not self.electable:
            raise ValueError(
                f"Election has {self.alive} of {self.members} members left: it is simulated where a majority is"
            )
        size = -(-requests // BATCHES)
        runs = [crashes.play(size, stream(seed, 1, i)) for i in progress(range(BATCHES), "elections")]
        downtime, fires, first, majority, terms = (np.stack(part) for part in zip(*runs, strict=True))
        unheard = self._simulated_losses(size, seed)
        pauses = [self._simulated_pauses(crashes, run, size, stream(seed, 4, i)) for i, run in enumerate(runs)]
        replaced, woken, idle = np.array(pauses).T
        taken, stood = proportion(replaced, fires.size), proportion(woken, fires.size)
        cost = from_batches(
            [disruptions(crashes, -(-size // FEWER), stream(seed, 5, i)).mean() for i in range(BATCHES)]
        )
        standing = (unheard, scaled(stood, self.pauses * self.alive))
        found = idle + self.rediscovery * replaced
        adds = sum(each.value for each in standing) * (cost.value + self._found_again) / DAY
        alone = from_batches((downtime.mean(axis=1) + self.rediscovery) / self.mtbf + self.pauses / DAY * found)
        needless = [scaled(each, (cost.value + self._found_again) / DAY) for each in standing]
        spent = scaled(cost, sum(each.value for each in standing) / DAY)
        return Simulation(
            self,
            requests,
            seed,
            downtime=SimulatedLatency(downtime),
            first_timeout=SimulatedLatency(first),
            time_to_majority=SimulatedLatency(majority),
            probability_of_split=proportion((terms > 1).mean(axis=1), terms.size),
            terms=from_batches(terms.mean(axis=1)),
            probability_of_replacement=taken,
            disruption=cost,
            false_elections=together(*standing, scaled(taken, self.pauses)),
            **({"unavailability": together(alone, *needless, around=spent)} if alone.value + adds < TOGETHER else {}),
        )

    def _simulated_losses(self, size: int, seed: int) -> Estimate:
        """Followers who stand because they miss heartbeats, a day."""
        numbers, weights = self.misses
        found = []
        for i in range(BATCHES):
            rng = stream(seed, 2, i)
            found.append(false_elections(rng.choice(numbers, size=TRIALS * size, p=weights), self.loss, rng))
        events, beats = np.array(found, dtype=float).T
        return ratio(events, beats, self.alive * DAY / self.heartbeat)

    def _simulated_pauses(
        self, crashes: Crashes, run: Crashed, size: int, rng: np.random.Generator
    ) -> tuple[float, float, float]:
        """Shares of the leader's and of a follower's pauses that end in an election, and how long nobody leads (s)."""
        replaced, idle = leader_pauses(crashes, run, self.pause, rng)
        woken = 0.0 if self.ticked else float(follower_pauses(crashes, self.pause, size, rng).mean())
        return float(replaced.mean()), woken, float(idle.mean())

    def _replayed(self, seed: int) -> Replay:
        if not self.electable:
            raise ValueError(f"Election has {self.alive} of {self.members} members left: no majority, and no failover")
        return replay(self, seed)

    def _says(self, shown: Replay) -> str:
        how = "the first term elects nobody" if shown.terms > 1 else "elected in the first term"
        return f"{units.human(shown.over, 's')} without a leader: {how}"

    def swim_lanes(self, seed: int = 0) -> SwimLanes:
        """One failover, for `figures.swim_lanes`; one whose first term elects nobody, if that happens."""
        shown = self._replayed(seed)
        return swim_lanes(shown, self._says(shown))

    def timeline(self, seed: int = 0) -> Timeline:
        """The same failover: whether there is a leader, and who stands when."""
        shown = self._replayed(seed)
        times = np.union1d(np.linspace(-0.2 * shown.over, 1.2 * shown.over, 400), [0.0, shown.over]) + 0.2 * shown.over
        crash = 0.2 * shown.over
        line = ((times < crash) | (times >= crash + shown.over)).astype(float)
        stands = [(crash + e.time, e.one + 2) for e in shown.events if e.kind == 0]
        stand = _stand(stands, NEAR * shown.over)
        marks = ((crash, "the leader crashes"), *stand, (crash + shown.over, "the next is at work"))
        return Timeline(self._says(shown), times, {"a leader is there": line}, "", marks)


def _stand(stands: Sequence[tuple[float, int]], near: float) -> Iterator[tuple[float, str]]:
    """Marks of the members who stand, one for those who do within `near` seconds of the first."""
    left = sorted(stands)
    while left:
        at = left[0][0]
        who = [str(member) for time, member in left if time < at + near]
        left = left[len(who) :]
        yield at, f"members {', '.join(who)} stand" if len(who) > 1 else f"member {who[0]} stands"


def scaled(found: Estimate, factor: float) -> Estimate:
    """An estimate times a number."""
    return Estimate(factor * found.value, factor * found.error, found.freedom)


def together(*parts: Estimate, around: Estimate | None = None) -> Estimate:
    """The sum of independent estimates; `around` errs besides."""
    errors = [part.error for part in parts] + ([around.error] if around else [])
    return Estimate(sum(part.value for part in parts), math.hypot(*errors), min(part.freedom for part in parts))
