"""The shorter of a few queues drawn at random."""

from __future__ import annotations

import dataclasses
import math
from typing import ClassVar

import numpy as np

from scaling_models.montecarlo.kernels.rules import PowerOf
from scaling_models.parameters import Choice, Integer, Slider, parameter
from scaling_models.pools.approximation import NONE, UNUSABLE, Approximation, Errors
from scaling_models.pools.dispatched import Counting
from scaling_models.pools.formulas.profiles import found_by, shortest_of
from scaling_models.pools.formulas.shortest_queue import affordable_spread
from scaling_models.pools.formulas.supermarket import found_by_choices

MOST_SPREAD = 10
CLOSE = 0.03  # an error that needs no other formula


class PowerOfChoices(Counting):
    """Each request to the server with the fewest requests among `choices` drawn at random; of equals the first drawn.
    (Without replacement no more are drawn than there are.)

    Mitzenmacher 1996. Envoy: LEAST_REQUEST at equal weights (with replacement); nginx: random two; HAProxy: random(2).
    """

    choices: int = parameter(
        default=2,
        domain=Integer(1, 100),
        unit="servers",
        symbol="d",
        about="servers drawn for each request",
        slider=Slider(1, 10, 1),
    )
    replacement: str = parameter(
        default="without",
        domain=Choice(("without", "with")),
        about="whether one server can be drawn twice for a request: with or without replacement",
    )

    _other_services: ClassVar[tuple[float, float]] = (0.09, 0.12)

    def _rule(self) -> PowerOf:
        again = self.replacement == "with"
        return PowerOf(self.choices if again else min(self.choices, self.servers), again)

    def _approximation(self) -> Approximation:
        rule = self._rule()
        if rule.choices == 1 or self.servers == 1:
            return self._alone()
        if self.balancers > 1:
            raise self._simulate_it()
        expanded = self._expanded(rule)
        spread = affordable_spread(self.servers, self.workers, MOST_SPREAD)
        if spread > 2 and max(expanded.errors.quantiles) > CLOSE:
            chain = self._by_chain(rule, spread)
            expanded = min(expanded, chain, key=_worth)
        return expanded

    def _expanded(self, rule: PowerOf) -> Approximation:
        """The mean field, corrected; envelopes of what simulation showed at 4 to 50 servers and 2 to 5 choices.

        Few servers busy all the time, and many choices, are what it errs at: z = N (1 - load) (2/d)^0.65.
        """
        found = found_by_choices(
            self.utilization, self.servers, rule.choices, self.workers, replacement=rule.replacement
        )
        z = self.servers * (1.0 - self.utilization) * (2.0 / rule.choices) ** 0.65
        quantiles = (
            0.005 + 0.03 * z**-2.2,
            0.005 + 0.035 * z**-2.0,
            0.005 + 0.055 * z**-2.2,
            0.005 + 0.09 * z**-2.2,
        )
        of_a_wait = 0.01 + 0.03 * z**-2.2 if self.workers == 1 else math.inf
        errors = Errors(0.003 + 0.02 * z**-1.5, quantiles, of_a_wait, "grows as servers x (1 - load) falls")
        return self._finding(found, errors)

    def _by_chain(self, rule: PowerOf, spread: int) -> Approximation:
        """The chain of nearly even queues: half of its error is gone with each unit of spread, or more."""
        chances = shortest_of(rule.choices, rule.replacement)
        wider, narrower = (
            self._finding(found_by(chances, self.utilization, self.servers, self.workers, each), NONE)
            for each in (spread, spread - 1)
        )
        gaps = 0.002 + 2.0 * np.abs(narrower.summary() / wider.summary() - 1.0)
        errors = Errors(gaps[0], tuple(gaps[1:5]), gaps[5] + 0.003, "told by the next narrower spread of queues")
        return dataclasses.replace(wider, errors=errors)


def _worth(each: Approximation) -> tuple[bool, float]:
    """The less the better: by the quantiles where they are usable, else by the mean."""
    worst = max(each.errors.quantiles)
    return (worst > UNUSABLE, each.errors.mean if worst > UNUSABLE else worst)
