"""A fixed number of clients, each of whom waits for the answer and thinks before asking again: a load test."""

from __future__ import annotations

import dataclasses
import functools
import math
from concurrent.futures import Executor
from typing import ClassVar

import numpy as np

from scaling_models.answers import Accuracy, Assumption, Model, NoClosedForm, Simulation, Timeline, answer
from scaling_models.domains import Integer
from scaling_models.latency import SPREAD, Deterministic, Distribution, Exponential, Hyperexponential, Never
from scaling_models.montecarlo.estimates import at_least_binomial, ratio
from scaling_models.montecarlo.kernels.loops import Loop
from scaling_models.montecarlo.kernels.stalls import in_flight, stalled_loop, stalled_waits
from scaling_models.montecarlo.runs import Plan, Run, run
from scaling_models.montecarlo.streams import checked_requests, stream
from scaling_models.parameters import Slider, parameter
from scaling_models.pools.bases.pool import Array
from scaling_models.pools.bases.services import check_service
from scaling_models.pools.bases.slots import slots_each
from scaling_models.pools.formulas.erlang import erlang_c
from scaling_models.pools.formulas.loops import machine_repairman
from scaling_models.pools.formulas.walks import is_exponential
from scaling_models.pools.times.responses import ErlangResponse
from scaling_models.pools.times.stages import StagedResponse, StagedWait, staged
from scaling_models.wording import short

MOST_WATCHED = 4_000  # requests of a timeline
VARIABLE = 10.0  # squared coefficient of variation, where services vary more
SIMULATED = Accuracy("simulated", None, "a closed form for exponential service only, or where nobody waits")
BY_THEMSELVES = ("saturation_clients", "throughput_bound", "response_bound")  # by the means alone


class ClosedLoop(Model):
    """`clients` who think, send a request to one FIFO queue before all slots, and think again when answered: M/M/c//N.

    p_n of `machine_repairman` for exponential service, whatever the distribution of the think time, only whose mean
    counts; a request finds what one client fewer makes (arrival theorem). Exact; also where there is a slot for each
    client, for any service. Else `NoClosedForm`: simulate it. A load test with so many connections is this pool, and
    flatters: when the servers are slow, the clients wait and send less (`open_latency`: the same throughput from an
    open stream, which does not wait). Cooper, Introduction to Queueing Theory, section 3.8.
    """

    clients: int = parameter(
        default=170,
        domain=Integer(1, 10_000),
        unit="clients",
        symbol="N",
        about="clients, or connections of a load test, each with one request at a time",
        slider=Slider(1, 500, 1),
    )
    think: Distribution = parameter(
        default=Exponential(0.200),
        domain=SPREAD,
        unit="s",
        symbol="Z",
        about="the time from an answer to the client's next request",
    )
    servers: int = parameter(
        default=10,
        domain=Integer(1, 10**6),
        unit="servers",
        symbol="M",
        about="servers in the pool",
        slider=Slider(1, 100, 1),
    )
    service: Distribution = parameter(
        default=Exponential(0.010),
        domain=SPREAD,
        unit="s",
        symbol="S",
        about="the time that a request occupies a slot",
    )
    workers: int = slots_each()

    verified_with: ClassVar[int] = 2_000_000
    violations: ClassVar[tuple[str, ...]] = ("services that vary more",)
    _assumptions: ClassVar[tuple[Assumption, ...]] = (
        Assumption("each client waits for its answer", "optimistic for users who come whether or not others wait"),
        Assumption("exponential service", "optimistic where it varies more, pessimistic where less"),
        Assumption("service times independent of each other and of the load", "optimistic if servers slow under load"),
        Assumption("equal servers that never fail", "optimistic if one is slow or down"),
    )

    def _check(self) -> None:
        for name, each in (("think", self.think), ("service", self.service)):
            if not math.isfinite(each.mean()):
                raise ValueError(f"ClosedLoop.{name} must have a finite mean; got {short(each)}")
        if self.service.mean() == 0:
            raise ValueError(f"ClosedLoop.service must have a mean above 0 s; got {short(self.service)}")
        check_service("ClosedLoop", self.service)

    @property
    def _slots(self) -> int:
        return self.servers * self.workers

    @property
    def _nobody_waits(self) -> bool:
        return self.clients <= self._slots

    @functools.cached_property
    def _exponential(self) -> bool:
        return is_exponential(self.service)

    def _accuracy(self, metric: str, level: float | None = None) -> Accuracy:
        """Exact for exponential service, and where nobody waits; else only bounds are known."""
        declared = self._answer(metric).accuracy
        return declared if self._exponential or self._nobody_waits or metric in BY_THEMSELVES else SIMULATED

    def _shares(self, clients: int) -> Array:
        """`machine_repairman` with so many clients."""
        if not (self._exponential or self._nobody_waits):
            raise NoClosedForm(
                "ClosedLoop has a closed form for exponential service, or for a slot a client, not for "
                f"{type(self.service).__name__}: simulate it"
            )
        return machine_repairman(clients, self._slots, self.think.mean() / self.service.mean())

    @functools.cached_property
    def _seen(self) -> Array:
        """Probabilities that a request finds a slot free, or all busy and 0, 1, ... waiting."""
        found = self._shares(self.clients - 1)
        return np.concatenate([[found[: self._slots].sum()], found[self._slots :]])

    @answer("", "share of the slots' time that is busy")
    def utilization(self) -> float:
        """What is served times the mean service, a slot."""
        return self.throughput * self.service.mean() / self._slots

    @answer("requests/s", "requests answered a second, all clients together")
    def throughput(self) -> float:
        """X = sum_n p_n min(n, c) / E[S]."""
        shares = self._shares(self.clients)
        return float(shares @ np.minimum(np.arange(len(shares)), self._slots)) / self.service.mean()

    @answer("", "share of the requests that find no slot free")
    def probability_of_wait(self) -> float:
        """sum_{n>=c} of what N - 1 clients make."""
        return float(self._seen[1:].sum())

    @functools.cached_property
    def _staged(self) -> tuple[StagedWait, StagedResponse]:
        return staged(self._slots / self.service.mean(), self._seen, self._slots)

    @answer("s", "time before a slot takes the request")
    def wait(self) -> Distribution:
        """A mixture of Erlang distributions; see `StagedWait`."""
        return Deterministic(0.0) if self._nobody_waits else self._staged[0]

    @answer("s", "time from sending a request to its answer: wait and service")
    def latency(self) -> Distribution:
        """See `StagedResponse`; the service alone where nobody waits. Its mean is N/X - E[Z] (Little's law)."""
        return self.service if self._nobody_waits else self._staged[1]

    @answer("requests", "mean number of requests at the servers, waiting or served")
    def in_flight(self) -> float:
        """Little's law: X E[T]."""
        return self.throughput * self.latency.mean()

    @answer("s", "latency of an open stream with the same throughput, whose clients do not wait for each other")
    def open_latency(self) -> Distribution:
        """M/M/c with arrival rate X: what the load test does not show."""
        mean, busy = self.service.mean(), self.throughput * self.service.mean()
        drain = (self._slots - busy) / mean
        if not self._exponential:
            raise NoClosedForm("ClosedLoop compares with an open stream for exponential service only: simulate both")
        if drain <= 0:
            return Never()
        return ErlangResponse(1.0 / mean, drain, float(erlang_c(self._slots, busy)))

    @answer("clients", "how many clients the servers could just serve if all took turns: beyond it, clients only wait")
    def saturation_clients(self) -> float:
        """N* = c (E[Z] + E[S]) / E[S], where the two asymptotes meet."""
        return self._slots * (self.think.mean() / self.service.mean() + 1.0)

    @answer(
        "requests/s", "the most that these clients and these servers can do", Accuracy("bound", None, "any service")
    )
    def throughput_bound(self) -> float:
        """X <= min(c / E[S], N / (E[Z] + E[S])) (operational analysis; Denning and Buzen 1978)."""
        mean = self.service.mean()
        return min(self._slots / mean, self.clients / (self.think.mean() + mean))

    @answer("s", "the least that the mean latency can be", Accuracy("bound", None, "any service"))
    def response_bound(self) -> float:
        """E[T] >= max(E[S], N E[S]/c - E[Z])."""
        mean = self.service.mean()
        return max(mean, self.clients * mean / self._slots - self.think.mean())

    def simulate(
        self,
        requests: int = 500_000,
        seed: int = 0,
        *,
        violating: str | None = None,
        executor: Executor | None = None,
        cut: Plan | None = None,
    ) -> Simulation:
        """Independent lanes, half of them from idle slots and half from busy ones, once these have met.

        "services that vary more": hyperexponential of the same mean, variance ten times its square. The rest as in
        `Pool.simulate`.
        """
        checked_requests(self, requests)
        varied = self.known_violation(violating) is not None
        service = Hyperexponential(self.service.mean(), VARIABLE) if varied else self.service
        system = Loop(self.clients, self.think, service, self._slots)
        found = run(system, requests, seed, executor=executor, cut=cut)
        return self._simulation(found, seed)

    def _simulation(self, found: Run, seed: int) -> Simulation:
        busy, latency = found.ratio("busy", "time"), found.times["latency"]
        return Simulation(
            self,
            found.requests,
            seed,
            cut=found.cut,
            utilization=dataclasses.replace(busy, value=busy.value / self._slots, error=busy.error / self._slots),
            throughput=found.ratio("requests", "time"),
            probability_of_wait=at_least_binomial(found.ratio("waited", "requests"), found.requests),
            wait=found.times["wait"],
            latency=latency,
            in_flight=ratio(latency.means * latency.sizes, found.tallies["time"]),
        )

    def timeline(self, seed: int = 0) -> Timeline:
        """All slots stand still for a second: the clients of the loop wait, and an open stream does not."""
        rate = self.throughput_bound
        stall = min(max(1.0, 20.0 * self.service.mean()), MOST_WATCHED / 5.0 / rate)
        loop = Loop(self.clients, self.think, self.service, self._slots)
        sent, answered = stalled_loop(loop, MOST_WATCHED, stall, stall, seed)
        until = min(float(sent[-1]), 5.0 * stall)
        times = np.linspace(0.0, until, 400)
        closed = in_flight(sent, answered, times)
        rate = np.searchsorted(sent, stall) / stall  # of the loop before the stall
        rng = stream(seed, 1)
        arrivals = np.cumsum(rng.standard_exponential(int(rate * until) + 1)) / rate
        services = self.service._draw(arrivals.shape, rng)
        waits = stalled_waits(arrivals, services, self._slots, stall, stall)
        opened = in_flight(arrivals, arrivals + waits + services, times)
        return Timeline(
            f"A stall of {stall:.2g} s stops all {self.clients:,} clients, and {closed.max():.0f} requests wait; of an "
            f"open stream at the same rate {opened.max():.0f} would: a load test hides them",
            times,
            {"closed loop": closed, "open stream": opened},
            "requests",
            ((stall, "all slots stall"), (2 * stall, "they resume")),
        )
