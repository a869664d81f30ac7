"""Data that move to other nodes while writes arrive: how much, how fast, and until when."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from scaling_models.answers import Accuracy, NoClosedForm, answer
from scaling_models.latency import Deterministic, Distribution, Never, mixture
from scaling_models.shards.formulas import rebalancing as formulas
from scaling_models.shards.moved_amounts import Amounts, Port, amounts, late_ports, slowness
from scaling_models.shards.rebalance_parameters import APPENDED, RebalanceParameters

Array = NDArray[np.float64]
LEVELS = (np.arange(200) + 0.5) / 200.0  # of the amount that moves, over which rounds are averaged
MOST_SWAY, SWAY = 0.15, 0.8
GAUSS = np.polynomial.legendre.leggauss(16)
POINTS, WEIGHTS = (GAUSS[0] + 1.0) / 2.0, tuple((GAUSS[1] / 2.0).tolist())
SHARE = Accuracy("within 3%", 0.02, "20 keys or more that move; the mean is exact")
FAR = Accuracy("within 15%", 0.15, "several nodes carry what moves, and who has most is by chance")


class MovingData(RebalanceParameters):
    """Base: what moves, what carries it, and the rounds of copying until writes may stop."""

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

    @property
    def _chase(self) -> Callable[..., formulas.Chase]:
        return formulas.append_chase if self.writes == APPENDED else formulas.overwrite_chase

    @functools.cached_property
    def _whole(self) -> formulas.Chase:
        """The chase of the mean amount at the mean rate."""
        return self._chase(self._mean, self.copy_rate, self.write_rate, self._stop)

    @property
    def planned(self) -> float:
        """When a mean amount is copied (s); inf for never."""
        return 0.0 if self._still else float(self._whole.duration)

    @functools.cached_property
    def _chases(self) -> tuple[Array, formulas.Chase]:
        """The chases of equally likely amounts (columns) at equally likely seconds per byte (rows), and those."""
        slow = np.asarray(self._slow.icdf(LEVELS[:1] if self._one else LEVELS[2::5]))[:, None]
        amounts = np.asarray(self.bytes_moved.icdf(LEVELS))
        return slow, self._chase(amounts, 1.0 / slow, self.write_rate, self.pause / slow)

    @answer("bytes/s", "by how much the copy is faster than the writes; below zero it never catches up", FAR)
    def margin(self) -> float:
        """B - w."""
        self._needs_a_rate("margin")
        return self.copy_rate - self.write_rate

    @answer("rounds", "mean number of rounds of copying until the cut-over", FAR)
    def rounds(self) -> float:
        """ceil(ln(stop / D) / ln(w / B)) where writes append; inf where it never ends."""
        if self._still or self._blocked:
            return 0.0 if self._still else math.inf
        return self._of_chase("rounds", self._chases[1].rounds.mean())

    @answer("s", "time until the cut-over", FAR)
    def duration(self) -> Distribution:
        """The copy time, times D / (B - w) over D / B where writes append (to within the last round); or Never."""
        self._needs_a_rate("duration")
        if self._still:
            return Deterministic(0.0)
        if self._blocked:
            return Never()
        mean = self._mean
        return self._times(
            lambda slow: self._chase(mean, 1.0 / slow, self.write_rate, self.pause / slow).duration / mean
        )

    @answer("s", "mean time for which writes stop at the cut-over", FAR)
    def cutover_pause(self) -> float:
        """What is left then, over the rate; inf where there is no cut-over."""
        if self._still:
            return 0.0
        if self._blocked:
            return math.inf
        slow, chase = self._chases
        pause = float((chase.left * slow).mean()) if np.isfinite(chase.rounds).all() else math.inf
        return self._of_chase("cutover_pause", pause)

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
    def _always_busy(self) -> bool:
        """Whether the port that is last for certain is also the fastest there is, so that its node copies most."""
        ports = [port for port in self._late if port.name != "fabric"]
        return ports == list(self._late) and self.ports[0] == self.ports[1]
