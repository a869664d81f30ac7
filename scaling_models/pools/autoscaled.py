"""A pool whose number of servers follows its utilization."""

from __future__ import annotations

import math
from typing import ClassVar

import numpy as np

from scaling_models.answers import Accuracy, NoClosedForm, Simulation, Timeline, answer
from scaling_models.latency import Distribution, Never
from scaling_models.montecarlo.bins import BinnedLatency, Counts
from scaling_models.montecarlo.estimates import NotSettled, SimulatedLatency, from_batches
from scaling_models.montecarlo.kernels.timelines import Timelines
from scaling_models.montecarlo.streams import checked_requests
from scaling_models.pools.bases.scaled_pool import FAR, NEAR, NONE, SURE, ScaledPool
from scaling_models.pools.times.normal_wait import normal_wait

LANES = (32, 2_000)  # steps of load simulated side by side
MOST_REQUESTS = 30_000_000  # simulated together: a gigabyte and a half
MOST_EACH = 300_000  # in one surge: ten seconds
CURVE = 400  # times of a timeline


class Autoscaler(ScaledPool):
    """Servers follow the utilization, n <- ceil(busy / target), while the load steps from one rate to another.

    No more can be busy than there are: overload looks like 100%, so that servers grow by 1/target a round at most, and
    a round takes a control period and the provisioning. Fluid meanwhile: requests wait by what comes too much, the
    longest wait is backlog / after as the servers come that suffice; and while the queue drains all servers are busy,
    so that the rule orders more than the load needs, for as long as `stabilization` says. Chance adds to the backlog
    and spreads it as in `LoadStep`. The rule is that of Kubernetes' horizontal pod autoscaler; measured.
    """

    headline: ClassVar[str] = "worst_wait"
    verified_with: ClassVar[int] = 1_200_000

    def _accuracy(self, metric: str, level: float | None = None) -> Accuracy:
        """By how far the backlog lies above its own fluctuations, and by how often noise moves the rule."""
        declared = super()._accuracy(metric, level)
        if metric == "latency_before":
            pool = self._pool_before.accuracy("latency", level)
            return (
                declared
                if self._overloaded
                else NONE
                if self._steady is NONE
                else max(self._steady, pool, key=lambda each: math.inf if each.error is None else each.error)
            )
        if metric in ("servers_before", "utilization_before"):
            return self._steady
        if metric in ("servers_after", "utilization_after"):
            return self._steadiness(self.after, self._climb.settled) if not self._short else declared
        if self._short:
            return declared if metric in ("worst_wait", "backlog", "recovery_time", "relief_time") else self._steady
        return self._of_the_climb(metric, level)

    def _of_the_climb(self, metric: str, level: float | None) -> Accuracy:
        believed = self._believed
        if metric in ("relief_time", "rounds", "servers_by_round"):
            return believed
        if metric == "peak_servers" and believed is not NONE:
            return NEAR if self._peaks() == {self._climb.peak} else NONE
        return FAR if level is not None and believed is NEAR and self._sure < 3 * SURE else believed

    def _needs(self, metric: str) -> None:
        if self._accuracy(metric).error is None:
            raise NoClosedForm(
                f"Autoscaler.{metric}: no queue stands until more servers come, or the rule hunts: simulate it"
            )

    @answer("servers", "servers that the rule holds before the step")
    def servers_before(self) -> int:
        """ceil(before E[S] / target), within [least, most]."""
        self._needs("servers_before")
        return self._first

    @answer("servers", "servers that the rule holds in the end")
    def servers_after(self) -> int:
        """Where the climb settles: ceil(after E[S] / target), or more within the tolerance, or the most."""
        self._needs("servers_after")
        return self._climb.settled

    @answer("", "share of the servers' time that is busy before the step")
    def utilization_before(self) -> float:
        """before E[S] / servers."""
        self._needs("utilization_before")
        return self._load(self.before) / self._first

    @answer("", "share of the servers' time that is busy in the end")
    def utilization_after(self) -> float:
        """after E[S] / servers; above 1 overloaded."""
        self._needs("utilization_after")
        return self._load(self.after) / self._climb.settled

    @answer("s", "time from arrival to reply, before the step")
    def latency_before(self) -> Distribution:
        """That of `CentralQueue` before the servers held: M/M/c for exponential service."""
        self._needs("latency_before")
        return self._pool_before.latency

    @answer("servers", "servers there, round by round, until they suffice")
    def servers_by_round(self) -> tuple[int, ...]:
        """n <- ceil(n / target) while all are busy; up to the first number above the load."""
        self._needs("servers_by_round")
        climb = self._climb
        return tuple(n for at, n in zip(climb.times, climb.servers, strict=True) if 0 < at <= climb.relief)

    @answer("rounds", "how many times servers come until they suffice")
    def rounds(self) -> float:
        """About log(load / servers) / log(1 / target) + 1; inf where they never do."""
        self._needs("rounds")
        return math.inf if self._short else float(len(self.servers_by_round))

    @answer("s", "time from the step until the servers can serve more than comes")
    def relief_time(self) -> float:
        """A period and the provisioning for each round; inf where they never can."""
        self._needs("relief_time")
        return math.inf if self._overloaded else self._climb.relief

    @answer("requests", "mean number of requests that wait as the servers come that suffice")
    def backlog(self) -> float:
        """What comes too much, less what the servers of each round begin at once, with what chance adds."""
        self._needs("backlog")
        return math.inf if self._short else max(self._climb.waiting()) + self._chance

    @answer("s", "the longest time that any request waits")
    def worst_wait(self) -> Distribution:
        """Normal about backlog / after, with variance (1 + scv) x services / after^2. Never without enough servers."""
        self._needs("worst_wait")
        if self._short:
            return Never()
        mean = self.backlog / self.after + self._beyond
        spread = math.sqrt((1.0 + self.service.scv) * self._passed[1]) / self.after
        return normal_wait(mean, spread)

    @answer("s", "mean time from the step until no request waits any more")
    def recovery_time(self) -> float:
        """When the fluid's queue is gone, with what chance adds to it."""
        self._needs("recovery_time")
        return math.inf if self._short else self.climb(self._chance).drained + 1.0 / self.after

    @answer("servers", "the most servers ordered while the queue drains")
    def peak_servers(self) -> int:
        """All servers are busy as long as any request waits, so that the rule orders on; up to the most."""
        self._needs("peak_servers")
        return self._climb.peak

    @property
    def requests_in_surge(self) -> int:
        """About how many requests come from the step until the fluid's queue is gone, where it ever is."""
        drained = self._climb.drained
        lasts = drained if math.isfinite(drained) else self._climb.times[-1]
        return math.ceil(self.after * max(lasts, self.period))

    def simulate(self, requests: int | None = None, seed: int = 0, *, violating: str | None = None) -> Simulation:
        """Whole surges (32 at least) with so many `requests`, each from the steady state before until none waits.

        "servers come late": half as late again. "the metric lags": it is averaged over four periods. Raises
        `NotSettled` where the queue never ends. Exact but for chance.
        """
        wanted = checked_requests(self, LANES[0] if requests is None else requests)
        surges = min(max(LANES[0], math.ceil(wanted / self.requests_in_surge)), LANES[1])
        if self._short:
            raise NotSettled("the load stays at or over capacity: there is no end to simulate")
        lead = self._lead()
        pool, looks = self._system(lead, violating), self._looks(lead, violating)
        each = self.before * lead + self.after * (float(looks[-1]) - lead)
        if each > MOST_EACH:
            raise ValueError(
                f"Autoscaler.simulate: {each:,.0f} requests come in one surge: more than {MOST_EACH:,} are too many to "
                "simulate"
            )
        found = pool.follow(looks, min(surges, int(MOST_REQUESTS / each)), seed)
        return Simulation(self, found.slots.shape[1] * self.requests_in_surge, seed, **self._told(found, lead))

    def _told(self, found: Timelines, lead: float) -> dict[str, object]:
        """What each lane says of the answers."""
        step, lanes = int(np.searchsorted(found.times, lead)), np.arange(found.slots.shape[1])
        enough = (found.slots > self._load(self.after)) & (found.times >= lead)[:, None]
        at = enough.argmax(axis=0)
        relief = found.times[at]
        since, steady = found.arrivals >= lead, (found.arrivals >= lead / 2.0) & (found.arrivals < lead)
        waits = np.where(since, found.waits, 0.0)
        calm = (found.arrivals >= relief) & (found.waits <= 1e-12)
        if not (enough.any(axis=0) & calm.any(axis=0)).all():
            raise NotSettled("requests still waited in some surge long after the fluid has drained")
        rises = np.diff(found.slots[step:], axis=0) > 0
        early = np.arange(step + 1, len(found.times))[:, None] <= at
        return {
            "servers_before": from_batches(found.slots[step]),
            "latency_before": BinnedLatency(Counts.of(np.where(steady, found.latencies, math.nan), lanes, len(lanes))),
            "rounds": from_batches((rises & early).sum(axis=0)),
            "relief_time": from_batches(relief - lead),
            "backlog": from_batches(np.maximum(found.in_flight[at, lanes] - found.slots[at - 1, lanes], 0.0)),
            "worst_wait": SimulatedLatency(np.nanmax(waits, axis=0)[:, None]),
            "recovery_time": from_batches(found.arrivals[calm.argmax(axis=0), lanes] - lead),
            "peak_servers": from_batches(found.ordered.max(axis=0)),
        }

    def timeline(self, seed: int = 0) -> Timeline:
        """Requests that wait as planned, if servers took twice as long, and with too small a most. Fluid."""
        late = self.replace(provisioning=2.0 * self.provisioning + self.period)
        few = self.replace(least=min(self.least, self._capped), most=self._capped)
        ends = [each._climb.drained for each in (self, late)]
        seen = max([end for end in ends if math.isfinite(end)] + [4.0 * (self.period + self.provisioning)])
        times = np.linspace(0.0, 1.2 * seen, CURVE)
        plans = {"as planned": self, "servers take twice as long": late, f"{self._capped} servers at most": few}
        lines = {name: each.course(times)["requests that wait"] for name, each in plans.items()}
        most = [line.max() for line in lines.values()]
        gone = f"gone {ends[0]:,.0f} s after the step" if math.isfinite(ends[0]) else "and never fewer"
        rounds = [(at, f"{n} servers") for at, n in zip(self._climb.times, self._climb.servers, strict=True) if at > 0]
        return Timeline(
            f"{most[0]:,.0f} requests wait, {gone}; {most[1]:,.0f} where servers take twice as long, and ever more "
            f"where {self._capped} are the most",
            times,
            lines,
            "requests",
            tuple((at, said) for at, said in rounds if at <= times[-1]),
        )

    @property
    def _capped(self) -> int:
        """The most servers that cannot carry the new load."""
        return max(1, math.ceil(self._load(self.after)) - 1)
