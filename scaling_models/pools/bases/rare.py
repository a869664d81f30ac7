"""Latencies of one queue so rare that plain simulation hardly sees them."""

from __future__ import annotations

from scaling_models.latency import Distribution
from scaling_models.montecarlo.far_tails.slots import split_waits
from scaling_models.montecarlo.far_tails.tails import RareTail
from scaling_models.montecarlo.far_tails.twisting import rare_latencies


def rare_tail(gap: Distribution, service: Distribution, slots: int, seed: int, smallest: float) -> RareTail:
    """Latencies of one FIFO queue as rare as `smallest`, with intervals.

    Before a single slot by exponential twisting (services with exponential moments only: others raise `ValueError`),
    before several by splitting; both unbiased for any service that they take. Raises `NotSettled` at overload.
    """
    if slots == 1:
        return rare_latencies(gap, service, seed, smallest)
    return split_waits(gap, service, slots, seed, smallest).before(service)
