"""What a consensus leader has to do for a command, what it can do a second, and how long commands wait for it."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import optimize, special

from scaling_models.latency import Distribution

Array = NDArray[np.float64]
POINTS = 48  # of the round trip's distribution, equally likely
ROUNDS = 200  # of a fixed point
RELAXES = 0.5  # of V / (1 - load): the time in which the leader forgets; fitted to simulations


def leader_messages(replicas: ArrayLike, asked: ArrayLike | None = None) -> Any:
    """Messages at the leader a command, received and sent: the client's two, and two for each follower asked.

    2n where all followers are asked, 2q where only as many as a quorum q needs ("thrifty").
    """
    followers = np.asarray(replicas, dtype=float) - 1.0 if asked is None else np.asarray(asked, dtype=float)
    return 2.0 * (followers + 1.0)


def round_throughput(
    replicas: ArrayLike, receive: ArrayLike, send: ArrayLike, wire: ArrayLike = 0.0, pipelines: ArrayLike = 1.0
) -> Any:
    """Most rounds/s of a leader that serialises a broadcast once: p / (n (receive + wire) + 2 (send + wire)).

    Processor seconds to receive and to send a message, and seconds on the wire of each. Ailijiang, Charapko and
    Demirbas, Dissecting the Performance of Strongly-Consistent Replication Protocols, SIGMOD 2019, section 3.
    """
    n, wired = np.asarray(replicas, dtype=float), np.asarray(wire, dtype=float)
    received, sent = np.asarray(receive, dtype=float) + wired, np.asarray(send, dtype=float) + wired
    return np.asarray(pipelines, dtype=float) / (n * received + 2.0 * sent)


def exchange_load(quorum: ArrayLike, leaders: ArrayLike = 1, conflict: ArrayLike = 0.0) -> Any:
    """(1 + c)(Q + L - 2)/L: exchanges of messages a command at the busiest of L leaders with quorums of Q.

    c is the share of commands that conflict; the inverse is the capacity. Exchanges, not messages, of which an exchange
    has two. Source as of `round_throughput`, section 6.
    """
    count = np.asarray(leaders, dtype=float)
    return (1.0 + np.asarray(conflict, dtype=float)) * (np.asarray(quorum, dtype=float) + count - 2.0) / count


def node_work(leader: ArrayLike, follower: ArrayLike, share: ArrayLike, followed: ArrayLike = 1.0) -> Any:
    """Seconds of a node's time a command of any of many groups, of which it leads a share and follows the others.

    `leader` and `follower` (s) are what a command costs either; `followed` is how often a follower is asked. Its
    inverse bounds the commands/s of all groups together: the node that leads most binds.
    """
    led = np.asarray(share, dtype=float)
    return led * np.asarray(leader, dtype=float) + (1.0 - led) * np.asarray(follower, dtype=float) * followed


class Work(NamedTuple):
    """A leader's work on a command, in seconds: the `request`, each of so many acknowledgements, and the `reply`."""

    request: float
    acknowledgement: float
    followers: int
    reply: float

    @property
    def whole(self) -> float:
        """All of it."""
        return self.request + self.followers * self.acknowledgement + self.reply

    @property
    def early(self) -> float:
        """The request's share of it."""
        return self.request / self.whole


def leader_wait(rate: float, work: Work, round_trip: Distribution) -> float:
    """Mean unfinished work V (s) of a leader, which commands find, and again their acknowledgements.

    V = lambda / (2 (1 - rho)) (R^2 + k A^2 + k (k - 1) A^2 a + 2 R k A b) / (1 + b k A / s), s = R + k A, where a and b
    tell how far the work of other acknowledgements, and of acknowledgements and their command, still counts as one
    burst when the leader gets to it: E 1/(1 + D/T) of their distance D, |X - X'| and X + R, at the time
    T = V / (2 (1 - rho)) in which it forgets. Between k + 1 independent Poisson streams (long, uneven round trips,
    low load) and M/D/1 with the whole work, of which what is still to come for commands that wait is not there yet
    (heavy load). An approximation in the manner of the index of dispersion for work (Fendick and Whitt 1989).
    `inf` at full load. The reply goes with the acknowledgements.
    """
    k, whole = work.followers, work.whole
    rho, late = rate * whole, whole - work.request
    if rho >= 1.0:
        return math.inf
    each = late / k if k else 0.0
    levels = (np.arange(POINTS) + 0.5) / POINTS
    trips = np.asarray(round_trip.icdf(levels), dtype=float)
    apart, after = np.abs(trips[:, None] - trips)[~np.eye(POINTS, dtype=bool)], trips + work.request
    alone, siblings, pairs = work.request**2 + k * each**2, k * (k - 1) * each**2, 2.0 * work.request * late
    found = rate * alone / (2.0 * (1.0 - rho))
    for _ in range(ROUNDS):
        forgets = RELAXES * found / (1.0 - rho)
        a, b = float((forgets / (forgets + apart)).mean()), float((forgets / (forgets + after)).mean())
        burst = (alone + siblings * a + pairs * b) / (1.0 + b * late / whole)
        before, found = found, 0.5 * (found + rate * burst / (2.0 * (1.0 - rho)))
        if abs(found - before) < 1e-10 * found:
            break
    return found


def closed_bound(clients: ArrayLike, latency: ArrayLike, work: ArrayLike, think: ArrayLike = 0.0) -> Any:
    """Most commands/s of so many clients who wait for their answers: min(C / (think + L), 1 / s), L (s) the latency of
    an idle leader and s (s) its work. Operational analysis; Denning and Buzen 1978.
    """
    asked = np.asarray(clients, dtype=float) / (np.asarray(think, dtype=float) + np.asarray(latency, dtype=float))
    with np.errstate(divide="ignore"):
        return np.minimum(asked, 1.0 / np.asarray(work, dtype=float))


def finite_source_throughput(clients: int, away: float, work: float) -> float:
    """Commands/s of so many clients, each `away` (s) between answer and command, of one server: (1 - 1/I) / s.

    I = sum_k C!/(C - k)! (s/Z)^k, the weights of k at the server. Exact mean value analysis for exponential work s (s)
    and any law of Z (s); the machine repairman of Palm 1947.
    """
    waiting = np.cumsum(np.log(np.arange(float(clients), 0.0, -1.0)) + math.log(work / max(away, 1e-300)))
    busy = float(special.logsumexp(waiting))  # of I - 1
    return float(special.expit(busy)) / work


def closed_throughput(clients: float, latency: Callable[[float], float], most: float, think: float = 0.0) -> float:
    """The fixed point X = C / (think + L(X)) (commands/s), by Little's law; L (s) rises with the rate up to `most`.

    An approximation: what an open stream of as many commands meets. A loop waits less, for its clients wait.
    """
    low, high = 0.0, most * (1.0 - 1e-9)

    def short(rate: float) -> float:
        return clients / (think + latency(rate)) - rate

    return high if short(high) > 0.0 else float(optimize.brentq(short, low, high, xtol=1e-9 * most, rtol=1e-9))
