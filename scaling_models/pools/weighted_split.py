"""Requests to servers of unequal speed at random, the faster the more."""

from __future__ import annotations

import collections
import dataclasses
import functools
import math
from typing import ClassVar

from scaling_models.answers import answer
from scaling_models.domains import Real, Rows
from scaling_models.montecarlo.kernels.dispatch import Dispatch
from scaling_models.montecarlo.kernels.rules import Random
from scaling_models.montecarlo.traffic.flows import Flow
from scaling_models.parameters import Slider, parameter
from scaling_models.pools.bases.separate_queues import SeparateQueues
from scaling_models.pools.bases.stations import Station
from scaling_models.pools.bases.unequal_stations import UnequalStations
from scaling_models.pools.formulas.weights import best_weights
from scaling_models.wording import short


class WeightedSplit(SeparateQueues):
    """Each request to one of the servers at random, by given weights or the best: on server i the service is S / v_i.

    Each server is M/G/1 with lambda_i = w_i lambda (or M/M/k with several workers): exact, the latency a mixture. The
    best weights have the least mean latency of any split at random; with k workers those of servers k times as fast,
    which is no more than near the best. nginx, HAProxy, Envoy: weighted random.
    """

    speeds: tuple[float, ...] = parameter(
        default=(1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 2.0, 2.0),
        domain=Rows(Real(), most=10_000),
        symbol="v",
        about="how fast each server is: a service of S takes it S / v",
        slider=Slider(0.1, 4.0, 0.1),
    )
    weights: tuple[float, ...] = parameter(
        default=(),
        domain=Rows(Real(open_low=False), least=0, most=10_000),
        symbol="w",
        about="what each server gets of the requests, in proportion; none for the best",
        slider=Slider(0.0, 10.0, 0.5),
    )
    servers: ClassVar[int]  # type: ignore[misc]  # not parameters here: as many as there are speeds, and all work
    first_speed: ClassVar[float] = 1.0  # type: ignore[misc]
    first_answers: ClassVar[str] = "properly"  # type: ignore[misc]
    verified_with: ClassVar[int] = 8_000_000

    def _check(self) -> None:
        super()._check()
        count = len(self.speeds)
        object.__setattr__(self, "servers", count)
        if self.weights and len(self.weights) != count:
            raise ValueError(
                f"WeightedSplit.weights must be one a server ({count} speeds), or none for the best; "
                f"got {len(self.weights)}"
            )
        if self.weights and not sum(self.weights) > 0:
            raise ValueError(f"WeightedSplit.weights must not all be zero; got {short(self.weights)}")

    @functools.cached_property
    def shares(self) -> tuple[float, ...]:
        """The share of the requests that each server gets: the weights, or the best, made to sum to 1."""
        if self.weights:
            return tuple(weight / sum(self.weights) for weight in self.weights)
        if math.isinf(self.service.mean()):  # overloaded however it is split
            return tuple(speed / sum(self.speeds) for speed in self.speeds)
        rates = [speed * self.workers / self.service.mean() for speed in self.speeds]
        return tuple(best_weights(rates, self.arrival_rate, self.service.scv).tolist())

    @property
    def _servers(self) -> tuple[tuple[float, Station | UnequalStations], ...]:
        kinds = {kind: count for kind, count in self._kinds.items() if kind[0] > 0}
        together = self._together(kinds)
        if self.workers == 1 and self.discipline == "fifo" and together.apt and together.solved:
            return ((1.0, together),)
        return tuple(
            (
                share * count,
                Station(
                    share * self.arrival_rate,
                    1,
                    self.service if speed == 1 else self.service * (1.0 / speed),
                    self.workers,
                ),
            )
            for (share, speed), count in kinds.items()
        )

    @property
    def _kinds(self) -> collections.Counter[tuple[float, float]]:
        """How many servers there are of each share and speed."""
        return collections.Counter(zip(self.shares, self.speeds, strict=True))

    def _together(self, kinds: dict[tuple[float, float], int]) -> UnequalStations:
        shares = tuple(share * count for (share, _), count in kinds.items())
        speeds = tuple(speed for _, speed in kinds)
        work = self.arrival_rate * self.service.mean()
        return UnequalStations(self.service, shares, speeds, tuple(work * share / speed for share, speed in kinds))

    @answer("erlangs", "mean number of slots that the arrivals would occupy")
    def offered_load(self) -> float:
        """a = lambda sum w_i E[S] / v_i."""
        each = (share / speed for share, speed in zip(self.shares, self.speeds, strict=True))
        return self.arrival_rate * self.service.mean() * sum(each)

    @property
    def _demand(self) -> str:
        return "busy"

    def _rule(self) -> Random:
        return Random(self.shares)

    def _system(self, flow: Flow) -> Dispatch:
        return dataclasses.replace(super()._system(flow), speeds=self.speeds)
