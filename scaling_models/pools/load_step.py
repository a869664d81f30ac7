"""A step of load that outruns its servers until more of them come."""

from __future__ import annotations

import math
from typing import ClassVar

import numpy as np

from scaling_models.answers import NoClosedForm, Simulation, Timeline, answer
from scaling_models.latency import Distribution, Never
from scaling_models.montecarlo.estimates import Estimate, NotSettled, SimulatedLatency, from_batches
from scaling_models.montecarlo.kernels.surges import follow_surge
from scaling_models.montecarlo.streams import checked_requests, stream
from scaling_models.montecarlo.traffic.arrivals import TimeVarying
from scaling_models.pools.bases.pool import Array
from scaling_models.pools.bases.stepped_pool import SteppedPool
from scaling_models.pools.bases.surges_played import check_surge
from scaling_models.pools.formulas import load_step as formulas
from scaling_models.pools.times.normal_wait import normal_wait

CURVE = 400  # times of a course
FEWEST, MOST = 64, 10_000  # surges simulated side by side
LATE = 0.5  # of the delay, by which single servers come later at most, where they come late


class LoadStep(SteppedPool):
    """Load steps up (or climbs within `ramp` seconds) beyond the servers' capacity; more servers come `delay` later.

    Fluid: the backlog is what arrived too much, (after - capacity) x delay after a step; the longest wait is that
    of the request which starts as the new servers come, backlog / after; and it drains at the new capacity less
    the load. Chance adds to the backlog what servers idle before the queue stands for good, and spreads it with
    variance (arrivals + services). Newell, Applications of Queueing Theory, 1982, chapter 2, for the fluid; measured.
    """

    headline: ClassVar[str] = "worst_wait"
    verified_with: ClassVar[int] = 11_000_000

    @answer("requests", "mean number of requests that wait as the new servers come")
    def backlog(self) -> float:
        """(after - capacity) x delay, less the start-up, with what chance adds."""
        self._needs_a_queue()
        return math.inf if self._overloaded else self._mean_backlog

    @answer("requests", "standard deviation of that number")
    def backlog_spread(self) -> float:
        """The root of arrivals + scv x services since the start-up."""
        self._needs_a_queue()
        return math.inf if self._overloaded else self._spread

    @answer("s", "the longest time that any request waits")
    def worst_wait(self) -> Distribution:
        """Normal about backlog / after, with variance (1 + scv) x services / after^2. Never without enough servers."""
        self._needs_a_queue()
        if self._overloaded or self.after >= self.new_capacity:
            return Never()
        step = self._step
        chance = self._mean_backlog - float(formulas.fluid_backlog(step, self.provisioning))
        longest = float(formulas.longest_wait(step)) + chance / self.after
        mean = longest + float(formulas.beyond_the_relief(step))
        served = self.capacity * (self.provisioning - self.startup_time)
        spread = math.sqrt((1.0 + self.service.scv) * served) / self.after
        return normal_wait(mean, spread)

    @answer("s", "mean time from the coming of the new servers until no request waits")
    def drain_time(self) -> float:
        """(backlog - those whom the new servers take at once + 1) / (new capacity - after) + 1 / after."""
        self._needs_a_queue()
        if self._overloaded or self.after >= self.new_capacity:
            return math.inf
        self._needs_a_drain()
        return self._drained

    def _needs_a_drain(self) -> None:
        if not self._drains:
            raise NoClosedForm(
                f"{type(self).__name__}: the new servers take about as many at once as wait, so that chance and the "
                "first services decide when no request waits: simulate it"
            )

    @property
    def _drained(self) -> float:
        """Of a stable pool, however few are left."""
        return max(self._left + 1.0, 0.0) / (self.new_capacity - self.after) + 1.0 / self.after

    @property
    def turning(self) -> tuple[float, str]:
        """When the backlog turns (s), and why."""
        return self.provisioning, "new servers come"

    @property
    def span(self) -> float:
        """Seconds that a picture lasts in which no backlog turns."""
        return 2.0 * self.provisioning

    def course(self, times: Array) -> dict[str, Array]:
        """Requests that wait, and the wait (s) of a request that comes, at times (s) after the step. Fluid."""
        return {
            "requests that wait": np.asarray(formulas.fluid_backlog(self._step, times)),
            "wait of a request that comes": np.asarray(formulas.fluid_wait(self._step, times)),
        }

    @property
    def requests_in_surge(self) -> int:
        """About how many requests come from the step until no request waits any more, if ever."""
        queue = not self._overloaded and self.startup_time < self.provisioning
        drained = self._drained if queue and self._believable and self.after < self.new_capacity else 0.0
        return math.ceil(self.after * (self.provisioning + drained))

    def _lead(self) -> float:
        """Seconds from empty to the steady state before the step."""
        room = self.servers * (1.0 - math.sqrt(self.before / self.capacity)) ** 2
        return float(f"{self.service.mean() * (10.0 + 10.0 / room):.6g}")

    def _flow(self, lead: float) -> TimeVarying:
        knots = (0.0, lead, lead + self.ramp)
        return TimeVarying(knots, (self.before, self.before, self.after), math.inf, self.service)

    def simulate(self, requests: int | None = None, seed: int = 0, *, violating: str | None = None) -> Simulation:
        """Whole surges (64 at least) with so many `requests`, each from the steady state before until none waits.

        "servers come late": each by its own time, up to half the delay. Raises `NotSettled` where the queue never
        ends. Exact but for chance.
        """
        wanted = checked_requests(self, FEWEST if requests is None else requests)
        surges = min(max(FEWEST, math.ceil(wanted / self.requests_in_surge)), MOST)
        late = self.known_violation(violating) is not None
        if self._overloaded or self.after >= self.new_capacity:
            raise NotSettled("the load stays at or over capacity: there is no end to simulate")
        lead = self._lead()
        check_surge(type(self).__name__, self.before * lead + self.requests_in_surge, self.servers + self.added)
        relief = lead + self.provisioning
        shifts = stream(seed, 1).uniform(0.0, LATE, (self.added, surges)) if late else 0.0
        ready = np.full((self.added, surges), relief) + shifts * self.provisioning
        found = follow_surge(self._flow(lead), self.servers, ready, relief, seed, math.inf)
        backlog = from_batches(found.backlog)
        spread = backlog.error * math.sqrt(surges)
        return Simulation(
            self,
            surges * self.requests_in_surge,
            seed,
            backlog=backlog,
            backlog_spread=Estimate(spread, spread / math.sqrt(2.0 * (surges - 1)), surges - 1),
            worst_wait=SimulatedLatency(found.worst_wait[:, None]),
            drain_time=from_batches(found.drain_time),
        )

    def timeline(self, seed: int = 0) -> Timeline:
        """The backlog as planned, and where the new servers come half as late again. Fluid: nothing is drawn."""
        late = self.replace(provisioning=(1.0 + LATE) * self.provisioning)
        ends = not self._overloaded and self.after < self.new_capacity and self.startup_time < self.provisioning
        times = np.linspace(0.0, late.provisioning + (1.2 * late._drained if ends else self.provisioning), CURVE)
        planned, delayed = (each.course(times)["requests that wait"] for each in (self, late))
        gone = [each.provisioning + each._drained for each in (self, late)] if ends else []
        last = f"gone {gone[0]:,.0f} s after the step, and not before {gone[1]:,.0f} s" if ends else "and never fewer"
        return Timeline(
            f"{planned.max():,.0f} requests wait as the new servers come, {delayed.max():,.0f} if they come half as "
            f"late again; {last}",
            times,
            {"as planned": planned, "half as late again": delayed},
            "requests",
            ((self.provisioning, "planned"), (late.provisioning, "late")),
        )
