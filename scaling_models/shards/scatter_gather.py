"""A query that asks all shards and waits for the slowest, or for enough of them."""

from __future__ import annotations

import math

import numpy as np

from scaling_models.answers import EXACT, Accuracy, NoClosedForm, Timeline, answer
from scaling_models.latency import Distribution, KOfN, MeanOnly, Mixture, Never
from scaling_models.montecarlo.kernels.scatters import leg_responses
from scaling_models.montecarlo.streams import stream
from scaling_models.shards.scattered import TAIL, Scattered

MOSTLY = 0.75  # of the shards: what is nearly all of them
HARDLY, RARE, HALF = 0.02, 0.10, 0.50  # of what comes to a mean shard are queries
BUSY = 0.8  # the load up to which hedging was measured
GIVEN = Accuracy("exact", 0.0, "for shards of these loads; the loads are those of a typical placement")
EDGE = "1 to 128 shards, loads up to 0.9"
ALL_RARE = Accuracy("within 3%", 0.03, f"queries up to 10% of a shard's requests; {EDGE}")
ALL_RARE_LOW = Accuracy("within 15%", 0.10, f"below the median; {ALL_RARE.region}")
ALL_HALF = Accuracy("within 15%", 0.14, f"queries up to half of a shard's requests; {EDGE}")
ALL_HALF_LOW = Accuracy("bound", 0.50, f"an upper bound, below the median; {ALL_HALF.region}", "above")
ALL_MOST = Accuracy(
    "bound", 0.45, f"an upper bound: most requests are queries, which all shards share; {EDGE}", "above"
)
ALL_MOST_LOW = Accuracy("bound", 1.50, f"{ALL_MOST.region}; below the median", "above")
ENOUGH_MEAN = Accuracy("within 3%", 0.03, f"some shards of all; {ALL_RARE.region}")
ENOUGH_LEVEL = Accuracy("within 15%", 0.13, f"p5 to p99; {ENOUGH_MEAN.region}")
ENOUGH_TAIL = Accuracy("bound", 0.30, f"a lower bound beyond p99; {ENOUGH_MEAN.region}")
ENOUGH_ROUGH = Accuracy("within 15%", 0.13, f"its mean, some shards of all; {EDGE}")
HEDGED_MEAN = Accuracy("within 15%", 0.05, "hedged: queries up to 10% of a shard's requests, loads up to 0.8")
HEDGED_LEVEL = Accuracy("within 15%", 0.13, HEDGED_MEAN.region)
TOO_MANY = "copies of legs bring on more copies where the load is over 0.8 or over 10% of it are queries"
SLOWED, SLOW_FROM, SLOW_TO, LASTS = 0.5, 0.3, 0.6, 400  # of a timeline: the speed, when, and its queries


class ScatterGather(Scattered):
    """Queries that ask every one of `shards` and end with the `needed`-th answer, beside the shards' own requests.

    P(T <= t) = prod F_i(t) of all shards (k of n: at least k of the events): shard i has X s_i requests of its own a
    second, its share s_i of the throughput X, and every query; F_i is M/M/1's (or M/M/k's) time at that load. The
    hottest shard sets the tail, which the mean utilisation does not tell. Each F_i is exact (arrivals are Poisson).
    Legs are taken for independent, but have their queries in common: they are late together, so that the product is an
    upper bound of all quantiles (associated variables; Nelson and Tantawi 1988), and the nearer the rarer queries are.
    With `hedge_after`, a leg that has no answer by then is sent again to another replica, as busy as the first.
    Dean and Barroso, The Tail at Scale, 2013.
    """

    @answer("s", "time from a query's arrival to the last answer that is waited for")
    def latency(self) -> Distribution:
        """The k-th smallest of independent legs; all: prod F_i(t). The mean alone where that is all that holds."""
        self._refuse_cascades()
        every = zip(self._legs, self._groups[1], strict=True)
        legs = tuple(leg for leg, number in every for _ in range(number))
        if sum(leg.lost for leg in legs) > self.shards - self._waited_for:
            return Never()
        found = KOfN(self._waited_for, legs)
        if not self._partial or self._common <= (RARE if self._mostly else HARDLY):
            return found
        if self._common <= (HALF if self._mostly else RARE):
            return MeanOnly(found.mean())
        raise NoClosedForm("ScatterGather: legs have too much in common to tell when some have come: simulate it")

    @property
    def _partial(self) -> bool:
        return self._waited_for < self.shards

    @property
    def _mostly(self) -> bool:
        return self._waited_for >= MOSTLY * self.shards

    @property
    def _cascading(self) -> bool:
        """Whether copies may bring on more copies than the formula tells."""
        alone = self.query_rate / self._rates[-1]
        shared = self._common if self.shards > 1 else alone
        return self.hedge_after > 0.0 and (shared > RARE or self._load > BUSY) and self._load < 1.0

    def _refuse_cascades(self) -> None:
        if self._cascading:
            raise NoClosedForm(f"ScatterGather: {TOO_MANY}: simulate it")

    @answer("s", "time of one leg, to a shard drawn at random", GIVEN)
    def leg_latency(self) -> Distribution:
        """sum F_i(t) / n."""
        self._refuse_cascades()
        return self._legs[0] if len(self._legs) == 1 else Mixture(self._weights, self._legs)

    @property
    def _weights(self) -> tuple[float, ...]:
        return tuple(number / self.shards for number in self._groups[1])

    @answer("s", "time of the leg to the hottest shard", GIVEN)
    def hottest_latency(self) -> Distribution:
        """F_1(t)."""
        self._refuse_cascades()
        return self._legs[0]

    @answer("", "busy share of the hottest shard; over one it never keeps up", GIVEN)
    def hottest_utilization(self) -> float:
        """(X s_1 + lambda (1 + P(leg > h))) / mu."""
        self._refuse_cascades()
        return max(self._loaded[0], self._rates[0]) / self.capacity

    @answer("", "expected share of the shards that have answered by the deadline", GIVEN)
    def answered(self) -> float:
        """sum F_i(d) / n."""
        self._refuse_cascades()
        return math.fsum(w * float(leg.cdf(self.deadline)) for w, leg in zip(self._weights, self._legs, strict=True))

    @answer("", "probability that all shards have answered by the deadline")
    def all_answered(self) -> float:
        """prod F_i(d)."""
        self._refuse_cascades()
        return self._all_by(self.deadline)

    def _all_by(self, deadline: float) -> float:
        each = zip(self._legs, self._groups[1], strict=True)
        return math.prod(float(leg.cdf(deadline)) ** number for leg, number in each)

    @answer("", "probability that some leg takes longer than the p99 of its own shard")
    def slow_leaf(self) -> float:
        """1 - 0.99^n, whatever the loads."""
        return -math.expm1(self.shards * math.log(TAIL))

    @answer("", "share of the legs that are sent twice", GIVEN)
    def hedged(self) -> float:
        """sum P(first copy > h) / n; 0 without hedging."""
        self._refuse_cascades()
        if not self.hedge_after:
            return 0.0
        copies = [
            1.0 if rate >= self.capacity else min((total - rate) / self.query_rate, 1.0)
            for total, rate in zip(self._loaded, self._rates, strict=True)
        ]
        return math.fsum(w * share for w, share in zip(self._weights, copies, strict=True))

    def _accuracy(self, metric: str, level: float | None = None) -> Accuracy:
        """As measured beside the twin: the more requests are queries, the more have legs in common."""
        if metric == "latency" and self._load >= 1.0 and not self._partial:
            return EXACT
        if metric == "slow_leaf":
            return self._of_leaves()
        if metric == "all_answered":
            return self._by_deadline()
        if self.hedge_after:
            return HEDGED_MEAN if level is None and metric in ("leg_latency", "latency") else HEDGED_LEVEL
        if metric == "latency" and self.shards > 1:
            return self._of_some(level) if self._partial else self._of_all(level)
        return GIVEN

    def _of_all(self, level: float | None) -> Accuracy:
        low = level is not None and level < 0.5
        if self._common <= RARE:
            return ALL_RARE_LOW if low else ALL_RARE
        if self._common <= HALF:
            return ALL_HALF_LOW if low else ALL_HALF
        return ALL_MOST_LOW if low else ALL_MOST

    def _of_some(self, level: float | None) -> Accuracy:
        if level is None:
            near = self._common <= (RARE if self._mostly else HARDLY)
            return ENOUGH_MEAN if near else ENOUGH_ROUGH
        return ENOUGH_TAIL if level > TAIL else ENOUGH_LEVEL

    def _of_leaves(self) -> Accuracy:
        """An upper bound; measured up to 128 shards: off by less than what the queries are of all requests."""
        error = self._common
        label = (
            "exact" if error == 0.0 else "within 3%" if error <= 0.03 else "within 15%" if error <= 0.15 else "bound"
        )
        return Accuracy(label, error, "an upper bound: legs have queries in common", "above")

    def _by_deadline(self) -> Accuracy:
        """What the latency's own error makes of a probability; exact of one shard."""
        scale = HEDGED_LEVEL.error if self.hedge_after else self._of_all(0.25).error if self.shards > 1 else 0.0
        exact = self._all_by(self.deadline)
        low, high = (self._all_by(self.deadline * (1.0 + turn * (scale or 0.0))) for turn in (-1.0, 1.0))
        error = max(high - exact, exact - low) / max(exact, 1e-300)
        label = "exact" if not error else "within 3%" if error <= 0.03 else "within 15%" if error <= 0.15 else "bound"
        return Accuracy(label, error, "as far as the latency's own error goes")

    def timeline(self, seed: int = 0) -> Timeline:
        """The hottest shard works at half its speed for a while: every query waits for it."""
        if self._load >= 1.0:
            raise ValueError(
                f"the load of the hottest shard is {self._load:.3g}: its queue grows with nothing breaking"
            )
        queries = self._queries(False, LASTS, seed, 0)[:1]
        end = float(queries[0, -1])
        between = (SLOW_FROM * end, SLOW_TO * end)
        rates = np.repeat(self._rates, self._groups[1]) - self.query_rate
        shards = [self._shard(float(rate))._replace(backlog=np.zeros(1)) for rate in rates]
        found = [
            leg_responses(queries, shard, stream(seed, 4, i), between if i == 0 else None, 1.0 / SLOWED)[0]
            for i, shard in enumerate(shards)
        ]
        hottest, others = found[0], np.max(found[1:] or [np.zeros(LASTS)], axis=0)
        held = np.maximum(hottest, others)
        slow = (queries[0] >= between[0]) & (queries[0] <= between[1])
        usual, then = (1e3 * float(np.median(held[which])) for which in (queries[0] < between[0], slow))
        says = (
            f"The hottest of {self.shards} shards works at half its speed: the median query takes {then:.3g} ms "
            f"instead of {usual:.3g}"
        )
        lines = {"hottest shard": hottest, "slowest of the others": others}
        marks = ((between[0], "the hottest shard slows"), (between[1], "it recovers"))
        return Timeline(says, queries[0], lines, "s", marks)
