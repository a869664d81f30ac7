"""How long replicated data lasts: nodes fail, are rebuilt, and one day all that hold some data are down together."""

from __future__ import annotations

import functools
from typing import Any, ClassVar, Self

import numpy as np

from scaling_models.answers import EXACT, Accuracy, Assumption, NoClosedForm, Simulation, Timeline, answer
from scaling_models.domains import Choice, Real
from scaling_models.latency import Distribution
from scaling_models.latency.passage import PassageTime
from scaling_models.montecarlo.estimates import Estimate, SimulatedLatency, from_batches, proportion, ratio
from scaling_models.montecarlo.kernels.durability import Storage
from scaling_models.montecarlo.streams import checked_requests, stream
from scaling_models.parameters import Slider, parameter
from scaling_models.shards.formulas import durability as formulas
from scaling_models.shards.formulas.copysets import one_set_lost
from scaling_models.shards.played_losses import BATCHES, MOST_EVENTS, fits, lanes_of, played
from scaling_models.shards.replicated_data import COPYSETS, RANDOM, ReplicatedData

DAY, YEAR = 86400.0, 365.25 * 86400.0
MOST_DOWN = 5000  # at once
MOST_STATES = 200  # of the chain, of which the law is asked: 0.1 s
MOST_RARE = 500.0  # log: no smaller number is to be divided by
CANCELLED = 1e6  # weights: ten digits are left
HARDLY = 1e-9  # so few come so far without a loss that the next failure may as well be one
TOGETHER = 0.05
SHORT = 0.35  # of the time up: longer rebuilds were measured for few nodes only
TOGETHER_SAYS, FIXED_SAYS = "failures come together", "rebuilds of fixed length"
CLOSE = Accuracy("within 3%", 0.03, "2 or 3 copies, four times as many nodes or more, rebuilt in 0.35 MTBF at most")
ROUGH = Accuracy("within 15%", 0.10, "4 to 8 copies, twice as many nodes or more; pessimistic")
FEW_NODES = Accuracy("bound", 0.25, "few nodes, whose permutations repeat each other's copysets: pessimistic")


class Durability(ReplicatedData):
    """Nodes fail and are rebuilt from the copies that others hold, until all nodes of a copyset are down together.

    A rebuild takes D/(S b): the more nodes share the data, the shorter, and the more sets there are to lose. The number
    of nodes that are down is a birth-death chain, killed by the failure that completes a set, with the probability of
    sets that lie at random given how many are down: exact for random placement (copies lie anew after each failure), a
    single set, and pairs that are disjoint and leave no node over; elsewhere which nodes are down matters a little. One
    set alone: `formulas.mttdl`.
    """

    mtbf: float = parameter(
        default=YEAR,
        domain=Real(),
        unit="s",
        symbol="MTBF",
        about="mean time that a node keeps its data (illustrative)",
        slider=Slider(30.0 * DAY, 3000.0 * DAY, 0.05, log=True),
    )
    repair_bandwidth: float = parameter(
        default=2e7,
        domain=Real(),
        unit="bytes/s",
        symbol="b",
        about="what each partner copies of a node that is rebuilt (illustrative)",
        slider=Slider(1e6, 1e9, 0.1, log=True),
    )
    repair: str = parameter(
        default="parallel",
        domain=Choice(("parallel", "serial")),
        about="whether all nodes that are down are rebuilt at once, or one at a time",
    )

    headline: ClassVar[str] = "time_to_loss"
    verified_with: ClassVar[int] = 800_000
    violations: ClassVar[tuple[str, ...]] = (TOGETHER_SAYS, FIXED_SAYS)
    _assumptions: ClassVar[tuple[Assumption, ...]] = (
        Assumption(
            "nodes fail independently", "optimistic by far if power, a rack, or a bad deploy takes many at once"
        ),
        Assumption(
            "exponential times up and of rebuilding", "pessimistic if rebuilds are of one length; little changes"
        ),
        Assumption("a node's data is at risk until all of it is copied", "pessimistic: chunks are safe one by one"),
        Assumption("a failure is noticed at once", "optimistic: add the wait before a rebuild to its length"),
        Assumption("rebuilds do not slow each other down", "optimistic if several share partners or a network"),
        Assumption("copies are sound", "optimistic if sectors rot unseen and there is no scrubbing"),
    )

    @classmethod
    def example(cls) -> Self:
        """So unreliable that a simulation sees many losses."""
        return cls(mtbf=60.0 * DAY)

    @functools.cached_property
    def rebuild(self) -> float:
        """The mean time (s) to copy a node's data."""
        return float(formulas.rebuild_time(self.data_per_node, self.partners, self.repair_bandwidth))

    @property
    def _exact(self) -> bool:
        single = self.replicas == self.nodes
        pairs = self.permutations == 1 and self.replicas == 2 and self.nodes % 2 == 0
        return self.placement == RANDOM or single or pairs

    def _accuracy(self, metric: str, level: float | None = None) -> Accuracy:
        """As measured; exact for random placement, a single set, and disjoint pairs that leave no node over."""
        if self._exact or metric in ("rebuild_time", "second_failure", "copysets"):
            return EXACT
        if self.nodes < (4 if self.permutations > 1 else 2) * self.replicas:
            return FEW_NODES
        return CLOSE if self.replicas <= 3 and self.rebuild < SHORT * self.mtbf else ROUGH

    @property
    def _rates(self) -> tuple[float, float]:
        return 1.0 / self.mtbf, 1.0 / self.rebuild

    @property
    def _most_down(self) -> int:
        """Beyond which no more come: a loss is at least as likely as that R nodes fail in a row that hold a set."""
        failing, repairing = self._rates
        in_a_row = (failing / (failing + repairing)) ** (self.replicas - 1)
        likely = float(one_set_lost(self.nodes, self.replicas, self.replicas)) * in_a_row
        parallel = self.repair == "parallel"
        return formulas.most_down(self.nodes, *self._rates, likely, parallel=parallel, limit=MOST_DOWN)

    @functools.cached_property
    def _unit(self) -> Any:
        """Of one permutation or chunk: the probability that the failure of one more than k nodes loses it."""
        lost = self.unit_lost(np.arange(self._most_down + 1.0))
        more = np.diff(lost)
        if self.placement == RANDOM:  # placed anew after each failure
            return more
        spared = 1.0 - lost[:-1]
        return np.divide(more, spared, out=np.ones(len(more)), where=spared > HARDLY).clip(0.0, 1.0)

    @functools.cached_property
    def _chain(self) -> formulas.LossChain:
        with np.errstate(divide="ignore"):
            lost = -np.expm1(self.units * np.log1p(-self._unit))
        found = formulas.loss_chain(self.nodes, *self._rates, lost, parallel=self.repair == "parallel")
        if found is None:
            raise NoClosedForm(f"Durability has more than {MOST_DOWN} nodes down at once: simulate it")
        return found

    def _few_states(self) -> None:
        if len(self._chain.fails) > MOST_STATES:
            raise NoClosedForm(f"Durability has more than {MOST_STATES} nodes down at once: simulate it")

    @answer("s", "time from all nodes up until data is lost for the first time")
    def time_to_loss(self) -> Distribution:
        """First passage of the chain."""
        self._few_states()
        weights, rates = self._chain.law() if self._chain.rarity < MOST_RARE else ([np.inf], [1.0])
        if np.abs(weights).max() > CANCELLED:
            raise NoClosedForm("Durability has so many nodes down as a rule that its law cancels: simulate it")
        return PassageTime(tuple(map(float, weights)), tuple(map(float, rates)))

    @answer("s", "mean time to data loss (MTTDL)")
    def mttdl(self) -> float:
        """The mean times with k nodes down before the loss, summed."""
        return float(self._chain.visits.sum())

    @answer("", "probability that data is lost within a year")
    def yearly_loss(self) -> float:
        """Of 365.25 days from all up; keeps its precision however small it is."""
        self._few_states()
        return self._chain.lost_within(YEAR)

    @answer("bytes", "mean data lost when data is lost")
    def bytes_lost(self) -> float:
        """The copysets or chunks that the failure completes, times what lies on each."""
        unit = self._unit[: len(self._chain.fails)]
        completed = self._chain.visits * self._chain.fails * self.units * unit
        return float(completed.sum()) * self.lost_together

    @answer("bytes", "mean data on nodes that are down, and so short of a copy, at a moment before a loss")
    def data_at_risk(self) -> float:
        """D times the mean number of nodes down."""
        visits = self._chain.visits
        return float(visits @ np.arange(len(visits)) / visits.sum()) * self.data_per_node

    @answer("s", "mean time to copy the data of a node that failed")
    def rebuild_time(self) -> float:
        """D/(S b)."""
        return self.rebuild

    @answer("", "probability that a partner fails before a node is rebuilt")
    def second_failure(self) -> float:
        """S l t/(1 + S l t): with t = D/(S b) it does not depend on S."""
        return float(formulas.second_failure(self.partners, 1.0 / self.mtbf, self.rebuild))

    def storage(self, violating: str | None = None) -> Storage:
        """The nodes as they are played; `violating` as in `simulate`."""
        broken = self.known_violation(violating)
        return Storage(
            self.nodes,
            self.replicas,
            self.mtbf,
            self.rebuild,
            self.repair == "serial",
            self.permutations if self.placement == COPYSETS else 0,
            self.chunks,
            TOGETHER if broken == TOGETHER_SAYS else 0.0,
            broken == FIXED_SAYS,
        )

    def simulate(self, requests: int = 200_000, seed: int = 0, *, violating: str | None = None) -> Simulation:
        """About `requests` failures and rebuilt nodes, in lanes that each begin all up and end with their first loss.

        Exact but for chance. With `violating` "failures come together" another node fails with each with probability
        0.05; with "rebuilds of fixed length" every rebuild takes the mean. Raises ValueError where a loss takes too
        many failures.
        """
        checked_requests(self, requests, most=MOST_EVENTS)
        storage = self.storage(violating)
        fits(storage)
        count = lanes_of(2.0 * self.nodes * self.mttdl / self.mtbf + 1.0, requests)
        found = played(storage, count, seed)
        times, lost, down = (part.reshape(BATCHES, -1) for part in (found.times, found.lost, found.down))
        risk = ratio(down.sum(axis=1), times.sum(axis=1), self.data_per_node)
        size = from_batches(lost.mean(axis=1))
        return Simulation(
            self,
            requests,
            seed,
            time_to_loss=SimulatedLatency(times),
            mttdl=from_batches(times.mean(axis=1)),
            yearly_loss=proportion((times <= YEAR).mean(axis=1), count),
            bytes_lost=Estimate(size.value * self.lost_together, size.error * self.lost_together, size.freedom),
            data_at_risk=risk,
        )

    def timeline(self, seed: int = 0) -> Timeline:
        """The nodes of one copyset fail one after the other, each before the one before it is rebuilt."""
        rng = stream(seed, 1)
        gaps = self.rebuild * rng.uniform(0.2, 0.8, self.replicas)
        at = np.cumsum(gaps)
        times = np.linspace(0.0, float(at[-1] + gaps[0]), 400)
        failed = np.searchsorted(at, times, side="right")
        copied = np.clip((times[:, None] - at) / self.rebuild, 0.0, 1.0)
        missing = np.where(times[:, None] >= at, 1.0 - copied, 0.0)
        lost = self.lost_together / 1e12
        return Timeline(
            f"{self.replicas} nodes of one copyset fail within {(at[-1] - at[0]) / 3600:,.1f} hours; a rebuild takes "
            f"{self.rebuild / 3600:,.1f}. With the last, {lost:,.3g} TB are lost",
            times,
            {
                "copies left": (self.replicas - failed).astype(float),
                "nodes' data still to be copied": missing.sum(axis=1),
            },
            "",
            tuple((float(t), "data lost" if i == self.replicas - 1 else "a node fails") for i, t in enumerate(at)),
        )
