"""Replicated keys whose reads go to the less loaded of a few copies."""

from __future__ import annotations

import dataclasses
import functools
from typing import ClassVar

from scaling_models.answers import EXACT, Accuracy, Assumption, Model, NoClosedForm, Simulation, Timeline, answer
from scaling_models.domains import Integer, Real
from scaling_models.latency import Distribution, Erlang, Exponential, Never, mixture
from scaling_models.montecarlo.streams import checked_requests
from scaling_models.parameters import Slider, parameter
from scaling_models.shards.formulas.replica_reads import least_hottest, occupancies
from scaling_models.shards.hotspot import HottestShare, check_replicas
from scaling_models.shards.placements import PLACEMENT, EvenHash, Placement
from scaling_models.shards.placements.placement import unevenness
from scaling_models.shards.popularities import POPULARITY, Popularity, Zipf
from scaling_models.shards.replica_twin import LANES, STALE, rising, simulated
from scaling_models.shards.shard_load import ShardLoad

USABLE, CLOSE = 0.15, 0.03  # errors
TAIL = 1.3  # how much more a quantile errs than the mean
HOT = 0.8  # what the hottest key alone may make of its nodes' capacity
FULL = 0.999  # a busy share
SOONEST = "few nodes, the reads of one key over its copies, and writes, which come to several nodes, make queues longer"
EVEN, UNEVEN = "nearly even shares of the key space", "far off where some nodes hold much more than others"
LEAST, MOST = (Accuracy("bound", 0.10, EVEN, side) for side in ("below", "above"))
MANY, FEW = 10, "fewer keys than ten a node: reads of single ones cannot be divided over more than their copies"
SLIGHT = 0.01  # squared coefficient of variation of the shares of the key space


class ReplicaReads(Model):
    """Each key (or whole shard) on R of N nodes; a read compares the queues of d of its copies and joins the shortest,
    a write goes to all. What that saves over copies drawn at random (d = 1: `hottest_at_random`, and `ShardLatency` for
    its time), and the limit of any choice, `hottest_balanced` (`least_hottest`).

    The time of a read is that of many nodes: it finds j or more requests with probability s_j^d, s_{j+1} = a s_j^d +
    b s_j (`occupancies`), and each takes an exponential service. Two copies do most of what all of them would. One key
    cannot be read faster than its R copies serve. Optimistic where single keys fill much of their nodes.
    """

    arrival_rate: float = parameter(
        default=1920.0,
        domain=Real(),
        unit="requests/s",
        symbol="X",
        about="reads and writes to all nodes together",
        slider=Slider(10, 4000, 10),
    )
    nodes: int = parameter(
        default=32, domain=Integer(1, 4096), unit="nodes", symbol="N", about="how many", slider=Slider(1, 256, 1)
    )
    popularity: Popularity = parameter(default=Zipf(100_000), domain=POPULARITY, about="how popular keys are")
    placement: Placement = parameter(default=EvenHash(), domain=PLACEMENT, about="how keys are put on nodes")
    replicas: int = parameter(
        default=3,
        domain=Integer(1, 100),
        unit="copies",
        symbol="R",
        about="nodes that hold each key",
        slider=Slider(1, 5, 1),
    )
    choices: int = parameter(
        default=2,
        domain=Integer(2, 100),
        unit="copies",
        symbol="d",
        about="copies that a read compares; all of them where there are fewer",
        slider=Slider(2, 5, 1),
    )
    write_share: float = parameter(
        default=0.0,
        domain=Real(0, 1, open_low=False),
        symbol="w",
        about="requests that write, to every copy",
        slider=Slider(0.0, 0.9, 0.05),
    )
    capacity: float = parameter(
        default=100.0,
        domain=Real(),
        unit="requests/s",
        symbol="μ",
        about="what one node can serve",
        slider=Slider(10, 1000, 10),
    )

    headline: ClassVar[str] = "latency"
    violations: ClassVar[tuple[str, ...]] = (STALE,)
    verified_with: ClassVar[int] = 200_000
    _assumptions: ClassVar[tuple[Assumption, ...]] = (
        Assumption("a read knows the queues of its copies at once", "optimistic if loads are seen late: reads herd"),
        Assumption("Poisson arrivals", "optimistic if requests come in bursts"),
        Assumption("exponential services of one server a node", "pessimistic if services vary less"),
        Assumption("every copy may be read", "optimistic if only some are up to date"),
    )

    @property
    def shards(self) -> int:
        """The nodes, as placements call them."""
        return self.nodes

    def _check(self) -> None:
        check_replicas(self)

    @property
    def work(self) -> float:
        """Requests at nodes per request."""
        return 1.0 - self.write_share + self.write_share * self.replicas

    @property
    def each_copy(self) -> float:
        """Of a key's requests, the part that each copy serves where reads are spread evenly."""
        return self.write_share + (1.0 - self.write_share) / self.replicas

    @property
    def compared(self) -> int:
        """The copies that a read compares."""
        return min(self.choices, self.replicas)

    @answer("", "busy share of a node on average; over one, some never keep up")
    def utilization(self) -> float:
        """X (1 - w + w R)/(N mu), times the popularity's work per request."""
        return self.arrival_rate * self.work * self.popularity.total / (self.nodes * self.capacity)

    @property
    def _hottest_key(self) -> float:
        """The busy share of each of its nodes that the hottest key makes alone, read evenly."""
        return float(self.popularity.top(1)[0]) * self.arrival_rate * self.each_copy / self.capacity

    @functools.cached_property
    def _error(self) -> float:
        """Envelope of what the formula was too low by in simulations, of its mean: 8 to 128 nodes, loads 0.2 to 0.92, 2
        to 5 copies and choices, up to 90% of writes, 1,000 to 100,000 keys of exponents 0 to 1.2 (66 systems)."""
        load = self.utilization
        reads = self.arrival_rate * (1.0 - self.write_share) / (self.capacity * self.replicas)
        hottest = self._hottest_key
        few = 0.1 * self.compared * load / (self.nodes * (1.0 - load))
        meeting = reads * self.popularity.sum_of_squares() * (1.0 + 1.5 * hottest**2)
        uneven = (self.nodes / self.replicas - 1.0) * self.popularity.sum_of_squares()
        writes = float(self.popularity.top(1)[0]) * self.arrival_rate * self.write_share / self.capacity
        hot = min(load + writes * (1.0 - self.replicas / self.nodes), FULL)  # its reads give way
        together = 0.3 * (self.replicas - 1.0) / max(self.nodes - 1.0, 1.0)  # a write comes to several nodes at once
        writing = self._written * (together + 2.0 * uneven / (1.0 - hot))
        return 0.003 + few + meeting + writing + self._unevenness

    @property
    def _written(self) -> float:
        """The busy share of a node that writes make."""
        return self.utilization * self.write_share * self.replicas / self.work

    @answer("s", "time of a read at the copy that it joins", Accuracy("within 15%", USABLE))
    def latency(self) -> Distribution:
        """Erlang(j + 1) with probability s_j^d - s_{j+1}^d. Never where more comes than all nodes can serve."""
        if self.utilization >= 1.0:
            return Never()
        if self.compared == 1 and self.nodes > 1:
            raise NoClosedForm("ReplicaReads has one copy of each key, and nothing to choose: see ShardLatency")
        if self.nodes > 1 and (TAIL * self._error > USABLE or self._hottest_key > HOT):
            raise NoClosedForm("ReplicaReads: hot keys, few nodes or uneven ones make its queues longer: simulate it")
        if self.compared == 1:
            return Exponential(1.0 / (self.capacity * (1.0 - self.utilization)))
        shares = occupancies(self.utilization - self._written, self._written, self.compared) ** self.compared
        weights = shares[:-1] - shares[1:]
        stages = [Erlang((j + 1) / self.capacity, j + 1) for j in range(len(weights))]
        return mixture((weights / weights.sum()).tolist(), stages)

    @answer("", "busy share of the hottest node where a read goes to a copy at random")
    def hottest_at_random(self) -> Distribution:
        """X/mu (1 - w + w R) times the hottest share of a placement of all copies."""
        law = HottestShare(self.nodes, self.popularity, self.placement, self.replicas)
        return law * (self.arrival_rate * self.work / self.capacity)

    @functools.cached_property
    def _least(self) -> float:
        """Requests at the hottest node per request to all, at least: what no choice can move, or `least_hottest`."""
        whole, fixed = self.popularity.total, 1.0 if self.replicas == 1 else self.write_share * self.replicas
        ideal = least_hottest(self.popularity.top(1)[0] / whole, self.nodes, self.replicas, self.write_share)
        if fixed == 0.0:
            return whole * float(ideal)
        known = self._placed.accuracy("effective_shards").error or 0.0
        return max(whole * float(ideal), fixed * self._placed.hottest_share.mean() * (1.0 - known))

    @functools.cached_property
    def _placed(self) -> ShardLoad:
        """All copies on their nodes, each with an even part of its key's requests."""
        return ShardLoad(self.nodes, self.popularity, self.placement, self.capacity, self.replicas)

    @answer("", "busy share of the hottest node, on average over placements, if reads were divided ideally", LEAST)
    def hottest_balanced(self) -> float:
        """X/mu times `least_hottest`; no less than what the writes alone, or reads of one copy, make on the hottest."""
        return self.arrival_rate * self._least / self.capacity

    @answer("requests/s", "throughput at which the hottest node (of mean share) saturates, copies read at random")
    def saturation_at_random(self) -> float:
        """mu/((1 - w + w R) E[hottest share])."""
        return self.arrival_rate / self.hottest_at_random.mean()

    @answer("requests/s", "throughput that no way to choose a copy can pass; choosing the shortest comes near", MOST)
    def saturation_balanced(self) -> float:
        """mu over what that is for each request."""
        return self.capacity / self._least

    def _accuracy(self, metric: str, level: float | None = None) -> Accuracy:
        """Of the latency by `_error`; at random as `ShardLoad` says; a bound is near where nodes hold equally much."""
        if metric == "latency" and self.nodes > 1 and self.utilization < 1.0:
            error = self._error * (1.0 if level is None else TAIL)
            return Accuracy("within 3%" if error <= CLOSE else "within 15%", error, f"optimistic: {SOONEST}")
        if metric in ("hottest_balanced", "saturation_balanced"):
            if self.nodes == self.replicas:
                return EXACT
            return self._of_bounds(super()._accuracy(metric, level))
        if metric in ("hottest_at_random", "saturation_at_random"):
            return self._placed.accuracy("hottest_share", level)
        return EXACT

    def _of_bounds(self, declared: Accuracy) -> Accuracy:
        """Of few keys, and on uneven nodes, reads cannot be divided as one likes: no worse than at random is sure."""
        uneven = self._unevenness >= SLIGHT
        if not uneven and (self.replicas == 1 or self.popularity.size >= MANY * self.nodes):
            return declared
        worst = self.work * self._placed.hottest_share.mean() / self._least - 1.0
        least, region = (1.0, UNEVEN) if uneven else (declared.error or 0.0, FEW)
        return dataclasses.replace(declared, error=max(worst, least), region=region)

    @property
    def _unevenness(self) -> float:
        return unevenness(self.placement, self.popularity, self.nodes, self.replicas)

    def simulate(self, requests: int = 200_000, seed: int = 0, *, violating: str | None = None) -> Simulation:
        """About `requests` reads on 40 placements, event by event; and the loads of these placements, read at random
        and to the copy that has had fewest. Exact but for chance.

        `violating` "loads seen late": queues are looked at every two mean services only. Raises `NotSettled` where a
        node may be full.
        """
        late = self.known_violation(violating) is not None
        wanted = checked_requests(self, requests, 2 * LANES, 10**8)
        return Simulation(self, requests, seed, **simulated(self, wanted, seed, late))

    def timeline(self, seed: int = 0) -> Timeline:
        """Traffic climbs for a minute, to all that the nodes could serve together: whose hottest node is full first?"""
        times, waiting, full = rising(self, seed)
        return Timeline(
            f"Read at random, the hottest node is full at {full:,.0f} requests/s; no choice of copies carries more "
            f"than {self.saturation_balanced:,.0f}",
            times,
            {f"requests waiting at the fullest node, {how}": each for how, each in waiting.items()},
            "requests",
        )
