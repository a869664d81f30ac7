"""What simulated pools count, by lane."""

from __future__ import annotations

import numpy as np

from scaling_models.montecarlo.arrays import Array, Flags


def counts(**flags: Flags) -> dict[str, Array]:
    """How often each of the flags (steps, lanes) is set, by lane."""
    return {name: each.sum(axis=0, dtype=np.float64) for name, each in flags.items()}


def tallied(waits: Array, services: Array, time: Array) -> dict[str, Array]:
    """Of customers (customers, lanes) in `time` (lanes,): requests, those that waited, busy time and time (s)."""
    requests = np.full(len(time), float(len(services)))
    return {"requests": requests, **counts(waited=waits > 0.0), "busy": services.sum(axis=0), "time": time}
