"""A pool whose clients give up when they have waited too long."""

from __future__ import annotations

import functools
from typing import ClassVar

from scaling_models.answers import Accuracy, Assumption, NoClosedForm, answer
from scaling_models.latency import SPREAD, Distribution, Exponential
from scaling_models.montecarlo.estimates import Estimate, Sampled
from scaling_models.montecarlo.kernels.losses import Loss
from scaling_models.montecarlo.runs import Run
from scaling_models.montecarlo.traffic.flows import Flow
from scaling_models.parameters import parameter
from scaling_models.pools.bases.limited_pool import LimitedPool, share
from scaling_models.pools.bases.pool import SIMULATED
from scaling_models.pools.formulas.losses import ErlangA, erlang_a
from scaling_models.pools.formulas.walks import is_exponential
from scaling_models.pools.times.impatient_wait import ImpatientWait

SELDOM = 1e-12  # below it what is abandoned is mostly rounding


class Abandonment(LimitedPool):
    """One FIFO queue before all slots, left by who has waited for as long as its patience: M/M/c+M, Erlang A.

    Who gives up costs no service. With service and patience exponential: P(wait), P(abandoned) by `erlang_a`; the
    mean wait of all is P(abandoned) times the mean patience, whatever else. Wait is the time in the queue of all,
    latency that of the served. Any load is legal. Other services and patiences (`Deterministic`: a timeout) raise
    `NoClosedForm` and can be simulated. Garnett, Mandelbaum and Reiman, Designing a call center with impatient
    customers, 2002; Baccelli and Hebuterne, On queues with impatient customers, 1981.
    """

    patience: Distribution = parameter(
        default=Exponential(0.100), domain=SPREAD, unit="s", symbol="1/θ", about="how long a client waits in the queue"
    )

    verified_with: ClassVar[int] = 4_000_000
    _assumptions: ClassVar[tuple[Assumption, ...]] = (
        *LimitedPool._assumptions,
        Assumption("the queue knows at once who gave up", "optimistic if what nobody waits for is served all the same"),
    )

    @functools.cached_property
    def _impatient(self) -> bool:
        """Whether the patience is exponential."""
        return is_exponential(self.patience)

    def _accuracy(self, metric: str, level: float | None = None) -> Accuracy:
        """Exact where service and patience are exponential; else only the offered load is known."""
        found = super()._accuracy(metric, level)
        return found if self._impatient or metric == "offered_load" else SIMULATED

    @functools.cached_property
    def _erlang_a(self) -> ErlangA:
        rate = self._exponential_rate
        if not self._impatient:
            raise NoClosedForm(
                f"Abandonment has a closed form for exponential patience only, not for {type(self.patience).__name__}: "
                "simulate it"
            )
        return erlang_a(self._slots, self.offered_load, 1.0 / (rate * self.patience.mean()))

    @property
    def _lost(self) -> float:
        return self.probability_of_abandonment

    @answer("", "share of the requests that give up before a slot takes them")
    def probability_of_abandonment(self) -> float:
        """See `formulas.losses.erlang_a`."""
        return float(self._erlang_a.probability_of_abandonment)

    @answer("", "share of the requests that find no slot free")
    def probability_of_wait(self) -> float:
        """See `formulas.losses.erlang_a`."""
        return float(self._erlang_a.probability_of_wait)

    def _wait(self, of: str) -> ImpatientWait:
        chance = self.probability_of_wait
        capacity = self._slots * self._exponential_rate
        return ImpatientWait(capacity, self.arrival_rate, self.patience.mean(), chance, of)

    @answer("s", "time in the queue, of the served and of those who give up")
    def wait(self) -> Distribution:
        """The lesser of the offered wait and the patience; see `ImpatientWait`."""
        return self._wait("all")

    @answer("s", "time in the queue of the requests that are served")
    def wait_of_served(self) -> Distribution:
        """See `ImpatientWait`."""
        return self._wait("served")

    @answer("s", "time in the queue of the requests that give up")
    def wait_of_abandoned(self) -> Distribution:
        """See `ImpatientWait`."""
        if self.probability_of_abandonment < SELDOM:
            raise NoClosedForm("Abandonment: hardly anybody gives up here, too few to tell how long they waited")
        return self._wait("abandoned")

    @answer("s", "time from arrival to reply of the requests that are served")
    def latency(self) -> Distribution:
        """Their wait plus an independent service."""
        return self.wait_of_served + self.service

    def _system(self, flow: Flow) -> Loss:
        return Loss(flow, self._slots, patience=self.patience)

    def _losses(self, found: Run) -> dict[str, Sampled | Estimate]:
        waits = {name: found.times[name] for name in ("wait_of_served", "wait_of_abandoned")}
        return {"probability_of_abandonment": share(found, "abandoned"), **waits}
