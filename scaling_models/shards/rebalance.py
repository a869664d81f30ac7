"""Data that move to other nodes while writes arrive and requests are served."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from scipy import optimize

from scaling_models import units
from scaling_models.answers import EXACT, Accuracy, NoClosedForm, Simulation, Timeline, answer
from scaling_models.latency import Deterministic, Distribution, MeanOnly, Never, mixture, slowest
from scaling_models.montecarlo.estimates import NotSettled
from scaling_models.montecarlo.streams import checked_requests
from scaling_models.shards.foreground import FIRST, ForegroundLatency, light
from scaling_models.shards.formulas import rebalancing as formulas
from scaling_models.shards.moved_amounts import Amounts, Port, amounts, late_ports, slowness
from scaling_models.shards.rebalance_parameters import APPENDED, RebalanceParameters
from scaling_models.shards.rebalance_twin import PACED, WITH_DATA, simulated

Array = NDArray[np.float64]
LEVELS = (np.arange(200) + 0.5) / 200.0  # of the amount that moves, over which rounds are averaged
CURVE = 300  # times of a course
MOST_SWAY, SWAY = 0.15, 0.8
GAUSS = np.polynomial.legendre.leggauss(16)
POINTS, WEIGHTS = (GAUSS[0] + 1.0) / 2.0, tuple((GAUSS[1] / 2.0).tolist())
NEAR_SWAY = 0.003
NEAR = Accuracy("within 3%", 0.005, "one node, or the fabric, carries all that moves, and the last round is short")
SHARE = Accuracy("within 3%", 0.02, "20 keys or more that move; the mean is exact")
FAR = Accuracy("within 15%", 0.15, "several nodes carry what moves, and who has most is by chance")
LATTICE = Accuracy("within 3%", 0.004, "chunks up to 100 mean services, disk up to 95% busy; the mean wait is exact")


class Rebalance(RebalanceParameters):
    """Nodes come or go, and data move: at what the slowest sender, receiver or the fabric carries (D / B at least).

    What is written meanwhile is copied in further rounds: D / (B - w) in all, and never an end once writes outrun the
    copy, unless they overwrite each other (`append_chase`, `overwrite_chase`). Requests at the disk that copies most
    wait for the rest of a chunk (`foreground_wait`), so that long chunks hurt more than a high rate. Bandwidths and
    the throttle are those of a node; in Kafka the throttle also holds back normal replication: take that off it.
    """

    headline: ClassVar[str] = "duration"
    verified_with: ClassVar[int] = 200_000
    violations: ClassVar[tuple[str, ...]] = (WITH_DATA, PACED)

    @functools.cached_property
    def _amounts(self) -> Amounts:
        return amounts(self.placement, self.nodes_before, self.nodes_after, self.keys)

    @property
    def _load(self) -> float:
        return self.arrival_rate * self.service.mean()

    @property
    def _spare(self) -> float:
        """Bytes/s that the requests leave of a disk."""
        return self.disk * max(1.0 - self._load, 0.0)

    @functools.cached_property
    def ports(self) -> tuple[float, float]:
        """Bytes/s that a node can receive, and send: bandwidth, throttle, and what requests leave of the disk."""
        most = min(self.throttle, self._spare)
        return min(most, self.node_in), min(most, self.node_out)

    @functools.cached_property
    def _late(self) -> tuple[Port, ...]:
        return late_ports(self._amounts, *self.ports, self.fabric)

    @property
    def _still(self) -> bool:
        """Whether nothing moves at all."""
        return self.nodes_before == self.nodes_after

    @property
    def _blocked(self) -> bool:
        """Whether requests leave nothing of the disk."""
        return self._spare <= 0.0

    @functools.cached_property
    def _slow(self) -> Distribution:
        """Seconds per byte that moves."""
        return slowness(self._late)

    @property
    def _one(self) -> bool:
        """Whether chance has no part in the rate."""
        return all(port.scv == 0.0 for port in self._late)

    @functools.cached_property
    def _sway(self) -> float:
        """By how much a quantile of the duration may be off: the rate may vary, and a round more or less."""
        if self._still or self._blocked or not 0.0 < self.write_rate < self.copy_rate:
            return 0.0
        ratio, last = self.write_rate / self.copy_rate, self._stop / self._mean
        rounds = last if last < 1.5 else 0.0  # what the last round brings; beyond, there is none
        return rounds if self._one else 0.02 + rounds + SWAY * math.sqrt(self._slow.scv) * ratio / (1.0 - ratio)

    def _needs_a_rate(self, what: str) -> None:
        if self._sway > MOST_SWAY:
            raise NoClosedForm(
                f"Rebalance.{what}: a round more or less, or which node has most to carry, decides: simulate it"
            )

    def _accuracy(self, metric: str, level: float | None = None) -> Accuracy:
        declared = super()._accuracy(metric, level)
        if metric in ("disk_share", "foreground_wait", "foreground_latency"):
            known = self._still or self._full or self._always_busy
            return (declared if metric != "disk_share" else EXACT) if known else FAR
        if self._still or declared not in (SHARE, FAR):
            return declared
        if declared == SHARE:
            return SHARE if level is not None else EXACT
        if self._blocked:
            return EXACT
        coarse = metric in ("rounds", "cutover_pause") and self.writes != APPENDED  # pages are not endlessly many
        if coarse or not self._one or self._sway > NEAR_SWAY:
            return FAR
        return EXACT if metric in ("copy_rate", "margin") else NEAR if level is None else SHARE

    @answer("", "share of the data that moves", SHARE)
    def moved_share(self) -> Distribution:
        """The beta distribution of the placement's mean and spread, and of the number of keys."""
        return self._amounts.moved.law

    @answer("bytes", "how much moves", SHARE)
    def bytes_moved(self) -> Distribution:
        """Share times data."""
        return self.moved_share * self.data

    @answer("keys", "how many keys move", SHARE)
    def keys_moved(self) -> Distribution:
        """Share times keys."""
        return self.moved_share * float(self.keys)

    @answer("s", "time that the copy takes where nothing is written", FAR)
    def copy_time(self) -> Distribution:
        """The largest of amount over bandwidth of all senders, receivers and the fabric."""
        if self._still:
            return Deterministic(0.0)
        return Never() if self._blocked else self._times(lambda slow: slow)

    def _times(self, factor: Callable[[Array], Array]) -> Distribution:
        """The law of bytes moved times a factor of the seconds per byte, over Gauss points of those if they vary."""
        if self._one:
            longer = np.atleast_1d(factor(np.array([self._slow.mean()])))
            return self._as_long(float(longer[0]))
        longer = factor(np.asarray(self._slow.icdf(POINTS)))
        return mixture(WEIGHTS, [self._as_long(float(each)) for each in longer])

    def _as_long(self, factor: float) -> Distribution:
        return Never() if math.isinf(factor) else self.bytes_moved * factor if factor else Deterministic(0.0)

    @answer("bytes/s", "bytes copied a second, by all nodes together", FAR)
    def copy_rate(self) -> float:
        """Mean amount over mean copy time; inf where nothing is to be moved, 0 where requests leave nothing."""
        return math.inf if self._still else 0.0 if self._blocked else 1.0 / self._slow.mean()

    @property
    def bottleneck(self) -> str:
        """What is last: "sender", "receiver" or "fabric" ("nothing" moves, "requests" leave nothing of the disk)."""
        return "nothing" if self._still else "requests" if self._blocked else self._late[0].name

    @property
    def _mean(self) -> float:
        return self._amounts.moved.share * self.data

    @property
    def _stop(self) -> float:
        """Bytes left at which writes may be stopped."""
        return self.pause * self.copy_rate

    def _chase(self, data: Any) -> formulas.Chase:
        chase = formulas.append_chase if self.writes == APPENDED else formulas.overwrite_chase
        return chase(data, self.copy_rate, self.write_rate, self._stop)

    @functools.cached_property
    def _whole(self) -> formulas.Chase:
        """The chase of the mean amount."""
        return self._chase(self._mean)

    @property
    def planned(self) -> float:
        """When a mean amount is copied (s); inf for never."""
        return 0.0 if self._still else float(self._whole.duration)

    @functools.cached_property
    def _chases(self) -> formulas.Chase:
        """The chase of equally likely amounts."""
        return self._chase(np.asarray(self.bytes_moved.icdf(LEVELS)))

    @answer("bytes/s", "by how much the copy is faster than the writes; below zero it never catches up", FAR)
    def margin(self) -> float:
        """B - w."""
        self._needs_a_rate("margin")
        return self.copy_rate - self.write_rate

    @answer("rounds", "mean number of rounds of copying until the cut-over", FAR)
    def rounds(self) -> float:
        """ceil(ln(stop / D) / ln(w / B)) where writes append; inf where it never ends."""
        return self._of_chase("rounds", self._chases.rounds.mean()) if not self._still else 0.0

    @answer("s", "time until the cut-over", FAR)
    def duration(self) -> Distribution:
        """The copy time, times D / (B - w) over D / B where writes append (to within the last round); or Never."""
        self._needs_a_rate("duration")
        if self._still:
            return Deterministic(0.0)
        if self._blocked:
            return Never()
        chase = formulas.append_chase if self.writes == APPENDED else formulas.overwrite_chase
        mean = self._mean
        return self._times(lambda slow: chase(mean, 1.0 / slow, self.write_rate, self.pause / slow).duration / mean)

    @answer("s", "mean time for which writes stop at the cut-over", FAR)
    def cutover_pause(self) -> float:
        """What is left then, over the rate; inf where there is no cut-over."""
        if self._still:
            return 0.0
        left = float(self._chases.left.mean()) if np.isfinite(self._chases.rounds).all() else math.inf
        return self._of_chase("cutover_pause", left / self.copy_rate if self.copy_rate else math.inf)

    def _of_chase(self, what: str, found: float) -> float:
        self._needs_a_rate(what)
        return float(found)

    @answer("", "share of the moving data that is never rid of by copying", FAR)
    def stuck_share(self) -> float:
        """1 - e^{-r x} = x where writes overwrite; all where they append faster than is copied; else 0."""
        self._needs_a_rate("stuck_share")
        if self._still or math.isfinite(float(self._whole.rounds)):
            return 0.0
        return float(self._whole.left) / self._mean

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
    def _always_busy(self) -> bool:
        """Whether the port that is last for certain is also the fastest there is, so that its node copies most."""
        ports = [port for port in self._late if port.name != "fabric"]
        return ports == list(self._late) and self.ports[0] == self.ports[1]

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
        return ForegroundLatency(self.arrival_rate, self.service, self.chunk, self.disk_share, self.order)

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
