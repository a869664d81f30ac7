"""A transaction over several consensus groups: two-phase commit, and the wait for the clock."""

from __future__ import annotations

import math
from typing import ClassVar

import numpy as np

from scaling_models.answers import Assumption, Model, Simulation, Timeline, answer
from scaling_models.domains import Choice, Integer, Real, Rows
from scaling_models.latency import LATENCY, Deterministic, Distribution, LogNormal, slowest
from scaling_models.montecarlo.estimates import Estimate, SimulatedLatency, from_batches
from scaling_models.montecarlo.kernels.group_commits import WAITS, GroupCommits, play
from scaling_models.montecarlo.progress import progress
from scaling_models.montecarlo.streams import checked_requests, stream
from scaling_models.parameters import Slider, parameter
from scaling_models.wording import short

BATCHES = 64
KEPT = 50_000_000  # commits of a simulation
TOGETHER = "groups slow together"
ANSWERS = ("decided", "prepared")


class GroupTransaction(Model):
    """Two-phase commit over consensus groups, one of which coordinates.

    The others commit a prepare record in parallel, each P = round trip + Q, Q a group's own commit; then the
    coordinator commits the decision: max(P_1 .. P_{m-1}) + Q. With clocks known to +- epsilon a commit wait of
    2 epsilon is overlapped with that commit, max(Q, 2 epsilon), or added to it. A single group commits at once: Q.
    All exact for independent times. Corbett and others, Spanner, OSDI 2012, section 4.2, whose text overlaps the wait
    and whose table 3 shows it added. Answering when all are prepared: Taft and others, CockroachDB, SIGMOD 2020,
    section 3.1 (parallel commits).
    """

    groups: int = parameter(
        default=3,
        domain=Integer(1, 1000),
        unit="groups",
        symbol="m",
        about="groups that a transaction touches, the coordinator's among them",
        slider=Slider(1, 50, 1),
    )
    commit: Distribution = parameter(
        default=LogNormal(0.008, 0.25), domain=LATENCY, unit="s", symbol="Q", about="a commit within a group"
    )
    round_trip: Distribution = parameter(
        default=0.001, domain=LATENCY, unit="s", about="from the coordinator to another group's leader and back"
    )
    far: tuple[Distribution, ...] = parameter(
        default=(),
        domain=Rows(LATENCY, least=0, most=50),
        unit="s",
        about="round trips to groups elsewhere, besides the others",
    )
    clock_error: float = parameter(
        default=0.004,
        domain=Real(open_low=False),
        unit="s",
        symbol="ε",
        about="how far a clock may be off, either way",
        slider=Slider(0.0, 0.02, 0.0005),
    )
    commit_wait: str = parameter(
        default="none", domain=Choice(WAITS), about="the wait for the clock: none, overlapped with the commit, or added"
    )
    answers_when: str = parameter(
        default="decided", domain=Choice(ANSWERS), about="when the client hears: decided, or once all are prepared"
    )

    violations: ClassVar[tuple[str, ...]] = (TOGETHER,)
    _assumptions: ClassVar[tuple[Assumption, ...]] = (
        Assumption("groups commit independently of each other", "pessimistic if they are slow together"),
        Assumption("no conflicts, no aborts, no queue for locks", "optimistic where transactions meet"),
        Assumption(
            "nobody fails between prepare and decision", "optimistic: a lost coordinator blocks its participants"
        ),
        Assumption("a group's commit does not depend on the load", "optimistic near saturation"),
    )

    def _check(self) -> None:
        for name, law in (("commit", self.commit), ("round_trip", self.round_trip)):
            if math.isinf(law.mean()):
                raise ValueError(f"GroupTransaction.{name} must have a finite mean; got {short(law)}")
        if self.commit.mean() == 0.0:
            raise ValueError(f"GroupTransaction.commit must take some time; got {short(self.commit)}")

    @property
    def _round_trips(self) -> tuple[Distribution, ...]:
        return (*(self.round_trip,) * (self.groups - 1), *self.far)

    @property
    def _decision(self) -> Distribution:
        wait = Deterministic(2.0 * self.clock_error)
        ways = {
            "none": lambda: self.commit,
            "overlapped": lambda: slowest(self.commit, wait),
            "added": lambda: self.commit + wait,
        }
        return ways[self.commit_wait]()

    @answer("s", "time until all participants have prepared; none for a single group")
    def prepared(self) -> Distribution:
        """The slowest of round trip + commit."""
        legs = [trip + self.commit for trip in self._round_trips]
        return slowest(*legs) if legs else Deterministic(0.0)

    @answer("s", "time from the commit's request to the client's answer")
    def latency(self) -> Distribution:
        """prepared + decision, or prepared where that is enough."""
        if not self._round_trips:
            return self._decision
        return self.prepared if self.answers_when == "prepared" else self.prepared + self._decision

    @answer("s", "time that the rows are locked, on average: until the decision, whatever the client hears")
    def lock_time(self) -> float:
        """E[prepared] + E[decision]."""
        return self.prepared.mean() + self._decision.mean()

    @answer("transactions/s", "most transactions that one row can take, each alone")
    def row_ceiling(self) -> float:
        """1 / E[lock time], whatever the number of groups."""
        return 1.0 / self.lock_time

    @answer("", "mean latency over that of a transaction in one group")
    def cost_of_spreading(self) -> float:
        """E[latency] / E[decision]."""
        return self.latency.mean() / self._decision.mean()

    def simulate(self, requests: int = 200_000, seed: int = 0, *, violating: str | None = None) -> Simulation:
        """Every message and every group's commit drawn.

        `violating` "groups slow together" gives all groups of a transaction the same commit time.
        """
        broken = self.known_violation(violating) is not None
        checked_requests(self, requests, BATCHES, most=KEPT // (len(self._round_trips) + 1))
        size = -(-requests // BATCHES)
        runs = [self._play(size, stream(seed, 1, i), together=broken) for i in progress(range(BATCHES), "transactions")]
        locked = from_batches([run.locked.mean() for run in runs])
        single = from_batches([self._alone(size, stream(seed, 2, i)) for i in range(BATCHES)])
        latency = SimulatedLatency(np.stack([run.visible for run in runs]))
        whole = latency.mean_estimate()
        spread = np.hypot(whole.error / whole.value, single.error / single.value)
        cost = whole.value / single.value
        return Simulation(
            self,
            requests,
            seed,
            prepared=SimulatedLatency(np.stack([run.prepared for run in runs])),
            latency=latency,
            lock_time=locked,
            row_ceiling=Estimate(1.0 / locked.value, locked.error / locked.value**2, locked.freedom),
            cost_of_spreading=Estimate(cost, float(cost * spread), single.freedom),
        )

    def _play(self, size: int, rng: np.random.Generator, *, together: bool = False) -> GroupCommits:
        return play(
            self.commit,
            self._round_trips,
            size,
            rng,
            clock=2.0 * self.clock_error,
            wait=self.commit_wait,
            visible_early=self.answers_when == "prepared",
            together=together,
        )

    def _alone(self, size: int, rng: np.random.Generator) -> float:
        return float(self.replace(groups=1, far=())._play(size, rng).locked.mean())

    def timeline(self, seed: int = 0) -> Timeline:
        """A transaction each 50 ms that touches one more group every second."""
        count, seconds = 20, 30
        rounds = [
            self.replace(groups=min(groups + 1, 1000))._play(count, stream(seed, 3, groups))
            for groups in range(seconds)
        ]
        times = np.arange(seconds * count) / count
        found = np.concatenate([each.visible for each in rounds])
        median = [float(np.median(each.visible)) for each in (rounds[0], rounds[-1])]
        return Timeline(
            f"Each further group is one more that may be slow: from {1e3 * median[0]:.1f} ms in one group to "
            f"{1e3 * median[1]:.1f} ms over {seconds}",
            times,
            {"latency": found},
            "s",
            ((1.0, "a second group: two rounds"),),
        )
