"""How much each node sends and receives where a placement's nodes come or go, and how long its ports need for it."""

from __future__ import annotations

import math
from typing import NamedTuple

from scipy import stats

from scaling_models.answers import NoClosedForm
from scaling_models.latency import Deterministic, Distribution, as_latency, slowest
from scaling_models.shards.formulas.rebalancing import sent_scv
from scaling_models.shards.placements import Placement

LEAST = 1e-3  # relative: what moves no more than this above the least moves the least
FEWEST_KEYS = 20.0  # that move: of fewer the law is a handful of steps
ROUGHEST = 0.25  # squared coefficient of variation of what many nodes send: above it no beta is their law
IN_PIECES = 0.05  # the same of one share, where that is no beta: below what moves was within 15%, above up to 40% off
UNEVEN = 0.1  # more than the mean node's share of the keys, by design: above it nodes are not alike
FAR = 3.0  # standard deviations by which one port must be later than another to be looked at alone


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
    alike: bool = True  # whether no node holds more than others by design


class Port(NamedTuple):
    """What each of some nodes, or the fabric, carries of each byte that moves: its share, and s a byte."""

    name: str
    nodes: int
    share: float
    scv: float
    seconds: float

    @property
    def largest(self) -> float:
        """About the mean of the latest's s per byte that moves."""
        return Part(self.nodes, self.share, self.scv).largest * self.seconds

    @property
    def spread(self) -> float:
        """The standard deviation of one's."""
        return self.share * math.sqrt(self.scv) * self.seconds


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
    kinds = [kind.share for kind in placement.nodes(most)]
    share = max(kinds, key=lambda law: law.scv)
    alike = max(law.mean for law in kinds) <= (1.0 + UNEVEN) / most
    tokens = getattr(share, "shape", 0.0)  # of a gamma: a ring's; what else varies is made of pieces that go one by one
    pieces = share.scv / most

    def part(nodes: int, share: float, scv: float) -> Part:
        return Part(nodes, share, scv + (1.0 - share) / (share * keys))

    whole = part(1, moved.mean, (moved.deviation / moved.mean) ** 2)
    known = placement.carried(before, after)
    if known:
        senders, receivers = (part(nodes, share, 0.0) for nodes, share in known)
        return Amounts(whole, senders, receivers, least)
    # A node that comes gets all that it will have, and one that goes gives all that it had.
    own = part(few, moved.mean / few if least else 1.0 / most, share.scv * (most - 1.0) / (most + share.scv))
    each = moved.mean / fewer
    sent = sent_scv(tokens, fewer, most) if tokens else (1.0 - each) / each * pieces
    if (
        placement.spread_error(fewer) and share.scv > IN_PIECES
    ):  # what one node has is not dealt to others piece by piece
        sent = 2.0 * ROUGHEST
    others = part(fewer, each, sent)
    return Amounts(whole, *((others, own) if after > before else (own, others)), least, alike)


def late_ports(moves: Amounts, b_in: float, b_out: float, fabric: float) -> tuple[Port, ...]:
    """Who may be last, the latest on average first; bytes/s a node, and of the fabric. Raises `NoClosedForm`."""
    if not moves.alike:
        raise NoClosedForm("Rebalance: some nodes hold more than others by design; who moves most: simulate it")

    def port(name: str, part: Part, rate: float) -> Port:
        # What a node moves is the whole times its own share of that, independent (as of gammas): scvs multiply.
        own = (1.0 + part.scv) / (1.0 + moves.moved.scv) - 1.0
        alone = part.nodes == 1 and moves.least
        return Port(name, part.nodes, part.share / moves.moved.share, 0.0 if alone else max(own, 0.0), 1.0 / rate)

    ports = [port("receiver", moves.receivers, b_in), port("sender", moves.senders, b_out)]
    ports.append(Port("fabric", 1, 1.0, 0.0, 1.0 / fabric))
    ports.sort(key=lambda each: -each.largest)
    first = ports[0]
    soonest = first.largest - FAR * first.spread
    near = [each for each in ports[1:] if each.largest + FAR * each.spread > soonest and not _behind(each, first)]
    return (first, *near)


def _behind(port: Port, first: Port) -> bool:
    """Whether it cannot be later: all that moves goes through the first, which is no faster."""
    return first.share == 1.0 and port.seconds <= first.seconds


def slowness(ports: tuple[Port, ...]) -> Distribution:
    """Seconds per byte that moves, until the last is through: the largest of the shares over their rates."""
    for port in ports:
        if port.nodes > 1 and port.scv > ROUGHEST:
            raise NoClosedForm(
                f"Rebalance: a few tokens decide which {port.name} moves most: simulate it, or take more virtual nodes"
            )
    laws = [beta_of(port.share, port.scv) * port.seconds for port in ports for _ in range(port.nodes)]
    fixed = [port for port in ports if port.scv == 0.0]
    if len(fixed) == len(ports):
        return Deterministic(max(port.share * port.seconds for port in ports))
    return slowest(*laws)
