"""How much each node sends and receives where a placement's nodes come or go, and how long its ports need for it."""

from __future__ import annotations

import math
from typing import NamedTuple

from scipy import stats

from scaling_models.answers import NoClosedForm
from scaling_models.latency import Deterministic, Distribution, as_latency, slowest
from scaling_models.shards.formulas.rebalancing import sent_scv
from scaling_models.shards.placements import Placement
from scaling_models.shards.placements.placement import share_scv

LEAST = 1e-3  # relative: what moves no more than this above the least moves the least
FEWEST_KEYS = 20.0  # that move: of fewer the law is a handful of steps
ROUGHEST = 0.25  # squared coefficient of variation of what many nodes send: above it no beta is their law
FAR = 2.0  # standard deviations by which one port must be later than another to be looked at alone


class Part(NamedTuple):
    """So many nodes that each move a share of the data, of this mean and squared coefficient of variation."""

    nodes: int
    share: float
    scv: float

    @property
    def law(self) -> Distribution:
        """The share of one of them: the beta of that mean and spread, exact for a ring of random tokens."""
        return beta_of(self.share, self.scv)

    @property
    def largest(self) -> float:
        """About the mean of the largest."""
        return self.share * (1.0 + math.sqrt(2.0 * math.log(self.nodes) * self.scv))


class Amounts(NamedTuple):
    """The share that moves in all, and what each of the senders and of the receivers moves of it."""

    moved: Part
    senders: Part
    receivers: Part
    least: bool  # whether no more moves than must


class Port(NamedTuple):
    """What some nodes, or the fabric, need: `seconds` for all of the data each."""

    name: str
    part: Part
    seconds: float


def beta_of(mean: float, scv: float) -> Distribution:
    """The beta distribution with that mean and squared coefficient of variation; a point where it has no spread."""
    if mean <= 0.0 or mean >= 1.0 or scv <= 1e-18:
        return Deterministic(mean)
    both = (1.0 - mean) / (mean * scv) - 1.0
    law: Distribution = as_latency(stats.beta(mean * both, (1.0 - mean) * both))
    return law


def amounts(placement: Placement, before: int, after: int, keys: int) -> Amounts:
    """The laws of what moves when `before` nodes become `after`, of that many equal keys. Raises `NoClosedForm`."""
    moved = placement.moved(before, after)
    most, fewer = max(before, after), min(before, after)
    few = most - fewer
    if few == 0:
        nothing = Part(1, 0.0, 0.0)
        return Amounts(nothing, nothing, nothing, True)
    if moved.mean * keys < FEWEST_KEYS:
        raise NoClosedForm(f"Rebalance: only {moved.mean * keys:.3g} keys move on average: simulate it")
    least = moved.mean <= (1.0 + LEAST) * few / most
    one = max(kind.share.scv for kind in placement.nodes(most))

    def part(nodes: int, share: float, scv: float) -> Part:
        return Part(nodes, share, scv + (1.0 - share) / (share * keys))

    whole = part(1, moved.mean, (moved.deviation / moved.mean) ** 2)
    # A node that comes gets all that it will have, and one that goes gives all that it had.
    own = part(few, moved.mean / few if least else 1.0 / most, share_scv(placement, most))
    others = part(fewer, moved.mean / fewer, sent_scv(1.0 / one, fewer, most) if one > 0 else 0.0)
    return Amounts(whole, *((others, own) if after > before else (own, others)), least)


def late_ports(moves: Amounts, b_in: float, b_out: float, fabric: float) -> tuple[Port, ...]:
    """Who may be last, the latest on average first: `b_in` and `b_out` bytes/s a node, relative to all of the data."""
    ports = [
        Port("receiver", moves.receivers, 1.0 / b_in),
        Port("sender", moves.senders, 1.0 / b_out),
        Port("fabric", moves.moved, 1.0 / fabric),
    ]
    ports.sort(key=lambda port: -port.part.largest * port.seconds)
    first = ports[0]
    if first.part.nodes == 1 and (moves.least or first.name == "fabric"):
        # All that moves goes through it, so that none that is as fast can be later.
        return (first, *(port for port in ports[1:] if port.seconds > first.seconds and _near(port, first)))
    return (first, *(port for port in ports[1:] if _near(port, first)))


def _near(port: Port, first: Port) -> bool:
    latest = port.part.largest + FAR * math.sqrt(port.part.scv) * port.part.share
    soonest = first.part.largest - FAR * math.sqrt(first.part.scv) * first.part.share
    return latest * port.seconds > soonest * first.seconds


def copy_time(ports: tuple[Port, ...]) -> Distribution:
    """The time until the last of them is through, as if they were independent."""
    for port in ports:
        if port.part.nodes > 1 and port.part.scv > ROUGHEST:
            raise NoClosedForm(
                f"Rebalance: a few tokens decide which {port.name} moves most: simulate it, or take more virtual nodes"
            )
    laws = [port.part.law * port.seconds for port in ports for _ in range(port.part.nodes)]
    return laws[0] if len(laws) == 1 else slowest(*laws)
