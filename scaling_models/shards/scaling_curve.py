"""How throughput grows with nodes: the Universal Scalability Law, and Amdahl's."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np

from scaling_models.answers import Assumption, Model, Simulation, Timeline, answer
from scaling_models.domains import Integer, Real
from scaling_models.montecarlo.estimates import Estimate, from_batches
from scaling_models.montecarlo.kernels.lockstep import round_times
from scaling_models.montecarlo.streams import checked_requests, stream
from scaling_models.parameters import Slider, parameter
from scaling_models.scalability import (
    UslFit,
    fit_usl,
    usl_efficiency,
    usl_latency,
    usl_limit,
    usl_nodes_at_throughput,
    usl_peak,
    usl_throughput,
)
from scaling_models.tables import read_table

UNEQUAL = "requests of unequal length"
BATCHES = 40
KEPT = 50_000_000  # requests of a simulation: 400 MB
AT_ONCE = 1_000_000  # requests held in memory
STAGE = 10.0  # seconds between two nodes that join in a timeline
STAGES = 40


class ScalingCurve(Model):
    """`nodes` that share their work, contend for what only one may do at a time, and keep each other informed.

    X(N) = g N / (1 + a (N - 1) + b N (N - 1)): the law of the throughput of N nodes in lockstep, each with a request at
    a time, of which (1 - a)/g seconds run in parallel, a/g one node after the other, and b/g once for each ordered pair
    of nodes. It is what the simulation plays, and exact for it. Real systems are not in lockstep: there the law is a
    form to be fitted (`fit`), and its three numbers describe a measured curve. b = 0 is Amdahl's law. Gunther,
    Guerrilla Capacity Planning, 2007, chapter 4; A General Theory of Computational Scalability Based on Rational
    Functions, arXiv:0808.1431, 2008.
    """

    rate: float = parameter(
        default=1000.0,
        domain=Real(),
        unit="requests/s",
        symbol="g",
        about="what one node alone does",
        slider=Slider(100, 5000, 100),
    )
    contention: float = parameter(
        default=0.03,
        domain=Real(0.0, 1.0, open_low=False, open_high=False),
        symbol="a",
        about="share of the work that is done one node after the other",
        slider=Slider(0.0, 0.2, 0.005),
    )
    coherency: float = parameter(
        default=0.0005,
        domain=Real(open_low=False),
        symbol="b",
        about="what each pair of nodes costs the other, relative to a request",
        slider=Slider(0.0, 0.005, 0.0001),
    )
    nodes: int = parameter(
        default=16,
        domain=Integer(1, 10**6),
        unit="nodes",
        symbol="N",
        about="nodes that share the work",
        slider=Slider(1, 128, 1),
    )

    headline: ClassVar[str] = "throughput"
    verified_with: ClassVar[int] = 1_000_000
    violations: ClassVar[tuple[str, ...]] = (UNEQUAL,)
    _assumptions: ClassVar[tuple[Assumption, ...]] = (
        Assumption("the parallel parts take equally long", "optimistic if they vary and nodes wait for the slowest"),
        Assumption("nodes in lockstep: all contend at once", "pessimistic if they come to it at different times"),
        Assumption("work is spread evenly over the nodes", "optimistic if a shard is hot"),
        Assumption("contention and coherency do not depend on the number of nodes", "unknown beyond what was measured"),
    )

    @classmethod
    def fit(cls, points: Any, *, loss: str = "linear", nodes: int | None = None) -> tuple[Self, UslFit]:
        """The curve through measured points, and the fit with its intervals (see `fit_usl`).

        `points` are pairs (nodes, requests/s), a mapping or data frame with the columns `nodes` and `throughput`, or
        the path of a CSV file with these. The curve's own `nodes` are the most that were measured, unless given.
        """
        n, x = _measured(points)
        found = fit_usl(n, x, loss=loss)
        most = round(max(n)) if nodes is None else nodes
        return cls(found.rate, found.contention, found.coherency, most), found

    @answer("requests/s", "what all nodes together do")
    def throughput(self) -> float:
        """X(N); see `usl_throughput`."""
        return float(usl_throughput(self.nodes, self.rate, self.contention, self.coherency))

    @answer("", "what the nodes do together, over what one alone does")
    def speedup(self) -> float:
        """X(N) / g."""
        return self.throughput / self.rate

    @answer("", "share of the nodes' own throughput that is left")
    def efficiency(self) -> float:
        """X(N) / (N g)."""
        return float(usl_efficiency(self.nodes, self.contention, self.coherency))

    @answer("s", "mean time of a request where each node has one at a time")
    def response_time(self) -> float:
        """R(N) = N / X(N), by Little's law."""
        return float(usl_latency(self.nodes, self.rate, self.contention, self.coherency))

    @answer("requests/s", "what one node more would add")
    def next_node(self) -> float:
        """X(N + 1) - X(N); negative beyond the peak."""
        return float(usl_throughput(self.nodes + 1, self.rate, self.contention, self.coherency)) - self.throughput

    @answer("nodes", "where throughput is largest; beyond it, each node slows the others by more than it does itself")
    def peak_nodes(self) -> float:
        """N* = sqrt((1 - a) / b), no whole number as a rule; infinite where throughput grows on."""
        return max(1.0, float(usl_peak(self.contention, self.coherency)))

    @answer("requests/s", "the most that any number of nodes does")
    def peak_throughput(self) -> float:
        """X at the better of the whole numbers around the peak; g / a where there is none (b = 0)."""
        if self.coherency == 0:
            return self.contention_limit
        below = max(1.0, np.floor(self.peak_nodes))
        return float(usl_throughput(np.array([below, below + 1.0]), self.rate, self.contention, self.coherency).max())

    @answer("requests/s", "what contention alone would let any number of nodes do")
    def contention_limit(self) -> float:
        """g / a (Amdahl)."""
        return float(usl_limit(self.rate, self.contention))

    def nodes_for(self, throughput: float) -> float:
        """The least number of nodes that do so many requests a second; infinite where none do."""
        law = (self.rate, self.contention, self.coherency)
        least = float(np.ceil(usl_nodes_at_throughput(throughput, *law) - 1e-9))
        enough = np.isfinite(least) and usl_throughput(least, *law) >= throughput * (1.0 - 1e-12)
        return max(1.0, least) if enough else math.inf

    def simulate(self, requests: int = 200_000, seed: int = 0, *, violating: str | None = None) -> Simulation:
        """Rounds of a request a node, all of a round together: exact but for chance.

        Serial parts and exchanges are exponential, parallel parts constant; violating "requests of unequal length",
        these are exponential too, and each round waits for its slowest.
        """
        unequal = self.known_violation(violating) is not None
        checked_requests(self, requests, most=KEPT)
        rounds = max(2, -(-requests // (BATCHES * self.nodes)))
        taken = np.array([self._round_mean(rounds, unequal, stream(seed, batch)) for batch in range(BATCHES)])
        response = from_batches(taken)
        relative = response.error / response.value
        rate = self.nodes / response.value

        def of(value: float) -> Estimate:
            return Estimate(value, relative * value, response.freedom)

        return Simulation(
            self,
            rounds * BATCHES * self.nodes,
            seed,
            throughput=of(rate),
            speedup=of(rate / self.rate),
            efficiency=of(rate / self.rate / self.nodes),
            response_time=response,
        )

    def _round_mean(self, rounds: int, unequal: bool, rng: np.random.Generator) -> float:
        """The mean time of some rounds, so many at once as fit in memory."""
        most = max(1, AT_ONCE // self.nodes)
        sizes = [min(most, rounds - done) for done in range(0, rounds, most)]
        return float(sum(self._rounds(size, self.nodes, unequal, rng).sum() for size in sizes)) / rounds

    def _rounds(self, rounds: int, nodes: int, unequal: bool, rng: np.random.Generator) -> Any:
        shape, pairs = (rounds, nodes), nodes * (nodes - 1)
        parallel = rng.standard_exponential(shape) if unequal else np.ones(shape)
        serial = rng.standard_exponential(shape)
        exchanges = rng.standard_gamma(pairs, rounds)  # a sum of so many exponential ones
        times = round_times(parallel * (1.0 - self.contention), serial * self.contention, exchanges * self.coherency)
        return times / self.rate

    def timeline(self, seed: int = 0) -> Timeline:
        """Nodes join one group after the other until there are twice as many as at the peak."""
        most = int(np.ceil(2.0 * min(self.peak_nodes, max(500.0, self.nodes))))
        nodes = np.unique(np.linspace(1, max(2, most), STAGES).astype(int))
        rng = stream(seed, BATCHES)
        rounds = [max(2, int(STAGE * self.rate * self._share(n))) for n in nodes]
        done = np.array(
            [n / self._rounds(min(k, 400), int(n), False, rng).mean() for n, k in zip(nodes, rounds, strict=True)]
        )
        times = STAGE * np.arange(len(nodes), dtype=float)
        best = int(done.argmax())
        fallen = 100.0 * (1.0 - done[-1] / done[best])
        return Timeline(
            f"With {nodes[best]:,} nodes they do {done[best]:,.0f} requests/s; with {nodes[-1]:,}, {fallen:.0f}% less",
            times,
            {"throughput": done, "without contention and coherency": nodes * self.rate},
            "requests/s",
            ((float(times[best]), f"{nodes[best]:,} nodes"),),
        )

    def _share(self, nodes: int) -> float:
        return float(usl_efficiency(nodes, self.contention, self.coherency))


def _measured(points: Any) -> tuple[Sequence[float], Sequence[float]]:
    """Nodes and throughput of whatever holds them."""
    if isinstance(points, str | Path):
        points = read_table(points, ["nodes", "throughput"])
    if isinstance(points, Mapping) or hasattr(points, "columns"):
        missing = [name for name in ("nodes", "throughput") if name not in points]
        if missing:
            raise ValueError(f"ScalingCurve.fit: the points have no column {missing[0]!r}, only {', '.join(points)}")
        return np.asarray(points["nodes"], dtype=float).tolist(), np.asarray(points["throughput"], dtype=float).tolist()
    pairs = np.asarray(points, dtype=float)
    if pairs.ndim != 2 or pairs.shape[1] != 2:
        raise ValueError(f"ScalingCurve.fit: points must be pairs (nodes, requests/s); got shape {pairs.shape}")
    return pairs[:, 0].tolist(), pairs[:, 1].tolist()
