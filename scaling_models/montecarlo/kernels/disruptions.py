"""Elections that nobody needed, played: what a pause ends in, and what a candidate does to a leader who is well."""

from __future__ import annotations

import dataclasses

import numpy as np

from scaling_models.latency import Deterministic, Distribution
from scaling_models.montecarlo.arrays import Array, Flags
from scaling_models.montecarlo.kernels.clusters import Draws, opened
from scaling_models.montecarlo.kernels.crashes import Crashed, Crashes, drawn
from scaling_models.montecarlo.kernels.elections import concluded

CANDIDATE = 0  # the member that stands without need; the leader is the last


def leader_pauses(
    crashes: Crashes, found: Crashed, pause: Distribution, rng: np.random.Generator
) -> tuple[Flags, Array]:
    """Whether a leader that pauses is replaced, and how long nobody leads (s): as these crashes, but it wakes again.

    It sends a heartbeat as it wakes; where that arrives after the first timer has fired, the election takes its course
    as if the leader slept on, else nothing has happened but the pause.
    """
    lasts = drawn(pause, found.fires.shape, rng)
    replaced = lasts + crashes.one_way.mean() > found.fires
    return replaced, np.where(replaced, found.downtime, lasts)


def follower_pauses(crashes: Crashes, pause: Distribution, lanes: int, rng: np.random.Generator) -> Flags:
    """Whether a follower stands as it wakes from a pause: its timer ran on meanwhile (continuous timers only).

    Heartbeats reach it a heartbeat apart, the last at any moment within one before the pause.
    """
    one = dataclasses.replace(crashes, alive=1, one_way=Deterministic(0.0))
    _, heard = one.hearing(lanes, rng)
    return np.asarray(drawn(pause, (lanes,), rng) > heard[:, 0] + one.draws(lanes, rng).timeouts[0, :, 0])


def disruptions(crashes: Crashes, lanes: int, rng: np.random.Generator) -> Array:
    """How long nobody leads (s) where a follower stands though its leader is well, and both stay in the group.

    Where members check the quorum nobody listens to it: nothing happens if it asked for promises; else it refuses the
    leader's next heartbeat with its newer term, which deposes the leader, and all timers run as after a crash,
    the candidate's since it stood and the leader's since it stepped down. Where they do not check, they vote, and the
    leader too, who steps down as the request reaches it. The old leader's lease counts from its last heartbeat.
    """
    whole = dataclasses.replace(crashes, alive=crashes.alive + 1)
    if crashes.quiet:
        return np.zeros(lanes) if crashes.pre_vote else _deposed(whole, lanes, rng)
    return _outvoted(whole, lanes, rng)


def _deposed(whole: Crashes, lanes: int, rng: np.random.Generator) -> Array:
    """The refused heartbeat was sent at 0; the candidate had stood at any moment since it missed the one before."""
    sent, heard = whole.hearing(lanes, rng)
    heard = heard - sent[:, None]
    arrives, back = (drawn(whole.one_way, (lanes,), rng) for _ in range(2))
    heard[:, CANDIDATE] = arrives - whole.heartbeat * rng.random(lanes)
    heard[:, -1] = arrives + back
    phase = whole.phases(lanes, rng)
    phase[:, CANDIDATE] = heard[:, CANDIDATE]
    first, rules = whole.draws(lanes, rng), whole.rules
    state = opened(rules, heard, phase, first.timeouts[0])
    state.term[:, [CANDIDATE, -1]] = 1
    state.vote[:, CANDIDATE] = CANDIDATE
    state.calm[:, [CANDIDATE, -1]] = -np.inf
    found = concluded(rules, state, first, lambda left: whole.draws(left, rng))
    over = np.maximum(found.elected + whole.told(lanes, rng), whole.lease)
    return np.asarray(over - arrives - back)


def _outvoted(whole: Crashes, lanes: int, rng: np.random.Generator) -> Array:
    """The candidate stands at 0, or after its pre-votes; the leader's timer does not run while it leads."""
    _, heard = whole.hearing(lanes, rng)
    phase = whole.phases(lanes, rng)
    phase[:, CANDIDATE] = 0.0
    first, rules = whole.draws(lanes, rng), whole.rules
    state = opened(rules, heard, phase, first.timeouts[0])
    state.when[:, CANDIDATE], state.when[:, whole.alive - 1] = 0.0, np.inf
    found = concluded(rules, state, first, lambda left: whole.draws(left, rng))
    deposed = _stands(whole, first) + first.writes[int(whole.pre_vote), :, CANDIDATE, CANDIDATE]
    deposed = deposed + first.out[int(whole.pre_vote), :, CANDIDATE, -1]
    last = deposed - whole.heartbeat * rng.random(lanes)
    return np.asarray(np.maximum(found.elected + whole.told(lanes, rng), last + whole.lease) - deposed)


def _stands(whole: Crashes, first: Draws) -> Array:
    """When the candidate has the promises that it asked for."""
    if not whole.pre_vote:
        return np.zeros(first.out.shape[1])
    trips = first.out[0, :, CANDIDATE, 1:] + first.back[0, :, CANDIDATE, 1:]
    return np.asarray(np.sort(trips, axis=1)[:, whole.members // 2 - 1])
