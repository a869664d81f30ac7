"""Clients that time out and retry, before one queue: the load that feeds on itself."""

from __future__ import annotations

import functools
import math
from collections.abc import Iterator
from typing import Any, ClassVar

import numpy as np

from scaling_models.answers import Accuracy, Assumption, Model, NoClosedForm, Simulation, Timeline, answer
from scaling_models.latency import (
    LATENCY,
    Distribution,
    Exponential,
    Hyperexponential,
    Never,
    Shifted,
    Uniform,
    mixture,
)
from scaling_models.montecarlo.estimates import NotSettled
from scaling_models.montecarlo.kernels.retries import Retries, timeline
from scaling_models.montecarlo.sides import LANES, watched
from scaling_models.montecarlo.streams import checked_requests, streams_of
from scaling_models.parameters import Integer, Real, Rows, Slider, parameter
from scaling_models.pools.central_queue import CentralQueue
from scaling_models.pools.formulas import retries as formulas
from scaling_models.pools.remedies import REMEDY, Remedy
from scaling_models.pools.within import Within

MOST_DRAWN = 30_000  # attempts of a timeline
STALLS = 11.0  # how long a timeline is: one stall's length before it, the stall, and nine after it
BINS = 120  # of a timeline
BACK = 0.8  # of the fresh requests answered again: it has come back
BURSTY = 10.0  # squared coefficient of variation of the gaps, where bursts are shown
NEGLIGIBLE = 1e-4  # share of attempts rejected or dropped that leaves the latency as it is
SERVED = 0.01  # of attempts, in time: a bad state that serves more is itself left after a while


class RetryingClients(Model):
    """One FIFO queue before `workers`, whose clients give up after `timeout` and try again, `retries` times at most.

    An attempt given up is served all the same, so the load feeds on itself: attempts come at the rate x that solves
    x = L (1 + p + ... + p^R), p = P(response > timeout) in M/M/c at x. Where L (R + 1) reaches the capacity c mu there
    is besides the good state a bad one, x = L (R + 1), in which every attempt times out; between them lies a border,
    and what pushes the system over it (a stall of a second) leaves it there for good: a metastable failure. Remedies
    cap x (RetryBudget, at L (1 + b)), or spare what is in vain (QueueLimit, DeadlineDrop). Exponential service; other
    services raise `NoClosedForm`, and can be simulated. Bronson et al., Metastable Failures in Distributed Systems,
    HotOS 2021.
    """

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
        domain=LATENCY,
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
    violations: ClassVar[tuple[str, ...]] = ("arrivals in bursts",)

    def _check(self) -> None:
        names = [name for remedy in self.remedies for name in remedy.rules]
        if len(names) != len(set(names)):
            raise ValueError(f"RetryingClients.remedies must be one of a kind; got {self.remedies!r}")

    @functools.cached_property
    def _rules(self) -> dict[str, Any]:
        return {name: value for remedy in self.remedies for name, value in remedy.rules.items()}

    @property
    def _budget(self) -> float:
        return min(float(self._rules.get("budget", math.inf)), float(self.retries))

    @property
    def _most(self) -> float:
        """Attempts a request at most, in the long run."""
        return 1.0 + self._budget

    @property
    def _capacity(self) -> float:
        """c mu: attempts a second that the workers can serve."""
        return self.workers / self.service.mean()

    @property
    def _limits(self) -> dict[str, float]:
        return {name: self._rules[name] for name in ("queue_limit", "deadline") if name in self._rules}

    def _refuse(self, what: str) -> NoClosedForm:
        return NoClosedForm(f"{type(self).__name__} has no closed form {what}: simulate it")

    def _fates(self, rate: Any) -> formulas.Fates:
        if not CentralQueue(1.0, 1, self.service)._exponential:
            raise self._refuse(f"for {type(self.service).__name__} service (so far)")
        if len(self._limits) > 1:
            raise self._refuse("for a queue limit and a deadline together")
        return formulas.fates(rate, self.workers, self.service.mean(), self.timeout, **self._limits)

    def _sends(self, seen: formulas.Fates) -> tuple[Any, Any]:
        return formulas.sends(seen, self.retries, self._budget, at_once=self._rules.get("backoff", 0.0) == 0.0)

    def _visits(self, rate: Any) -> Any:
        return self._sends(self._fates(rate))[0]

    @functools.cached_property
    def _states(self) -> formulas.States:
        return formulas.states(self._visits, self.arrival_rate, self._most, self._capacity)

    @functools.cached_property
    def _fold(self) -> tuple[float, float]:
        where = formulas.fold(self._visits, self._most, self._capacity)
        endless = math.isinf(where[0]) and not self._limits
        return (self._capacity / self._most, self._capacity) if endless else where

    @property
    def _has_good_state(self) -> bool:
        return self.arrival_rate < self._fold[0]

    def _attempts(self, visits: float) -> float:
        return self.arrival_rate * float(self._sends(self._fates(np.array(visits)))[1])

    def _goodput_at(self, visits: float) -> float:
        seen = self._fates(np.array(visits))
        return visits * max(0.0, float(1.0 - seen.timed_out - seen.rejected))

    @answer("", "share of the workers' time that is busy, also with what nobody waits for, in the good state")
    def utilization(self) -> float:
        """x P(served) / (c mu), at most 1."""
        low = self._states.low
        return min(1.0, low * float(self._fates(np.array(low)).served) / self._capacity)

    @answer("erlangs", "mean number of workers that the fresh requests would occupy")
    def offered_load(self) -> float:
        """a = L E[S]."""
        return self.arrival_rate * self.service.mean()

    @answer("requests/s", "attempts a second in the good state, retries included")
    def attempts(self) -> float:
        """x, the lowest solution."""
        return self._attempts(self._states.low)

    @answer("times", "attempts a request in the good state")
    def amplification(self) -> float:
        """x / L."""
        return self.attempts / self.arrival_rate

    @answer("requests/s", "requests a second answered in time, in the good state")
    def goodput(self) -> float:
        """x (1 - p)."""
        return self._goodput_at(self._states.low)

    @answer(
        "requests/s", "attempts a second in the state that an overloaded system comes to; as attempts if it recovers"
    )
    def collapsed_attempts(self) -> float:
        """The highest solution x: L (R + 1) where every attempt times out."""
        self._lasting()
        return self._attempts(self._states.high)

    @answer("requests/s", "requests a second answered in time by an overloaded system; as goodput if it recovers")
    def collapsed_goodput(self) -> float:
        """x (1 - p) at the highest solution: nothing, where the queue has no limit."""
        self._lasting()
        return self._goodput_at(self._states.high)

    def _lasting(self) -> None:
        if self._limits and self.can_collapse and self._goodput_at(self._states.high) > SERVED * self._states.high:
            raise self._refuse("for a bad state that serves some attempts in time, and does not last")

    @answer("", "whether there is a bad state, which it stays in once pushed there")
    def can_collapse(self) -> bool:
        """Without limits, whether L (1 + min(R, budget)) >= c mu."""
        if not self._limits:
            return self.arrival_rate * self._most >= self._capacity
        return not self._has_good_state or self._states.high > self._states.low * (1.0 + 1e-6)

    @answer("requests/s", "attempts a second beyond which it collapses of itself; infinite if it cannot")
    def border(self) -> float:
        """The unstable solution x between the two states."""
        if not self._has_good_state:
            return 0.0
        border = self._states.border
        return self._attempts(border) if self.can_collapse and not math.isnan(border) else math.inf

    @answer("", "how much more attempts than in the good state take it over the border")
    def headroom(self) -> float:
        """border / attempts - 1."""
        return max(0.0, self.border / self.attempts - 1.0)

    @answer("requests/s", "the fresh requests a second up to which it cannot collapse")
    def safe_arrival_rate(self) -> float:
        """Without limits c mu / (1 + min(R, budget))."""
        if self._limits:
            raise self._refuse("of this for a queue limit or a deadline; see can_collapse")
        return self._capacity / self._most

    @answer("requests/s", "the fresh requests a second from which there is no good state any more")
    def fold(self) -> float:
        """The largest L with a good state, where it meets the border."""
        return self._fold[0]

    @answer("", "the largest retry budget with which it cannot collapse")
    def safe_budget(self) -> float:
        """c mu / L - 1, for a queue without limits; infinite where the retries allowed are fewer."""
        if self._limits:
            raise self._refuse("of this for a queue limit or a deadline; see can_collapse")
        share = max(0.0, self._capacity / self.arrival_rate - 1.0)
        return math.inf if share > self.retries else share

    @answer("", "share of the attempts that find no worker free, in the good state")
    def probability_of_wait(self) -> float:
        """Erlang C at x."""
        return self._calm.probability_of_wait

    @answer("s", "time before a worker takes an attempt, in the good state")
    def wait(self) -> Distribution:
        """That of M/M/c at x."""
        return self._calm.wait

    @answer("requests", "mean number of attempts waiting or served, in the good state, also those given up")
    def in_flight(self) -> float:
        """Little's law for attempts."""
        return self._calm.in_flight

    @functools.cached_property
    def _calm(self) -> CentralQueue:
        """The queue as the attempts of the good state find it; an overloaded one where there is none."""
        if not self._has_good_state:
            return CentralQueue(2.0 * self._capacity, self.workers, self.service)
        low = self._states.low
        seen = self._fates(np.array(low))
        if max(float(seen.rejected), 1.0 - float(seen.served)) > NEGLIGIBLE:
            raise self._refuse("for waits that a queue limit or a deadline shortens")
        return CentralQueue(low, self.workers, self.service)

    @answer("s", "time from a request's first attempt to its answer, of requests that are answered, in the good state")
    def latency(self) -> Distribution:
        """With the chance (1 - p) p^i: i timeouts and pauses, and a response that does not exceed the timeout."""
        response = self._calm.latency
        if response == Never():
            return response
        last = Within(response, self.timeout)
        again = float(self._fates(np.array(self._states.low)).timed_out)
        chances = [again**i for i in range(self.retries + 1)]
        parts = [last, *(self._before(last, i) for i in range(1, self.retries + 1))]
        return mixture(tuple(chance / math.fsum(chances) for chance in chances), tuple(parts))

    def _before(self, last: Distribution, failures: int) -> Distribution:
        """The last response after so many timeouts and pauses."""
        pauses = list(self._pauses())[:failures]
        if not self._rules.get("jitter", False):
            return Shifted(last, failures * self.timeout + math.fsum(pauses))
        for pause in pauses:
            last = last + Uniform(0.0, pause) if pause > 0 else last
        return Shifted(last, failures * self.timeout)

    def _pauses(self) -> Iterator[float]:
        """The pause before each retry (s), without jitter."""
        first, longest = self._rules.get("backoff", 0.0), self._rules.get("longest_backoff", math.inf)
        return (min(first * 2.0**i, longest) for i in range(self.retries))

    def accuracy(self, metric: str, level: float | None = None) -> Accuracy:
        """See the table in the class's module."""
        return super().accuracy(metric, level)

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
        lasts = 1.0 / max(1.0 - sent / self._capacity, 0.02) if self._limits or sent < self._capacity else 1.0
        return int(min(2.0 * backlog * max(self._capacity, sent) * lasts, 20_000))

    def timeline(self, seed: int = 0) -> Timeline:
        """All workers stand still for `stall` seconds: does it come back?"""
        if self.arrival_rate >= self._capacity:
            raise ValueError(f"the load is {self.arrival_rate / self._capacity:.0%}: overloaded with nothing breaking")
        horizon = min(STALLS * self.stall, MOST_DRAWN / (self.arrival_rate * self._most))
        at = min(self.stall, horizon / 4.0)
        edges = np.linspace(0.0, horizon, BINS + 1)
        rules = self._system(stall=(at, self.stall))
        seen = timeline(rules, edges, 1, lambda block: streams_of(seed, block))
        lines = {
            "requests": seen.fresh,
            "attempts, retries included": seen.attempts,
            "answered in time": seen.successes,
        }
        rates = {name: counts[:, 0] / np.diff(edges) for name, counts in lines.items()}
        return Timeline(
            self._told(edges, rates, at),
            (edges[1:] + edges[:-1]) / 2.0,
            rates,
            "requests/s",
            ((at, "all workers stall"), (at + self.stall, "they resume")),
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
            return f"{says}, and {after:.2g} s later it has not come back: {self._excuse()}"
        over = max(0.0, edges[lost[-1] + 1] - at - self.stall) if lost.size else 0.0
        return f"{says}, and {over:.2g} s later it is back"

    def _excuse(self) -> str:
        most = self.arrival_rate * self._most
        return f"{most:,.0f} attempts a second at {self._capacity:,.0f} of capacity"
