"""Data that move to other nodes while writes arrive and requests are served."""

from __future__ import annotations

import math
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from scipy import optimize

from scaling_models import units
from scaling_models.answers import EXACT, Accuracy, NoClosedForm, Simulation, Timeline, answer
from scaling_models.latency import Distribution, MeanOnly, Never, slowest
from scaling_models.montecarlo.estimates import NotSettled
from scaling_models.montecarlo.streams import checked_requests
from scaling_models.shards.foreground import FIRST, ForegroundLatency, light
from scaling_models.shards.formulas import rebalancing as formulas
from scaling_models.shards.moving_data import FAR, SHARE, MovingData
from scaling_models.shards.rebalance_parameters import APPENDED
from scaling_models.shards.rebalance_twin import PACED, WITH_DATA, simulated

Array = NDArray[np.float64]
CURVE = 300  # times of a course
NEAR_SWAY = 0.003
SKEWED, MISSHAPEN = 0.02, 0.15  # errors of a quantile
SHAPE = "mean and spread are exact, the shape between is not a beta's"
NEAR = Accuracy("within 3%", 0.005, "one node, or the fabric, carries all that moves, and the last round is short")
NEAR_PAUSE = Accuracy("within 3%", 0.02, f"{NEAR.region}; the pause by whole rounds")
LATTICE = Accuracy("within 3%", 0.004, "chunks up to 100 mean services, disk up to 95% busy; the mean wait is exact")


class Rebalance(MovingData):
    """Nodes come or go, and data move: at what the slowest sender, receiver or the fabric carries (D / B at least).

    What is written meanwhile is copied in further rounds: D / (B - w) in all, and never an end once writes outrun the
    copy, unless they overwrite each other (`append_chase`, `overwrite_chase`). Requests at the disk that copies most
    wait for the rest of a chunk (`foreground_wait`), so that long chunks hurt more than a high rate. Bandwidths and
    the throttle are those of a node; in Kafka the throttle also holds back normal replication: take that off it.
    """

    headline: ClassVar[str] = "duration"
    bounded: ClassVar[str] = "end to it"
    verified_with: ClassVar[int] = 200_000
    violations: ClassVar[tuple[str, ...]] = (WITH_DATA, PACED)

    def _accuracy(self, metric: str, level: float | None = None) -> Accuracy:
        declared = super()._accuracy(metric, level)
        if metric in ("disk_share", "foreground_wait", "foreground_latency"):
            known = self._still or self._full or self._always_busy
            return (declared if metric != "disk_share" else EXACT) if known else FAR
        if self._still or declared not in (SHARE, FAR):
            return declared
        if level is not None and self._shape_error > MISSHAPEN:
            return Accuracy("simulated", None, SHAPE)
        if level is not None and self._shape_error > SKEWED:
            return Accuracy("within 15%", MISSHAPEN, SHAPE)
        if declared == SHARE:
            return EXACT if level is None else SHARE
        if self._blocked:
            return EXACT
        coarse = metric in ("rounds", "cutover_pause") and self.writes != APPENDED  # pages are not endlessly many
        if coarse or not self._one or self._sway > NEAR_SWAY:
            return FAR
        if metric == "cutover_pause":
            return NEAR_PAUSE
        return EXACT if metric in ("copy_rate", "margin") else NEAR if level is None else SHARE

    @property
    def _shape_error(self) -> float:
        """How far a quantile of what moves may be off for the shape of its law."""
        few = abs(self.nodes_after - self.nodes_before)
        return self.placement.spread_error(few) if self._refusal("moved_share", None) is None else 0.0

    @property
    def says(self) -> str:
        """Will catch-up ever finish? In a sentence, with the margin."""
        if self._still:
            return "Nothing moves"
        try:
            return self._said()
        except NoClosedForm as refusal:
            return f"Will catch-up ever finish? {refusal}"

    def _said(self) -> str:
        rates = [units.human(each, "bytes/s") for each in (self.copy_rate, self.write_rate, abs(self.margin))]
        if math.isfinite(float(self._whole.duration)):
            more = f"{rates[2]} ({100 * self.margin / self.copy_rate:.0f}%) to spare"
            if self.margin <= 0:
                more = "and it ends because they overwrite each other"
            took = units.human(self.duration.mean(), "s")
            return f"Catch-up ends, after {took} on average: it copies {rates[0]}, writes bring {rates[1]}, {more}"
        excess = f"{rates[2]} too much" if self.margin < 0 else "just as much"
        over = f"{excess}: {100 * self.stuck_share:.0f}% stays behind"
        return f"Catch-up never ends: it copies {rates[0]}, writes bring {rates[1]}, {over}"

    @answer("", "share of its disk's time that the node that copies most spends on it", FAR)
    def disk_share(self) -> float:
        """What its port carries, over what the disk can."""
        if self._still or self._blocked:
            return 0.0
        moves = self._amounts
        ends = ((moves.receivers, self.ports[0]), (moves.senders, self.ports[1]))
        most = [slowest(*[part.law] * part.nodes).mean() / moves.moved.share for part, _ in ends]
        carried = [min(share * self.copy_rate, port) for share, (_, port) in zip(most, ends, strict=True)]
        binding = [
            port for name, port in zip(("receiver", "sender"), self.ports, strict=True) if name == self.bottleneck
        ]
        return max(carried + binding) / self.disk

    @property
    def _first(self) -> bool:
        return self.order == FIRST

    @property
    def _full(self) -> bool:
        """Whether requests and chunks together are more than the disk can serve, as far as requests feel it."""
        return self._load >= 1.0 or (not self._first and self._load + self.disk_share >= 1.0 - 1e-12)

    @answer("s", "mean time that a request waits for the disk while data move")
    def foreground_wait(self) -> float:
        """(lambda E[S^2] + share chunk) / 2, over 1 - load, or 1 - load - share in order of arrival."""
        mean = self.service.mean()
        if self._full:
            return math.inf
        square = self.service.variance() + mean * mean
        return float(
            formulas.foreground_wait(self.arrival_rate, mean, square, self.chunk, self.disk_share, self._first)
        )

    @answer("s", "time from a request's arrival to its reply while data move", LATTICE)
    def foreground_latency(self) -> Distribution:
        """M/G/1 with chunks (see `ForegroundLatency`); of a heavy-tailed service the mean only; Never at overload."""
        if self._full:
            return Never()
        if not light(self.service):
            if math.isinf(self.foreground_wait):
                raise NoClosedForm("Rebalance: a service without a variance makes the mean infinite: simulate it")
            return MeanOnly(self.foreground_wait + self.service.mean())
        law = ForegroundLatency(self.arrival_rate, self.service, self.chunk, self.disk_share, self.order)
        return law.in_parts()

    @answer("s", "the same before and after", LATTICE)
    def latency_before(self) -> Distribution:
        """M/G/1."""
        idle = self.replace(nodes_after=self.nodes_before)
        return idle.foreground_latency

    def best_throttle(self, latency: float, level: float = 0.99) -> float:
        """The throttle (bytes/s) that ends soonest while a quantile of the requests' latency holds (s).

        The highest that holds it, but no higher than is of use; 0 where not even the slowest copy holds it. Exact but
        for `foreground_latency`'s own error. Raises `NoClosedForm` where only its mean is known.
        """

        def late(throttle: float) -> float:
            found = self.replace(throttle=throttle).foreground_latency
            if not found.spread_known:
                raise NoClosedForm("Rebalance.best_throttle: only the mean latency is known: simulate it")
            return float(found.ccdf(latency)) - (1.0 - level)

        most = min(max(self.node_in, self.node_out), self.fabric, self._spare)
        least = 1e-9 * self.disk
        if most <= least or late(least) > 0.0:
            return 0.0
        if late(most) <= 0.0:
            return most
        return float(optimize.brentq(late, least, most, xtol=1e-6 * most, rtol=1e-6))

    def course(self, times: Array) -> dict[str, Array]:
        """Bytes left to copy, bytes written meanwhile, and the requests' p99 (s), at times (s); of the mean amount."""
        end = self.planned
        left = (
            np.maximum(self._mean - (self.copy_rate - self.write_rate) * times, 0.0) if not self._still else 0 * times
        )
        if self.writes != APPENDED and not self._still:
            left = formulas.overwritten_left(self._mean, self.copy_rate, self.write_rate, times)
        p99 = [
            each.icdf(0.99) if each.spread_known else math.nan
            for each in (self.foreground_latency, self.latency_before)
        ]
        return {
            "bytes left to copy": np.where(times <= end, left, 0.0),
            "bytes written meanwhile": self.write_rate * np.minimum(times, end),
            "p99 of requests": np.where(times <= end, *p99),
        }

    def simulate(self, requests: int = 200_000, seed: int = 0, *, violating: str | None = None) -> Simulation:
        """Placements (40 to 800) of all keys (200,000 at most) before and after, each copied in rounds while records
        are written one by one; and `requests` at the disk, with its chunks. Exact but for chance.

        "writes follow the data": what moves more is written to more, so that the rate differs from placement to
        placement (looked at for 30 times the copy alone). "chunks at a steady pace": not at random moments. Raises
        `NotSettled` where it never ends.
        """
        wanted = checked_requests(self, requests, 1000, 10**8)
        broken = self.known_violation(violating)
        if self._load >= 1.0:
            raise NotSettled("requests alone fill the disk: there is no steady state, and nothing is ever copied")
        return Simulation(self, wanted, seed, **simulated(self, wanted, seed, broken))

    def timeline(self, seed: int = 0) -> Timeline:
        """Bytes left as planned, and where a tenth more is written than the copy can carry. Of the mean amount."""
        planned = self.planned
        rate = self.copy_rate if math.isfinite(self.copy_rate) else self.throttle
        alone = self._mean / rate if rate else 1.0
        end = 1.2 * planned if math.isfinite(planned) and planned else 10.0 * max(alone, 1.0)
        times = np.linspace(0.0, end, CURVE)
        busier = self.replace(write_rate=1.1 * max(rate, 1.0))
        lines = {"as planned": self, "a tenth more written than copied": busier}
        return Timeline(
            self.says,
            times,
            {name: each.course(times)["bytes left to copy"] for name, each in lines.items()},
            "bytes",
            ((planned, "cut-over"),) if 0.0 < planned <= end else (),
        )
