"""How many shards: the least number that holds for the years to come, and what binds it."""

from __future__ import annotations

import math
from typing import Any, ClassVar, Self

import numpy as np

from scaling_models.answers import EXACT, Accuracy, Simulation, Timeline, answer
from scaling_models.latency import Distribution
from scaling_models.montecarlo.kernels.placements import shard_loads
from scaling_models.shards.bounds import Bound, documented_limits
from scaling_models.shards.formulas.counts import fewest_shards, hottest_quantile
from scaling_models.shards.hotspot import HottestShare
from scaling_models.shards.planned import Planned
from scaling_models.shards.shard_load import ShardLoad
from scaling_models.units import human, number

YEAR = 365.25 * 86400.0
KNOWN = 0.02  # to which the hottest share is known
INEVITABLE = Accuracy("exact", 0.0, "one shard does, or no number does")


class ShardPlan(Planned):
    """The least number of shards of which the fullest stays within its limits until the horizon.

    A number N holds where D(H) s(N) <= u L for storage, reads and writes: D(H) = D (1 + g)^H is what there will be, L
    the limit of one shard, of which at most u is used, and s(N) the share of the hottest shard (`HottestShare`) that
    the fraction `sure` of all placements does not exceed; of storage all keys are equal. The largest N binds. No number
    holds where the hottest key alone passes a limit: D(H) p_1 > u L. `ShardPlan.of` takes the limits of a system.
    """

    headline: ClassVar[str] = "least_shards"
    bounded: ClassVar[str] = "number of shards"

    @classmethod
    def of(cls, system: str, **workload: Any) -> Self:
        """The plan within the documented limits of a system, such as "DynamoDB partition" (`data.system_limits`)."""
        return cls(**{**documented_limits(system), **workload})

    def _least(self, bound: Bound) -> float:
        return fewest_shards(bound.share, bound.popularity, self.placement, self.sure)

    @answer("shards", "the least number that stays within all limits until the horizon; inf: no number does")
    def least_shards(self) -> float:
        """The largest of what storage, reads and writes need."""
        wanted = max(self.storage_shards, self.read_shards, self.write_shards)
        return wanted if wanted <= self.most_shards else math.inf

    @answer("shards", "what storage alone needs")
    def storage_shards(self) -> float:
        """The least N with D(H) s(N) <= u L for keys of equal size."""
        return self._least(self._bounds[0])

    @answer("shards", "what reads alone need, or reads and writes where they share a capacity")
    def read_shards(self) -> float:
        """The least N with r(H) s(N) <= u L."""
        return self._least(self._bounds[1])

    @answer("shards", "what writes alone need, or reads and writes where they share a capacity")
    def write_shards(self) -> float:
        """The least N with w(H) s(N) <= u L."""
        return self._least(self._bounds[2])

    @answer("", "what the hottest key alone takes of a shard in the end; over one no number of shards will do")
    def key_floor(self) -> float:
        """The largest of D(H) p_1 / (u L)."""
        return max(bound.key for bound in self._bounds)

    @answer("shards", "the least number that stays within all limits today")
    def shards_today(self) -> float:
        """The same at horizon 0."""
        return self.least_shards if self.horizon == 0 else self.replace(horizon=0.0).least_shards

    @answer("", "share of the load on the hottest of the planned shards")
    def hottest_share(self) -> Distribution:
        """`HottestShare` of as many shards, or of the most there may be where no number holds."""
        return HottestShare(self._planned, self.popularity, self.placement)

    @property
    def _planned(self) -> int:
        return int(self.least_shards) if math.isfinite(self.least_shards) else self.most_shards

    @answer("years", "how long the planned number holds; where none does until the horizon, the most there may be")
    def lasts(self) -> float:
        """H + min log(u L / (D(H) s(N))) / log(1 + g), not before today; inf without growth."""
        return max(0.0, self.horizon + min(self._years_left(bound) for bound in self._bounds))

    def _years_left(self, bound: Bound) -> float:
        """After the horizon; negative where a limit is passed before."""
        share = hottest_quantile(self._planned, bound.popularity, self.placement, self.sure)
        room = math.log(bound.share / share) if 0.0 < bound.share < math.inf else math.inf
        if bound.growth == 0.0:
            return math.inf if room >= 0.0 else -math.inf
        return room / math.log1p(bound.growth)

    @property
    def binding(self) -> str:
        """What binds: storage, reads, writes, reads and writes, the hottest key, or the number of shards."""
        needs = [self.storage_shards, self.read_shards, self.write_shards]
        if max(needs) == 1.0:
            return "nothing"
        if math.isfinite(max(needs)):
            return "the number of shards" if max(needs) > self.most_shards else self._bounds[_last(needs)].name
        return "the hottest key" if self.key_floor > 1.0 else "the number of shards"

    @property
    def says(self) -> str:
        """The answer in a sentence."""
        for_so_long = f"for {number(self.horizon)} years" if self.horizon else "today"
        bounds = self._bounds[:2] if self.capacity == "shared" else self._bounds
        needs = [self.storage_shards, self.read_shards, self.write_shards][: len(bounds)]
        each = ", ".join(f"{bound.name} {_whole(need)}" for bound, need in zip(bounds, needs, strict=True))
        if self.binding == "the hottest key":
            worst = max(bounds, key=lambda bound: bound.key)
            took, most = human(worst.key * worst.most, worst.unit), human(worst.most, worst.unit)
            return (
                f"No number of shards holds {for_so_long}: the hottest key alone takes {took} ({worst.name}) where a "
                f"shard has {most}; split it, cache it, or put it elsewhere"
            )
        if math.isinf(self.least_shards):
            return f"No number up to {self.most_shards:,} shards holds {for_so_long}; needed are: {each}"
        shown = "1 shard holds" if self.least_shards == 1 else f"{_whole(self.least_shards)} shards hold"
        return f"{shown} {for_so_long}, and {self.binding} bind{_s(self.binding)}; needed are: {each}"

    def _accuracy(self, metric: str, level: float | None = None) -> Accuracy:
        """Numbers of shards to one more or less: as the hottest share is known, and by whole shards."""
        if metric == "hottest_share":
            return ShardLoad(self._planned, self.popularity, self.placement).accuracy(metric, level)
        if metric == "key_floor":
            return EXACT
        if metric == "lasts":
            return self._of_years()
        found = getattr(self, metric)
        if found == 1.0 or math.isinf(found):
            return INEVITABLE
        return _within(KNOWN + 1.0 / found, "one shard more or less, and the hottest share is known to 2%")

    def simulate(self, requests: int = 200, seed: int = 0, *, violating: str | None = None) -> Simulation:
        """As `Planned.simulate`. Raises ValueError where no number of shards holds."""
        if math.isinf(self.least_shards):
            raise ValueError(f"ShardPlan.simulate: {self.says}")
        return super().simulate(requests, seed, violating=violating)

    def _of_years(self) -> Accuracy:
        """What an error of the hottest share makes of the years."""
        growths = [bound.growth for bound in self._bounds if bound.growth > 0.0]
        if not growths or math.isinf(self.lasts) or self.lasts == 0.0:
            return EXACT
        return _within(KNOWN / math.log1p(min(growths)) / self.lasts, "as far as the hottest share is known, to 2%")

    def timeline(self, seed: int = 0) -> Timeline:
        """The years go by on one placement: what suffices today beside what is planned."""
        years = np.linspace(0.0, max(self.horizon, 1.0), 121)
        today = self.replace(horizon=0.0)
        if math.isinf(today.least_shards):
            raise ValueError(f"ShardPlan.timeline: {today.says}")
        counts = {"as many as today needs": int(today.least_shards), "as many as planned": self._planned}
        lines: dict[str, Any] = {}
        marks: tuple[tuple[float, str], ...] = ()
        for name, shards in counts.items():
            fullest = np.zeros(len(years))
            for place, bound in enumerate(today._bounds):
                share = float(
                    shard_loads(bound.popularity.shares(), shards, self.placement.place, 1, seed + place).max()
                )
                fullest = np.maximum(fullest, share / bound.share * self.used * (1.0 + bound.growth) ** years)
            lines[f"{name}: {shards:,}"] = fullest
            over = years[fullest > self.used]
            if over.size:
                marks = (*marks, (YEAR * float(over[0]), f"{shards:,} shards pass what was planned"))
        return Timeline(self.says, YEAR * years, lines, "", marks)


def _last(needs: list[float]) -> int:
    """The place of the largest: of equal ones the first."""
    return needs.index(max(needs))


def _s(name: str) -> str:
    return "s" if name in ("storage", "nothing") or name.startswith("the ") else ""


def _within(error: float, region: str) -> Accuracy:
    label = "within 3%" if error <= 0.03 else "within 15%" if error <= 0.15 else "bound"
    return Accuracy(label, error, region)


def _whole(shards: float) -> str:
    """A number of shards to the last one: a bound that is rounded down would not hold."""
    return f"{shards:,.0f}" if math.isfinite(shards) else number(shards)
