"""How long requests take on unevenly loaded shards."""

from __future__ import annotations

import functools
import math
from typing import Any, ClassVar

import numpy as np

from scaling_models.answers import Accuracy, Assumption, Model, Simulation, Timeline, answer
from scaling_models.domains import Integer, Real
from scaling_models.latency import Distribution, mixture, slowest
from scaling_models.montecarlo.arrays import Array, Indices
from scaling_models.montecarlo.estimates import NotSettled, SimulatedLatency, from_batches
from scaling_models.montecarlo.kernels.shards import sojourns
from scaling_models.montecarlo.streams import checked_requests, stream
from scaling_models.parameters import Slider, parameter
from scaling_models.shards.hotspot import REPLICAS, check_replicas
from scaling_models.shards.placements import PLACEMENT, EvenHash, Placement
from scaling_models.shards.popularities import POPULARITY, Popularity, Zipf
from scaling_models.shards.shard_time import shard_time
from scaling_models.shards.typical import typical_shares

GIVEN_LOADS = Accuracy("exact", 0.0, "for shards of these loads; the loads are those of a typical placement")
LANES = 40
RELAXATIONS = 6.0  # relaxation times of M/M/k, 1/(1 - sqrt(rho))^2 + k - 1 in requests, before the first that counts
MOST_STEPS = 20_000
HARDLY = 0.01  # of the mean shard's requests
MOST = 40_000_000  # times of three kinds: 1 GB


class ShardLatency(Model):
    """Requests for keys of unequal popularity on shards of one worker or several, services exponential (M/M/k): the
    time on the hottest shard, that of any request, sum_i s_i F_i(t), and that of a request to all shards, prod_i
    F_i(t), with F_i(t) = 1 - e^{-(mu - X s_i) t} of one worker (see `ShardTime` of several).

    The shards' shares s_i are those of a typical placement: the hottest has its quantile at `luck`, the others those of
    one shard's law at evenly spaced levels.
    """

    arrival_rate: float = parameter(
        default=800.0,
        domain=Real(),
        unit="requests/s",
        symbol="X",
        about="requests to all shards together",
        slider=Slider(10, 4000, 10),
    )
    shards: int = parameter(
        default=64, domain=Integer(1, 4096), unit="shards", symbol="N", about="how many", slider=Slider(1, 256, 1)
    )
    popularity: Popularity = parameter(default=Zipf(), domain=POPULARITY, about="how popular keys are")
    placement: Placement = parameter(default=EvenHash(), domain=PLACEMENT, about="how keys are put on shards")
    replicas: int = REPLICAS
    capacity: float = parameter(
        default=100.0,
        domain=Real(),
        unit="requests/s",
        symbol="μ",
        about="what all workers of one shard can serve",
        slider=Slider(10, 1000, 10),
    )
    luck: float = parameter(
        default=0.5,
        domain=Real(0, 1),
        symbol="q",
        about="of the placement: which share of placements has a hottest shard no hotter",
        slider=Slider(0.05, 0.95, 0.05),
    )
    workers: int = parameter(
        default=1,
        domain=Integer(1, 1000),
        unit="workers",
        symbol="k",
        about="requests that a shard serves at once",
        slider=Slider(1, 32, 1),
    )

    headline: ClassVar[str] = "latency"
    violations: ClassVar[tuple[str, ...]] = ("arrivals in bursts",)
    verified_with: ClassVar[int] = 80_000
    _assumptions: ClassVar[tuple[Assumption, ...]] = (
        Assumption("Poisson arrivals at each shard", "optimistic if requests come in bursts"),
        Assumption("exponential services", "pessimistic if services vary less"),
        Assumption("shards independent of each other", "pessimistic for a request to all if slow together"),
        Assumption("a typical placement", "optimistic for one that is less lucky: see `luck`"),
    )

    def _check(self) -> None:
        check_replicas(self)

    @property
    def _groups(self) -> tuple[Array, Indices]:
        """Shares of shards from the hottest down, and how many have each."""
        shares, numbers = typical_shares(self.shards, self.popularity, self.placement, self.luck, self.replicas)
        return np.array(shares), np.array(numbers)

    @functools.cached_property
    def _times(self) -> list[Distribution]:
        """The time on a shard of each group."""
        rates = self.arrival_rate * self._groups[0]
        return [shard_time(rate, self.capacity, self.workers) for rate in rates.tolist()]

    @answer("s", "time on the hottest shard, waiting included", GIVEN_LOADS)
    def hottest_latency(self) -> Distribution:
        """Of one worker exponential of mean 1/(mu - X s_1)."""
        return self._times[0]

    @answer("s", "time of a request, on whichever shard its key lies", GIVEN_LOADS)
    def latency(self) -> Distribution:
        """The mixture over shards, weighted by their shares."""
        shares, numbers = self._groups
        weights = shares * numbers
        asked = weights > 0.0
        times = [each for each, there in zip(self._times, asked, strict=True) if there]
        return mixture((weights[asked] / weights.sum()).tolist(), times)

    @answer("s", "time of a request that asks all shards and waits for the slowest", GIVEN_LOADS)
    def fan_out_latency(self) -> Distribution:
        """The slowest of all: prod F_i(t). The hottest sets its tail."""
        every = zip(self._times, self._groups[1].tolist(), strict=True)
        return slowest(*(each for each, number in every for _ in range(number)))

    @answer("", "busy share of the hottest shard", GIVEN_LOADS)
    def hottest_utilization(self) -> float:
        """X s_1 / mu; over one it never keeps up."""
        return float(self.arrival_rate * self._groups[0][0] / self.capacity)

    def simulate(self, requests: int = 200_000, seed: int = 0, *, violating: str | None = None) -> Simulation:
        """`requests` to every shard in 40 lanes, queue by queue, after as many as it takes to forget the start.

        `violating` "arrivals in bursts": hyperexponential gaps of squared coefficient of variation four.
        """
        bursts = self.known_violation(violating) is not None
        if LANES * self.shards * self.workers > MOST:
            raise ValueError(
                f"ShardLatency.simulate: {self.shards:,} shards of {self.workers:,} workers do not fit in memory"
            )
        steps = checked_requests(self, requests, 2 * LANES, MOST) // LANES
        load = self.hottest_utilization
        relaxation = 1.0 / (1.0 - math.sqrt(load)) ** 2 + self.workers - 1 if load < 1.0 else math.inf
        warm_up = math.ceil(min(RELAXATIONS * relaxation, MOST_STEPS + 1))
        if warm_up > MOST_STEPS:
            raise NotSettled(f"the load of the hottest shard is {load:.3g}: its queue does not settle")
        shares = np.repeat(*self._groups)
        rng = stream(seed, 0)
        found = sojourns(
            np.maximum(shares * self.arrival_rate, 1e-9 * self.capacity),
            lambda shape: rng.exponential(self.workers / self.capacity, shape),
            functools.partial(_bursts if bursts else _poisson, rng),
            lambda lanes: rng.choice(self.shards, lanes, p=shares / shares.sum()),
            LANES,
            warm_up,
            steps,
            self.workers,
        )
        return Simulation(
            self,
            requests,
            seed,
            hottest_latency=SimulatedLatency(found.first.T),
            latency=SimulatedLatency(found.chosen.T),
            fan_out_latency=SimulatedLatency(found.slowest.T),
            hottest_utilization=from_batches(found.busy),
        )

    def timeline(self, seed: int = 0) -> Timeline:
        """Traffic climbs for a minute, to what the median shard can just serve: the hottest falls behind before.

        The mean shard, where half of them have hardly any requests.
        """
        shares, numbers = self._groups
        each = np.repeat(shares, numbers)
        middle, mean = float(np.median(each)), float(each.mean())
        typical, middle = ("median", middle) if middle > HARDLY * mean else ("mean", mean)
        rng = stream(seed, 0)
        times = np.arange(0.0, 60.0, 0.25)
        most = self.capacity / middle
        offered = times / 60.0 * most
        lines: dict[str, Any] = {}
        marks: tuple[tuple[float, str], ...] = ()
        for name, share in (("hottest", each[0]), (typical, middle)):
            backlog, found = 0.0, []
            for rate in offered * share:
                backlog = max(backlog + float(rng.poisson(rate * 0.25)) - 0.25 * self.capacity, 0.0)
                found.append(backlog)
            lines[f"requests waiting at the {name} shard"] = np.array(found)
            full = 60.0 * self.capacity / (share * most) if share else math.inf
            if full < 60.0:
                marks = (*marks, (full, f"{name} shard full"))
        says = (
            f"The hottest shard is full at {self.capacity / each[0]:,.0f} requests/s, the {typical} one at {most:,.0f}"
        )
        return Timeline(says, times, lines, "requests", marks)


def _poisson(rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
    return rng.exponential(1.0, shape)


def _bursts(rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
    """Gaps of mean one and squared coefficient of variation four: two phases that each bring half of the time."""
    often = 0.5 * (1.0 + math.sqrt(0.6))
    rates = np.where(rng.random(shape) < often, 2.0 * often, 2.0 - 2.0 * often)
    return np.asarray(rng.exponential(1.0, shape) / rates)
