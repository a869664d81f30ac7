"""A pool under a control rule whose load steps: its fluid, and how far that can be believed."""

from __future__ import annotations

import functools
import math

import numpy as np
from scipy import special

from scaling_models.answers import Accuracy
from scaling_models.montecarlo.kernels.autoscaling import ChangingPool, ScalingRule
from scaling_models.montecarlo.traffic.arrivals import TimeVarying
from scaling_models.pools.bases.pool import Array
from scaling_models.pools.bases.scaling_parameters import ScalingParameters
from scaling_models.pools.central_queue import CentralQueue
from scaling_models.pools.formulas import autoscaling
from scaling_models.pools.formulas.load_step import Step, beyond_the_relief, fluid_backlog, mean_backlog

SURE, ROUGH = 4.0, 2.5  # standard deviations that the backlog's mean must lie above zero
HUNTS, WANDERS = 0.02, 0.1  # share of the time that the rule is elsewhere than its steady number of servers
CERTAIN = Accuracy(
    "within 3%", 0.03, "a period sees so many requests that the rule is elsewhere 2% of the time at most"
)
FAIR = Accuracy("within 15%", 0.15, "a period sees so many requests that the rule is elsewhere 10% of the time at most")
NEAR = Accuracy("within 3%", 0.03, "backlog at least 4 of its standard deviations, and a rule that does not hunt")
FAR = Accuracy("within 15%", 0.15, "backlog at least 2.5 of its standard deviations, and a rule that seldom hunts")
NONE = Accuracy("simulated", None, "the rule hunts, or the backlog is small beside its chance fluctuations")
MOST_DECISIONS = 5_000  # of a simulated surge: half a minute
LEAD = 2  # periods before the step, at least
LATE, LAG = 1.5, 4  # times as late, and periods in a window, where that is broken


class ScaledPool(ScalingParameters):
    """Base of `Autoscaler`: the fluid that follows from what it is given, and the system to simulate."""

    @functools.cached_property
    def _rule(self) -> autoscaling.Rule:
        return autoscaling.Rule(
            self.target, self.period, self.provisioning, self.stabilization, self.tolerance, self.least, self.most
        )

    def _load(self, rate: float) -> float:
        return rate * self.service.mean()

    def climb(self, extra: float = 0.0) -> autoscaling.Climb:
        """When which servers are there, and how many requests, from the step on; fluid. `extra` at the relief."""
        loads = self._load(self.before), self._load(self.after)
        return autoscaling.climb(self._rule, self._first, *loads, 1.0 / self.service.mean(), extra)

    @functools.cached_property
    def _climb(self) -> autoscaling.Climb:
        return self.climb()

    @property
    def _first(self) -> int:
        return self._rule.steady(self._load(self.before))

    @property
    def _overloaded(self) -> bool:
        """Whether there was no steady state before the step already."""
        return self._load(self.before) >= self._first

    @property
    def _short(self) -> bool:
        """Whether the servers never suffice."""
        return self._overloaded or self._climb.relief == math.inf

    def _elsewhere(self, rate: float, servers: int) -> float:
        """About the share of the time that noise holds the rule away from so many servers, at a load of `rate`.

        Busy servers averaged over a period vary relatively by 2 / (rate x period), a step up lasts as long as the
        stabilization, a step down needs all decisions within it to agree.
        """
        load, spread = self._load(rate), math.sqrt((1.0 + self.service.scv) / (rate * self.period))
        wanted = self.target * servers
        up = max((1.0 + self.tolerance) * wanted, wanted) / load - 1.0
        down = 1.0 - min((1.0 - self.tolerance) * wanted, self.target * (servers - 1)) / load
        kept = self.stabilization / self.period + 1.0
        above = 0.0 if servers == self.most else kept * float(special.ndtr(-up / spread))
        below = 0.0 if servers == self.least else float(special.ndtr(-down / spread)) ** kept
        return above + below

    def _steadiness(self, rate: float, servers: int) -> Accuracy:
        elsewhere = self._elsewhere(rate, servers)
        return CERTAIN if elsewhere <= HUNTS else FAIR if elsewhere <= WANDERS else NONE

    @functools.cached_property
    def _steady(self) -> Accuracy:
        return self._steadiness(self.before, self._first)

    @functools.cached_property
    def _worst(self) -> int:
        """The place of the change just before which most requests wait, in the fluid."""
        waiting = self._climb.waiting()
        return 1 + int(np.argmax(waiting)) if waiting else 0

    @functools.cached_property
    def _sure(self) -> float:
        """How many standard deviations the fluid's backlog lies above zero."""
        waiting = self._climb.waiting()
        return max(waiting) / math.sqrt(self._passed[0] + self.service.scv * self._passed[1]) if any(waiting) else 0.0

    @functools.cached_property
    def _passed(self) -> tuple[float, float]:
        """Requests that arrived and that began service until the most wait, after the first servers were busy."""
        at, times, servers = self._worst, self._climb.times, self._climb.servers
        spans = np.diff(times[: at + 1])
        return self.after * times[at], float(spans @ np.array(servers[:at])) / self.service.mean()

    @functools.cached_property
    def _chance(self) -> float:
        """Requests that chance adds to the fluid's backlog: what the first servers idle before they are all busy."""
        at, speed = self._climb.relief, 1.0 / self.service.mean()
        first = Step(self.before, self.after, self._first, self._first + 1, speed, at)
        return float(mean_backlog(first) - fluid_backlog(first, at))

    @functools.cached_property
    def _believed(self) -> Accuracy:
        """Of what waits: by its chance fluctuations, and by the rule's steadiness before the step."""
        climb = self._climb
        within = climb.waiting()[: self._worst]
        queue = bool(within) and min(within) > 0 and self._first < self._load(self.after)
        if not queue or climb.times[self._worst] != climb.relief or self._sure < ROUGH or self._steady is NONE:
            return NONE
        share = self._beyond * self.after / max(within)
        if self._chance > 0.3 * max(within) or share > 0.15:
            return NONE
        near = self._sure >= SURE and self._steady is CERTAIN and self.service.scv == 1.0 and share < 0.03
        return NEAR if near else FAR

    @property
    def _beyond(self) -> float:
        """Seconds by which chance moves the longest wait beyond the relief."""
        at, servers = self._worst, self._climb.servers
        step = Step(self.before, self.after, servers[at - 1], servers[at], 1.0 / self.service.mean(), 0.0)
        return float(beyond_the_relief(step))

    @functools.cached_property
    def _pool_before(self) -> CentralQueue:
        return CentralQueue(self.before, self._first, self.service)

    def _peaks(self) -> set[int]:
        """The most servers ordered where the backlog is three of its standard deviations larger or smaller."""
        spread = 3.0 * math.sqrt(self._passed[0] + self.service.scv * self._passed[1])
        return {self.climb(self._chance + sign * spread).peak for sign in (-1.0, 0.0, 1.0)}

    def course(self, times: Array) -> dict[str, Array]:
        """Servers there, servers that the load keeps busy, and requests that wait, at times (s) after the step; fluid.

        Exact for the fluid up to the last change of the climb.
        """
        climb, at = self._climb, np.asarray(times, dtype=float)
        place = np.searchsorted(climb.times, at, side="right") - 1
        waits = np.zeros_like(at)
        speed, load = 1.0 / self.service.mean(), self._load(self.after)
        for i, time in enumerate(at):
            here = int(place[i])
            fluid = autoscaling.pieces(climb.levels[here], climb.servers[here], load, speed, time - climb.times[here])
            level = fluid[-1][1] if fluid else climb.levels[here]
            waits[i] = max(level - climb.servers[here], 0.0)
        return {
            "servers": np.array(climb.servers, dtype=float)[place],
            "servers that the load needs": np.full_like(at, load),
            "requests that wait": waits,
        }

    def _lead(self) -> float:
        """Seconds from empty to the steady state before the step: whole periods."""
        room = self._first * (1.0 - math.sqrt(self._load(self.before) / self._first)) ** 2
        settles = self.service.mean() * (10.0 + 10.0 / room)
        return self.period * max(LEAD, math.ceil(settles / self.period))

    def _system(self, lead: float, violating: str | None) -> ChangingPool:
        broken = self.known_violation(violating)
        flow = TimeVarying((0.0, lead, lead), (self.before, self.before, self.after), math.inf, self.service)
        late = self.provisioning * (LATE if broken == "servers come late" else 1.0)
        window = self.period * (LAG if broken == "the metric lags" else 1)
        rule = ScalingRule(
            self.target, self.period, window, late, self.stabilization, self.least, self.most, self.tolerance
        )
        return ChangingPool(flow, self._first, rule)

    def _looks(self, lead: float, violating: str | None) -> Array:
        """When to look at the simulated pool: at each decision and as its servers come, until all is over."""
        broken = self.known_violation(violating) is not None
        ends = 1.3 * max(self._climb.drained, self.period) * (2.2 if broken else 1.0)
        rule = self._system(lead, violating).rule
        assert rule is not None
        decisions = math.ceil((lead + ends) / self.period)
        if decisions > MOST_DECISIONS:
            raise ValueError(
                f"Autoscaler.simulate: {decisions:,} decisions are taken until all is over: more than "
                f"{MOST_DECISIONS:,} are too many to simulate"
            )
        ticks = self.period * np.arange(1, decisions + 3)
        return np.unique(np.concatenate([ticks, ticks + rule.provisioning]))
