"""The shorter of a few queues drawn at random."""

from __future__ import annotations

import dataclasses
import math
from typing import ClassVar

import numpy as np

from scaling_models.domains import Choice, Integer
from scaling_models.montecarlo.kernels.rules import PowerOf
from scaling_models.parameters import Slider, parameter
from scaling_models.pools.bases.approximation import NONE, UNUSABLE, Approximation, Errors
from scaling_models.pools.bases.dispatched import Counting
from scaling_models.pools.formulas.profiles import found_by, shortest_of
from scaling_models.pools.formulas.shortest_queue import affordable_spread
from scaling_models.pools.formulas.supermarket import cut_off_by_choices, found_by_choices

MOST_SPREAD = 10
CLOSE = 0.03  # an error that needs no other formula
MANY = 10  # choices that keep queues nearly even


class PowerOfChoices(Counting):
    """Each request to the server with the fewest requests among `choices` drawn at random; of equals the first drawn.
    (Without replacement no more can be drawn than there are; one server alone leaves no choice.)

    Exponential service before FIFO servers: the mean field with two terms of 1/N, or, of few servers, the chain of all
    states in which queues differ by a few requests only. Gast and Van Houdt 2017; Adan, van Houtum, van der Wal 1994.
    Mitzenmacher 1996. Envoy: LEAST_REQUEST at equal weights (with replacement); nginx: random two; HAProxy: random(2),
    with replacement, and evenly only where the servers have a large weight (256): of weight 1 shares differ by a tenth.
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

    def _check(self) -> None:
        super()._check()
        if self.replacement == "without" and self.choices > self.servers > 1:
            raise ValueError(
                f"PowerOfChoices.choices must lie in [1, {self.servers}], the servers, where they are drawn without "
                f"replacement; got {self.choices}"
            )

    def _rule(self) -> PowerOf:
        again = self.replacement == "with"
        return PowerOf(self.choices if again or self.servers > 1 else 1, again)

    def _approximation(self) -> Approximation:
        rule = self._rule()
        if rule.choices == 1 or self.servers == 1:
            return self._alone()
        if self.balancers > 1:
            raise self._simulate_it()
        expanded = self._expanded(rule)
        spread = affordable_spread(self.servers, self.workers, MOST_SPREAD)
        few_wait = self.workers == 1 and spread > 2 and expanded.errors.probability_of_wait > CLOSE
        if max(expanded.errors.quantiles) <= CLOSE and not few_wait:
            return expanded
        if spread > 2:
            return min(expanded, self._by_chain(rule, spread), key=_worth)
        return self._nearly_even(rule) if spread and rule.choices >= MANY else expanded

    def _expanded(self, rule: PowerOf) -> Approximation:
        """The mean field, corrected; envelopes of what simulation showed at 4 to 50 servers and 2 to 5 choices.

        Few servers busy all the time, and many choices, are what it errs at: z = N (1 - load) (2/d)^0.65.
        """
        found = found_by_choices(
            self.utilization, self.servers, rule.choices, self.workers, replacement=rule.replacement
        )
        z = self.servers * (1.0 - self.utilization) * (2.0 / rule.choices) ** 0.65
        many = max(1.0, rule.choices / 5.0) ** 2
        half, late = 0.005 + 0.03 * many * z**-2.2, 0.005 + 0.035 * many * z**-2.0
        later, last = (0.005 + scale * many * z**-2.2 if self.workers == 1 else late for scale in (0.055, 0.09))
        light = cut_off_by_choices(self.utilization, self.servers, rule.choices, replacement=rule.replacement)
        of_a_wait = 0.01 + 0.03 * many * z**-2.2 + light if self.workers == 1 else math.inf
        quantiles = (half, late, later, last)
        errors = Errors(0.003 + 0.02 * many * z**-1.5, quantiles, of_a_wait, "grows as servers x (1 - load) falls")
        return self._finding(found, errors)

    def _nearly_even(self, rule: PowerOf) -> Approximation:
        """The chain of queues that differ by two: of 20 to 100 servers ten choices or more leave nothing else.

        Measured by simulation at loads up to 0.98.
        """
        chances = shortest_of(rule.choices, rule.replacement)
        found = found_by(chances, self.utilization, self.servers, self.workers, 2)
        error = 0.03 if self.utilization <= 0.95 else 0.15
        of_a_wait = 0.06 if self.workers == 1 else math.inf
        return self._finding(found, Errors(error, (error,) * 4, of_a_wait, "10 choices or more, loads up to 0.98"))

    def _by_chain(self, rule: PowerOf, spread: int) -> Approximation:
        """The chain of nearly even queues: half of its error is gone with each unit of spread, or more.

        (With several workers less of it as long as the spread is small.)
        """
        chances = shortest_of(rule.choices, rule.replacement)
        wider, narrower = (
            self._finding(found_by(chances, self.utilization, self.servers, self.workers, each), NONE)
            for each in (spread, spread - 1)
        )
        factor = 4.0 if self.workers > 1 and spread < 4 else 2.0
        gaps = 0.002 + factor * np.abs(narrower.summary() / wider.summary() - 1.0)
        mean, half, late, later, last, chance = gaps.tolist()
        region = "told by the next narrower spread of queues"
        errors = Errors(mean, (half, late, later, last), chance + 0.003, region)
        return dataclasses.replace(wider, errors=errors)


def _worth(each: Approximation) -> tuple[bool, bool, float]:
    """The less the better: by the quantiles where they are usable, and P(wait), else by the mean."""
    worst, waits = max(each.errors.quantiles), each.errors.probability_of_wait
    return (worst > UNUSABLE, waits > UNUSABLE, each.errors.mean if worst > UNUSABLE else worst)
