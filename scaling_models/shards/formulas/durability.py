"""Replicas that fail and are rebuilt: the mean time to data loss, and the chain of nodes that are down until then."""

from __future__ import annotations

import dataclasses
import functools
import math
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from scaling_models.latency.passage import first_passage

Array = NDArray[np.float64]
RARE = 1e-18  # of the losses: from states so seldom reached that no more come
STEP = 0.5  # changes of state in the smallest step of `lost_within`
TERMS = 24  # of e^STEP: the next would be 1e-31


def mttdl(replicas: int, failure_rate: ArrayLike, repair_rate: ArrayLike, *, parallel: bool = True) -> Any:
    """Mean time (s) from R replicas up until none is: a birth-death chain's passage from 0 failed to R. Exact.

    sum_{i<R} sum_{j<=i} 1/a_j prod_{k=j+1..i} d_k/a_k with a_k = (R - k) l; d_k = k m where all that failed are mended
    at once (`parallel`), m where one is at a time. R = 2: (3 l + m)/(2 l^2). Far apart rates leave m^{R-1}/(R l^R) and
    m^{R-1}/(R! l^R). `failure_rate` l and `repair_rate` m in 1/s broadcast. Gibson, Redundant Disk Arrays (1992).
    """
    failing, repairing = np.asarray(failure_rate, dtype=float), np.asarray(repair_rate, dtype=float)
    total, step = np.zeros(np.broadcast(failing, repairing).shape), np.zeros(())
    for failed in range(replicas):
        up = (replicas - failed) * failing
        down = repairing * (failed if parallel else min(failed, 1))
        step = (1.0 + down * step) / up  # from so many failed to one more
        total = total + step
    return total[()]


def rebuild_time(data: ArrayLike, partners: ArrayLike, bandwidth: ArrayLike) -> Any:
    """How long (s) the data of a node (bytes) takes to be copied, by so many partners at a bandwidth each (bytes/s)."""
    return np.asarray(data, dtype=float) / (np.asarray(partners, dtype=float) * np.asarray(bandwidth, dtype=float))


def second_failure(partners: ArrayLike, failure_rate: ArrayLike, repair_time: ArrayLike, *, fixed: bool = False) -> Any:
    """The probability that one of S partners fails, each at the rate l (1/s), before a rebuild ends.

    1 - e^{-S l t} where it takes just `repair_time` t (s), S l t/(1 + S l t) where it is exponential. Exact. With
    t = D/(S b) the product S l t, and with it the chance, does not depend on S: scatter does not make the loss of the
    second of two copies rarer, only smaller.
    """
    expected = np.asarray(partners, dtype=float) * np.asarray(failure_rate) * np.asarray(repair_time)
    return (-np.expm1(-expected) if fixed else expected / (1.0 + expected))[()]


@dataclasses.dataclass(frozen=True, eq=False)
class LossChain:
    """The number of nodes that are down, until data is lost; arrays over 0, 1, ... down.

    `fails` (1/s) is how often one more fails, `lost` the probability that data is lost with it, `repaired` (1/s) how
    often one is rebuilt.
    """

    fails: Array
    lost: Array
    repaired: Array

    @functools.cached_property
    def visits(self) -> Array:
        """The mean time (s) with so many down, from none down until the loss.

        What goes up from k to k + 1 and not down again is lost above. All terms are positive, so that a mean of 1e20
        steps is as precise as one of ten.
        """
        found = np.empty(len(self.fails))
        above, back = 0.0, 0.0
        for k in range(len(found) - 1, -1, -1):
            stays = self.fails[k] * (1.0 - self.lost[k])
            found[k] = (above + back) / stays if stays > 0 and above > 0 else 1.0
            above += found[k] * self.fails[k] * self.lost[k]
            back = found[k] * self.repaired[k]
            if above > 1e200:
                found[k:] /= above
                back, above = back / above, 1.0
        return found / above

    @property
    def _logs(self) -> Array:
        """The logarithms of how likely so many are down, but for a constant, if no loss ended it."""
        stays = (self.fails * (1.0 - self.lost))[:-1]
        return np.append(0.0, np.cumsum(np.log(stays) - np.log(self.repaired[1:])))

    @property
    def rarity(self) -> float:
        """log of how much likelier than that none is down it is that the commonest number of nodes are."""
        return float(self._logs.max())

    def law(self) -> tuple[Array, Array]:
        """Weights and rates (1/s) of P(T > t) = sum w_j e^{-r_j t}, T the time from none down to the loss. Exact."""
        stays = (self.fails * (1.0 - self.lost))[:-1]
        rates = np.diag(stays, 1) + np.diag(self.repaired[1:], -1)
        return first_passage(rates, self.fails * self.lost, np.exp(self._logs - self.rarity))

    def lost_within(self, seconds: float) -> float:
        """P(T <= t), with its relative precision however small: a short step, uniformised, and squared. Exact."""
        size = len(self.fails)
        leaves = self.fails + self.repaired
        leaves[-1] -= self.fails[-1] * (1.0 - self.lost[-1])  # no more are down than in the last state
        fastest = float(leaves.max())
        jumps = np.zeros((size + 1, size + 1))
        inside = np.arange(size)
        jumps[inside, inside] = 1.0 - leaves / fastest
        jumps[inside[:-1], inside[1:]] = (self.fails * (1.0 - self.lost))[:-1] / fastest
        jumps[inside[1:], inside[:-1]] = self.repaired[1:] / fastest
        jumps[inside, size] = self.fails * self.lost / fastest
        jumps[size, size] = 1.0
        doublings = max(0, math.ceil(math.log2(seconds * fastest / STEP)))
        expected = seconds * fastest / 2.0**doublings
        power, term = np.eye(size + 1), np.eye(size + 1)
        for n in range(1, TERMS):
            term = term @ jumps * (expected / n)
            power = power + term
        power = power / power.sum(axis=1, keepdims=True)
        for _ in range(doublings):
            power = power @ power
            power = power / power.sum(axis=1, keepdims=True)  # or the rounding of what stays would double each time
        return float(power[0, size])


def most_down(nodes: int, failure_rate: float, repair_rate: float, likely: float, *, parallel: bool, limit: int) -> int:
    """How many nodes may be down at once, at most `limit`: beyond, so few ever are that no loss counts.

    `likely` is the probability of a loss with the first failure that can bring one, or less.
    """
    down = np.arange(min(nodes, limit), dtype=np.float64)
    ups, downs = (nodes - down) * failure_rate, repair_rate * (down if parallel else np.minimum(down, 1.0))
    flows = np.append(0.0, np.cumsum(np.log(ups[:-1]) - np.log(downs[1:]))) + np.log(ups)
    return int(np.flatnonzero(flows >= flows[0] + math.log(RARE) + math.log(likely))[-1]) + 1


def loss_chain(
    nodes: int, failure_rate: float, repair_rate: float, lost: Array, *, parallel: bool = True
) -> LossChain | None:
    """The chain of N nodes that fail at a rate each (1/s) and are rebuilt at one, all at once or one at a time.

    `lost[k]` is the probability that the failure of one more than k loses data where none was lost yet. States beyond
    which hardly any loss begins are left out; None where `lost` is too short for that, and does not end in 1.
    """
    down = np.arange(min(len(lost), nodes), dtype=np.float64)
    chances = lost[: len(down)]
    fails: Array = (nodes - down) * failure_rate
    repaired: Array = repair_rate * (down if parallel else np.minimum(down, 1.0))
    sure = np.flatnonzero(chances >= 1.0)
    last = int(sure[0]) if len(sure) else len(down) - 1
    with np.errstate(divide="ignore"):
        ratios = np.log(fails[:last] * (1.0 - chances[:last])) - np.log(repaired[1 : last + 1])
        flows = np.append(0.0, np.cumsum(ratios)) + np.log(fails[: last + 1] * chances[: last + 1])
    much = np.flatnonzero(flows >= flows.max() + math.log(RARE))
    kept = int(much[-1]) + 1
    if not len(sure) and kept == len(down) and len(down) < nodes:
        return None
    return LossChain(fails[:kept], chances[:kept], repaired[:kept])
