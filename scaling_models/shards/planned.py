"""Data and load that grow, and the limits of a shard: what a plan is told, and its simulated twin."""

from __future__ import annotations

import functools
import math
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from scaling_models.answers import Assumption, Model, Simulation
from scaling_models.domains import Choice, Integer, Real
from scaling_models.montecarlo.estimates import Estimate, SimulatedLatency
from scaling_models.montecarlo.kernels.counts import least_count
from scaling_models.montecarlo.kernels.placements import shard_loads
from scaling_models.montecarlo.streams import checked_requests
from scaling_models.parameters import Slider, parameter
from scaling_models.shards.bounds import Bound
from scaling_models.shards.formulas.counts import MOST
from scaling_models.shards.placements import PLACEMENT, EvenHash, Placement
from scaling_models.shards.popularities import POPULARITY, Popularity, UniformKeys, Zipf

BATCHES = 40
MOST_PLACEMENTS = 10_000
LIMITED = Real(0.0, math.inf, open_high=False)


class Planned(Model):
    """Base: what is stored, read and written today and in years to come, the limits of one shard, and the twin."""

    stored: float = parameter(
        default=1e12,
        domain=Real(),
        unit="bytes",
        symbol="D",
        about="data today, one copy",
        slider=Slider(1e9, 1e15, 0.25, log=True),
    )
    reads: float = parameter(
        default=30_000.0,
        domain=Real(open_low=False),
        unit="reads/s",
        symbol="r",
        about="reads today, all shards together",
        slider=Slider(0, 200_000, 1000),
    )
    writes: float = parameter(
        default=5000.0,
        domain=Real(open_low=False),
        unit="writes/s",
        symbol="w",
        about="writes today, all shards together",
        slider=Slider(0, 100_000, 500),
    )
    data_growth: float = parameter(
        default=0.5,
        domain=Real(open_low=False),
        unit="a year",
        symbol="g",
        about="how much the data grow: 0.5 is by half",
        slider=Slider(0, 3, 0.05),
    )
    load_growth: float = parameter(
        default=0.3,
        domain=Real(open_low=False),
        unit="a year",
        symbol="f",
        about="how much reads and writes grow",
        slider=Slider(0, 3, 0.05),
    )
    horizon: float = parameter(
        default=3.0,
        domain=Real(open_low=False),
        unit="years",
        symbol="H",
        about="how long the number is to hold",
        slider=Slider(0, 10, 0.5),
    )
    popularity: Popularity = parameter(default=Zipf(20_000, 0.8), domain=POPULARITY, about="how popular keys are")
    placement: Placement = parameter(default=EvenHash(), domain=PLACEMENT, about="how keys are put on shards")
    sure: float = parameter(
        default=0.9,
        domain=Real(0, 1),
        symbol="q",
        about="share of the placements whose hottest shard has to stay within the limits",
        slider=Slider(0.05, 0.95, 0.05),
    )
    storage_limit: float = parameter(
        default=500e9,
        domain=LIMITED,
        unit="bytes",
        about="the most that one shard stores; inf: no limit",
        slider=Slider(1e8, 1e14, 0.1, log=True),
    )
    read_limit: float = parameter(
        default=10_000.0,
        domain=LIMITED,
        unit="reads/s",
        about="the most that one shard reads; inf: no limit",
        slider=Slider(500, 100_000, 500),
    )
    write_limit: float = parameter(
        default=2500.0,
        domain=LIMITED,
        unit="writes/s",
        about="the most that one shard writes; inf: no limit",
        slider=Slider(500, 100_000, 500),
    )
    capacity: str = parameter(
        default="separate",
        domain=Choice(("separate", "shared")),
        about="reads and writes have a limit each, or share one: r / read limit + w / write limit up to 1",
    )
    used: float = parameter(
        default=0.7,
        domain=Real(0, 1, open_high=False),
        symbol="u",
        about="share of a limit that is planned to be used",
        slider=Slider(0.3, 1.0, 0.05),
    )
    most_shards: int = parameter(
        default=MOST, domain=Integer(1, MOST), unit="shards", about="how many there may be", slider=Slider(1, MOST, 1)
    )

    verified_with: ClassVar[int] = 200
    violations: ClassVar[tuple[str, ...]] = ("hot keys in pairs",)
    _assumptions: ClassVar[tuple[Assumption, ...]] = (
        Assumption("growth goes on at its rate", "optimistic if it speeds up"),
        Assumption("popularity stands still", "optimistic if hot keys change: each change deals the cards again"),
        Assumption("keys placed evenly and independently", "optimistic if neighbours share a shard, as in ranges"),
        Assumption("all keys are equally large", "optimistic if some are much larger"),
        Assumption("every read and every write costs the same", "optimistic if hot keys are also large"),
    )

    @functools.cached_property
    def _bounds(self) -> tuple[Bound, ...]:
        """Storage, reads and writes in the end; where they share a capacity, both as the part of it that they take."""
        load = (1.0 + self.load_growth) ** self.horizon
        equal = UniformKeys(self.popularity.size)
        stored = self.stored * (1.0 + self.data_growth) ** self.horizon
        storage = Bound("storage", "bytes", stored, self.used * self.storage_limit, self.data_growth, equal)
        if self.capacity == "shared":
            amount = self._shared() * load
            both = Bound("reads and writes", "shards' capacity", amount, self.used, self.load_growth, self.popularity)
            return (storage, both, both)
        law = (self.load_growth, self.popularity)
        reads = Bound("reads", "reads/s", self.reads * load, self.used * self.read_limit, *law)
        return (storage, reads, Bound("writes", "writes/s", self.writes * load, self.used * self.write_limit, *law))

    def _shared(self) -> float:
        """How many shards the load would keep busy, were it spread evenly."""
        return self.reads / self.read_limit + self.writes / self.write_limit

    @property
    def _planned(self) -> int:
        """How many shards there are to be."""
        raise NotImplementedError

    def simulate(self, requests: int = 200, seed: int = 0, *, violating: str | None = None) -> Simulation:
        """`requests` placements of all keys, drawn for one number of shards after another.

        `violating` "hot keys in pairs" puts two keys that follow each other in popularity on a shard as one.
        """
        together = 2 if self.known_violation(violating) is not None else 1
        count = checked_requests(self, requests, BATCHES, MOST_PLACEMENTS) // BATCHES * BATCHES
        kept: dict[tuple[Popularity, int], NDArray[np.float64]] = {}

        def place(keys: int, shards: int, rng: np.random.Generator) -> NDArray[Any]:
            return np.repeat(self.placement.place(-(-keys // together), shards, rng), together)[:keys]

        def drawn(popularity: Popularity, shards: int) -> NDArray[np.float64]:
            if (popularity, shards) not in kept:
                own = np.random.SeedSequence(seed, spawn_key=(shards, int(popularity == self.popularity)))
                loads = shard_loads(popularity.shares(), shards, place, count, int(own.generate_state(1)[0]))
                kept[popularity, shards] = loads.max(axis=1)
            return kept[popularity, shards]

        def least(bound: Bound) -> Estimate:
            total = bound.popularity.total
            if bound.share >= total:
                return Estimate(1.0, 0.0, BATCHES - 1)
            first = max(2, math.ceil(total / bound.share))
            return least_count(lambda n: drawn(bound.popularity, n), bound.share, self.sure, first, MOST)

        each = [least(bound) for bound in self._bounds]
        return Simulation(
            self,
            count,
            seed,
            least_shards=max(each, key=float),
            storage_shards=each[0],
            read_shards=each[1],
            write_shards=each[2],
            hottest_share=SimulatedLatency(drawn(self.popularity, self._planned).reshape(BATCHES, -1)),
        )
