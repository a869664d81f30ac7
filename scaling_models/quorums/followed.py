"""A leader and its followers: the parameters that protocols with a leader share, and what follows without chance."""

from __future__ import annotations

import functools
import operator

from scaling_models.answers import Model
from scaling_models.domains import Choice, Real, Rows
from scaling_models.latency import LATENCY, Deterministic, Distribution
from scaling_models.montecarlo.kernels.commits import Rule, counting
from scaling_models.parameters import Slider, parameter
from scaling_models.quorums.expressions import Choose, Expression, Leaf, choose

LEADER = "leader"
WAYS = Choice(("counted", "required", "before_send"))
WAYS_MEAN = "how the leader's own disk write counts: as one vote, needed besides a majority, or before sending"


def in_sequence(latencies: tuple[Distribution, ...]) -> Distribution | None:
    """One after the other; None where there is none."""
    return functools.reduce(operator.add, latencies) if latencies else None


class Followed(Model):
    """Base of `Led`: who leads, who follows, and what holds them up."""

    follower_rtts: tuple[Distribution, ...] = parameter(
        default=(Deterministic(0.013), Deterministic(0.064), Deterministic(0.070), Deterministic(0.146)),
        domain=Rows(LATENCY, least=0, most=100),
        unit="s",
        symbol="X",
        about="round trip from the leader to each follower, that one's disk write included",
    )
    fsync: Distribution = parameter(
        default=0.002, domain=LATENCY, unit="s", symbol="D", about="the leader's own disk write"
    )
    leader_write: str = parameter(default="required", domain=WAYS, about=WAYS_MEAN)
    availability: float = parameter(
        default=0.999,
        domain=Real(0.0, 1.0, open_low=False, open_high=False),
        symbol="A",
        about="share of the time that a replica is up",
        slider=Slider(0.9, 1.0, 0.001),
    )
    client_legs: tuple[Distribution, ...] = parameter(
        default=(),
        domain=Rows(LATENCY, least=0, most=10),
        unit="s",
        symbol="C",
        about="the client's journey to the leader and back, leg by leg: none beside it, two network legs elsewhere",
    )
    shared_delays: tuple[Distribution, ...] = parameter(
        default=(),
        domain=Rows(LATENCY, least=0, most=10),
        unit="s",
        symbol="G",
        about="delays at the leader that all replies to a command share, one after the other",
    )
    delays: str = parameter(
        default="replies",
        domain=Choice(("replies", "all")),
        about="what those hold up: the replies (a slow network card), or the leader's own write too (a pause)",
    )

    @property
    def replicas(self) -> int:
        """n, the leader among them."""
        return len(self.follower_rtts) + 1

    @property
    def _names(self) -> list[str]:
        return [f"follower {i + 1}" for i in range(self.replicas - 1)]

    @property
    def _followers(self) -> list[Leaf]:
        return [Leaf(name) for name in self._names]

    @property
    def acknowledgements(self) -> int:
        """How many followers a commit needs besides the leader: a majority, unless a protocol says otherwise."""
        return self.replicas // 2

    @property
    def _everyone(self) -> Expression:
        """Who makes a quorum, the leader one among them."""
        return self._any(self.acknowledgements)

    @property
    def _acks(self) -> Expression | None:
        """Whose replies make a quorum with the leader; None where it is one by itself."""
        return self._some(self.acknowledgements)

    @property
    def _rule(self) -> Rule:
        """The same for the simulation, by counting."""
        return counting(self.acknowledgements, self.leader_write)

    def _any(self, acknowledgements: int) -> Choose:
        return choose(acknowledgements + 1, LEADER, *self._followers)

    def _some(self, acknowledgements: int) -> Choose | None:
        return choose(acknowledgements, *self._followers) if acknowledgements else None

    @functools.cached_property
    def _latencies(self) -> dict[str, Distribution]:
        return {LEADER: self.fsync, **dict(zip(self._names, self.follower_rtts, strict=True))}

    @property
    def _at_once(self) -> bool:
        """Whether the shared delay comes before or after all else, so that it is one term more."""
        return self.delays == "all" or self.leader_write == "before_send" or self._delay is None

    @functools.cached_property
    def _delay(self) -> Distribution | None:
        """The shared delays together."""
        return in_sequence(self.shared_delays)

    @functools.cached_property
    def _journey(self) -> Distribution | None:
        """The client's legs together."""
        return in_sequence(self.client_legs)
