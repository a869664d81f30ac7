"""Transactions whose keys lie on several shards: what two-phase commit costs, and when sharding begins to pay."""

from __future__ import annotations

import math
from typing import ClassVar

import numpy as np

from scaling_models.answers import Accuracy, Assumption, Model, Simulation, Timeline, answer
from scaling_models.domains import Choice, Integer, Real
from scaling_models.latency import LATENCY, Distribution, Exponential, mixture
from scaling_models.montecarlo.estimates import Estimate, SimulatedLatency, from_batches, proportion
from scaling_models.montecarlo.kernels.transactions import aborts, place_keys, rounds
from scaling_models.montecarlo.progress import progress
from scaling_models.montecarlo.streams import checked_requests, stream
from scaling_models.parameters import Slider, parameter
from scaling_models.shards.formulas import transactions as formulas
from scaling_models.shards.formulas.transactions import meeting, shards_touched, throughput

BATCHES = 64
KEPT = 50_000_000  # keys of a simulation
MOST_RUNNING = 1_000_000  # keys of transactions that are drawn before the first that counts
LANES = 64  # of the transactions that meet, a batch
MOST_SHARDS = 10**6
MEETING = Accuracy("within 15%", 0.14, "aborts up to a half; 14% low for one key, 8% for two, 4% for ten")
RELATED = "keys lie near each other"
ROUNDING = 1e-12
TOGETHER = 0.5  # how often a key lies where the one before it does
WAYS = ("committed", "prepared")


class ShardTransactions(Model):
    """Transactions of k keys over N even shards, by two-phase commit where they touch more than one.

    P(cross) = 1 - N^(1 - k), shards touched N (1 - (1 - 1/N)^k), work W = P(one) + o (E[touched] - P(one)) in local
    transactions, throughput N mu / W; latency of m participants: the slowest of m prepares, and of m commits. Exact for
    keys placed evenly and independently. Aborts of optimistic transactions: see `formulas.transactions`.
    """

    shards: int = parameter(
        default=8, domain=Integer(1, MOST_SHARDS), unit="shards", symbol="N", about="how many", slider=Slider(1, 64, 1)
    )
    keys: int = parameter(
        default=2, domain=Integer(1, 100), unit="keys", symbol="k", about="of a transaction", slider=Slider(1, 20, 1)
    )
    local: float = parameter(
        default=0.0,
        domain=Real(0.0, 1.0, open_low=False, open_high=False),
        symbol="ℓ",
        about="share of the transactions that lie on one shard by design",
        slider=Slider(0.0, 1.0, 0.05),
    )
    overhead: float = parameter(
        default=2.0,
        domain=Real(),
        symbol="o",
        about="work of one of several participants, over that of a transaction on one shard",
        slider=Slider(0.5, 5.0, 0.25),
    )
    capacity: float = parameter(
        default=1000.0,
        domain=Real(),
        unit="transactions/s",
        symbol="μ",
        about="what one shard can serve, all local",
        slider=Slider(100.0, 10_000.0, 100.0),
    )
    leg: Distribution = parameter(
        default=Exponential(0.002),
        domain=LATENCY,
        unit="s",
        about="a participant's part of a round: there, done, and back",
    )
    answers_when: str = parameter(
        default="committed", domain=Choice(WAYS), about="when the client hears: after the second round, or the first"
    )
    arrival_rate: float = parameter(
        default=500.0,
        domain=Real(open_low=False),
        unit="transactions/s",
        symbol="λ",
        about="transactions of the whole, for the conflicts",
        slider=Slider(0.0, 10_000.0, 100.0),
    )
    items: int = parameter(
        default=10_000,
        domain=Integer(1, 10**10),
        unit="keys",
        symbol="D",
        about="keys that they choose from, evenly",
        slider=Slider(100.0, 1e6, 0.25, log=True),
    )

    violations: ClassVar[tuple[str, ...]] = (RELATED,)
    _assumptions: ClassVar[tuple[Assumption, ...]] = (
        Assumption("a transaction's keys are placed independently", "pessimistic if related keys share a shard"),
        Assumption("even shards, even keys", "optimistic if some are hot: they meet, and fill, sooner"),
        Assumption("no queue at a shard", "optimistic near the throughput"),
        Assumption("nobody fails between the rounds", "optimistic: a lost coordinator leaves rows locked"),
    )

    def _check(self) -> None:
        super()._check()
        if self.keys > self.items:
            raise ValueError(
                f"ShardTransactions.keys must lie in [1, {self.items}], the keys there are; got {self.keys}"
            )

    @property
    def _touching(self) -> np.ndarray:
        """P(1, 2, ... shards are touched)."""
        found = shards_touched(self.shards, self.keys) * (1.0 - self.local)
        found[0] += self.local
        return found

    @answer("", "share of the transactions that touch more than one shard")
    def share_crossing(self) -> float:
        """(1 - local)(1 - N^(1 - k))."""
        return max(0.0, float(self._touching[1:].sum()))

    @answer("shards", "shards that a transaction touches, on average")
    def touched(self) -> float:
        """local + (1 - local) N (1 - (1 - 1/N)^k)."""
        return float(self._touching @ np.arange(1.0, self.keys + 1.0))

    @answer("transactions/s", "most that the shards can serve")
    def throughput(self) -> float:
        """N mu / W."""
        return self.capacity * float(throughput(self.shards, self.keys, self.local, self.overhead))

    @answer("", "throughput over what as many shards would serve, were all transactions local")
    def efficiency(self) -> float:
        """1 / W."""
        return self.throughput / (self.capacity * self.shards)

    @answer("shards", "least number of shards that serves more than one does; inf if none does")
    def worthwhile_from(self) -> float:
        """The least N of two or more with N / W > 1."""
        return worthwhile(self.keys, self.local, self.overhead)

    @answer("", "share of local transactions above which these shards serve more than one")
    def local_to_pay(self) -> float:
        """(W_0 - N) / (W_0 - 1), W_0 being the work without any that are local by design."""
        apart = self.shards / float(throughput(self.shards, self.keys, 0.0, self.overhead))
        return max(0.0, (apart - self.shards) / (apart - 1.0)) if apart > 1.0 else 0.0

    @answer("s", "time until the client hears that it is done")
    def latency(self) -> Distribution:
        """Over the shards touched: one round for one, for several the slowest of each of two."""
        return self._over_shards(second=self.answers_when == "committed")

    def _over_shards(self, *, second: bool) -> Distribution:
        weights, laws = [], []
        for number, share in enumerate(self._touching, start=1):
            if share > 0.0:
                weights.append(float(share))
                laws.append(formulas.slowest_of(self.leg, number, second))
        total = math.fsum(weights)
        return laws[0] if len(laws) == 1 else mixture([each / total for each in weights], laws)

    @answer("transactions/s", "most transactions that one row can take, each alone, whatever the number of shards")
    def row_ceiling(self) -> float:
        """One over the mean time to the end of the second round."""
        return 1.0 / self._duration if self._duration else math.inf

    @answer("", "share of the optimistic transactions that abort, the first to commit winning", MEETING)
    def abort_probability(self) -> float:
        """With the mean time to commit as everyone's."""
        return formulas.abort_probability(self.arrival_rate, self._duration, float(meeting(self.items, self.keys)))

    @property
    def _duration(self) -> float:
        """Mean time (s) to the end of the second round."""
        return self._over_shards(second=True).mean()

    def simulate(self, requests: int = 200_000, seed: int = 0, *, violating: str | None = None) -> Simulation:
        """Keys placed, participants awaited; and transactions of the mean duration that meet or do not.

        `violating` "keys lie near each other" puts every other key where the one before it is.
        """
        related = TOGETHER if self.known_violation(violating) else 0.0
        checked_requests(self, requests, BATCHES, most=KEPT // self.keys)
        size = -(-requests // BATCHES)
        touched, first, last = [], [], []
        for batch in progress(range(BATCHES), "transactions"):
            rng = stream(seed, 1, batch)
            found = place_keys(self.shards, self.keys, self.local, size, rng, related=related)
            prepared, committed = rounds(self.leg, found, rng)
            touched.append(found)
            first.append(prepared)
            last.append(committed)
        work = from_batches([np.where(each > 1, self.overhead * each, 1.0).mean() for each in touched])
        held = from_batches([each.mean() for each in last])
        return Simulation(
            self,
            requests,
            seed,
            share_crossing=proportion([(each > 1).mean() for each in touched], size * BATCHES),
            touched=from_batches([each.mean() for each in touched]),
            throughput=_over(self.capacity * self.shards, work),
            efficiency=_over(1.0, work),
            latency=SimulatedLatency(np.stack(last if self.answers_when == "committed" else first)),
            row_ceiling=_over(1.0, held),
            abort_probability=self._met(size, held.value, seed),
        )

    def _met(self, size: int, duration: float, seed: int) -> Estimate:
        """The share of aborts once as many run as ever will."""
        if self.arrival_rate == 0.0:
            return proportion([0.0] * BATCHES, size * BATCHES)
        fill = math.ceil(4.0 * self.arrival_rate * duration) + 4  # transactions until the first are forgotten
        if fill * LANES * self.keys > MOST_RUNNING:
            raise ValueError(
                f"ShardTransactions.simulate: {self.arrival_rate * duration:,.3g} transactions run at once; too many "
                "to be simulated: take a lower arrival rate or fewer keys"
            )
        steps = fill + -(-size // LANES)
        found = []
        for batch in range(BATCHES):
            rng = stream(seed, 2, batch)
            gaps = rng.exponential(1.0 / self.arrival_rate, (steps, LANES))
            found.append(aborts(gaps, duration, self.items, self.keys, rng)[fill:].mean())
        return proportion(found, BATCHES * LANES * (steps - fill))

    def timeline(self, seed: int = 0) -> Timeline:
        """One more shard every second, from one to forty: when does that begin to pay?"""
        counts = np.arange(1, 41)
        served = self.capacity * np.asarray(throughput(counts, self.keys, self.local, self.overhead))
        pays = self.worthwhile_from
        marks = ((float(pays - 1), f"{pays:.0f} shards: more than one"),) if pays <= 40 else ()
        said = f"from {pays:.0f} shards on" if math.isfinite(pays) else "never"
        return Timeline(
            f"Two shards serve {served[1] / served[0]:.2f} times what one does; sharding pays {said}",
            counts - 1.0,
            {"throughput": served, "of one shard": np.full(len(counts), self.capacity)},
            "transactions/s",
            marks,
        )


def worthwhile(keys: int, local: float, overhead: float) -> float:
    """The least N >= 2 at which N shards carry more than one; inf where none up to a million does.

    Throughput first falls and then rises with N, so a falling first step is followed by one crossing.
    """
    counts = np.unique(np.geomspace(2, MOST_SHARDS, 400).astype(int))
    more = np.asarray(throughput(counts, keys, local, overhead)) > 1.0 + 1e-12
    if not more.any():
        return math.inf
    at = int(more.argmax())
    between = np.arange(counts[at - 1] if at else 2, counts[at] + 1)
    return float(between[(np.asarray(throughput(between, keys, local, overhead)) > 1.0 + 1e-12).argmax()])


def _over(value: float, estimate: Estimate) -> Estimate:
    error = max(estimate.error, ROUNDING * estimate.value)  # equal times have no spread, but a rounded mean
    return Estimate(value / estimate.value, value * error / estimate.value**2, estimate.freedom)
