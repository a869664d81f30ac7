"""Keys of unequal popularity on shards: how much of the load the hottest shard draws, and what that costs."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from scaling_models.answers import EXACT, Accuracy, Assumption, Model, Simulation, Timeline, answer
from scaling_models.domains import Integer, Real
from scaling_models.latency import Distribution
from scaling_models.montecarlo.estimates import Estimate, SimulatedLatency, from_batches
from scaling_models.montecarlo.kernels.placements import shard_loads
from scaling_models.montecarlo.streams import checked_requests
from scaling_models.parameters import Slider, parameter
from scaling_models.shards.hotspot import REPLICAS, HottestShare, ShareOfOne, check_replicas
from scaling_models.shards.placements import PLACEMENT, EvenHash, Placement
from scaling_models.shards.placements.placement import share_scv
from scaling_models.shards.popularities import POPULARITY, Popularity, Zipf

MEASURED = "exponents 0 to 2.5, 2 to 1,024 shards, 1,000 to 1,000,000 keys"
MEAN_ERROR = Accuracy("within 3%", 0.006, MEASURED)
QUANTILE_ERROR = Accuracy("within 3%", 0.02, MEASURED)
TAIL_ERROR = Accuracy("within 15%", 0.035, f"from p99 on: {MEASURED}")
SHARE_ERROR = Accuracy("within 3%", 0.005, "exponents 0 to 1.5, up to 500 shards; mean and variance are exact")
MEETING = Accuracy(
    "within 15%", 0.10, "levels near 1 - 1/shards: whether the two hottest keys meet decides, a gap apart"
)
FEW = 1000
FEW_MEAN = Accuracy("within 15%", 0.04, f"fewer than {FEW:,} keys")
FEW_QUANTILE = Accuracy("simulated", None, f"fewer than {FEW:,} keys: a quantile may be off by a whole key; simulate")
FEW_TOKENS, MANY_TOKENS = 10.0, 100.0  # on the whole ring, or shares over their squared coefficient of variation
LAW = "the law of this placement's shares is approximate: simulate for quantiles"
FEW_TOKENS_ERROR = Accuracy("within 15%", 0.08, "fewer than 10 random tokens on the ring")
SOME_TOKENS_MEAN = Accuracy("within 3%", 0.02, "10 to 100 random tokens on the ring, or copies and 10 a node")
SOME_TOKENS_ERROR = Accuracy("within 15%", 0.05, "10 to 100 random tokens on the ring, or copies and 10 a node")
NEIGHBOURS = "copies on few random tokens: neighbours share their loads, which is left out"
COPIES_MEAN = Accuracy("within 15%", 0.08, NEIGHBOURS)
COPIES_QUANTILE = Accuracy("simulated", None, f"{NEIGHBOURS}; simulate for quantiles")
BATCHES = 40
TOGETHER = 10  # neighbours, where keys are not placed independently
KEPT = 50_000_000  # shard loads of a simulation: 400 MB


class ShardLoad(Model):
    """Requests for keys of unequal popularity, the keys placed on shards: the law of one shard's share of the load,
    and of the hottest shard's (see `HottestShare`), for any placement, with or without copies of each key.

    The hottest shard saturates first: at throughput capacity / hottest share the service stops scaling, however
    many shards stand beside it; no number of shards beats capacity / share of the hottest key. Where a cache answers
    some requests, shares are still of all requests, and sum to less than one.
    """

    shards: int = parameter(
        default=64,
        domain=Integer(1, 10**6),
        unit="shards",
        symbol="N",
        about="how many shards",
        slider=Slider(1, 256, 1),
    )
    popularity: Popularity = parameter(default=Zipf(), domain=POPULARITY, about="how popular keys are")
    placement: Placement = parameter(default=EvenHash(), domain=PLACEMENT, about="how keys are put on shards")
    capacity: float = parameter(
        default=1000.0,
        domain=Real(),
        unit="requests/s",
        symbol="μ",
        about="what one shard can serve",
        slider=Slider(100, 10_000, 100),
    )
    replicas: int = REPLICAS

    headline: ClassVar[str] = "hottest_share"
    violations: ClassVar[tuple[str, ...]] = ("neighbours together",)
    verified_with: ClassVar[int] = 1000
    _assumptions: ClassVar[tuple[Assumption, ...]] = (
        Assumption(
            "keys placed evenly and independently", "optimistic if neighbouring keys share a shard, as in ranges"
        ),
        Assumption("popularity stands still", "optimistic if hot keys change: each change deals the cards again"),
        Assumption("every request costs the same", "optimistic if hot keys are also large"),
    )

    def _check(self) -> None:
        check_replicas(self)

    @answer("", "share of the load on one given shard", SHARE_ERROR)
    def share(self) -> Distribution:
        """Mean 1/N; CV^2 = (N - 1) sum p_k^2 where shares of the key space are even (see `ShareOfOne`)."""
        return ShareOfOne(self.shards, self.popularity, self.placement, self.replicas)

    @answer("", "share of the load on the hottest shard", QUANTILE_ERROR)
    def hottest_share(self) -> Distribution:
        """The largest of the N shares of a placement."""
        return HottestShare(self.shards, self.popularity, self.placement, self.replicas)

    @answer("times the mean", "load of the hottest shard over the mean shard's", QUANTILE_ERROR)
    def imbalance(self) -> Distribution:
        """N times the hottest share, over the work of all."""
        return self.hottest_share * (self.shards / self.popularity.total)

    @answer("shards", "how many evenly loaded shards would carry as much: one over the mean hottest share", MEAN_ERROR)
    def effective_shards(self) -> float:
        """1 / E[hottest share]."""
        return 1.0 / self.hottest_share.mean()

    @answer("requests/s", "throughput at which the hottest shard (of mean share) saturates", MEAN_ERROR)
    def saturation_throughput(self) -> float:
        """capacity / E[hottest share]."""
        return self.capacity * self.effective_shards

    @answer("requests/s", "throughput that no number of shards can pass: the hottest key fills a shard of its own")
    def throughput_ceiling(self) -> float:
        """capacity / p_1, times the copies."""
        return self.capacity * self.replicas / float(self.popularity.top(1)[0])

    def _accuracy(self, metric: str, level: float | None = None) -> Accuracy:
        """As declared; the mean of the hottest share is nearer than its quantiles, and few keys are rough."""
        declared = super()._accuracy(metric, level)
        if declared == EXACT or (declared == SHARE_ERROR and level is None) or self.shards == 1:
            error = self.popularity.total_error
            return Accuracy("within 3%", error, "what a cache leaves is summed over bins of rank") if error else EXACT
        if self.popularity.size < FEW or not self.popularity.ranks(FEW - 1, FEW)[0] > 0.0:  # or of so few asked for
            return FEW_QUANTILE if level is not None else FEW_MEAN
        return self._law_accuracy(declared, level) or self._chance_accuracy(declared, level)

    def _law_accuracy(self, declared: Accuracy, level: float | None) -> Accuracy | None:
        """Of a placement whose law of shares is approximate, or varies so much that the sum of all says too little."""
        few = self.placement.few_keys_error(self.shards, self.popularity.size * self.replicas)
        error = max(self.placement.law_error(self.shards, self.replicas), few)
        if error and level is None:
            return Accuracy("within 3%" if error <= 0.03 else "within 15%" if error <= 0.15 else "bound", error, LAW)
        if error:
            wide = self.placement.law_quantile_error(self.shards, self.replicas)
            if few or wide is None or declared == SHARE_ERROR or not 0.01 <= (level or 0.0) <= 0.99:
                return Accuracy("simulated", None, LAW)
            return Accuracy("bound", wide, f"p1 to p99; {LAW}")
        scv = share_scv(self.placement, self.shards, self.replicas)
        if self.replicas > 1 and self.placement.nodes(self.shards, self.replicas)[0].share.scv > 0.0:
            if scv * self.replicas > 1.0 / FEW_TOKENS:
                return COPIES_MEAN if level is None else COPIES_QUANTILE
            return SOME_TOKENS_MEAN if level is None else SOME_TOKENS_ERROR
        freedom = self.shards / max(scv, 1e-9)
        if freedom < FEW_TOKENS:
            return FEW_TOKENS_ERROR
        return (SOME_TOKENS_MEAN if level is None else SOME_TOKENS_ERROR) if freedom < MANY_TOKENS else None

    def _chance_accuracy(self, declared: Accuracy, level: float | None) -> Accuracy:
        if declared == SHARE_ERROR:
            return SHARE_ERROR
        if level is None:
            return MEAN_ERROR
        if abs((1.0 - level) * self.shards - 1.0) < 0.25:
            return MEETING
        return TAIL_ERROR if level >= 0.99 else QUANTILE_ERROR

    def simulate(self, requests: int = 400, seed: int = 0, *, violating: str | None = None) -> Simulation:
        """`requests` placements (40 at least), each of all the keys: exact but for chance.

        `violating` "neighbours together" puts ten keys that follow each other in popularity on a shard as one.
        """
        place = self._place if self.known_violation(violating) is None else self._neighbours
        count = checked_requests(self, requests, BATCHES, max(BATCHES, KEPT // self.shards)) // BATCHES * BATCHES
        loads = shard_loads(self.popularity.shares(), self.shards, place, count, seed)
        hottest = loads.max(axis=1).reshape(BATCHES, -1)
        mean = from_batches(hottest.mean(axis=1))
        effective = Estimate(1.0 / mean.value, mean.error / mean.value**2, mean.freedom)
        saturation = Estimate(self.capacity * effective.value, self.capacity * effective.error, mean.freedom)
        return Simulation(
            self,
            requests,
            seed,
            share=SimulatedLatency(loads.reshape(BATCHES, -1)),
            hottest_share=SimulatedLatency(hottest),
            imbalance=SimulatedLatency(hottest * (self.shards / self.popularity.total)),
            effective_shards=effective,
            saturation_throughput=saturation,
        )

    def _place(self, keys: int, shards: int, rng: np.random.Generator) -> NDArray[Any]:
        """The shards of keys, or of their copies."""
        if self.replicas == 1:
            return self.placement.place(keys, shards, rng)
        return self.placement.copies(keys, shards, self.replicas, rng)

    def _neighbours(self, keys: int, shards: int, rng: np.random.Generator) -> NDArray[Any]:
        """The shards of keys that are placed ten at a time."""
        return np.repeat(self._place(-(-keys // TOGETHER), shards, rng), TOGETHER, axis=0)[:keys]

    def timeline(self, seed: int = 0) -> Timeline:
        """Throughput grows steadily for a minute, to all that the shards could serve together: who is full first?"""
        loads = np.sort(shard_loads(self.popularity.shares(), self.shards, self._place, 1, seed)[0])
        times = np.linspace(0.0, 60.0, 241)
        offered = times / 60.0 * self.capacity * self.shards
        busy = {"hottest": loads[-1], "median": float(np.median(loads)), "coldest": loads[0]}
        full = 60.0 / (self.shards * loads[-1])
        at = self.capacity / loads[-1]
        return Timeline(
            f"The hottest shard is full at {at:,.0f} requests/s, {100 / (self.shards * loads[-1]):.0f}% of what the "
            f"{self.shards} shard{'s' if self.shards > 1 else ''} could serve together",
            times,
            {
                **{f"demand on the {name} shard": share * offered / self.capacity for name, share in busy.items()},
                "what it can serve": np.ones_like(times),
            },
            "times the capacity of a shard",
            ((float(full), "hottest shard full"),),
        )
