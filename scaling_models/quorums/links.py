"""The link of a follower: a stream of messages there, its disk, a stream of replies back."""

from __future__ import annotations

import functools
import math

import numpy as np

from scaling_models.domains import Record
from scaling_models.latency import LATENCY, Distribution, Uniform
from scaling_models.parameters import Declared, parameter

CELLS = 2048
NOTHING = 1e-12  # of commands
DOUBLED = 40  # times at most


class Link(Declared):
    """A follower as its leader sees it: a stream of messages there, its disk, a stream of replies back."""

    out: Distribution = parameter(
        default=Uniform(0.005, 0.015), domain=LATENCY, unit="s", about="a message on the way to the follower"
    )
    back: Distribution = parameter(
        default=Uniform(0.005, 0.015), domain=LATENCY, unit="s", about="a message on the way back"
    )
    write: Distribution = parameter(default=0.002, domain=LATENCY, unit="s", about="the follower's disk write")

    @property
    def round_trip(self) -> Distribution:
        """There, written, and back."""
        return self.out + self.write + self.back


LINK = Record("a follower's link, such as Link(0.010, 0.010)", lambda: Link, lambda: (Link,))


def constant(law: Distribution) -> bool:
    """Whether it never varies."""
    return law.support[0] == law.support[1]


@functools.lru_cache(maxsize=128)  # a slider leaves most links as they are
def late_together(parts: tuple[Distribution, ...], limit: float) -> float:
    """A bound on P(the sum of the parts > limit): each rounded up to a 2048th of the limit, and added by convolution.

    (The sum of measured times, exactly, would be one of all pairs and triples of them.)
    """
    if math.fsum(part.support[1] for part in parts) <= limit:
        return 0.0
    nodes = limit * np.arange(CELLS + 1) / CELLS
    by = np.eye(1, CELLS + 1)[0]
    for part in parts:
        masses = np.diff(np.asarray(part.cdf(nodes)), prepend=0.0)
        by = np.convolve(by, masses)[: CELLS + 1]
    return float(max(1.0 - by.sum(), np.finfo(float).eps))


def under_way(parts: tuple[Distribution, ...], interval: float, enough: float) -> tuple[float, float]:
    """Bounds on how many commands before this one are not done with, and on how long (s) that takes yet, added up.

    The j-th before began j intervals ago or earlier, and takes the sum X of the parts: sum_j P(X > j T), and sum_j
    E (X - j T)+ <= T sum_j j P(X > j T); of 2^k to 2^(k+1) - 1 each as often as the first. Not beyond `enough` of them.
    """
    share, longer = 0.0, 0.0
    for doubled in range(DOUBLED):
        late = late_together(parts, 2.0**doubled * interval)
        share += 2.0**doubled * late
        longer += 1.5 * 4.0**doubled * interval * late
        if late < NOTHING or share >= enough:
            break
    return share, longer
