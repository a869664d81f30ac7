"""Tiers in sequence: web servers, an application, a database."""

from __future__ import annotations

import functools
import math
from concurrent.futures import Executor
from typing import ClassVar

import numpy as np

from scaling_models.answers import Accuracy, Assumption, Model, NoClosedForm, Simulation, Timeline, answer
from scaling_models.domains import Real, Record, Rows
from scaling_models.latency import Deterministic, Distribution, Exponential, Hyperexponential, MeanOnly, Never
from scaling_models.montecarlo.estimates import Estimate, NotSettled
from scaling_models.montecarlo.kernels.tandem import Line, follow
from scaling_models.montecarlo.kernels.tandem import Tandem as System
from scaling_models.montecarlo.runs import Plan, run
from scaling_models.montecarlo.streams import checked_requests, streams_of
from scaling_models.montecarlo.traffic.arrivals import Renewal
from scaling_models.parameters import Slider, parameter
from scaling_models.pools.bases.central_cases import Case, Exact, case_of
from scaling_models.pools.formulas.walks import is_exponential
from scaling_models.pools.tier import Tier

VARY, ALIKE = "services vary more", "large requests are large everywhere"
HEAVIER = 4.0  # scv of the services where they are shown to vary more
OVERTAKEN_OFTEN = Accuracy("within 15%", 0.05, "several such tiers, of nine in all at most; to p99.9")
OVERTAKEN = Accuracy("within 3%", 0.025, "one tier between others has several slots, where requests overtake; to p99.9")
SIMULATED = Accuracy("simulated", None, "a tier's own arrivals are no Poisson process, or requests come back to it")
MOST_SLOTS = 500  # simulated
EVENTS = 8_000  # of a timeline
BY_RATES = ("utilization", "utilizations", "bottleneck", "most_load")


TIER = Record("a Tier", base=lambda: Tier, kinds=lambda: (Tier,))


class Tandem(Model):
    """Tiers that a request visits one after the other, each one FIFO queue before its slots.

    With exponential services every tier is as if alone (product form; Jackson 1957): M/M/c with arrival rate lambda v_i
    of Poisson arrivals, and E[T] = sum_i v_i E[T_i]. The last tier may have any service of which M/G/c is known, if no
    request comes back to it. With one visit each, a request's times in the tiers are independent as long as nobody
    overtakes: where all tiers between the first and the last have one slot, the latency is their sum, exactly (Burke,
    Operations Research 17, 1969). With several slots there the sum is an approximation, measured; the mean stays exact.
    With other numbers of visits only the mean is known. Other services raise `NoClosedForm` and can be simulated.
    """

    arrival_rate: float = parameter(
        default=280.0,
        domain=Real(),
        unit="requests/s",
        symbol="λ",
        about="requests arriving a second",
        slider=Slider(10, 1000, 10),
    )
    tiers: tuple[Tier, ...] = parameter(
        default=(Tier(4, 1, Exponential(0.005)), Tier(1, 1, Exponential(0.002)), Tier(5, 1, Exponential(0.012))),
        domain=Rows(TIER, least=1, most=20),
        about="the tiers, in the order in which a request visits them",
    )

    verified_with: ClassVar[int] = 1_200_000
    violations: ClassVar[tuple[str, ...]] = (ALIKE, VARY)
    _assumptions: ClassVar[tuple[Assumption, ...]] = (
        Assumption("Poisson arrivals", "optimistic if arrivals are bursty"),
        Assumption("exponential services", "optimistic if they vary more"),
        Assumption("a request's services are independent", "optimistic if a large request is large everywhere"),
        Assumption("a tier holds no slot while the next one works", "optimistic if calls are synchronous"),
        Assumption("nobody gives up or retries", "pessimistic if requests are abandoned, optimistic if retried"),
    )

    @property
    def _overloaded(self) -> bool:
        return self.utilization >= 1.0

    @property
    def _comes_back(self) -> bool:
        """Whether a request visits the last tier again."""
        return self.tiers[-1].visits > 1.0

    @property
    def _once(self) -> bool:
        return all(tier.visits == 1.0 for tier in self.tiers)

    @property
    def _product_form(self) -> bool:
        """Whether each tier is as if alone: all exponential, but for the last, unless requests come back to it."""
        *others, last = (is_exponential(tier.service) for tier in self.tiers)
        return all(others) and (last or not self._comes_back)

    @property
    def _overtaken(self) -> int:
        """At how many tiers between others requests overtake each other."""
        return sum(tier.slots > 1 for tier in self.tiers[1:-1])

    @functools.cached_property
    def _cases(self) -> tuple[Case, ...] | None:
        """The tiers as single pools, where all are known exactly."""
        if not self._product_form:
            return None
        found = tuple(case_of(self.arrival_rate * tier.visits, tier.slots, tier.service) for tier in self.tiers)
        known = tuple(case for case in found if isinstance(case, Exact))
        return known if len(known) == len(found) else None  # type: ignore[return-value]  # each Exact is a Case

    @property
    def _known(self) -> tuple[Case, ...]:
        if self._cases is None:
            raise NoClosedForm(
                "Tandem has a closed form for exponential services, and for some others at the last tier if no request "
                "comes back to it: simulate it"
            )
        return self._cases

    def _accuracy(self, metric: str, level: float | None = None) -> Accuracy:
        """Exact with product form, means always; percentiles of the sum by who may overtake."""
        declared = self._answer(metric).accuracy
        if metric in BY_RATES or self._overloaded:
            return declared
        if self._cases is None or (metric == "latency" and level is not None and not self._once):
            return SIMULATED
        if metric == "latency" and level is not None and self._overtaken:
            return OVERTAKEN if self._overtaken == 1 else OVERTAKEN_OFTEN
        return max((case.accuracy("latency", level) for case in self._cases), key=lambda found: found.error or 0.0)

    @answer("", "share of the slots' time that is busy, at the busiest tier; above 1 overloaded")
    def utilization(self) -> float:
        """max_i lambda v_i E[S_i] / c_i."""
        return max(self.utilizations)

    @answer("", "share of the slots' time that is busy, tier by tier")
    def utilizations(self) -> tuple[float, ...]:
        """lambda v_i E[S_i] / c_i."""
        return tuple(self.arrival_rate * tier.visits * tier.service.mean() / tier.slots for tier in self.tiers)

    @answer("", "the number of the busiest tier, the first being 1")
    def bottleneck(self) -> int:
        """The first of those with the largest utilization."""
        return 1 + max(range(len(self.tiers)), key=lambda i: self.utilizations[i])

    @answer("requests/s", "the load at which the busiest tier is full")
    def most_load(self) -> float:
        """min_i c_i / (v_i E[S_i])."""
        return min(tier.slots / (tier.visits * tier.service.mean()) for tier in self.tiers)

    @answer("s", "mean time that a request spends at each tier, all its visits together")
    def tier_times(self) -> tuple[float, ...]:
        """v_i E[T_i] of M/M/c. At a tier that is overloaded infinite; then the others have no number (NaN)."""
        if self._overloaded:
            return tuple(math.inf if load >= 1.0 else math.nan for load in self.utilizations)
        return tuple(tier.visits * case.latency.mean() for tier, case in zip(self.tiers, self._known, strict=True))

    @answer("s", "time from arrival to reply: waits and services at all tiers")
    def latency(self) -> Distribution:
        """The sum of independent times in the tiers, or its mean only."""
        if self._overloaded:
            return Never()
        if not self._once:
            return MeanOnly(math.fsum(self.tier_times))
        return functools.reduce(lambda done, case: done + case.latency, self._known[1:], self._known[0].latency)

    @answer("requests", "mean number of requests at all tiers, waiting or served")
    def in_flight(self) -> float:
        """Little's law: lambda E[T]."""
        return math.inf if self._overloaded else self.arrival_rate * math.fsum(self.tier_times)

    def _system(self, violating: str | None = None) -> System:
        known = self.known_violation(violating)
        services = tuple(
            Hyperexponential(tier.service.mean(), HEAVIER) if known == VARY else tier.service for tier in self.tiers
        )
        line = Line(
            tuple(tier.slots for tier in self.tiers),
            tuple(min(1.0, tier.visits) for tier in self.tiers),
            tuple(1.0 - 1.0 / max(1.0, tier.visits) for tier in self.tiers),
        )
        flow = Renewal(Exponential(1.0 / self.arrival_rate), Deterministic(0.0))
        return System(flow, line, services, known == ALIKE)

    def simulate(
        self,
        requests: int = 1_000_000,
        seed: int = 0,
        *,
        violating: str | None = None,
        executor: Executor | None = None,
        cut: Plan | None = None,
    ) -> Simulation:
        """Independent lanes, half of them from empty tiers and half from full ones, once these have met.

        `requests` counts events: arrivals and ends of services. "large requests are large everywhere": all services of
        a request are its own exponential size times the tier's mean. "services vary more": hyperexponential, variance
        four times the mean's square. The rest as in `Pool.simulate`. Raises `NotSettled` at overload.
        """
        checked_requests(self, requests)
        if self._overloaded:
            raise NotSettled(
                f"the load is {self.utilization:.4g}, at or over capacity: there is no steady state to simulate"
            )
        if sum(tier.slots for tier in self.tiers) > MOST_SLOTS:
            raise ValueError(f"Tandem can be simulated with at most {MOST_SLOTS} slots at all tiers together")
        found = run(self._system(violating), requests, seed, executor=executor, cut=cut)
        latency = found.times["latency"]
        mean = latency.mean_estimate()
        tiers = range(len(self.tiers))
        loads = tuple(found.ratio(f"busy_{i}", "time", 1.0 / self.tiers[i].slots) for i in tiers)
        stays = (found.times[f"tier_{i}"].mean_estimate() for i in tiers)
        visits = [tier.visits for tier in self.tiers]
        return Simulation(
            self,
            found.requests,
            seed,
            cut=found.cut,
            utilization=max(loads, key=lambda load: load.value),
            utilizations=loads,
            tier_times=tuple(
                Estimate(v * each.value, v * each.error, each.freedom) for v, each in zip(visits, stays, strict=True)
            ),
            tier_latencies=tuple(found.times[f"tier_{i}"] for i in tiers),  # of one visit each
            latency=latency,
            in_flight=Estimate(self.arrival_rate * mean.value, self.arrival_rate * mean.error, mean.freedom),
        )

    def timeline(self, seed: int = 0) -> Timeline:
        """One lane from empty while the load is doubled: which tier fills up, and what the others see of it."""
        double = self.replace(arrival_rate=2.0 * self.most_load)
        times, present = follow(double._system(), EVENTS, streams_of(seed, 0))
        full = double.bottleneck
        at = np.linspace(0.0, times[-1], 400)
        place = np.maximum(np.searchsorted(times, at, side="right") - 1, 0)
        return Timeline(
            f"At twice the load that tier {full} can carry, {present[-1, full - 1]:.0f} requests stand there after "
            f"{times[-1]:.2g} s",
            at,
            {f"requests at tier {i + 1}": present[place, i] for i in range(len(self.tiers))},
            "requests",
            ((0.0, "twice what it carries"),),
        )
