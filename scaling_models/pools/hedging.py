"""Hedged requests: a second copy to another server after a while."""

from __future__ import annotations

import functools
import math

import numpy as np
from scipy import optimize

from scaling_models.answers import EXACT, Accuracy, NoClosedForm, answer
from scaling_models.domains import Choice, Real
from scaling_models.latency import Distribution, Exponential, Hedge, MeanOnly, Never
from scaling_models.montecarlo.kernels.copies import HedgingRule
from scaling_models.parameters import Slider, parameter
from scaling_models.pools.bases.copied import Copied
from scaling_models.pools.formulas.redundancy import hedged_fixed_point, hedged_utilization
from scaling_models.pools.random_split import RandomSplit

MEASURED_WELL = 0.3  # the load up to which the mean of other services was within 3%
MOST_LOAD, FEWEST = 0.4, 5  # beyond them nothing was measured that holds
MANY, SELDOM, SELDOMER = 20, 0.11, 0.03  # servers, and shares of the requests that are copied
REGION = "loads up to 0.4, delays of half a service to seven, copies drawn anew and never cancelled"
LOAD = Accuracy("within 3%", 0.015, f"{REGION}; 5 servers or more")
GOOD = Accuracy("within 3%", 0.03, f"{REGION}; 20 servers or few copies")
ROUGH = Accuracy("within 15%", 0.11, f"{REGION}; optimistic, for copies meet the queues that they flee")
ABOVE = Accuracy("bound", None, "from above: chance ends it sooner")
OUTSIDE = Accuracy("simulated", None, "outside of what was measured")


class HedgedRequests(Copied):
    """A request not answered after `delay` is sent to a second server as well; the first answer counts.

    With copies never cancelled the utilization u solves u = rho (1 + S_u(d)), S_u the response of M/M/1 at u, and the
    latency exceeds t with the chance S_u(t) S_u(t - d). For rho of 1/2 and more a state in which all are copied
    sustains itself as well, and nothing is promised. Servers chosen at random; other service than exponential by the
    response of M/G/1, at 20 servers or more. Dean and Barroso, The Tail at Scale, CACM 2013.
    """

    delay: float = parameter(
        default=0.040,
        domain=Real(open_low=False),
        unit="s",
        symbol="d",
        about="after which the second copy is sent",
        slider=Slider(0.0, 0.5, 0.005),
    )
    copies_redraw: str = parameter(
        default="yes",
        domain=Choice(("yes", "no")),
        about="whether a copy draws its service anew, or carries the size of its request",
    )
    cancel: str = parameter(
        default="never",
        domain=Choice(("never", "waiting", "anywhere")),
        about="what is cancelled once one copy is done: nothing, a copy that still waits, a copy wherever it is",
    )

    def _rule(self, redraw: bool) -> HedgingRule:
        return HedgingRule(self.servers, self.delay, redraw=redraw)

    @property
    def _cancel(self) -> str:
        return self.cancel

    @property
    def _redraw(self) -> bool:
        return self.copies_redraw == "yes"

    @property
    def _bistable(self) -> bool:
        return self.can_collapse

    @answer("", "whether a state in which all requests are copied sustains itself")
    def can_collapse(self) -> bool:
        """2 rho >= 1, unless copies are cancelled."""
        return self.cancel == "never" and 2.0 * self._load >= 1.0

    @functools.cached_property
    def _u(self) -> float:
        """The utilization, where a formula is right."""
        if self._load >= 1.0:
            return math.inf
        if self.cancel != "never" or not self._redraw:
            raise self._refuse("for copies that are cancelled, or carry the size of their request")
        if self._load > MOST_LOAD or self.servers < FEWEST:
            raise self._refuse(f"for loads above {MOST_LOAD} or fewer than {FEWEST} servers")
        if self._exponential:
            return hedged_utilization(self._load, self.delay / self.service.mean())
        if self.servers < MANY:
            raise self._refuse(f"for service that is not exponential at fewer than {MANY} servers")
        return hedged_fixed_point(self._load, lambda u: float(self._response(u).ccdf(self.delay)))

    def _response(self, utilization: float) -> Distribution:
        """S_u, of a server alone that is so busy: M/M/1 or M/G/1."""
        if self._exponential:
            return Exponential(self.service.mean() / (1.0 - utilization))
        return RandomSplit(utilization / self.service.mean(), 1, self.service).latency

    @answer("", "share of the servers' time that is busy, with the copies", LOAD)
    def utilization(self) -> float:
        """u; rho exactly where exponential copies drawn anew are cancelled at once; above 1 overloaded."""
        if self._load >= 1.0 or (self.cancel == "anywhere" and self._redraw and self._exponential):
            return self._load
        return self._u

    @answer("times", "copies a request, the first included", LOAD)
    def copies(self) -> float:
        """1 + S_u(d)."""
        return 2.0 if math.isinf(self._u) else self._u / self._load

    @functools.cached_property
    def _copied(self) -> float:
        return self.copies - 1.0

    @answer("s", "time from arrival to the first answer", GOOD)
    def latency(self) -> Distribution:
        """S_u(t) until the delay, then S_u(t) S_u(t - d)."""
        if math.isinf(self._u):
            return Never()
        whole = Hedge(self._response(self._u), self.delay)
        known = self.servers >= MANY or self._load <= 0.3 or self._copied <= SELDOMER
        return whole if known else MeanOnly(whole.mean())

    @answer("times", "p99 with copies over p99 without: hedging helps where it is below 1", GOOD)
    def p99_ratio(self) -> float:
        """Of the closed forms; 1 where both are infinite."""
        if math.isinf(self._u):
            return 1.0
        return float(self.latency.icdf(0.99)) / float(self._response(self._load).icdf(0.99))

    @answer("requests/s", "the arrival rate up to which p99 gains by copies, at most", ABOVE)
    def helps_up_to(self) -> float:
        """Where the p99 of the fixed point meets that of M/M/1, or the fixed point ends."""
        if not self._exponential or self.cancel != "never" or not self._redraw:
            raise self._refuse("of this but for exponential copies drawn anew and never cancelled")
        mean, delay = self.service.mean(), self.delay / self.service.mean()

        def gain(load: float) -> float:
            u = hedged_utilization(load, delay)
            if math.isinf(u):
                return -1.0
            return -math.log(0.01) / (1.0 - load) - float(Hedge(Exponential(1.0 / (1.0 - u)), delay).icdf(0.99))

        loads = np.linspace(0.005, 0.995, 100)
        stops = [at for at, load in enumerate(loads) if gain(float(load)) <= 0]
        if not stops or stops[0] == 0:
            return 0.0 if stops else self.servers / mean
        best = optimize.bisect(gain, float(loads[stops[0] - 1]), float(loads[stops[0]]), xtol=1e-6)
        return float(best) * self.servers / mean

    @answer("requests", "mean number of requests not yet answered", GOOD)
    def in_flight(self) -> float:
        """Little's law."""
        return self.arrival_rate * self.latency.mean()

    def _accuracy(self, metric: str, level: float | None = None) -> Accuracy:
        """By load, servers and share of copies, as measured."""
        declared = super()._accuracy(metric, level)
        if declared in (EXACT, OUTSIDE) or declared.label == "bound":
            return declared
        try:
            value = getattr(self, metric)
        except NoClosedForm:
            return OUTSIDE
        if self._load >= 1.0 or (metric == "utilization" and self.cancel == "anywhere"):
            return EXACT
        if declared == LOAD:
            return LOAD
        if level is not None and not value.spread_known:
            return OUTSIDE
        of_mean = level is None and metric != "p99_ratio"
        if not self._exponential:
            return GOOD if of_mean and self._load <= MEASURED_WELL else ROUGH
        few = self._copied <= (SELDOM if of_mean else SELDOMER)
        many = self.servers >= MANY and (of_mean or self._load <= 0.3 or self._copied <= SELDOM)
        return GOOD if few or many else ROUGH
