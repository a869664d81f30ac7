"""Waits for a leader, as a distribution: once for the command, and once for its acknowledgements."""

from __future__ import annotations

from scaling_models.latency import Deterministic, Distribution, Erlang, Exponential, Sum, mixture

CALM = 0.5  # load
HIGHEST = 0.99


class LoadedLatency(Sum):
    """A sum of which quantiles were measured, and are told, up to p99."""

    @property
    def highest_level(self) -> float:
        """0.99."""
        return HIGHEST

    @property
    def summands(self) -> tuple[Distribution, ...]:
        """Itself: its parts alone would be told beyond p99."""
        return (self,)


def two_waits(load: float, mean: float) -> Distribution:
    """Two waits of this mean (s), each 0 with probability 1 - load, else exponential: independent up to a load of 0.5,
    the same from 0.8 on, and a mixture of both between.
    """
    if mean == 0.0:
        return Deterministic(0.0)
    same = min(max((load - CALM) / 0.3, 0.0), 1.0)
    apart, late = 1.0 - same, mean / load
    weights = (
        apart * (1.0 - load) ** 2 + same * (1.0 - load),
        apart * 2.0 * load * (1.0 - load),
        apart * load**2,
        same * load,
    )
    parts = (Deterministic(0.0), Exponential(late), Erlang(2.0 * late, 2), Exponential(2.0 * late))
    kept = [(weight, part) for weight, part in zip(weights, parts, strict=True) if weight > 0.0]
    return mixture(*(tuple(column) for column in zip(*kept, strict=True)))
