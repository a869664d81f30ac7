"""Many nodes fail at once: how likely some data had all its copies on them, and how much."""

from __future__ import annotations

import math
from typing import Any, ClassVar

import numpy as np

from scaling_models.answers import EXACT, Accuracy, Assumption, NoClosedForm, Simulation, Timeline, answer
from scaling_models.domains import Choice, Integer, Real
from scaling_models.latency import Distribution, Exponential, Never
from scaling_models.montecarlo.estimates import at_least, from_batches, proportion, ratio
from scaling_models.montecarlo.kernels.copysets import whole_chunks, whole_followers, whole_groups
from scaling_models.montecarlo.progress import progress
from scaling_models.montecarlo.streams import checked_requests, stream
from scaling_models.parameters import Slider, parameter
from scaling_models.shards.formulas.copysets import few_ways, one_set_lost, window_loss
from scaling_models.shards.replicated_data import COPYSETS, RANDOM, WINDOW, ReplicatedData

YEAR = 365.25 * 86400.0
BATCHES = 40
MOST_TERMS = 1_000_000  # of the sum over a window: 50 ms
KEPT = 2_000_000  # places of failed nodes held together
VARIES = "the number that fails varies"
RACK = Accuracy("within 15%", 0.10, "2 to 4 copies, windows of 1 to 40 nodes, 17 to 5,000 nodes")
MANY_COPIES, MOST_COPIES = 4, Accuracy("within 15%", 0.15, "windows, 5 to 8 copies, 17 nodes or more")


class CopysetLoss(ReplicatedData):
    """`failed` of the nodes go down at once (power is lost, and some never start again): is any data gone for good?

    P(loss) = 1 - (1 - L)^P, L the probability that one of P independent draws is hit: a chunk, whose copies lie on R
    nodes at random, L = C(F, R)/C(N, R); or a permutation, cut into floor(N/R) groups, `disjoint_loss`. Both are exact.
    Copies in a window of the nodes that follow (`window_loss`) are not. However placed, as much data is lost on
    average: fewer copysets lose more at a time, and more seldom. Cidon and others, Copysets, USENIX ATC 2013.
    """

    nodes: int = parameter(
        default=500, domain=Integer(2, 10**5), unit="nodes", symbol="N", about="how many", slider=Slider(50, 5000, 50)
    )
    placement: str = parameter(
        default=COPYSETS,
        domain=Choice((RANDOM, COPYSETS, WINDOW)),
        about="where copies lie: each chunk on nodes at random, on copysets cut from permutations, or on a node and "
        "some of those in the window that follows it",
    )
    scatter_width: int = parameter(
        default=10,
        domain=Integer(1, 10**5),
        unit="nodes",
        symbol="S",
        about="how many nodes share a node's data: of copysets in all, of a window those that follow",
        slider=Slider(2, 40, 2),
    )
    data_per_node: float = parameter(
        default=1e13,
        domain=Real(),
        unit="bytes",
        symbol="D",
        about="what a node holds, copies counted",
        slider=Slider(1e10, 1e15, 0.1, log=True),
    )
    failed: int = parameter(
        default=25,
        domain=Integer(0, 10**5),
        unit="nodes",
        symbol="F",
        about="how many fail at once",
        slider=Slider(1, 100, 1),
    )
    outages_a_year: float = parameter(
        default=1.0,
        domain=Real(),
        unit="outages/year",
        about="how often so many fail at once (illustrative)",
        slider=Slider(0.1, 12.0, 0.1),
    )

    headline: ClassVar[str] = "loss_probability"
    verified_with: ClassVar[int] = 120_000
    violations: ClassVar[tuple[str, ...]] = (VARIES,)
    _assumptions: ClassVar[tuple[Assumption, ...]] = (
        Assumption(
            "any of the nodes are as likely to fail", "optimistic if a copyset lies in one rack, that fails whole"
        ),
        Assumption("just so many fail", "optimistic if it is their mean: more lose more than fewer save"),
        Assumption("copies are complete when the nodes fail", "optimistic if some were still being rebuilt"),
        Assumption("outages come at random, at the rate given", "a mean time says nothing of when the first comes"),
    )

    def _check(self) -> None:
        super()._check()
        if self.failed > self.nodes:
            raise ValueError(f"CopysetLoss.failed must lie in [0, {self.nodes}] nodes, at most all; got {self.failed}")
        if self.placement == WINDOW and self.scatter_width < self.replicas - 1:
            raise ValueError(
                f"CopysetLoss.scatter_width must lie in [{self.replicas - 1}, {self.nodes - 1}] nodes, where it is a "
                f"window for the other copies; got {self.scatter_width}"
            )

    def _accuracy(self, metric: str, level: float | None = None) -> Accuracy:
        """Exact, but for windows of which not all ways to fail are looked at."""
        windowed = self.placement == WINDOW and metric not in ("copysets", "bytes_an_outage")
        windowed &= self.failed >= self.replicas and not few_ways(self.nodes, self.failed)
        if not windowed:
            return EXACT
        return RACK if self.replicas <= MANY_COPIES else MOST_COPIES

    @property
    def chunks_a_node(self) -> int:
        """How many chunks have their first copy on a node; one at least."""
        return max(1, round(self.chunks / self.nodes))

    @answer("", "probability that data is lost when so many nodes fail at once")
    def loss_probability(self) -> float:
        """1 - (1 - L)^P."""
        if self.placement == WINDOW:
            if self.scatter_width * min(self.scatter_width, self.failed) ** 2 > MOST_TERMS:
                raise NoClosedForm(f"CopysetLoss has too large a window of {self.scatter_width:,} nodes: simulate it")
            return window_loss(self.nodes, self.failed, self.replicas, self.scatter_width, self.chunks_a_node)
        lost = float(self.unit_lost(np.array([self.failed]))[0])
        return -math.expm1(self.units * math.log1p(-lost)) if lost < 1.0 else 1.0

    @answer("s", "time until an outage loses data")
    def time_to_loss(self) -> Distribution:
        """Exponential: outages at random, each of which loses data with the same probability."""
        rate = self.outages_a_year / YEAR * self.loss_probability
        return Exponential(1.0 / rate) if rate > 1e-300 else Never()

    @answer("years", "mean time between outages that lose data")
    def years_between_losses(self) -> float:
        """1/(outages a year times P(loss))."""
        p = self.outages_a_year * self.loss_probability
        return 1.0 / p if p > 0 else math.inf

    @answer("bytes", "mean data lost in such an outage, lost or not: the same for every placement")
    def bytes_an_outage(self) -> float:
        """All data times C(F, R)/C(N, R)."""
        return self._stored * float(one_set_lost(self.nodes, self.failed, self.replicas))

    @answer("bytes", "mean data lost when data is lost")
    def bytes_lost(self) -> float:
        """The mean of an outage over the probability of a loss; zero where none can be."""
        return self.bytes_an_outage / self.loss_probability if self.loss_probability > 0 else 0.0

    @property
    def _stored(self) -> float:
        """All data (bytes), copies not counted: what lies in copysets, in chunks, or in the windows' chunks."""
        if self.placement == COPYSETS:
            return self.lost_together * self.permutations * (self.nodes // self.replicas)
        return self.chunk_size * (self.chunks if self.placement == RANDOM else self.chunks_a_node * self.nodes)

    def _drawn(self, failed: int, draws: int, rng: np.random.Generator) -> Any:
        """How many copysets or chunks are lost when so many fail, of each draw."""
        sizes = self.nodes, failed, self.replicas
        if self.placement == RANDOM:
            return whole_chunks(*sizes, self.chunks, draws, rng)
        if self.placement == COPYSETS:
            return whole_groups(*sizes, self.permutations, draws, rng)
        return whole_followers(*sizes, self.scatter_width, self.chunks_a_node, draws, rng)

    def _varied(self, draws: int, rng: np.random.Generator) -> Any:
        """The same where as many fail as not, from none to twice the mean."""
        most = min(self.nodes, 2 * self.failed)
        counts = rng.multinomial(draws, np.full(most + 1, 1.0 / (most + 1)))
        return np.concatenate([self._drawn(failed, int(count), rng) for failed, count in enumerate(counts)])

    def _batch(self, draws: int, varying: bool, rng: np.random.Generator) -> tuple[float, float]:
        """The share of outages that lose data, and the mean number of copysets or chunks lost."""
        block = max(1, KEPT // self.nodes if 4 * self.failed > self.nodes else KEPT // max(self.failed, 1))
        hit, lost = 0, 0.0
        for at in range(0, draws, block):
            size = min(block, draws - at)
            found = self._varied(size, rng) if varying else self._drawn(self.failed, size, rng)
            hit, lost = hit + int((found > 0).sum()), lost + float(found.sum())
        return hit / draws, lost / draws

    def simulate(self, requests: int = 60_000, seed: int = 0, *, violating: str | None = None) -> Simulation:
        """`requests` outages (40 at least), each of a placement of its own: exact but for chance.

        With `violating` "the number that fails varies" any number of nodes up to twice as many fails.
        """
        varying = self.known_violation(violating) is not None
        draws = checked_requests(self, requests, BATCHES) // BATCHES
        each = [self._batch(draws, varying, stream(seed, batch)) for batch in progress(range(BATCHES), "outages")]
        hit, lost = np.array(each).T
        chance = proportion(hit, draws * BATCHES)
        size = self.lost_together if self.placement == COPYSETS else self.chunk_size
        losses = max(1.0, float(hit.sum()) * draws)
        # Of a few losses all may be alike, or none be seen: the error is that of their number, and of one that was not.
        data = at_least(from_batches(lost * size), size * math.sqrt(losses) / (draws * BATCHES))
        answers = {"loss_probability": chance, "bytes_an_outage": data}
        if hit.any():
            answers["bytes_lost"] = at_least(ratio(lost, hit, size), size / losses)
        return Simulation(self, requests, seed, **answers)

    def timeline(self, seed: int = 0) -> Timeline:
        """Nodes fail one after the other, an outage's worth and twice that: when is the first copyset whole?"""
        rng = stream(seed, BATCHES)
        most = min(self.nodes, max(2 * self.failed, self.replicas))
        chances = np.array([self.replace(failed=count).loss_probability for count in range(most + 1)])
        hit = int(np.searchsorted(chances, rng.uniform(0.0, chances[-1])))
        times = np.arange(most + 1, dtype=float)
        return Timeline(
            f"Nodes fail one after the other, a second apart: once {hit:,} are down, data is lost; the {self.failed} "
            f"of an outage lose some with a probability of {100.0 * self.loss_probability:.2g}%",
            times,
            {"probability that data is lost by now": chances},
            "",
            ((float(hit), "data lost"),),
        )
