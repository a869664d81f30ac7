"""The rule by which copies of a slow request are sent: when, how many, and to which servers."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scaling_models.montecarlo.arrays import Array, Flags, Indices

FARTHEST = np.int64(2**62)  # longer than any queue; of a wide type, so that short ones of `lengths` do not wrap it

A_TOKEN = 1.0 - 1e-9  # of a budget: ten earnings of 0.1 fall short of one


@dataclasses.dataclass(frozen=True)
class HedgingRule:
    """How copies are sent: when, at most how many, and to which servers.

    A request goes to the server with the fewest requests among `choices` different ones drawn at random (ties: the one
    drawn first). While it is not done, another copy follows every `delay` seconds until there are `copies`, each to a
    server that has had none of them, chosen likewise. A further copy draws its service anew (`redraw`), or carries the
    first one's. Every arrival earns `budget` tokens (of which `burst` are kept at most) and every further copy costs
    one: a request whose copy falls due without a token gets no more.
    """

    servers: int
    delay: float
    choices: int = 1
    copies: int = 2
    redraw: bool = True
    budget: float = math.inf
    burst: float = 10.0

    def __post_init__(self) -> None:
        for name, most in (("choices", self.servers), ("copies", self.servers)):
            if not 1 <= getattr(self, name) <= most:
                raise ValueError(f"HedgingRule.{name} must lie in [1, {most}], the servers; got {getattr(self, name)}")
        if not self.delay >= 0.0:
            raise ValueError(f"HedgingRule.delay must lie in [0, inf] seconds; got {self.delay}")
        if not self.budget >= 0.0:
            raise ValueError(f"HedgingRule.budget must lie in [0, inf] copies a request; got {self.budget}")
        if not self.burst >= 1.0:
            raise ValueError(f"HedgingRule.burst must lie in [1, inf] copies; got {self.burst}")

    @property
    def drawn(self) -> int:
        """How many candidates a copy needs, so that `choices` are left besides the servers that have had one."""
        return min(self.choices + self.copies - 1, self.servers)

    def choose(self, drawn: Indices, lengths: NDArray[Any] | None, late: Indices, used: NDArray[Any]) -> Indices:
        """The servers to send to, of those `drawn` (candidates, lanes) with their `lengths`, where told.

        In the lanes `late` a further copy is sent, to none of the servers `used` (servers, late lanes) before.
        """
        servers = _shortest(drawn[: self.choices], lengths if lengths is None else lengths[: self.choices])
        if late.size:
            ahead = None if lengths is None else lengths[:, late]
            servers = servers.copy()
            servers[late] = _shortest_other(drawn[:, late], ahead, used, self.choices)
        return servers

    def earn(self, tokens: Array, arrivals: Any) -> None:
        """What the arrivals earn (one flag a lane, or the lanes' indices)."""
        if self.budget < math.inf:
            tokens[arrivals] = np.minimum(tokens[arrivals] + self.budget, self.burst)

    def pay(self, tokens: Array, lanes: Indices) -> Flags:
        """Take a token from each of the different `lanes` that has one, and tell which had."""
        if math.isinf(self.budget):
            return np.ones(len(lanes), dtype=np.bool_)
        paid = tokens[lanes] >= A_TOKEN
        tokens[lanes] -= paid
        return paid


def _shortest(candidates: Indices, lengths: NDArray[Any] | None) -> Indices:
    """The first of the shortest candidates (candidates, lanes); the first where no lengths are told."""
    chosen: Indices = candidates[0]
    if lengths is None:
        return chosen
    least = lengths[0]
    for candidate, length in zip(candidates[1:], lengths[1:], strict=True):
        chosen = np.where(length < least, candidate, chosen)
        least = np.minimum(least, length)
    return chosen


def _shortest_other(candidates: Indices, lengths: NDArray[Any] | None, used: NDArray[Any], choices: int) -> Indices:
    """The first of the shortest of the first `choices` candidates (candidates, lanes) not `used` (servers, lanes)."""
    other = candidates != used[0]
    for row in used[1:]:
        other &= candidates != row
    if lengths is None:
        best = other.argmax(axis=0)
    else:
        near = other & (other.cumsum(axis=0) <= choices)
        best = np.where(near, lengths, FARTHEST).argmin(axis=0)
    return np.asarray(candidates[best, np.arange(candidates.shape[1])])
