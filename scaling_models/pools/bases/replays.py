"""A measured trace sent through a pool: what is asked of it."""

from __future__ import annotations

import numpy as np

from scaling_models.montecarlo.arrays import Array


def checked_trace(arrivals: Array, demands: Array, **extra: float) -> tuple[Array, Array]:
    """Times in ascending order and the services asked for, one each; or a `ValueError` in a sentence.

    `extra` are times (s) by name that may be zero, but no less.
    """
    for name, time in extra.items():
        if not 0.0 <= time < np.inf:
            raise ValueError(f"replay: {name} must lie in [0, inf) s; got {time!r}")
    times, asked = np.asarray(arrivals, dtype=float), np.asarray(demands, dtype=float)
    if times.ndim != 1 or times.shape != asked.shape:
        raise ValueError(
            f"replay: arrivals and demands must be two rows of one length; got {times.shape}, {asked.shape}"
        )
    if not (np.isfinite(times).all() and (np.diff(times) >= 0).all()):
        raise ValueError("replay: arrivals must be finite times (s) in ascending order")
    if not (np.isfinite(asked).all() and (asked >= 0).all()):
        raise ValueError("replay: demands must be finite times in [0, inf) s")
    return times, asked
