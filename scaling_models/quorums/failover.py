"""The time without a leader as a distribution."""

from __future__ import annotations

import functools
import math

import numpy as np

from scaling_models.answers import NoClosedForm
from scaling_models.domains import Choice, Integer, Real
from scaling_models.latency.distribution import Array
from scaling_models.latency.lattices import Lattice, Survival
from scaling_models.montecarlo.arrays import Flags
from scaling_models.parameters import parameter
from scaling_models.quorums.formulas.terms import Timers, TimeToStand, time_to_stand
from scaling_models.wording import short

KNOWN_TO = 1e-8  # the ccdf below which the tail is taken to be exponential
FEW, MOST = 4, 65536  # steps: of a heartbeat at least, and in all at most
TIMES = Real(open_low=False)
SELDOM = 0.98  # level: beyond it slow requests split more terms than those of the mean length
EITHER = 1.3  # times the share of first terms that split: a chance off by so much moves a quantile to the next term


def between_terms(levels: Array, split: float, varying: bool) -> Flags:
    """Which quantiles lie between the first term's times and the second's, so that no one can tell whose they are.

    Where requests vary they may be among the slow ones, whose splits no formula counts.
    """
    over = 1.0 - levels
    between = (over > split / EITHER) & (over < split * EITHER)
    return between | (levels > SELDOM) & (levels < 1.0) if varying else between


class Failover(Lattice):
    """From a crash of the leader to the next: max(T + around, lease) - U(0, heartbeat).

    T, see `time_to_stand`, is when the winner stands, after the last heartbeat arrived everywhere; `around` all that
    comes before and after: that heartbeat's flight, the votes, the announcement. The leader crashes at any moment
    between two heartbeats; a lease holds from when the last was sent.
    """

    members: int = parameter(default=3, domain=Integer(2, 1000), symbol="n", about="members of the group")
    alive: int = parameter(default=2, domain=Integer(2, 1000), symbol="s", about="members that are left")
    least: float = parameter(default=0.9, domain=Real(), unit="s", symbol="a", about="shortest timeout")
    spread: float = parameter(default=1.0, domain=Real(), unit="s", symbol="R", about="range of the timeouts")
    hop: float = parameter(default=0.002, domain=TIMES, unit="s", symbol="l", about="write and flight of a request")
    tick: float = parameter(default=0.0, domain=TIMES, unit="s", about="tick of the timers; 0: continuous")
    refusing: str = parameter(default="no", domain=Choice(("yes", "no")), about="whether members refuse early requests")
    asking: float = parameter(
        default=-1.0, domain=Real(low=-2.0), unit="s", about="a round of pre-votes; negative: none"
    )
    heartbeat: float = parameter(default=0.1, domain=TIMES, unit="s", symbol="H", about="time between heartbeats")
    around: float = parameter(default=0.005, domain=TIMES, unit="s", about="what comes before and after")
    lease: float = parameter(default=0.0, domain=TIMES, unit="s", about="how long a lease holds")
    varying: str = parameter(
        default="no", domain=Choice(("yes", "no")), about="whether requests vary, taken as they are"
    )

    def _check(self) -> None:
        if not self.members // 2 < self.alive <= self.members:
            raise ValueError(
                f"Failover.alive must be a majority of the {self.members} members, and no more than they; "
                f"got {self.alive}"
            )
        if self.heartbeat > self._first:
            raise ValueError(
                f"Failover.heartbeat must lie in [0, {self._first:g}] s, below the shortest timeout; "
                f"got {short(self.heartbeat)}"
            )

    @property
    def _first(self) -> float:
        return max(self.least + max(self.asking, 0.0) + self.around, self.lease)

    @functools.cached_property
    def standing(self) -> TimeToStand:
        """When the winner stands, and how many terms it takes."""
        timers = Timers(
            self.members,
            self.alive,
            self.least,
            self.spread,
            self.hop,
            self.tick,
            self.refusing == "yes",
            self.asking >= 0,
            max(self.asking, 0.0),
        )
        return time_to_stand(timers)

    def _refuse_beyond(self, levels: Array) -> None:
        super()._refuse_beyond(levels)
        unknown = between_terms(levels, self.standing.split, self.varying == "yes")
        if unknown.any():
            level = 100.0 * float(levels[unknown].flat[0])
            raise NoClosedForm(
                f"p{level:.4g} of the time without a leader lies where terms that elected somebody meet those that "
                "split, or requests that are slow: simulate it"
            )

    @property
    def support(self) -> tuple[float, float]:
        """From the shortest timeout on, less a heartbeat."""
        return (self._first - self.heartbeat, math.inf)

    @property
    def kinks(self) -> tuple[float, ...]:
        """Where the phase of the heartbeat has run out, besides the start."""
        return tuple(dict.fromkeys((self._first - self.heartbeat, self._first)))

    @functools.cached_property
    def _survival(self) -> Survival:
        found = self.standing
        end = self.around + found.step * (len(found.ccdf) - 1)
        step = max(found.step, max(end, self.lease) / MOST)
        per_beat = max(FEW, round(self.heartbeat / step))
        averaged = self.heartbeat > FEW * step / 2.0
        step = self.heartbeat / per_beat if averaged else step
        t: Array = step * np.arange(math.ceil((max(end, self.lease) + self.heartbeat) / step) + 1.0)
        held = self._held(t)
        if averaged:
            summed = np.concatenate([[0.0], np.cumsum((held[1:] + held[:-1]) / 2.0)])
            survived, t = (summed[per_beat:] - summed[:-per_beat]) / per_beat, t[:-per_beat]
        else:
            survived = self._held(t + self.heartbeat / 2.0)
        kept = survived > KNOWN_TO
        return Survival(t[kept], np.log(np.minimum(survived[kept], 1.0)), decay=found.decay)

    def _held(self, t: Array) -> Array:
        """P(max(T + around, lease) > t)."""
        found = self.standing
        last = found.step * (len(found.ccdf) - 1)
        past = t - self.around
        beyond = found.ccdf[-2] * np.exp(-found.decay * np.maximum(past - last, 0.0))
        ccdf = np.where(past > last, beyond, np.interp(past, found.step * np.arange(len(found.ccdf)), found.ccdf))
        return np.where(t < self.lease, 1.0, ccdf)

    def _icdf(self, q: Array) -> Array:
        return np.maximum(super()._icdf(q), self.support[0])  # the lattice falls from its node before that on

    def _iccdf(self, p: Array) -> Array:
        return np.maximum(super()._iccdf(p), self.support[0])

    def _draw(self, shape: tuple[int, ...], rng: np.random.Generator) -> Array:
        return np.maximum(super()._draw(shape, rng), self.support[0])

    def _ccdf(self, t: Array) -> Array:
        return np.where(t <= self.support[0], 1.0, super()._ccdf(t))

    def _cdf(self, t: Array) -> Array:
        return np.where(t <= self.support[0], 0.0, super()._cdf(t))
