"""Clients that time out and retry, before one queue: the load that feeds on itself."""

from __future__ import annotations

import functools
import math
from typing import Any

from scaling_models.answers import EXACT, Accuracy, NoClosedForm, answer
from scaling_models.latency import Distribution, MeanOnly, Never, Shifted, Uniform, mixture
from scaling_models.pools.bases.clients import Clients
from scaling_models.pools.central_queue import CentralQueue
from scaling_models.pools.formulas.balance import Balance, Branches
from scaling_models.pools.times.within import Within

CALM = 2e-4  # share of attempts that fail because of the queue, up to which those who follow each other may be ignored
SHARP = 1e-4  # the same, where percentiles up to p99.9 are wanted
CALMEST = 5e-5  # the same, where waits are wanted, which rare collapses that heal dominate
DRAWN_ANEW = 1e-3  # share of attempts given up, up to which their being served all the same changes no wait
SERVED = 0.01  # of attempts, in time: a bad state that serves more does not last
MEASURED = "1 to 50 workers, timeouts of 1 to 20 services, at most 2 attempts in 10,000 failing because of the queue"
GOOD = Accuracy("within 3%", 0.03, f"{MEASURED}: there the good state lasted a million attempts")
LEAVES_EARLIER = Accuracy(
    "bound", None, "from above: chance takes it over the border sooner, in a small pool above all"
)
PREDICTED = Accuracy("bound", None, "with a limit the bad state may not last; where none was predicted, all recovered")
ROUGH = Accuracy("within 15%", 0.15, "percentiles beyond p99.9, where retries decide")


class RetryingClients(Clients):
    """One FIFO queue before `workers`, whose clients give up after `timeout` and try again, `retries` times at most.

    An attempt given up is served all the same, so the load feeds on itself: attempts come at the rate x that solves
    x = L (1 + p + ... + p^R), p = P(response > timeout) in M/M/c at x. Where L (R + 1) reaches the capacity c mu there
    is besides the good state a bad one, x = L (R + 1), in which every attempt times out; between them lies a border,
    and what pushes the system over it (a stall of a second) leaves it there for good: a metastable failure. Remedies
    cap x (RetryBudget, at L (1 + b)), or spare what is in vain (QueueLimit, DeadlineDrop). Exponential service; other
    services raise `NoClosedForm`, and can be simulated. Bronson et al., Metastable Failures in Distributed Systems,
    HotOS 2021.
    """

    @functools.cached_property
    def _balance(self) -> Balance:
        if not CentralQueue(1.0, 1, self.service)._exponential:
            raise self._refuse(f"for {type(self.service).__name__} service (so far)")
        if {"queue_limit", "deadline"} <= set(self._rules):
            raise self._refuse("for a queue limit and a deadline together")
        kept = {name: self._rules[name] for name in ("queue_limit", "deadline") if name in self._rules}
        at_once = self._rules.get("backoff", 0.0) == 0.0
        queue = (self.workers, self.service.mean(), self.timeout)
        return Balance(self.arrival_rate, *queue, self.retries, self._most - 1.0, **kept, at_once=at_once)

    def _refuse(self, what: str) -> NoClosedForm:
        return NoClosedForm(f"{type(self).__name__} has no closed form {what}: simulate it")

    @property
    def _has_good_state(self) -> bool:
        return self.arrival_rate < self._balance.fold[0]

    @functools.cached_property
    def _good(self) -> float:
        """Visits in the good state, where it lasts; in the bad one, where there is no other."""
        if self.timeout < self.service.mean():
            raise self._refuse("of the good state for a timeout shorter than the mean service")
        if self._has_good_state and self._balance.late > CALM:
            raise self._refuse("so near the border, for the good state does not last")
        return self._balance.states.low

    @functools.cached_property
    def _bad(self) -> float:
        """Visits in the state that an overloaded system comes to."""
        if not self.can_collapse:
            return self._good
        high = self._balance.states.high
        if self._limited and self._balance.goodput(high) > SERVED * high:
            raise self._refuse("for a bad state that serves some attempts in time, and does not last")
        return high

    @answer("", "share of the workers' time that is busy, also with what nobody waits for, in the good state", GOOD)
    def utilization(self) -> float:
        """x P(served) / (c mu), at most 1."""
        return min(1.0, self._good * float(self._balance.fates(self._good).served) / self._capacity)

    @answer("erlangs", "mean number of workers that the fresh requests would occupy")
    def offered_load(self) -> float:
        """a = L E[S]."""
        return self.arrival_rate * self.service.mean()

    @answer("requests/s", "attempts a second in the good state, retries included", GOOD)
    def attempts(self) -> float:
        """x, the lowest solution."""
        return self._balance.attempts(self._good)

    @answer("times", "attempts a request in the good state", GOOD)
    def amplification(self) -> float:
        """x / L."""
        return self.attempts / self.arrival_rate

    @answer("requests/s", "requests a second answered in time, in the good state", GOOD)
    def goodput(self) -> float:
        """x (1 - p)."""
        return float(self._balance.goodput(self._good))

    @answer("requests/s", "attempts a second in the state that an overloaded system comes to, good or bad", GOOD)
    def collapsed_attempts(self) -> float:
        """The highest solution x: L (R + 1) where every attempt times out."""
        return self._balance.attempts(self._bad)

    @answer("requests/s", "requests a second answered in time in the state that an overloaded system comes to", GOOD)
    def collapsed_goodput(self) -> float:
        """x (1 - p) at the highest solution: nothing, where there is a bad state and the queue has no limit."""
        return float(self._balance.goodput(self._bad))

    @answer("", "whether there is a bad state, in which it stays once pushed there")
    def can_collapse(self) -> bool:
        """Without limits, whether L (1 + min(R, budget)) >= c mu, for any service."""
        if not self._limited:
            return self.arrival_rate * self._most >= self._capacity
        states = self._balance.states
        return not self._has_good_state or states.high > states.low * (1.0 + 1e-6)

    @answer("requests/s", "attempts a second beyond which it collapses; infinite if it cannot", LEAVES_EARLIER)
    def border(self) -> float:
        """The unstable solution x between the two states."""
        if not self._has_good_state:
            return 0.0
        border = self._balance.states.border
        return self._balance.attempts(border) if self.can_collapse and not math.isnan(border) else math.inf

    @answer("times", "how much more attempts than in the good state take it over the border", LEAVES_EARLIER)
    def headroom(self) -> float:
        """border / attempts - 1."""
        return max(0.0, self.border / self._balance.attempts(self._balance.states.low) - 1.0)

    @answer("requests/s", "the fresh requests a second from which it can collapse", EXACT)
    def safe_arrival_rate(self) -> float:
        """c mu / (1 + min(R, budget)), for any service; no closed form for a queue limit or a deadline."""
        if self._limited:
            raise self._refuse("of this for a queue limit or a deadline; see can_collapse, or")
        return self._capacity / self._most

    @answer("times", "the retry budget from which it can collapse, in retries a request", EXACT)
    def safe_budget(self) -> float:
        """c mu / L - 1, for any service, up to the retries; no closed form for a queue limit or a deadline."""
        if self._limited:
            raise self._refuse("of this for a queue limit or a deadline; see can_collapse, or")
        return max(0.0, self._capacity / self.arrival_rate - 1.0)

    @answer("requests/s", "the fresh requests a second from which there is no good state any more", LEAVES_EARLIER)
    def fold(self) -> float:
        """The largest L with a good state, where that meets the border."""
        return self._balance.fold[0]

    @answer("", "share of the attempts that find no worker free, in the good state", GOOD)
    def probability_of_wait(self) -> float:
        """Erlang C at x."""
        return self._as_found.probability_of_wait

    @answer("s", "time before a worker takes an attempt, in the good state", GOOD)
    def wait(self) -> Distribution:
        """That of M/M/c at x."""
        return self._as_found.wait

    @answer("requests", "mean number of attempts waiting or served, in the good state, also those given up", GOOD)
    def in_flight(self) -> float:
        """Little's law for attempts."""
        return self._as_found.in_flight

    @functools.cached_property
    def _queue(self) -> CentralQueue:
        """The queue at the good state's rate; an overloaded one where there is no good state."""
        if not self._has_good_state:
            return CentralQueue(2.0 * self._capacity, self.workers, self.service)
        seen = self._balance.fates(self._good)
        if max(float(seen.rejected), 1.0 - float(seen.served)) > SHARP:
            raise self._refuse("for waits that a queue limit or a deadline shortens")
        return CentralQueue(self._good, self.workers, self.service)

    @property
    def _as_found(self) -> CentralQueue:
        """The queue as attempts find it, which retries after many timeouts find fuller: they meet what was given up."""
        often = self._balance.fates(self._good).timed_out > DRAWN_ANEW
        if self._has_good_state and (often or self._balance.late > CALMEST):
            raise self._refuse("for waits where so many attempts time out")
        return self._queue

    @answer("s", "time from a request's first attempt to its answer, of those answered, in the good state", GOOD)
    def latency(self) -> Distribution:
        """After i timeouts and pauses, with a chance proportional to p^i, a response within the timeout."""
        response = self._queue.latency
        if response == Never():
            return response
        last = Within(response, self.timeout)
        again = float(self._balance.fates(self._good).timed_out)
        chances = [again**i for i in range(self.retries + 1)]
        parts = [last, *(self._after(last, i) for i in range(1, self.retries + 1))]
        whole = mixture(tuple(chance / math.fsum(chances) for chance in chances), tuple(parts))
        return whole if self._balance.late <= SHARP else MeanOnly(whole.mean())

    def _after(self, last: Distribution, failures: int) -> Distribution:
        """The last response after so many timeouts and pauses."""
        pauses = list(self._pauses())[:failures]
        if not self._rules.get("jitter", False):
            return Shifted(last, failures * self.timeout + math.fsum(pauses))
        for pause in pauses:
            last = last + Uniform(0.0, pause) if pause > 0 else last
        return Shifted(last, failures * self.timeout)

    def _accuracy(self, metric: str, level: float | None = None) -> Accuracy:
        """Of a collapse without limits exact; of the good state by how many attempts fail because of the queue."""
        declared = super()._accuracy(metric, level)
        if metric == "can_collapse":
            return PREDICTED if self._limited else EXACT
        if metric in ("collapsed_attempts", "collapsed_goodput") and self.can_collapse and not self._limited:
            return EXACT
        if declared is not GOOD:
            return declared
        try:
            self._closed(metric)
        except NoClosedForm as reason:
            return Accuracy("simulated", None, str(reason).partition(": ")[0])
        if not self._has_good_state:
            return EXACT
        return ROUGH if level is not None and level > 0.999 + 1e-9 else declared

    def _closed(self, metric: str) -> Any:
        """The answer, or `NoClosedForm`."""
        return getattr(self, metric)

    def branches(self) -> Branches:
        """Requests and attempts (1/s) of all states that sustain themselves, whatever the arrival rate."""
        return self._balance.branches()
