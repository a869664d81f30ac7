"""A deploy that takes servers out batch by batch, under traffic."""

from __future__ import annotations

import math
from typing import ClassVar

import numpy as np

from scaling_models.answers import Accuracy, NoClosedForm, Simulation, Timeline, answer
from scaling_models.latency import Distribution, Exponential, Hyperexponential, Never
from scaling_models.montecarlo.estimates import NotSettled
from scaling_models.montecarlo.kernels import deploys
from scaling_models.montecarlo.streams import checked_requests
from scaling_models.montecarlo.traffic.arrivals import Renewal
from scaling_models.pools.bases.deployed_pool import FAR, NEAR, NONE, DeployedPool
from scaling_models.pools.bases.deploys_told import told
from scaling_models.pools.bases.pool import Array
from scaling_models.pools.formulas.autoscaling import pieces
from scaling_models.pools.formulas.residuals import residual
from scaling_models.pools.formulas.sizing import central_servers
from scaling_models.pools.formulas.walks import is_exponential

LANES = (32, 2_000)  # deploys simulated side by side
MOST_REQUESTS = 30_000_000  # simulated together: a gigabyte and a half
MOST_EACH = 300_000  # in one deploy: ten seconds
CURVE = 400  # times of a timeline
COLD, HEAVIER = 1.5, 4.0  # slowdown of cold servers, and scv of services, where they are shown

FORGETS = Accuracy("within 15%", 0.05, "exponential service: one over the spectral gap of M/M/c, up to 500 slots")


class RollingDeploy(DeployedPool):
    """Servers leave `batch` at a time, drain, restart and come back, over one queue before all slots.

    While a batch is away the pool is M/M/c with fewer slots, once it has forgotten what was before (`latency_during`:
    quasi-stationary); where these do not carry the load, a queue grows as after a step of load and drains in the
    pauses (fluid, with what chance adds). A server waits for its requests as long as `drain` says, whether it has any
    or not; what is not done by then is cut: E[(S - drain)+] / E[S] of those it serves, e^(-drain / E S) if exponential.
    """

    headline: ClassVar[str] = "latency_during"
    verified_with: ClassVar[int] = 1_200_000

    def _accuracy(self, metric: str, level: float | None = None) -> Accuracy:
        """By how soon the pool forgets that a batch left, and by the backlog beside its own fluctuations."""
        declared = super()._accuracy(metric, level)
        if metric == "latency":
            return self._outside.accuracy("latency", level)
        if metric == "probability_cut":
            return declared if is_exponential(self.service) else NEAR
        if metric == "relaxation_time":
            return declared if is_exponential(self.service) or self._swamped else NONE
        if self._overloaded:
            return NONE if metric == "requests_cut" else declared
        if metric == "latency_during":
            return self._steady(level)
        if metric == "requests_cut":
            return NONE if self._swamped else NEAR if self._uneven <= 0.03 else FAR
        if metric in ("backlog", "longest_wait"):
            return self._queue(self._worst)
        if metric == "drain_time":
            return self._drain()
        return declared

    def _needs(self, metric: str) -> None:
        if self._accuracy(metric).error is None:
            left = f"{self._left} slots are left for {self._load:.3g} erlangs"
            steady = "no steady state while a batch is away (see backlog), or no queue that stands for good"
            raise NoClosedForm(f"RollingDeploy.{metric}: {left}: {steady}: simulate it")

    @answer("s", "time that the whole deploy takes")
    def duration(self) -> float:
        """Batches x (drain + restart), and a pause between each two."""
        return len(self._batches) * self._away + (len(self._batches) - 1) * self.pause

    @answer("requests/s", "what the servers can serve a second while a batch is away")
    def capacity_left(self) -> float:
        """(N - b) k / E[S]."""
        return self._left / self.service.mean()

    @answer("", "share of the slots' time that is busy outside the deploy; above 1 overloaded")
    def utilization(self) -> float:
        """lambda E[S] / (N k)."""
        return self._load / self._slots

    @answer("", "the same while a batch is away")
    def utilization_during(self) -> float:
        """lambda E[S] / ((N - b) k); inf where nobody is left."""
        return self._load / self._left if self._left else math.inf

    @answer("servers", "the largest batch whose absence the others carry")
    def largest_batch(self) -> int:
        """The largest b with lambda E[S] < (N - b) k; 0 for none."""
        return max(self.servers - math.floor(self._load / self.workers) - 1, 0) if self.utilization < 1.0 else 0

    def largest_batch_holding(self, latency: float, level: float = 0.99) -> int:
        """The largest batch during whose absence a quantile of the latency holds; 0 for none.

        M/M/c with exponential service, else `NoClosedForm`; `latency` in s, `level` a fraction. Exact once the pool has
        forgotten what was before.
        """
        if not is_exponential(self.service):
            raise NoClosedForm("RollingDeploy.largest_batch_holding: for exponential service only")
        least = float(central_servers(self.arrival_rate, self.service.mean(), latency, level, self.workers))
        return int(max(self.servers - least, 0.0))

    @answer("s", "time from arrival to reply, outside the deploy")
    def latency(self) -> Distribution:
        """That of `CentralQueue` before all servers; Never at overload."""
        return self._outside.latency

    @answer("s", "time from arrival to reply of those who come while a batch is away")
    def latency_during(self) -> Distribution:
        """That of `CentralQueue` before the servers left, quasi-stationary; Never at overload of all of them."""
        self._needs("latency_during")
        return Never() if self._overloaded else self._pool(self.servers - self._batch).latency

    @answer("s", "how long the pool remembers that a batch left", FORGETS)
    def relaxation_time(self) -> float:
        """1 / min(mu, (sqrt(c mu) - sqrt(lambda))^2) for the c slots left; inf where these do not carry the load."""
        self._needs("relaxation_time")
        return self._relaxation()

    @answer("", "share of the requests served by a server as it leaves that are cut by its restart")
    def probability_cut(self) -> float:
        """E[(S - drain)+] / E[S]: the residual service is longer; e^(-drain / E[S]) if exponential."""
        if is_exponential(self.service):
            return math.exp(-self.drain / self.service.mean())
        return float(residual(self.service).late(np.array(self.drain / self.service.mean())))

    @property
    def _uneven(self) -> float:
        """By how much busier those who stayed still are as the next batch leaves, relatively."""
        idle = max(self._slots - self._load, 1e-9)
        evening = math.exp(-self.pause * self._slots / idle / self.service.mean())
        return (self._slots / self._left - 1.0) * evening if self._left and len(self._batches) > 1 else 0.0

    @answer("requests", "mean number of requests cut in the whole deploy")
    def requests_cut(self) -> float:
        """Each server's busy slots as it leaves, times the share cut: lambda E[S] x probability_cut in all.

        Without a pause those who leave next are busier than those just back, by (N k) / ((N - b) k); in a pause that
        evens out at the rate c mu / (1 - load / c) of the c slots.
        """
        self._needs("requests_cut")
        later = self.servers - self._batches[0]
        busy = self.utilization * self.workers * (self._batches[0] + later * (1.0 + self._uneven))
        return busy * self.probability_cut

    @answer("requests", "mean number of requests that wait as the batch comes back at whose return most wait")
    def backlog(self) -> float:
        """(lambda - capacity left) x absence less the start-up, of batches whose pauses do not suffice; and chance."""
        self._needs("backlog")
        return math.inf if self._overloaded else self._rollout.waiting[self._worst] + self._chance

    @answer("s", "mean of the longest wait of those who come before that return")
    def longest_wait(self) -> float:
        """backlog / lambda, and by how much chance moves it beyond the return."""
        self._needs("longest_wait")
        return math.inf if self._overloaded else self.backlog / self.arrival_rate + self._beyond

    @answer("s", "mean time from the last batch's return until no request waits")
    def drain_time(self) -> float:
        """(Requests that wait - those whom the batch takes at once + 1) / (capacity - lambda) + 1 / lambda."""
        self._needs("drain_time")
        if self._overloaded:
            return math.inf
        waiting = self._rollout.waiting[-1] + self._chance - self._batches[-1] * self.workers + 1.0
        spare = (self._slots - self._load) / self.service.mean()
        return max(waiting, 0.0) / spare + 1.0 / self.arrival_rate

    def course(self, times: Array) -> Array:
        """Requests that wait at times (s) after the first batch left; fluid."""
        way, speed = self._rollout, 1.0 / self.service.mean()
        found = np.zeros(len(times))
        for i, time in enumerate(times):
            here = int(np.searchsorted(way.times, time, side="right")) - 1
            level, slots, since = way.levels[here], way.slots[here], time - way.times[here]
            moves = pieces(level, slots, self._load, speed, since) if slots else []
            level = moves[-1][1] if moves else level + (0.0 if slots else self.arrival_rate * since)
            found[i] = max(level - slots, 0.0)
        return found

    def _lead(self) -> float:
        """Seconds from empty to the steady state before the deploy, and as long again to look at it."""
        room = self._slots * (1.0 - math.sqrt(self.utilization)) ** 2
        return 2.0 * self.service.mean() * (10.0 + 10.0 / room)

    @property
    def requests_in_deploy(self) -> int:
        """About how many requests come from the first batch's leaving until the fluid's queue is gone."""
        return math.ceil(self.arrival_rate * (self.duration + self._rollout.drain))

    def simulate(self, requests: int | None = None, seed: int = 0, *, violating: str | None = None) -> Simulation:
        """Whole deploys (32 at least) with so many `requests`, each from the steady state before until none waits.

        "servers come back cold": what they begin as long again as the restart took takes half as long again. "services
        vary more": scv 4 with the same mean. Raises `NotSettled` at overload. Exact but for chance.
        """
        wanted = checked_requests(self, LANES[0] if requests is None else requests)
        broken = self.known_violation(violating)
        if self._overloaded:
            raise NotSettled("the load stays at or over capacity: there is no steady state before, nor after")
        lead = self._lead()
        until = lead + self.duration + 1.5 * self._rollout.drain + lead
        each = self.arrival_rate * until
        if each > MOST_EACH:
            raise ValueError(
                f"RollingDeploy.simulate: {each:,.0f} requests come in one deploy: more than {MOST_EACH:,} are too "
                "many to simulate"
            )
        lanes = min(max(LANES[0], math.ceil(wanted / self.requests_in_deploy)), LANES[1], int(MOST_REQUESTS / each))
        service = Hyperexponential(self.service.mean(), HEAVIER) if broken == "services vary more" else self.service
        cold = (self.restart, COLD) if broken == "servers come back cold" else (0.0, 1.0)
        flow = Renewal(Exponential(1.0 / self.arrival_rate), service)
        deploy = deploys.RollingDeploy(
            flow, self.servers, lead, self._away, self.workers, self._batch, self.pause, *cold
        )
        answers = told(self, deploy, deploy.requests(until, lanes, seed))
        return Simulation(self, lanes * self.requests_in_deploy, seed, **answers)

    def timeline(self, seed: int = 0) -> Timeline:
        """Requests that wait as planned, and where one server more leaves at once than the others can spare. Fluid."""
        spare = self.servers - math.ceil(self._load / self.workers)
        greedy = self.replace(batch=min(max(spare, self._batch) + 1, self.servers))
        ends = [each.duration + min(each._rollout.drain, each.duration) for each in (self, greedy)]
        times = np.linspace(0.0, 1.1 * max(ends), CURVE)
        plans = {f"{each._batch} servers at once": each for each in (self, greedy)}
        lines = {name: each.course(times) for name, each in plans.items()}
        most = [line.max() for line in lines.values()]
        return Timeline(
            f"{self._batch} of {self.servers} servers away at once, and {most[0]:,.0f} requests wait at worst; with "
            f"{greedy._batch} it takes {greedy.duration:,.0f} s, not {self.duration:,.0f}, and {most[-1]:,.0f} wait",
            times,
            lines,
            "requests",
            ((self._away, "the first batch is back"), (self.duration, "all are renewed")),
        )
