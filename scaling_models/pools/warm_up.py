"""New servers that come cold: what a scale-out buys at first."""

from __future__ import annotations

import functools
import math
from typing import ClassVar

import numpy as np

from scaling_models.answers import Accuracy, Assumption, Simulation, Timeline, answer
from scaling_models.domains import Real
from scaling_models.latency import Distribution, Never
from scaling_models.montecarlo.estimates import Estimate, NotSettled, SimulatedLatency, from_batches
from scaling_models.montecarlo.kernels.warming import follow_warming
from scaling_models.montecarlo.streams import checked_requests, stream
from scaling_models.parameters import Slider, parameter
from scaling_models.pools.bases.pool import Array
from scaling_models.pools.bases.stepped_pool import FAR
from scaling_models.pools.bases.surges_played import check_surge
from scaling_models.pools.formulas import load_step
from scaling_models.pools.formulas.warm_up import WarmUp, turning
from scaling_models.pools.load_step import CURVE, FEWEST, LoadStep
from scaling_models.pools.times.normal_wait import normal_wait

MOST = 2_000  # surges simulated side by side
EXACT = ("first_capacity", "capacity_lost", "turning_time")


class ColdServers(LoadStep):
    """A load step whose new servers come cold: caches empty, nothing compiled, connections to be made.

    Each begins at `first_speed` of its speed, and has all of it `warm_up` later, evenly. Until the new servers are
    there it is `LoadStep`. From then on, fluid: while cold servers carry less than the load the backlog still grows;
    longest waits who starts as they carry it, and in all the warm-up costs as many requests as added x
    (1 - first_speed) x warm_up / 2 seconds of work are. See `formulas.warm_up`; measured.
    """

    violations: ClassVar[tuple[str, ...]] = ("warm-up times vary",)
    verified_with: ClassVar[int] = 2_000_000
    _assumptions: ClassVar[tuple[Assumption, ...]] = (
        Assumption("the new servers come all at once", "optimistic if they come late"),
        Assumption("they warm up by time, not by requests", "pessimistic if they are warmed before they serve"),
        *LoadStep._assumptions[1:],
    )

    first_speed: float = parameter(
        default=0.3,
        domain=Real(0.0, 1.0, open_high=False),
        symbol="s₀",
        about="speed of a new server as it comes, over its full speed",
        slider=Slider(0.05, 1.0, 0.05),
    )
    warm_up: float = parameter(
        default=60.0,
        domain=Real(open_low=False),
        unit="s",
        symbol="w",
        about="time within which it comes to full speed",
        slider=Slider(0, 600, 10),
    )

    @functools.cached_property
    def _warm(self) -> WarmUp:
        return WarmUp(self.first_speed, self.warm_up)

    @functools.cached_property
    def _each(self) -> float:
        """Requests/s that all new servers carry together once they are warm."""
        return self.new_capacity - self.capacity

    def _accuracy(self, metric: str, level: float | None = None) -> Accuracy:
        """That of `LoadStep`; the longest wait only within 15% where chance adds a thirtieth at the backlog's top."""
        declared = super()._accuracy(metric, level)
        if metric in EXACT:
            return self._answer(metric).accuracy
        near = declared.label == "within 3%" and metric == "worst_wait"
        return FAR if near and self._beyond > self._top / 30.0 else declared

    @answer("requests/s", "what all servers can serve a second as the new ones come")
    def first_capacity(self) -> float:
        """(N + added x first_speed) / E[S]; without a warm-up all of them are warm at once."""
        return self.capacity + (self.first_speed if self.warm_up > 0.0 else 1.0) * self._each

    @answer("requests", "requests that are not served by the new servers because they were cold")
    def capacity_lost(self) -> float:
        """added / E[S] x (1 - first_speed) x warm_up / 2: all of it waits if the queue lasts so long."""
        return self._each * float(self._warm.lost(self.warm_up))

    @answer("s", "time from the coming of the new servers until the backlog falls")
    def turning_time(self) -> float:
        """When they carry what the load exceeds the others by; inf if they never do."""
        if self._each == 0.0:
            return math.inf if self.after > self.capacity else 0.0
        return float(turning(self._warm, (self.after - self.capacity) / self._each))

    def _taken(self, x: Array) -> Array:
        """Requests begun from the relief until x (s) after it, where a queue stands."""
        return np.asarray(self.added + self.capacity * x + self._each * self._warm.work(x))

    def _until(self, begun: Array) -> Array:
        """The x by which that many are begun, beyond those whom the new servers take at once."""
        if self.added == 0:
            return np.asarray(begun / self.capacity)
        return np.asarray(self._warm.when(begun / self._each, self.capacity / self._each))

    @property
    def _top(self) -> float:
        """Requests that wait as the backlog turns, by the fluid, or as the servers come, if they were more."""
        backlog = float(load_step.fluid_backlog(self._step, self.provisioning))
        x = self.turning_time
        return max(backlog, backlog + self.after * x - float(self._taken(np.asarray(x))))

    @answer("requests", "mean number of requests that wait when there are most")
    def peak_backlog(self) -> float:
        """The backlog, and what comes beyond the capacity of cold servers until they carry the load."""
        backlog = self.backlog
        if math.isinf(self.turning_time):
            return math.inf
        return backlog + self._top - float(load_step.fluid_backlog(self._step, self.provisioning))

    @answer("s", "the longest time that any request waits")
    def worst_wait(self) -> Distribution:
        """Normal about peak backlog / after, with the variance of what came and was served until then."""
        self._needs_a_queue()
        if self._overloaded or self.after >= self.new_capacity:
            return Never()
        step, top = self._step, self._top
        longest = float(load_step.longest_wait(step))
        grown = max(0.0, top - float(load_step.fluid_backlog(step, self.provisioning))) / self.after
        chance = self._mean_backlog - float(load_step.fluid_backlog(step, self.provisioning))
        mean = longest + grown + (chance + self._beyond) / self.after
        x = self.turning_time if grown > 0 else 0.0
        served = self.capacity * (self.provisioning - self.startup_time + x) + self._each * float(self._warm.work(x))
        spread = math.sqrt((1.0 + self.service.scv) * served) / self.after
        return normal_wait(mean, spread)

    @property
    def _beyond(self) -> float:
        """Requests by which the top is exceeded on average: at a corner as `beyond_the_relief` says, or at a parabola
        as Brownian motion exceeds it, 0.99615 (I^2 / k)^(1/3) (Daniels and Skyrme 1985)."""
        corner = math.inf
        if self.first_capacity > self.after:
            step = self._step._replace(many=self.first_capacity * self.service.mean())
            corner = float(load_step.beyond_the_relief(step)) * self.after
        if self.warm_up == 0.0 or self.first_speed == 1.0:
            return corner
        slope = self._each * (1.0 - self.first_speed) / self.warm_up
        return min(corner, 0.99615 * float(np.cbrt(((1.0 + self.service.scv) * self.after) ** 2 / slope)))

    @answer("s", "mean time from the coming of the new servers until no request waits")
    def drain_time(self) -> float:
        """Until the backlog and all who come meanwhile are begun, one more, and the next has come."""
        self._needs_a_queue()
        if self._overloaded or self.after >= self.new_capacity:
            return math.inf
        self._needs_a_drain()
        return self._drained

    @property
    def _drained(self) -> float:
        """Of a stable pool, however few are left."""
        left = max(self._left + 1.0, 0.0)
        steady = (self.capacity - self.after) / self._each
        return float(self._warm.when(left / self._each, steady)) + 1.0 / self.after

    def course(self, times: Array) -> dict[str, Array]:
        """Requests that wait, and the wait (s) of a request that comes, at times (s) after the step. Fluid."""
        at, step = np.asarray(times, dtype=float), self._step
        since = np.maximum(at - self.provisioning, 0.0)
        top = float(load_step.fluid_backlog(step, self.provisioning))
        level = np.maximum(top + self.after * since - self._taken(since), 0.0)
        level = np.where(np.minimum.accumulate(level > 0.0), level, 0.0) if level.ndim else level
        waiting = np.where(at > self.provisioning, level, load_step.fluid_backlog(step, at))
        rest = np.maximum(self.provisioning - at, 0.0)
        left = waiting - self.capacity * rest
        fresh = np.where(at < self.provisioning, self.added, 0.0)
        begun = self._taken(since) - self.added + np.maximum(left - fresh, 0.0)
        late = rest + self._until(begun) - since
        wait = np.where(left > 0.0, late, waiting / self.capacity)
        return {"requests that wait": waiting, "wait of a request that comes": wait}

    def simulate(self, requests: int | None = None, seed: int = 0, *, violating: str | None = None) -> Simulation:
        """Whole surges (64 at least) with so many `requests`, each from the steady state before until none waits.

        "warm-up times vary": exponential in each surge, the same on average. Raises `NotSettled` where the queue never
        ends. Exact but for chance.
        """
        wanted = checked_requests(self, FEWEST if requests is None else requests)
        surges = min(max(FEWEST, math.ceil(wanted / self.requests_in_surge)), MOST)
        varied = self.known_violation(violating) is not None
        if self._overloaded or self.after >= self.new_capacity:
            raise NotSettled("the load stays at or over capacity: there is no end to simulate")
        lead = self._lead()
        check_surge(type(self).__name__, self.before * lead + self.requests_in_surge, self.servers + self.added)
        shares = stream(seed, 1).standard_exponential(surges) if varied else np.ones(surges)
        warm = WarmUp(self.first_speed, self.warm_up * shares)

        def ends(begin: Array, service: Array) -> Array:
            return np.asarray(warm.when(warm.work(begin) + service))

        relief, last = lead + self.provisioning, float(np.max(warm.time))
        found = follow_warming(self._flow(lead), self.servers, self.added, relief, last, ends, surges, seed)
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
        """The backlog with cold servers, and with servers that are warm at once. Fluid: nothing is drawn."""
        ready = self.replace(first_speed=1.0)
        ends = not self._overloaded and self.after < self.new_capacity and self.startup_time < self.provisioning
        last = self.provisioning + (1.1 * self._drained if ends and self._believable else self.provisioning)
        times = np.linspace(0.0, last, CURVE)
        cold, warm = (each.course(times)["requests that wait"] for each in (self, ready))
        return Timeline(
            f"{cold.max():,.0f} requests wait behind servers that come cold, {warm.max():,.0f} if they came warm; the "
            f"warm-up costs {self.capacity_lost:,.0f} requests",
            times,
            {"cold servers": cold, "warm servers": warm},
            "requests",
            ((self.provisioning, "new servers"), (self.provisioning + self.warm_up, "all warm")),
        )
