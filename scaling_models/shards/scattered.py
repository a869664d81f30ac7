"""Shards that are asked all at once by queries, beside requests of their own: what a leg sees, and the twin."""

from __future__ import annotations

import functools
import math
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from scaling_models.answers import Assumption, Model, Simulation
from scaling_models.domains import Choice, Integer, Real
from scaling_models.latency import Distribution, Hedge
from scaling_models.montecarlo import settling
from scaling_models.montecarlo.estimates import NotSettled, SimulatedLatency, proportion
from scaling_models.montecarlo.kernels.scatters import Shard, hedged_responses, leg_responses
from scaling_models.montecarlo.streams import checked_requests, stream
from scaling_models.parameters import Slider, parameter
from scaling_models.shards.placements import PLACEMENT, EvenHash, Placement
from scaling_models.shards.popularities import POPULARITY, Popularity, Zipf
from scaling_models.shards.shard_time import shard_time
from scaling_models.shards.typical import Groups, typical_shares

Array = NDArray[np.float64]
TAIL = 0.99  # the level of a leaf's own tail
BATCHES = 40  # half of them begin empty, half overfull
KEPT = 10_000_000  # legs of a simulation, and arrivals at one shard
RELAXATIONS = 8.0  # relaxation times of the hottest shard that are left out
MOST_LOAD = 0.995
BURST = 4.0  # queries that come together, where bursts are shown
ROUNDS = 200  # of the fixed point of copies


class Scattered(Model):
    """Base: queries to all of `shards`, which have requests of their own; and the simulated twin."""

    throughput: float = parameter(
        default=5000.0,
        domain=Real(open_low=False),
        unit="requests/s",
        symbol="X",
        about="requests for single keys, to all shards together",
        slider=Slider(0, 40_000, 500),
    )
    query_rate: float = parameter(
        default=20.0,
        domain=Real(),
        unit="queries/s",
        symbol="λ",
        about="queries to all shards",
        slider=Slider(1, 1000, 1),
    )
    shards: int = parameter(
        default=16,
        domain=Integer(1, 1000),
        unit="shards",
        symbol="n",
        about="how many shards a query asks: all",
        slider=Slider(1, 128, 1),
    )
    loads: str = parameter(
        default="placed",
        domain=Choice(("placed", "equal")),
        about="the shards' shares are those of a placement of unequally popular keys, or all equal",
    )
    popularity: Popularity = parameter(default=Zipf(), domain=POPULARITY, about="how popular keys are")
    placement: Placement = parameter(default=EvenHash(), domain=PLACEMENT, about="how keys are put on shards")
    luck: float = parameter(
        default=0.5,
        domain=Real(0, 1),
        symbol="q",
        about="of the placement: which share of placements has a hottest shard no hotter",
        slider=Slider(0.05, 0.95, 0.05),
    )
    capacity: float = parameter(
        default=1000.0,
        domain=Real(),
        unit="requests/s",
        symbol="μ",
        about="what all workers of one shard can serve",
        slider=Slider(100, 10_000, 100),
    )
    workers: int = parameter(
        default=1,
        domain=Integer(1, 1000),
        unit="workers",
        symbol="w",
        about="requests that a shard serves at once",
        slider=Slider(1, 32, 1),
    )
    needed: int = parameter(
        default=0,
        domain=Integer(0, 1000),
        unit="shards",
        symbol="k",
        about="answers that a query waits for; 0: all of them",
        slider=Slider(0, 128, 1),
    )
    deadline: float = parameter(
        default=0.010,
        domain=Real(),
        unit="s",
        symbol="d",
        about="when one answers with whatever has come",
        slider=Slider(0.001, 1.0, 0.05, log=True),
    )
    hedge_after: float = parameter(
        default=0.0,
        domain=Real(open_low=False),
        unit="s",
        symbol="h",
        about="when a leg without an answer is sent again, to another replica; 0: never",
        slider=Slider(0.0, 0.1, 0.001),
    )

    verified_with: ClassVar[int] = 20_000
    violations: ClassVar[tuple[str, ...]] = ("queries in bursts",)
    _assumptions: ClassVar[tuple[Assumption, ...]] = (
        Assumption("the legs of a query are independent", "pessimistic: they meet the same queries, late together"),
        Assumption("Poisson arrivals of queries and of requests", "optimistic if they come in bursts"),
        Assumption("exponential services, as long for legs as for requests", "optimistic if scans take longer"),
        Assumption("the loads of a typical placement", "optimistic for one that is less lucky: see `luck`"),
        Assumption("nothing is cancelled", "pessimistic if answers that nobody waits for are cancelled"),
    )

    def _check(self) -> None:
        if self.needed > self.shards:
            owner = type(self).__name__
            raise ValueError(f"{owner}.needed must lie in [0, {self.shards}], the shards; got {self.needed}")

    @functools.cached_property
    def _groups(self) -> Groups:
        """Shares of the throughput from the hottest down, and how many shards have each."""
        if self.loads == "equal":
            return (self.popularity.total / self.shards,), (self.shards,)
        return typical_shares(self.shards, self.popularity, self.placement, self.luck)

    @functools.cached_property
    def _rates(self) -> tuple[float, ...]:
        """Requests and legs a second at a shard of each group, without copies."""
        return tuple(self.throughput * share + self.query_rate for share in self._groups[0])

    @functools.cached_property
    def _loaded(self) -> tuple[float, ...]:
        """The same with copies: each rate is that at which as many copies are sent as come."""
        return tuple(self._with_copies(rate) for rate in self._rates) if self.hedge_after else self._rates

    def _with_copies(self, rate: float) -> float:
        """The least root of r = rate + lambda P(T_r > h); the capacity where there is none below."""
        total = rate
        for _ in range(ROUNDS):
            if total >= self.capacity:
                return self.capacity
            late = float(shard_time(total, self.capacity, self.workers).ccdf(self.hedge_after))
            before, total = total, rate + self.query_rate * late
            if abs(total - before) < 1e-13 * total:
                break
        return total

    @functools.cached_property
    def _legs(self) -> tuple[Distribution, ...]:
        """The time of a leg to a shard of each group."""
        times = [shard_time(rate, self.capacity, self.workers) for rate in self._loaded]
        hedged = self.hedge_after > 0.0
        return tuple(Hedge(time, self.hedge_after) if hedged and not time.lost else time for time in times)

    @property
    def _load(self) -> float:
        """The busy share of the hottest shard, copies included."""
        return max(self._loaded) / self.capacity

    @property
    def _common(self) -> float:
        """Queries over all that comes to a mean shard: what the legs of a query have in common."""
        mean = math.fsum(rate * n for rate, n in zip(self._rates, self._groups[1], strict=True)) / self.shards
        return self.query_rate / mean if self.shards > 1 else 0.0

    @property
    def _waited_for(self) -> int:
        return self.needed or self.shards

    def simulate(self, requests: int = 20_000, seed: int = 0, *, violating: str | None = None) -> Simulation:
        """`requests` queries in 40 runs, half from empty and half from overfull shards; queries are all shards' own.

        `violating` "queries in bursts": four at a time on average, as many a second.
        """
        bursts = self.known_violation(violating) is not None
        warm = self._warm_up()
        arrivals = KEPT / max(self.shards, max(self._loaded) / self.query_rate)  # at the hottest shard, held at once
        steps = checked_requests(self, requests, 2 * BATCHES, max(2 * BATCHES, int(arrivals))) // BATCHES
        queries = [self._queries(bursts, steps + warm, seed, side) for side in range(2 if self.hedge_after else 1)]
        legs = np.empty((self.shards, BATCHES, steps))
        twice = np.zeros((self.shards, BATCHES))
        rates = np.repeat(self._rates, self._groups[1])
        for shard, rate in enumerate(rates - self.query_rate):
            rng, place = stream(seed, 2, shard), self._shard(float(rate))
            if self.hedge_after:
                found, sent = hedged_responses(queries[0], queries[1], place, self.hedge_after, rng)
                twice[shard] = sent[:, warm:].mean(axis=1)
            else:
                found = leg_responses(queries[0], place, rng)
            legs[shard] = found[:, warm:]
        return self._simulation(legs, twice, seed)

    def _queries(self, bursts: bool, count: int, seed: int, side: int) -> Array:
        """When queries come (lanes, queries)."""
        rng = stream(seed, side)
        gaps = rng.standard_exponential((BATCHES, count)) / self.query_rate
        if bursts:
            gaps *= BURST * (rng.random(gaps.shape) < 1.0 / BURST)
        return np.cumsum(gaps, axis=1)

    def _shard(self, rate: float) -> Shard:
        """A shard in lanes of which half begin with twice the mean time on it to do."""
        time = shard_time(rate + self.query_rate, self.capacity, self.workers)
        backlog = np.where(np.arange(BATCHES) < BATCHES // 2, 0.0, 2.0 * time.mean())
        return Shard(rate, self.workers, self.workers / self.capacity, backlog)

    def _warm_up(self) -> int:
        """Queries that are left out: some relaxation times 1/(mu (1 - sqrt(rho))^2) of the hottest shard."""
        load = self._load
        if load > MOST_LOAD:
            raise NotSettled(f"the load of the hottest shard is {load:.4g}: its queue does not settle")
        relaxation = 1.0 / (self.capacity * (1.0 - math.sqrt(load)) ** 2) + self.workers / self.capacity
        return math.ceil(RELAXATIONS * relaxation * self.query_rate) + 1

    def _simulation(self, legs: Array, twice: Array, seed: int) -> Simulation:
        requests = legs[0].size
        latency = np.partition(legs, self._waited_for - 1, axis=0)[self._waited_for - 1]
        settling.check(SimulatedLatency(latency))
        one = np.take_along_axis(legs, stream(seed, 3).integers(self.shards, size=(1, *latency.shape)), axis=0)[0]
        tails = np.quantile(legs, TAIL, axis=(1, 2), keepdims=True)
        in_time = legs <= self.deadline
        return Simulation(
            self,
            requests,
            seed,
            latency=SimulatedLatency(latency),
            leg_latency=SimulatedLatency(one),
            hottest_latency=SimulatedLatency(legs[0]),
            answered=proportion(in_time.mean(axis=(0, 2)), requests),
            all_answered=proportion(in_time.all(axis=0).mean(axis=1), requests),
            slow_leaf=proportion((legs > tails).any(axis=0).mean(axis=1), requests),
            **({"hedged": proportion(twice.mean(axis=0), requests)} if self.hedge_after else {}),
        )
