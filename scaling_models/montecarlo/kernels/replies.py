"""Simulated replies of unequal replicas: when the first of them are a quorum."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from scaling_models.latency import Distribution
from scaling_models.montecarlo.arrays import Array

Flags = NDArray[np.bool_]
Holds = Callable[[Flags], Flags]  # replicas that have replied (replicas, requests) -> whether they are a quorum


def reply_times(times: Array, holds: Holds) -> Array:
    """When (s) the replies at `times` (replicas, requests) are a quorum for the first time; inf where never."""
    found = np.full(times.shape[1], np.inf)
    for moment in np.sort(times, axis=0)[::-1]:
        found = np.where(holds(times <= moment), moment, found)
    return found


def drawn_replies(laws: Sequence[Distribution], size: int, rng: np.random.Generator, together: float = 0.0) -> Array:
    """Times (s) of `size` requests to each replica (replicas, requests).

    In a share `together` of the requests all replicas are slow or fast together: each one's draws there are put in the
    same order, which leaves its law as it is.
    """
    drawn = np.stack([law.sample(size, rng=rng) for law in laws])
    same = round(together * size)
    order = rng.permutation(same)
    drawn[:, :same] = np.sort(drawn[:, :same], axis=1)[:, order]
    return drawn


def drawn_states(availabilities: Sequence[float], size: int, rng: np.random.Generator, together: float = 0.0) -> Flags:
    """Which replicas are up at `size` moments (replicas, moments); in a share `together` the same chance takes all."""
    chances = rng.random((len(availabilities), size))
    chances[:, : round(together * size)] = chances[0, : round(together * size)]
    return np.asarray(chances < np.array(availabilities)[:, None])
