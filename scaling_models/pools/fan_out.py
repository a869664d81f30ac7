"""A request that asks several servers at once and waits for all of them, or for enough."""

from __future__ import annotations

import functools
import math

from scaling_models.answers import EXACT, Accuracy, NoClosedForm, answer
from scaling_models.latency import Distribution, KOfN, MeanOnly, Never
from scaling_models.pools.bases.forked import Forked
from scaling_models.pools.bases.pool import SIMULATED
from scaling_models.pools.formulas.fan_out import common_share
from scaling_models.pools.formulas.walks import is_exponential
from scaling_models.pools.times.joined_legs import JoinedLegs

MOST_LEGS = 64  # up to which the formulas of fork and join were measured
WIDE = 10  # times as many servers as legs: what legs have in common hardly shows
LATE = 0.99  # the level from which on one slow leg decides, whatever they have in common
MOSTLY, NEARLY_ALL = 0.75, 0.8  # of the legs waited for: between, the mean of their order statistic holds
MODERATE = 0.7  # the utilization up to which the mean of fork and join holds best
JOINED = Accuracy("within 15%", 0.09, "2 to 64 legs at servers with one worker, loads 0.3 to 0.95, p50 to p99.9")
JOINED_EASY = Accuracy("within 3%", 0.03, "2 to 64 legs, ten times as many servers; or their mean, loads up to 0.7")
VARIED, BUSY = 1.0, 0.5  # scv of services, and load, from which arrivals in common tell little of who is slow
SPREAD_OUT = "at least ten times as many servers as legs, 8 to 200 legs, loads 0.1 to 0.9"
WIDE_LATE = Accuracy("within 3%", 0.02, f"from p99 on, where one leg decides; {SPREAD_OUT}")
WIDE_VARIED = Accuracy("within 3%", 0.03, f"services of scv 1 at least; {SPREAD_OUT}")
WIDE_BUSY = Accuracy(
    "within 15%", 0.10, "at least ten times as many servers as legs, 8 to 1,000 legs, loads 0.5 to 0.9"
)
ENOUGH = Accuracy("within 15%", 0.06, "three quarters to four fifths of 4 to 64 legs, exponential service, one worker")
BOUND = Accuracy("bound", None, "an upper bound: legs with arrivals in common are taken for independent", "above")
AT_LEAST = Accuracy("bound", None, "a lower bound: legs with arrivals in common are taken for independent", "below")
BELOW_MEDIAN = Accuracy("bound", None, "below the median the formula is too low, by up to half")
BAND = Accuracy("band", None, "between one leg and independent legs")


class FanOut(Forked):
    """Each request sends a leg to `legs` of the servers and ends with the `needed`-th of their answers.

    Without queues the legs are independent: an order statistic, exact. With a FIFO queue at every server a leg is one
    request of a random split (exact), but legs have arrivals in common: all legs at every request to the same M/M/1
    servers (legs = servers), or to servers drawn at random; see `JoinedLegs`. What other services do is simulated,
    between the bounds of one leg and of independent legs. Nelson and Tantawi 1988; Varma and Makowski 1994; without
    queues Dean and Barroso, The Tail at Scale, 2013.
    """

    @functools.cached_property
    def _joined(self) -> bool:
        """Whether it is a fork and join of M/M/1 servers within the range that was measured."""
        return self._queued and self._simple and 1 < self.legs <= MOST_LEGS

    @property
    def _simple(self) -> bool:
        return self.workers == 1 and is_exponential(self.service)

    @property
    def _enough(self) -> bool:
        """Whether so many of the legs are waited for that the mean of independent ones holds.

        Off by 2% at most for 3 of 4, 6 of 8 and 12 of 16 exponential legs at loads up to 0.9; but with 7 of 8 by 7% at
        load 0.8, and with 15 of 16 by 10% at 0.5 and 18% at 0.9. Constant services end all together.
        """
        return self._simple and MOSTLY * self.legs <= self._waited_for <= NEARLY_ALL * self.legs

    @property
    def _wide(self) -> bool:
        return self.servers >= WIDE * self.legs

    @property
    def _spread_out(self) -> bool:
        """Whether what legs have in common hardly shows in any of their order statistics.

        Little chance is left to legs of nearly constant service that seldom wait: off by 28% with 64 of them, ten times
        as many servers, and a load of 0.1.
        """
        return self._wide and (self.service.scv >= VARIED or self.utilization >= BUSY)

    @property
    def _independent(self) -> Distribution:
        leg = self.leg_latency
        return leg if self.legs == 1 else KOfN(self._waited_for, (leg,) * self.legs)

    @property
    def _known(self) -> bool:
        """Whether the whole distribution is told, not its mean alone."""
        alone = self.legs == 1 or not self._queued
        return alone or (self._waited_for == self.legs and (self._joined or self._wide))

    @answer("s", "time from arrival to the last answer that is waited for")
    def latency(self) -> Distribution:
        """An order statistic of independent legs, or `JoinedLegs`; the mean alone where that is all that holds."""
        if self._overloaded:
            return Never()
        if self._known:
            return self._fork_and_join if self._joined else self._independent
        if self._waited_for < self.legs and not (self._spread_out or self._enough):
            raise self._simulate_it()
        mean = self._independent.mean()
        if math.isinf(mean):
            raise NoClosedForm("FanOut: where the mean of a leg is infinite only a simulation tells the latency")
        return MeanOnly(mean)

    def _no_band(self) -> NoClosedForm:
        return NoClosedForm("FanOut has a band only where all legs are waited for and no formula holds: see latency")

    @property
    def _fork_and_join(self) -> Distribution:
        share = common_share(self.legs, self.servers)
        return JoinedLegs(self.legs, self.leg_latency.mean(), self.utilization, share)

    @answer("s", "the lower end of a band for the latency, where a band is all that is known")
    def latency_low(self) -> Distribution:
        """One leg's, where all are waited for."""
        if self._known or self._overloaded or self._waited_for < self.legs:
            raise self._no_band()
        return self.leg_latency

    @answer("s", "the upper end of a band for the latency, where a band is all that is known")
    def latency_high(self) -> Distribution:
        """That of independent legs, where all are waited for: arrivals in common make legs long together."""
        if self._known or self._overloaded or self._waited_for < self.legs:
            raise self._no_band()
        return self._independent

    @answer("", "expected share of the legs that have answered by the deadline")
    def answered(self) -> float:
        """P(leg <= d), whatever legs have in common."""
        return float(self.leg_latency.cdf(self.deadline))

    @answer("", "probability that all legs have answered by the deadline")
    def all_answered(self) -> float:
        """P(last leg <= d)."""
        last = self.replace(needed=0)
        if not last._known and not self._overloaded:
            raise self._simulate_it()
        return float(last.latency.cdf(self.deadline))

    def _accuracy(self, metric: str, level: float | None = None) -> Accuracy:
        """Exact without queues and of single legs; of the last of several legs as measured beside simulations."""
        declared = self._answer(metric).accuracy
        if metric in ("utilization", "offered_load") or self._overloaded or not self._queued:
            return declared
        if metric in ("probability_of_wait", "wait"):
            return self._each_leg.accuracy(metric, level)
        if metric in ("leg_latency", "answered") or self.legs == 1:
            return self._each_leg.accuracy("latency", level)
        if metric == "all_answered":
            return self.replace(needed=0)._by_deadline()
        return self._of_several(level)

    def _of_several(self, level: float | None) -> Accuracy:
        if self._waited_for < self.legs:
            return self._of_enough(level)
        if self._joined:
            return self._of_joined(level)
        if self._wide:
            return self._of_wide(level)
        return BOUND if level is None else BAND

    def _of_wide(self, level: float | None) -> Accuracy:
        """Legs that hardly meet. For quantiles so rare that no leg's tell them: as of the leg."""
        late = level is not None and level >= LATE
        leg = self._each_leg.accuracy("latency", 1.0 - (1.0 - level) / self.legs if level is not None else None)
        if leg.label != "exact":
            return leg
        return WIDE_LATE if late else self._of_spread_out if self._spread_out else BOUND

    @property
    def _of_spread_out(self) -> Accuracy:
        return WIDE_VARIED if self.service.scv >= VARIED else WIDE_BUSY

    def _of_enough(self, level: float | None) -> Accuracy:
        if level is not None or not (self._spread_out or self._enough):
            return SIMULATED
        return self._of_spread_out if self._spread_out else ENOUGH

    def _of_joined(self, level: float | None) -> Accuracy:
        if level is None and self.legs == self.servers == 2:
            return EXACT
        if level is not None and level < 0.5 and not self._wide:
            return BELOW_MEDIAN
        easy = self._wide or (level is None and self.utilization <= MODERATE)
        return JOINED_EASY if easy else JOINED

    def _by_deadline(self) -> Accuracy:
        """What a wrong scale of the latency makes of a probability."""
        if not self._known:
            return SIMULATED
        median = self._of_several(0.5)
        if median.side:
            return AT_LEAST
        scale = median.error or 0.0
        exact = self.all_answered
        low, high = (float(self.latency.cdf(self.deadline * (1.0 + turn * scale))) for turn in (-1.0, 1.0))
        error = max(high - exact, exact - low) / max(exact, 1e-300)
        label = "within 3%" if error <= 0.03 else "within 15%" if error <= 0.15 else "bound"
        return Accuracy(label, error, "as far as the latency's own error goes")
