"""How often concurrent commands disturb each other: Poisson commands, fixed one-way delays."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]


def discord_bounds(to_leader: ArrayLike, to_quorum: ArrayLike, leader_to: ArrayLike) -> tuple[Any, Any]:
    """When a command of another replica D must start (s, A's own at 0) to make the replies of A's fast quorum differ.

    Between max(-d_DA, min_j (d_Aj - d_Dj)) and max_j (d_Aj - d_Dj) over the followers j of A's fast quorum: D's command
    is then known to some of them and not to others when A's arrives, and was not known to A when it began; where the
    second is not the later one, never. Seconds: `to_leader` d_DA (...), `to_quorum` d_Dj and `leader_to` d_Aj
    (..., followers, one at least). Exact for fixed delays. Replies as in Moraru, Andersen, Kaminsky, EPaxos (SOSP
    2013), section 4.
    """
    ahead = np.asarray(leader_to, dtype=float) - np.asarray(to_quorum, dtype=float)
    begins = np.maximum(-np.asarray(to_leader, dtype=float), ahead.min(axis=-1))
    return begins, ahead.max(axis=-1)


def discord_window(to_leader: ArrayLike, to_quorum: ArrayLike, leader_to: ArrayLike) -> Any:
    """How long (s) a command of another replica D may start, and make the replies of A's fast quorum differ.

    The length of `discord_bounds`. 0 with one follower: a single reply differs from none; 0 with none.
    """
    if not np.ndim(leader_to) or np.shape(leader_to)[-1] == 0:
        return np.zeros(np.shape(to_leader))[()]
    begins, ends = discord_bounds(to_leader, to_quorum, leader_to)
    return np.maximum(ends - begins, 0.0)[()]


def nearest_quorums(leader_to: Array, asked: int) -> NDArray[np.intp]:
    """Which `asked` followers reply first (choices, asked), each as likely: one choice unless some are equally far.

    `leader_to` d_Aj (followers), s. Those that tie are the limit of delays that hardly vary.
    """
    last = np.sort(leader_to)[asked - 1] if asked else -np.inf
    nearer, tied = np.flatnonzero(leader_to < last), np.flatnonzero(leader_to == last)
    chosen = [[*nearer, *some] for some in itertools.combinations(tied, asked - len(nearer))]
    return np.array(chosen, dtype=np.intp).reshape(len(chosen), asked)


def collision_window(own: ArrayLike, other: ArrayLike, fast_quorum: int) -> Any:
    """How long (s) another client's command may start, and leave neither command with a fast quorum.

    x_(q) - x_(n-q+1) of the differences x_i = d_i - d'_i between the two clients' delays to acceptor i, sorted: started
    later than x_(q), q acceptors have the first command first; earlier than x_(n-q+1), q have the other one. Seconds,
    (..., acceptors). Exact for fixed delays and two commands. Lamport, Fast Paxos (2006), section 2.
    """
    apart = np.sort(np.asarray(own, dtype=float) - np.asarray(other, dtype=float), axis=-1)
    acceptors = apart.shape[-1]
    if not acceptors < 2 * fast_quorum <= 2 * acceptors:
        raise ValueError(
            f"collision_window: fast_quorum must be a majority of the {acceptors} acceptors; got {fast_quorum!r}"
        )
    return (apart[..., fast_quorum - 1] - apart[..., acceptors - fast_quorum])[()]


def meeting_probability(rates: ArrayLike, windows: ArrayLike) -> Any:
    """1 - exp(-sum_D rate_D |window_D|): P(some Poisson command begins within its window). (..., others), 1/s and s."""
    return -np.expm1(-(np.asarray(rates, dtype=float) * np.asarray(windows, dtype=float)).sum(axis=-1))[()]
