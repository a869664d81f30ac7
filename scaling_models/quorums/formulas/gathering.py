"""Batches that leave when so many commands have come, or a time after the first of them, and wait for one server."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import fft, optimize, special

Array = NDArray[np.float64]
CELLS = 1 << 14  # of the lattice, and as many for what is negative
REACH = 40.0  # over the tilt: what lies beyond is e^-40
SPREAD, MORE = 12.0, 20.0  # deviations and commands beyond the mean size: less than 1e-12 are more
TIMES = 1 << 13  # cells of the lattice of commands' times
FILLS = 9.0  # deviations beyond the mean size, and `MORE` commands: less than 1e-13 of the batches take longer to fill
NOTHING = 1e-13
STEEPEST = 500.0  # tilt times the longest work
SHALLOWEST = 1e-9  # the same, next to full load


def places_left(size: ArrayLike, mean: ArrayLike) -> Any:
    """E (a - Y)+ of a Poisson number Y of this mean: how many of a places are still free. a in whole numbers."""
    a, mu = np.asarray(size, dtype=float), np.asarray(mean, dtype=float)
    with np.errstate(invalid="ignore"):
        left = a * special.pdtr(a, mu) - mu * special.pdtr(np.maximum(a - 1.0, 0.0), mu)
    return np.where((a <= 0.0) | np.isinf(mu), 0.0, np.where(a == 1.0, np.exp(-mu), left))[()]


def gathered_size(rate: ArrayLike, size: ArrayLike, window: ArrayLike) -> Any:
    """Mean commands in a batch that leaves with its B-th, or a window w (s) after its first: B - E (B - 1 - K)+.

    K is Poisson of mean lambda w. Exact for Poisson commands (1/s).
    """
    b = np.asarray(size, dtype=float)
    return b - places_left(b - 1.0, np.asarray(rate, dtype=float) * np.asarray(window, dtype=float))


def gather_ccdf(t: ArrayLike, rate: float, size: int, window: float) -> Any:
    """P(a command waits longer than t (s) until its batch leaves): (E (B-1-Y)+ - E (B-2-K)+) / E N before w, then 0.

    Y and K are Poisson of means lambda t and lambda w: how many of a batch have come, and t later it is still there.
    Exact for Poisson commands (1/s), by renewal and reward.
    """
    times = np.asarray(t, dtype=float)
    waits = places_left(size - 1.0, rate * times) - places_left(size - 2.0, rate * window)
    return np.where(times < window, np.maximum(waits, 0.0) / gathered_size(rate, size, window), 0.0)[()]


def gather_pdf(t: ArrayLike, rate: float, size: int, window: float) -> Any:
    """Its density (1/s) between the atoms at 0 and w: lambda P(Y <= B - 2) / E N."""
    times = np.asarray(t, dtype=float)
    density = rate * special.pdtr(size - 2.0, rate * times) / gathered_size(rate, size, window)
    return np.where(times < window, density, 0.0)[()]


class Batches(NamedTuple):
    """Batches of Poisson commands (`rate`, 1/s), gathered by `size` and `window` (s); `fixed` work and so much `each`
    (s) of one server.
    """

    rate: float
    size: int
    window: float
    fixed: float
    each: float

    def sizes(self) -> tuple[Array, Array]:
        """Sizes that happen, and how often: 1 + K, or the most."""
        mean = self.rate * self.window
        most = min(float(self.size), 1.0 + mean + SPREAD * math.sqrt(mean) + MORE)
        n = np.arange(1.0, math.floor(most) + 1.0) if math.isfinite(most) and math.isfinite(mean) else np.array([])
        if not n.size:
            return np.array([float(self.size)]), np.ones(1)
        chance = np.exp(special.xlogy(n - 1.0, mean) - mean - special.gammaln(n)) if mean else (n == 1.0).astype(float)
        chance[-1] = special.pdtrc(n[-1] - 2.0, mean) if n[-1] > 1.0 else 1.0
        kept = chance > 1e-14
        return n[kept], chance[kept] / chance[kept].sum()

    def log_gap(self, theta: float) -> float:
        """log E e^{-theta A} of the time A between batches: a wait for the first command, and the gathering."""
        one = math.log(self.rate / (self.rate + theta))
        others = self.size - 1
        if not others:
            return one
        late = float(special.gammaincc(others, self.rate * self.window))
        full = float(special.gammainc(others, (self.rate + theta) * self.window))
        unfilled = math.log(late) - theta * self.window if late else -math.inf
        return one + float(np.logaddexp(unfilled, others * one + _log(full)))


def _log_of_mean(powers: Array, chance: Array) -> float:
    most = float(powers.max())
    return most + math.log(float(np.exp(powers - most) @ chance))


def _log(x: float) -> float:
    return math.log(x) if x > 0.0 else -math.inf


class Responses(NamedTuple):
    """Masses at multiples of `step` (s): of the wait of batches for the server, and with a command's batch's work."""

    step: float
    waits: Array
    responses: Array


def batch_responses(batches: Batches) -> Responses:
    """The wait W of batches for their server, and W + V with V the work on the batch of a command taken at random.

    GI/G/1 by Spitzer's identity: with D = V - A and u(z) = E z^D on a circle |z| > 1 on which it is below 1,
    -log(1 - u) = sum_n u^n / n has its positive part in log E z^W. On a lattice, each law put on it with its mean kept;
    second order in the step. Exact where the work V and the gap A before are independent: batches by size alone, or by
    the window alone; where both limits are at work they are taken as independent. Spitzer 1956. Load below 1.
    """
    n, chance = batches.sizes()
    work = batches.fixed + batches.each * n
    tilt = _tilt(batches, work, chance)
    step = max(REACH / tilt, 4.0 * float(work[-1])) / CELLS
    served, command = _lumped(work / step, chance), _lumped(work / step, chance * n / (chance @ n))
    down = _gaps(batches, step)
    k = np.arange(float(CELLS))
    ring = 2 * CELLS
    up = served * np.exp(np.where(served > 0.0, tilt * step * k, 0.0))
    u = fft.rfft(up, ring) * np.conj(fft.rfft(down * np.exp(-tilt * step * k), ring))
    powers = fft.irfft(-np.log1p(-u), ring)[:CELLS]
    powers[0] = 0.0
    waits = fft.irfft(np.exp(fft.rfft(powers, ring)), ring)[:CELLS] * np.exp(-tilt * step * k)
    waits = np.maximum(waits, 0.0) / np.maximum(waits, 0.0).sum()
    both = fft.irfft(fft.rfft(waits, ring) * fft.rfft(command, ring), ring)
    return Responses(step, waits, np.maximum(both, 0.0))


def batch_times(batches: Batches) -> tuple[float, Array]:
    """A command's time from its coming until the server is done with its batch: a step (s), masses at its multiples.

    The wait for the batch to leave, taken as independent of what follows, and `batch_responses`.
    """
    step, _, after = batch_responses(batches)
    if batches.size == 1 or batches.window == 0.0:
        return step, after
    rate, size = batches.rate, batches.size
    late = min(batches.window, (size + FILLS * math.sqrt(size) + MORE) / rate)
    kept = after[: int(np.flatnonzero(np.cumsum(after[::-1])[::-1] > NOTHING)[-1]) + 1]
    wide = (late + step * len(kept)) / (TIMES - 4)
    halves = np.arange(0.5, late / wide + 1.0) * wide
    left = np.where(halves < late, gather_ccdf(halves, rate, size, batches.window), 0.0)
    waits = np.append(1.0 - left[0], -np.diff(left))
    end = float(gather_ccdf(late * (1.0 - 1e-12), rate, size, batches.window))  # in the cell of the last half, move it
    last = int(np.flatnonzero(left > 0.0)[-1]) + 1 if (left > 0.0).any() else 0
    waits[last] -= end
    places = np.concatenate([[late / wide], step / wide * np.arange(len(kept))])
    at_end = _lumped(places[:1], np.array([end]), TIMES)
    whole = at_end + np.pad(waits, (0, TIMES - len(waits)))
    served = _lumped(places[1:], kept, TIMES)
    found = fft.irfft(fft.rfft(whole, 2 * TIMES) * fft.rfft(served, 2 * TIMES), 2 * TIMES)[:TIMES]
    return wide, np.maximum(found, 0.0)


def _tilt(batches: Batches, work: Array, chance: Array) -> float:
    """Where E e^{theta (V - A)} is least."""
    longest = float(work[-1])

    def exponent(log_theta: float) -> float:
        theta = math.exp(log_theta)
        return _log_of_mean(theta * work, chance) + batches.log_gap(theta)

    ends = (math.log(SHALLOWEST / longest), math.log(STEEPEST / longest))
    places = np.linspace(*ends, 60)
    least = int(np.argmin([exponent(place) for place in places]))
    near = (places[max(least - 1, 0)], places[min(least + 1, 59)])
    return math.exp(float(optimize.minimize_scalar(exponent, bounds=near, method="bounded").x))


def _lumped(places: Array, masses: Array, cells: int = CELLS) -> Array:
    """Atoms shared out to the nodes at either side."""
    low = np.floor(places).astype(int)
    part = places - low
    found = np.bincount(low, weights=masses * (1.0 - part), minlength=cells + 1)
    found[: int(low.max()) + 2] += np.bincount(low + 1, weights=masses * part)
    return np.asarray(found[:cells], dtype=float)


def _gaps(batches: Batches, step: float) -> Array:
    """The time between batches on the lattice, as far as it reaches: second differences of E (A - x)+, means kept."""
    rate, others, window = batches.rate, batches.size - 1, batches.window
    x = step * np.arange(-1.0, CELLS + 1.0)
    alone = np.where(x < 0.0, 1.0 / rate - x, np.exp(-rate * np.maximum(x, 0.0)) / rate)
    first = np.maximum(np.diff(alone, 2) / step, 0.0)
    if not others or not window:
        return np.asarray(first)

    def up_to(y: Array) -> Array:
        """The integral of P(S > y) from 0, S the time until so many others have come."""
        return np.asarray(
            y * special.gammaincc(others, rate * y) + others / rate * special.gammainc(others + 1.0, rate * y)
        )

    whole = float(up_to(np.array([window]))[0]) if math.isfinite(window) else others / rate
    rest = np.where(x < 0.0, whole - x, np.maximum(whole - up_to(np.clip(x, 0.0, window)), 0.0))
    gathering = np.maximum(np.diff(rest, 2) / step, 0.0)
    return np.asarray(fft.irfft(fft.rfft(first, 2 * CELLS) * fft.rfft(gathering, 2 * CELLS), 2 * CELLS)[:CELLS])


def gathered_bound(size: int, window: float, fixed: float, each: float) -> float:
    """Most commands/s of batches: where lambda (f / E N + c) = 1. Exact; `inf` where nothing takes time."""
    most = math.inf if fixed + each == 0.0 else size / (fixed + size * each)
    if math.isinf(most) or math.isinf(window) or size == 1:
        return most

    def short(rate: float) -> float:
        return rate * (fixed / float(gathered_size(rate, size, window)) + each) - 1.0

    return most if short(most) <= 0.0 else float(optimize.brentq(short, 0.0, most, rtol=1e-12))
