"""How many virtual nodes: evenly spread load against what two failures break."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from scaling_models.answers import EXACT, Accuracy, Assumption, Model, Simulation, Timeline, answer
from scaling_models.domains import Choice, Integer
from scaling_models.latency import Deterministic, Distribution
from scaling_models.montecarlo.estimates import Estimate, SimulatedLatency, from_batches
from scaling_models.montecarlo.kernels.rings import even_tokens, held, pairs, random_tokens, ranges
from scaling_models.montecarlo.progress import progress
from scaling_models.montecarlo.streams import checked_requests, stream
from scaling_models.parameters import Slider, parameter
from scaling_models.shards.formulas.rings import largest_share_mean, share_cv
from scaling_models.shards.formulas.virtual_nodes import (
    even_neighbours,
    pair_shares,
    single_neighbours,
    vnode_neighbours,
)
from scaling_models.shards.ring_share import RingShare

if TYPE_CHECKING:
    import pandas as pd

BATCHES = 40
MOST_TOKENS = 50_000_000  # of a simulation, all rings together
MOST_ON_A_RING = 5_000_000  # 2 s a ring
TOKENS = (1, 2, 4, 8, 16, 32, 64, 128, 256)
RANDOM, ALLOCATED = "random", "allocated"
CLUSTERED = "tokens in clusters"
CLOSE = Accuracy("within 3%", 0.02, "4 or more virtual nodes, 20 or more nodes a rack")
ROUGH = Accuracy("within 15%", 0.10, "fewer virtual nodes, or fewer nodes a rack")


class VirtualNodes(Model):
    """R racks of n nodes, each range of the ring copied to the node of the next token in every rack.

    More tokens a node spread the load (a node holds Beta(v, v (n - 1)) of its rack's copy: exact), and share its ranges
    with more others, M (1 - (1 - 1/M)^{2 v (R - 1)}) of the M = n (R - 1) in other racks, so that more pairs of
    failures break a quorum. Lynch and Snyder, Cassandra Availability with Virtual Nodes, 2018. Allocated
    tokens are taken to lie at equal distances, each node once in every round: then all hold the same, and few tokens
    suffice. That is what an allocator comes near to: see `HashRing`, whose tokens come node after node.
    """

    virtual_nodes: int = parameter(
        default=16,
        domain=Integer(1, 10**4),
        unit="tokens/node",
        symbol="v",
        about="tokens of each node on the ring",
        slider=Slider(1, 256, 1),
    )
    rack_nodes: int = parameter(
        default=20,
        domain=Integer(1, 10**4),
        unit="nodes",
        symbol="n",
        about="nodes in each rack; there are as many racks as replicas",
        slider=Slider(2, 100, 1),
    )
    replicas: int = parameter(
        default=3, domain=Integer(2, 15), symbol="R", about="copies of all data", slider=Slider(2, 7, 1)
    )
    quorum: int = parameter(
        default=0,
        domain=Integer(0, 15),
        symbol="q",
        about="copies that a request needs; 0 is a majority",
        slider=Slider(0, 7, 1),
    )
    tokens: str = parameter(
        default=RANDOM,
        domain=Choice((RANDOM, ALLOCATED)),
        about="how tokens are chosen: allocated ones are taken as even (an allocator leaves 4% to 10% at 8 a node)",
    )

    headline: ClassVar[str] = "share"
    verified_with: ClassVar[int] = 400
    violations: ClassVar[tuple[str, ...]] = (CLUSTERED,)
    _assumptions: ClassVar[tuple[Assumption, ...]] = (
        Assumption("a range is as hot as it is wide", "optimistic if some keys are hotter than others"),
        Assumption("as many racks as replicas, of equal size", "pessimistic for availability if racks fail as one"),
        Assumption("two failures, of any nodes", "pessimistic if nodes of a rack fail together: they share no range"),
    )

    def _check(self) -> None:
        if self.quorum > self.replicas:
            raise ValueError(
                f"VirtualNodes.quorum must lie in [0, {self.replicas}], at most the replicas; got {self.quorum}"
            )

    @property
    def nodes(self) -> int:
        """All nodes."""
        return self.rack_nodes * self.replicas

    @property
    def breaking(self) -> int:
        """How many copies of a range must be down to break its quorum."""
        return self.replicas - (self.quorum or self.replicas // 2 + 1) + 1

    def _accuracy(self, metric: str, level: float | None = None) -> Accuracy:
        """Loads are exact; neighbours as measured; what no number of neighbours changes is known."""
        certain = metric == "broken_by_two" and self.breaking != 2
        if (
            certain
            or self.rack_nodes == 1
            or self._single
            or metric not in ("neighbours", "pair_shares_range", "broken_by_two")
        ):
            return EXACT
        return CLOSE if self.virtual_nodes >= 4 and self.rack_nodes >= 20 else ROUGH

    @property
    def _equal(self) -> bool:
        return self.tokens == ALLOCATED or self.rack_nodes == 1

    @property
    def _single(self) -> bool:
        return self.tokens == RANDOM and self.virtual_nodes == 1

    @answer("", "share of its rack's copy of the data that a node holds")
    def share(self) -> Distribution:
        """Beta(v, v (n - 1)) with random tokens; the same for all with allocated ones."""
        return Deterministic(1.0 / self.rack_nodes) if self._equal else RingShare(self.virtual_nodes, self.rack_nodes)

    @answer("", "coefficient of variation of what a node holds")
    def load_cv(self) -> float:
        """sqrt((n - 1)/(v n + 1)); 0 with allocated tokens."""
        return 0.0 if self._equal else float(share_cv(self.virtual_nodes, self.rack_nodes))

    @answer("times the mean", "mean of what the fullest node of a rack holds, over the mean node's")
    def largest_load(self) -> float:
        """The mean largest of n independent Gamma(v, 1/v)."""
        return 1.0 if self._equal else self.rack_nodes * largest_share_mean(self.virtual_nodes, self.rack_nodes)

    @answer("nodes", "expected number of nodes that share a range with a given node", CLOSE)
    def neighbours(self) -> float:
        """M (1 - (1 - 1/M)^{2 v (R - 1)}) with random tokens (see `single_neighbours` of one); M (1 - (1 - 2/n)^v) with
        allocated ones."""
        if self.rack_nodes == 1:
            return self.replicas - 1.0
        if self._single:
            return float(single_neighbours(self.rack_nodes, self.replicas))
        if self.tokens == ALLOCATED:
            return float(even_neighbours(self.nodes, self.virtual_nodes, self.replicas))
        return float(vnode_neighbours(self.nodes, self.virtual_nodes, self.replicas))

    @answer("", "probability that two nodes drawn at random share a range", CLOSE)
    def pair_shares_range(self) -> float:
        """neighbours/(N - 1)."""
        return float(pair_shares(self.nodes, self.neighbours))

    @answer("", "probability that two failures break the quorum of some range", CLOSE)
    def broken_by_two(self) -> float:
        """That they share one, where two copies less break it; certain where one does, impossible where three must."""
        if self.breaking == 2:
            return self.pair_shares_range
        return 1.0 if self.breaking < 2 else 0.0

    def trade(self, virtual_nodes: Sequence[int] = TOKENS) -> pd.DataFrame:
        """Load and availability over the number of virtual nodes, a row each; `figures.sweep` draws either answer."""
        import pandas as pd

        models = [self.replace(virtual_nodes=count) for count in virtual_nodes]
        columns = ("virtual_nodes", "load_cv", "largest_load", "neighbours", "broken_by_two")
        return pd.DataFrame([{name: getattr(model, name) for name in columns} for model in models])

    def simulate(self, requests: int = 400, seed: int = 0, *, violating: str | None = None) -> Simulation:
        """`requests` rings (40 at least), on which every range is looked at: exact but for chance.

        With `violating` "tokens in clusters" all tokens lie in a tenth of the ring (as short hashes of names may).
        """
        clustered = self.known_violation(violating) is not None
        self._fits()
        most = max(BATCHES, MOST_TOKENS // (self.nodes * self.virtual_nodes))
        rings = checked_requests(self, requests, BATCHES, most) // BATCHES
        loads = np.empty((BATCHES, rings * self.nodes))
        largest, shared = np.empty((2, BATCHES, rings))
        size = self.rack_nodes
        for batch in progress(range(BATCHES), "rings"):
            rng = stream(seed, batch)
            found = []
            for ring in range(rings):
                chosen = random_tokens if self.tokens == RANDOM else even_tokens
                places, owners = chosen(size, self.virtual_nodes, self.replicas, rng)
                places = places * 0.1 if clustered else places
                holds = np.round(size * held(places, owners, size), 12)
                found.append(holds.ravel())
                largest[batch, ring] = holds.max(axis=1).mean()
                shared[batch, ring] = 2.0 * pairs(places, owners, size) / self.nodes
            loads[batch] = np.concatenate(found)
        neighbours = from_batches(shared.mean(axis=1))
        pair = from_batches(shared.mean(axis=1) / (self.nodes - 1))
        found_too = {"broken_by_two": pair} if self.breaking == 2 else {}
        return Simulation(
            self,
            requests,
            seed,
            share=SimulatedLatency(loads / size),
            load_cv=_root(from_batches(((loads - 1.0) ** 2).mean(axis=1))),
            largest_load=from_batches(largest.mean(axis=1)),
            neighbours=neighbours,
            pair_shares_range=pair,
            **found_too,
        )

    def _fits(self) -> None:
        """Raise `ValueError` where a ring is too large to be played."""
        if self.nodes * self.virtual_nodes > MOST_ON_A_RING:
            raise ValueError(
                f"VirtualNodes.simulate: {self.nodes * self.virtual_nodes:,} tokens on a ring are more than "
                f"{MOST_ON_A_RING:,}: take fewer nodes or tokens"
            )

    def timeline(self, seed: int = 0) -> Timeline:
        """Nodes fail one by one, in random order, none comes back: how much of the data still has its quorum?"""
        self._fits()
        rng = stream(seed, BATCHES)
        chosen = random_tokens if self.tokens == RANDOM else even_tokens
        places, owners = chosen(self.rack_nodes, self.virtual_nodes, self.replicas, rng)
        width, holders = ranges(places, owners)
        failing = rng.permutation(self.nodes)
        order = np.empty(self.nodes, dtype=int)
        order[failing] = np.arange(1, self.nodes + 1)
        falls = np.sort(order.reshape(self.replicas, -1)[np.arange(self.replicas)[:, None], holders], axis=0)
        broken = falls[self.breaking - 1]  # with which failure each range loses its quorum
        times = np.arange(self.nodes + 1, dtype=float)
        left = np.array([width[broken > count].sum() for count in times])
        first = int(broken.min())
        return Timeline(
            f"With failure {first} of {self.nodes} nodes a range loses its quorum; with {self.virtual_nodes} tokens "
            f"each, a node shares ranges with {self.neighbours:.0f} others",
            times,
            {"data whose quorum is up": left},
            "",
            ((float(first), "a quorum is lost"),),
        )


def _root(found: Estimate) -> Estimate:
    """The square root of an estimate."""
    root = math.sqrt(found.value)
    return Estimate(root, found.error / (2.0 * root) if root > 0 else 0.0, found.freedom)
