"""Commands one after another on FIFO streams: nothing overtakes what was sent before it. Exact but for chance.

A leader sends each command to its followers, each on a stream of its own; a follower writes it and replies on a stream
of its own. Messages of a stream arrive in the order in which they were sent, so that a late one holds up those behind.
The client sends the next command once the last is answered, and not before an interval has passed. With notices the
leader tells its followers of each commit at once, on the same streams, and they reply (etcd). The command
of a client at the first follower goes behind that one's replies; its answer comes with the notice.
"""

from __future__ import annotations

import dataclasses
from typing import NamedTuple

import numpy as np

from scaling_models.montecarlo.arrays import Array


class Draws(NamedTuple):
    """What a block of commands takes, seconds: (commands, lanes, followers), of the leader (commands, lanes).

    `out`, `write`, `back` of the command at each follower; `notice` and `reply` of the notice of its commit; `there`
    from the first follower to the leader where the client is at that one; `home` the client's own legs; `work` all that
    the leader spends before it sends.
    """

    out: Array
    write: Array
    back: Array
    notice: Array
    reply: Array
    fsync: Array
    there: Array
    home: Array
    work: Array


class Streams(NamedTuple):
    """When the last message of each stream arrived and each disk was done (lanes, followers); and, of each lane, the
    leader's disk, the start of the last command, and its answer."""

    out: Array
    disk: Array
    back: Array
    leader_disk: Array
    last: Array
    answered: Array

    @classmethod
    def empty(cls, lanes: int, followers: int) -> Streams:
        """Nothing under way, the first command at 0."""
        past = np.full((lanes, followers), -np.inf)
        return cls(past, past, past, np.full(lanes, -np.inf), np.full(lanes, -np.inf), np.zeros(lanes))


@dataclasses.dataclass(frozen=True)
class Pattern:
    """How commands follow each other, and what a commit waits for."""

    acknowledgements: int
    leader_write: str = "required"
    interval: float = 0.0
    notices: bool = True
    at_follower: bool = False
    ordered: bool = True  # False: messages may overtake each other


def stream_commands(draws: Draws, streams: Streams, pattern: Pattern) -> tuple[Array, Array, Streams]:
    """Times at the leader and at the client (commands, lanes), and the streams afterwards."""
    commits, answers = np.empty(draws.fsync.shape), np.empty(draws.fsync.shape)
    for k in range(len(draws.fsync)):
        commits[k], answers[k], streams = _one(Draws(*(each[k] for each in draws)), streams, pattern)
    return commits, answers, streams


def _one(draw: Draws, before: Streams, pattern: Pattern) -> tuple[Array, Array, Streams]:
    out, disk, back, leader_disk, last, answered = before
    start = np.maximum(answered, last + pattern.interval)
    behind = np.maximum if pattern.ordered else _unheld
    received = start + draw.there
    if pattern.at_follower:
        received = behind(back[:, 0], received)
        back = np.column_stack([received, back[:, 1:]])
    begun = received + draw.work
    if pattern.leader_write != "counted":  # batch by batch: a new one waits until the last is written
        begun = np.maximum(begun, leader_disk)
    leader_disk = np.maximum(begun, leader_disk) + draw.fsync
    sent = leader_disk if pattern.leader_write == "before_send" else begun
    out = behind(out, sent[:, None] + draw.out)
    disk = behind(disk, out) + draw.write
    back = behind(back, disk + draw.back)
    commit = _committed(leader_disk, back, pattern)
    told = slice(None) if pattern.notices else slice(int(pattern.at_follower))  # all followers, the first, or none
    out[:, told] = behind(out[:, told], commit[:, None] + draw.notice[:, told])
    disk[:, told] = behind(disk[:, told], out[:, told])
    back[:, told] = behind(back[:, told], disk[:, told] + draw.reply[:, told])
    home = (disk[:, 0] if pattern.at_follower else commit) + draw.home
    return commit - received, home - start, Streams(out, disk, back, leader_disk, start, home)


def _unheld(before: Array, own: Array) -> Array:
    return own


def _committed(own: Array, back: Array, pattern: Pattern) -> Array:
    m = pattern.acknowledgements
    if pattern.leader_write == "counted":
        return np.asarray(np.partition(np.column_stack([own, back]), m, axis=1)[:, m])
    if not m:
        return own
    acked = np.partition(back, m - 1, axis=1)[:, m - 1]
    return np.asarray(acked if pattern.leader_write == "before_send" else np.maximum(own, acked))


def batched(times: Array, batches: int) -> Array:
    """Commands of all streams (commands, streams) as batches of streams (batches, commands)."""
    each = times.reshape(len(times), batches, -1)
    return np.asarray(each.transpose(1, 0, 2).reshape(batches, -1))
