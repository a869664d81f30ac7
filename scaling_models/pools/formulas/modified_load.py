"""A load that goes up and down like a wave, and the instant answer to it: the modified offered load.

Time is counted in mean services here, and load in erlangs: load(t) = load (1 + amplitude sin(2 pi t / period)).
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from scaling_models.pools.formulas.erlang import erlang_c


class Wave(NamedTuple):
    """`servers` with a load of `load` erlangs on average, `amplitude` (relative) more at its peak a quarter of the
    `period` (mean services) after the start. Fields broadcast over arrays in the approximation."""

    servers: Any
    load: Any
    amplitude: Any
    period: Any

    @property
    def speed(self) -> Any:
        """Radians a mean service."""
        return 2.0 * math.pi / self.period

    def at(self, t: ArrayLike) -> Any:
        """The load (erlangs) at t (mean services)."""
        return self.load * (1.0 + self.amplitude * np.sin(self.speed * np.asarray(t, dtype=float)))


def modified_load(wave: Wave, t: ArrayLike) -> Any:
    """m(t), the mean number busy of infinitely many servers: m' = load(t) - m, periodic.

    m = load (1 + A (sin wt - w cos wt) / (1 + w^2)): the wave, flattened by sqrt(1 + w^2) and late by atan(w) / w.
    Exact for M_t/M/infinity; Eick, Massey and Whitt, Management Science 39, 1993, eq. 15.
    """
    time, w = np.asarray(t, dtype=float), wave.speed
    swing = np.sin(w * time) - w * np.cos(w * time)
    return wave.load * (1.0 + wave.amplitude * swing / (1.0 + w * w))


def lag(wave: Wave) -> Any:
    """By how much the modified load's peak comes after the load's: atan(w) / w (mean services). Eick et al., eq. 16."""
    return np.arctan(wave.speed) / wave.speed


def hurry(wave: Wave) -> Any:
    """Radians that the wave goes on while the queue forgets at the peak of the modified load; `inf` where it grows.

    w / (c (1 - sqrt(m / c))^2), after the relaxation time of M/M/c: what the error of Erlang's C at m(t) goes by.
    """
    busy = modified_load(wave, 0.25 * wave.period + lag(wave)) / wave.servers
    room = np.where(busy < 1.0, wave.servers * (1.0 - np.sqrt(np.minimum(busy, 1.0))) ** 2, 1.0)
    return np.where(busy < 1.0, wave.speed / np.maximum(room, 1e-300), np.inf)[()]


def modified_wait(wave: Wave, t: ArrayLike) -> Any:
    """P(a request that comes at t waits), approximately: Erlang's C at the modified load; 1 where that is too much.

    Jagerman 1975; Massey and Whitt, Probability in the Engineering and Informational Sciences 8, 1994.
    """
    return erlang_c(wave.servers, np.maximum(modified_load(wave, t), 0.0))
