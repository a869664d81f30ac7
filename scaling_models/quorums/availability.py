"""How often there is no quorum, for how long, and when for the first time."""

from __future__ import annotations

import functools
import math
from typing import ClassVar, Self

from scaling_models.answers import Accuracy, Assumption, Model, NoClosedForm, Simulation, Timeline, answer
from scaling_models.domains import Integer, Real
from scaling_models.latency import Deterministic, Distribution
from scaling_models.latency.passage import PassageTime
from scaling_models.montecarlo.kernels.outages import Cluster
from scaling_models.montecarlo.streams import checked_requests
from scaling_models.parameters import Slider, parameter
from scaling_models.quorums import outage_runs
from scaling_models.quorums.formulas.outages import Fleet, Outages, first_loss, outages
from scaling_models.quorums.formulas.sizes import flexible_size, majority_size

DAY, YEAR = 86400.0, 365.25 * 86400.0
MOST_STATES = 500  # of the chain until the first loss: a tenth of a second
MOST_EVENTS = 50_000_000  # failures and repairs that a simulation plays: minutes
TOGETHER = 0.2
TOGETHER_SAYS = "failures come together"


class QuorumAvailability(Model):
    """Replicas in zones: the share of the time without a quorum, and the time to the first loss of it.

    Replicas fail every `mtbf` and are repaired in `mttr` by a crew; zones fail as one, with all that is in them. A
    commit needs `commit_quorum` replicas with data, a failover the rest of all n votes and one. The chain of zones and
    failed replicas is reversible, so that its stationary law is a product, and the time to the first loss a sum of
    exponentials (`first_loss`). Exact. With no zone failing and a crew for all, P(Bin(n, A) < k).
    """

    replicas: int = parameter(
        default=5, domain=Integer(1, 15), symbol="n", about="all members, witnesses among them", slider=Slider(1, 9, 1)
    )
    commit_quorum: int = parameter(
        default=0,
        domain=Integer(0, 15),
        symbol="q",
        about="replicas with data that a commit needs; 0 is a majority of all members",
        slider=Slider(0, 9, 1),
    )
    witnesses: int = parameter(
        default=0,
        domain=Integer(0, 7),
        symbol="w",
        about="members that vote in elections only: they keep no data and acknowledge no write (arbiters)",
        slider=Slider(0, 3, 1),
    )
    zones: int = parameter(
        default=3,
        domain=Integer(1, 5),
        symbol="z",
        about="zones over which the members are spread, in turn, the witnesses last",
        slider=Slider(1, 3, 1),
    )
    mtbf: float = parameter(
        default=30.0 * DAY,
        domain=Real(),
        unit="s",
        symbol="MTBF",
        about="mean time that a replica is up (illustrative)",
        slider=Slider(DAY, 1000.0 * DAY, 0.1, log=True),
    )
    mttr: float = parameter(
        default=14400.0,
        domain=Real(),
        unit="s",
        symbol="MTTR",
        about="mean time of a repair (illustrative)",
        slider=Slider(60.0, 10.0 * DAY, 0.1, log=True),
    )
    crew: int = parameter(
        default=15,
        domain=Integer(1, 15),
        symbol="r",
        about="how many replicas are repaired at once",
        slider=Slider(1, 15, 1),
    )
    zone_mtbf: float = parameter(
        default=180.0 * DAY,
        domain=Real(),
        unit="s",
        about="mean time that a zone is up (illustrative)",
        slider=Slider(DAY, 10000.0 * DAY, 0.1, log=True),
    )
    zone_mttr: float = parameter(
        default=14400.0,
        domain=Real(),
        unit="s",
        about="mean time until a zone is back (illustrative)",
        slider=Slider(60.0, 10.0 * DAY, 0.1, log=True),
    )

    headline: ClassVar[str] = "time_to_loss"
    verified_with: ClassVar[int] = 1_000_000
    violations: ClassVar[tuple[str, ...]] = (TOGETHER_SAYS,)
    _assumptions: ClassVar[tuple[Assumption, ...]] = (
        Assumption("nothing but a zone fails together", "optimistic if a bad deploy or an expired key takes all down"),
        Assumption("exponential times up and of repair", "optimistic for the first loss if failures come in clusters"),
        Assumption("a failure is noticed at once, and a replica that is back has caught up", "optimistic otherwise"),
        Assumption("the leader's elections take no time", "optimistic: add what a failover takes to every crash"),
    )

    @classmethod
    def example(cls) -> Self:
        """So unreliable, and so short of hands, that a simulation sees many losses."""
        return cls(mtbf=10.0 * DAY, mttr=DAY, crew=2, zone_mtbf=60.0 * DAY, zone_mttr=DAY)

    def _check(self) -> None:
        if self.witnesses >= self.replicas:
            raise ValueError(
                f"QuorumAvailability.witnesses must lie in [0, {self.replicas - 1}], fewer than the replicas; "
                f"got {self.witnesses}"
            )

    def _accuracy(self, metric: str, level: float | None = None) -> Accuracy:
        """Exact; the time to the first loss where its chain is not too large."""
        if metric == "time_to_loss" and self._too_large:
            self._answer(metric)
            return Accuracy("simulated", None, f"more than {MOST_STATES} states with a quorum")
        return super()._accuracy(metric, level)

    @property
    def commit(self) -> int:
        """How many replicas with data a commit needs."""
        return self.commit_quorum or majority_size(self.replicas)

    @property
    def failover(self) -> int:
        """How many votes an election needs: the least that meet every commit quorum."""
        return flexible_size(self.replicas, min(self.commit, self.replicas))

    @property
    def zone_of(self) -> tuple[int, ...]:
        """The zone of each member; witnesses come last."""
        return tuple(i % self.zones for i in range(self.replicas))

    @functools.cached_property
    def fleet(self) -> Fleet:
        """The chain of failures and repairs."""
        data = self.replicas - self.witnesses
        zones = [
            (sum(z == zone for z in self.zone_of[:data]), sum(z == zone for z in self.zone_of[data:]))
            for zone in range(min(self.zones, self.replicas))
        ]
        return Fleet(
            tuple(zones), 1.0 / self.mtbf, 1.0 / self.mttr, self.crew, 1.0 / self.zone_mtbf, 1.0 / self.zone_mttr
        )

    @functools.cached_property
    def outages(self) -> Outages:
        """The share of the time without a commit quorum, and how often that begins."""
        return outages(self.fleet, self.commit)

    @property
    def impossible(self) -> bool:
        """Whether a commit needs more replicas with data than there are."""
        return self.commit > self.replicas - self.witnesses

    @functools.cached_property
    def _too_large(self) -> bool:
        return bool((self.fleet.up[False] >= self.commit).sum() > MOST_STATES)

    @answer("s", "time from all up until for the first time no commit quorum is up")
    def time_to_loss(self) -> Distribution:
        """First passage of the chain; at once where there is never a quorum."""
        if self.impossible:
            return Deterministic(0.0)
        if self._too_large:
            raise NoClosedForm(
                f"QuorumAvailability has more than {MOST_STATES} states with a quorum: simulate it, or take fewer zones"
            )
        weights, rates = first_loss(self.fleet, self.commit)
        return PassageTime(tuple(weights.tolist()), tuple(rates.tolist()))

    @answer("", "share of the time that a commit quorum is up")
    def availability(self) -> float:
        """The chain's states with one, summed."""
        return self.outages.availability

    @answer("", "share of the time that no commit quorum is up")
    def unavailability(self) -> float:
        """The chain's states without one, summed."""
        return self.outages.unavailability

    @answer("", "share of the time that enough votes are up to elect a leader")
    def failover_availability(self) -> float:
        """The chain's states with the failover quorum, witnesses counted."""
        return outages(self.fleet, self.failover, witnesses=True).availability

    @answer("nines", "how many nines the availability has: minus log10 of the unavailability")
    def nines(self) -> float:
        """2 is 99%, 3 is 99.9%."""
        return max(0.0, -math.log10(self.unavailability)) if self.unavailability > 0 else math.inf

    @answer("s", "time without a commit quorum in a year")
    def downtime_a_year(self) -> float:
        """The unavailability of 365.25 days."""
        return self.unavailability * YEAR

    @answer("outages/year", "how often the commit quorum is lost")
    def outages_a_year(self) -> float:
        """The chain's flow from states with a quorum to states without."""
        return self.outages.frequency * YEAR

    @answer("s", "mean length of a time without a commit quorum")
    def mean_outage(self) -> float:
        """Unavailability over frequency."""
        return self.outages.unavailability / self.outages.frequency if self.outages.frequency > 0 else math.inf

    @answer("s", "time without a commit quorum in a year with two more replicas, all a majority")
    def downtime_with_two_more(self) -> float:
        """What a fifth replica buys three and a fourth. (One more alone buys a majority nothing.)"""
        if self.replicas > 13:
            raise NoClosedForm("QuorumAvailability has 15 replicas at most: two more cannot be asked for")
        return self.replace(replicas=self.replicas + 2, commit_quorum=0).downtime_a_year

    def cluster(self, violating: str | None = None) -> Cluster:
        """The replicas as they are played; `violating` as in `simulate`."""
        data = self.replicas - self.witnesses
        silent = tuple(i >= data for i in range(self.replicas))
        together = TOGETHER if self.known_violation(violating) else 0.0
        return Cluster(self.zone_of, silent, self.mtbf, self.mttr, self.crew, self.zone_mtbf, self.zone_mttr, together)

    def simulate(self, requests: int = 200_000, seed: int = 0, *, violating: str | None = None) -> Simulation:
        """`requests` failures and repairs, half of them until first losses and half over long stretches.

        Exact but for chance. With `violating` "failures come together" each replica that is up fails with one that
        fails, with probability 0.2. Raises ValueError where a loss takes too many failures and repairs.
        """
        checked_requests(self, requests, most=MOST_EVENTS)
        return Simulation(self, requests, seed, **outage_runs.played(self, self.cluster(violating), requests, seed))

    def timeline(self, seed: int = 0) -> Timeline:
        """A zone fails, and then replicas elsewhere one by one, until no commit quorum is left; then all come back."""
        return outage_runs.timeline(self, seed)
