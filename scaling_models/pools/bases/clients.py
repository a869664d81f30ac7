"""Clients that give up and try again, before one queue: their parameters, and what happens to them in a run."""

from __future__ import annotations

import functools
import math
from collections.abc import Iterator
from typing import Any, ClassVar

import numpy as np

from scaling_models.answers import Assumption, Model, Simulation, Timeline
from scaling_models.domains import Integer, Real, Rows
from scaling_models.latency import SPREAD, Distribution, Exponential, Hyperexponential
from scaling_models.montecarlo.estimates import NotSettled
from scaling_models.montecarlo.kernels.retries import Retries, timeline
from scaling_models.montecarlo.sides import LANES, watched
from scaling_models.montecarlo.streams import checked_requests, streams_of
from scaling_models.parameters import Slider, parameter
from scaling_models.pools.bases.services import check_service
from scaling_models.pools.remedies import REMEDY, Remedy
from scaling_models.wording import short

MOST_DRAWN = 30_000  # attempts of a timeline
STALLS = 11.0  # how long a timeline is: one stall's length before it, the stall, and nine after it
BINS = 120  # of a timeline
RUNS = 16  # whose mean a timeline shows
BACK = 0.8  # of the fresh requests answered again: it has come back
BURSTY = 10.0  # squared coefficient of variation of the gaps, where bursts are shown


class Clients(Model):
    """Base of the model: the requests, the queue, the clients' rule and its remedies, and the simulated twin."""

    arrival_rate: float = parameter(
        default=300.0,
        domain=Real(),
        unit="requests/s",
        symbol="L",
        about="fresh requests arriving a second",
        slider=Slider(10, 1000, 10),
    )
    workers: int = parameter(
        default=10,
        domain=Integer(1, 5000),
        unit="workers",
        symbol="c",
        about="requests that can be served at once",
        slider=Slider(1, 100, 1),
    )
    service: Distribution = parameter(
        default=Exponential(0.010),
        domain=SPREAD,
        unit="s",
        symbol="S",
        about="the time that an attempt occupies a worker",
    )
    timeout: float = parameter(
        default=0.100,
        domain=Real(),
        unit="s",
        symbol="τ",
        about="after how long a client gives an attempt up",
        slider=Slider(0.01, 1.0, 0.01),
    )
    retries: int = parameter(
        default=3,
        domain=Integer(0, 20),
        unit="retries",
        symbol="R",
        about="how often a request is tried again at most",
        slider=Slider(0, 10, 1),
    )
    remedies: tuple[Remedy, ...] = parameter(
        default=(), domain=Rows(REMEDY, least=0, most=4), about="what is done against it, one of a kind"
    )
    stall: float = parameter(
        default=1.0,
        domain=Real(),
        unit="s",
        about="how long all workers stand still when it is broken (Break it)",
        slider=Slider(0.1, 5.0, 0.1),
    )

    _assumptions: ClassVar[tuple[Assumption, ...]] = (
        Assumption("Poisson requests", "optimistic if they are bursty"),
        Assumption(
            "retries find the queue as any attempt does", "optimistic near the border, where one follows another"
        ),
        Assumption("each attempt draws its service anew", "optimistic if slow requests are slow each time"),
        Assumption("a given-up attempt is served all the same", "pessimistic if workers notice that nobody waits"),
        Assumption("workers as fast under load as without", "optimistic if they slow down"),
    )
    bounded: ClassVar[str] = "good state"
    violations: ClassVar[tuple[str, ...]] = ("arrivals in bursts",)

    def _check(self) -> None:
        check_service(type(self).__name__, self.service)
        names = [name for remedy in self.remedies for name in remedy.rules]
        if len(names) != len(set(names)):
            raise ValueError(f"{type(self).__name__}.remedies must be one of a kind; got {short(self.remedies)}")

    @functools.cached_property
    def _rules(self) -> dict[str, Any]:
        """What the remedies set, by the simulation's names."""
        return {name: value for remedy in self.remedies for name, value in remedy.rules.items()}

    @property
    def _most(self) -> float:
        """Attempts a request at most, in the long run."""
        return 1.0 + min(float(self._rules.get("budget", math.inf)), float(self.retries))

    @property
    def _capacity(self) -> float:
        """c mu: attempts a second that the workers can serve."""
        return self.workers / self.service.mean()

    @property
    def _limited(self) -> bool:
        """Whether attempts can be spared: rejected, or dropped."""
        return not {"queue_limit", "deadline"}.isdisjoint(self._rules)

    def _pauses(self) -> Iterator[float]:
        """The pause before each retry (s), without jitter."""
        first, longest = self._rules.get("backoff", 0.0), self._rules.get("longest_backoff", math.inf)
        return (min(first * 2.0**i, longest) for i in range(self.retries))

    def _system(self, violating: str | None = None, stall: tuple[float, float] | None = None) -> Retries:
        shape = Exponential(1.0) if self.known_violation(violating) is None else Hyperexponential(1.0, BURSTY)
        gap = shape * (1.0 / self.arrival_rate)
        return Retries(gap, self.service, self.workers, self.timeout, self.retries, stall=stall, **self._rules)

    def simulate(self, requests: int = 200_000, seed: int = 0, *, violating: str | None = None) -> Simulation:
        """Two runs of 256 independent lanes, one from empty and one from overload, `requests` attempts each at least.

        A lane first runs for what the queue remembers, and for what a backlog takes to drain. `violating` "arrivals in
        bursts" draws the gaps between requests from a hyperexponential (squared coefficient of variation 10). Raises
        `NotSettled` where there is no good state, and where either state does not last.
        """
        checked_requests(self, requests)
        load = self.arrival_rate / self._capacity
        if load >= 1.0:
            raise NotSettled(f"the load is {load:.4g}, at or over capacity: there is no good state to simulate")
        system, steps = self._system(violating), -(-requests // LANES)
        warm_up, backlog = self._warm_up(), self._overload()
        calm = watched(system, 0.0, warm_up, steps, seed, 0)
        full = watched(system, backlog, warm_up + self._draining(backlog), steps, seed, 1)
        for side in (calm, full):
            side.check("attempts", "time")
        attempts, wait = calm.ratio("attempts", "time"), calm.latency("wait")
        return Simulation(
            self,
            requests,
            seed,
            utilization=calm.ratio("busy", "time", 1.0 / self.workers),
            attempts=attempts,
            amplification=calm.ratio("attempts", "fresh"),
            goodput=calm.ratio("successes", "time"),
            collapsed_attempts=full.ratio("attempts", "time"),
            collapsed_goodput=full.ratio("successes", "time"),
            probability_of_wait=wait.ccdf_estimate(0.0),
            wait=wait,
            latency=calm.latency("latency"),
        )

    def _warm_up(self) -> int:
        """Steps: ten times what M/M/c remembers at this load (90% at most), and all that a request's retries take."""
        load = min(self.arrival_rate / self._capacity, 0.9)
        retries = (self.retries + 1) * self.timeout + math.fsum(self._pauses())
        return int(200 + 10.0 * load / (1.0 - math.sqrt(load)) ** 2 + 2.0 * retries * self.arrival_rate)

    def _overload(self) -> float:
        """A backlog (s) that keeps every attempt waiting beyond its timeout until all retries have come."""
        return 2.0 * ((self.retries + 1) * self.timeout + math.fsum(self._pauses())) + 10.0 * self.service.mean()

    def _draining(self, backlog: float) -> int:
        """Steps until a backlog is gone, if what comes is less than what is served; else until it has shown itself."""
        sent = self.arrival_rate * self._most
        lasts = 1.0 / max(1.0 - sent / self._capacity, 0.02) if self._limited or sent < self._capacity else 1.0
        return int(min(2.0 * backlog * max(self._capacity, sent) * lasts, 20_000))

    def timeline(self, seed: int = 0) -> Timeline:
        """All workers stand still for `stall` seconds: does it come back? The mean of 16 runs."""
        if self.arrival_rate >= self._capacity:
            raise ValueError(f"the load is {self.arrival_rate / self._capacity:.0%}: overloaded with nothing breaking")
        horizon = min(STALLS * self.stall, MOST_DRAWN / (self.arrival_rate * self._most))
        at = min(self.stall, horizon / 4.0)
        edges = np.linspace(0.0, horizon, BINS + 1)
        rules = self._system(stall=(at, self.stall))
        seen = timeline(rules, edges, RUNS, lambda block: streams_of(seed, block))
        lines = {
            "requests": seen.fresh,
            "attempts, retries included": seen.attempts,
            "answered in time": seen.successes,
        }
        rates = {name: counts.mean(axis=1) / np.diff(edges) for name, counts in lines.items()}
        return Timeline(
            self._told(edges, rates, at),
            (edges[1:] + edges[:-1]) / 2.0,
            rates,
            "requests/s",
            ((at, "stall"), (at + self.stall, "over")),
        )

    def _told(self, edges: Any, rates: dict[str, Any], at: float) -> str:
        """Whether and when it came back: from when on most of the requests are answered to the end."""
        requests, answered = rates["requests"], rates["answered in time"]
        window = np.ones(max(1, BINS // 24))
        back = np.convolve(answered, window, "same") >= BACK * np.convolve(requests, window, "same")
        lost = np.flatnonzero(~back)
        says = f"a stall of {self.stall:.2g} s at {self.arrival_rate / self._capacity:.0%} load"
        after = edges[-1] - at - self.stall
        if lost.size and lost[-1] == BINS - 1:
            most = (
                f"{self.arrival_rate * self._most:,.0f} attempts a second for {self._capacity:,.0f} that can be served"
            )
            return f"{says}, and {after:.2g} s later it has not come back: {most}"
        over = max(0.0, edges[lost[-1] + 1] - at - self.stall) if lost.size else 0.0
        return f"{says}, and {over:.2g} s later it is back"
