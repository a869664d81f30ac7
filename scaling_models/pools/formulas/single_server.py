"""One FIFO server: the wait of M/G/1 and of GI/G/1 on a lattice, both by a tilted Fourier transform."""

from __future__ import annotations

import math

import numpy as np
from scipy import fft, optimize

from scaling_models.latency.quadrature import Array
from scaling_models.pools.formulas.lattices import TILT, Level, Steps, tilted, untilted

RISING = 1.0 + 1e-6  # a ccdf that rises by more is rounding
STEEPEST = 700.0  # decay a step
SLOWEST = 1e-9  # decay over the whole lattice
LEAST = 1e-300  # of a transform: below it there is no logarithm


def compound_waits(chance: float, ladder: Steps, decay: float = 0.0) -> Array:
    """P(W > t | W > 0) at the nodes, where W is the sum of a geometric number of independent ladder heights H.

    V(t) = P(W > t) solves V = p H' + p int_0^t V(t - u) dH(u), with p = V(0) the `chance` of a wait and H' the ccdf of
    H; V is taken as linear between the nodes, and the sum undone by a Fourier transform of the sequences times
    e^{-tilt k}. `decay` (a step, 0 if unknown) is that of V: what is told then keeps its relative precision. For M/G/1
    p is the utilization and H the equilibrium distribution of the service (Pollaczek 1930, Khinchine 1932; Beekman
    1968). The error is of second order in the step, and independent of what H does beyond the lattice.
    """
    climbed = ladder.tilted(decay)
    above = climbed.ccdf - chance * climbed.right
    return untilted(above / (1.0 - chance * climbed.lumped), climbed.tilt, len(ladder.ccdf))


def renewal_waits(service: Level, gap: Level, decay: float = 0.0) -> tuple[Array, Array]:
    """P(W > k h) of GI/G/1 on the lattice that both share, to the right of 0 at k = 0; and the ccdf of what the wait
    climbs by (the ladder height, with the chance that there is one), from k h to (k + 1) h.

    Spitzer's identity by a Wiener-Hopf factorisation: with H(z) = (1 - S(z) A(1/z))/(1 - 1/z) on the circle
    |z| = e^{-tilt}, -log H = nu has its positive part in W(z) = exp(sum_{k>0} nu_k (z^k - 1)), normalised by the exact
    drift E S - E A, so that a service cut off by the lattice does no harm. The lattice must be 40 mean gaps and
    services long, and the decay given only if the wait falls by e^-25 at least along it. Second order in h. Spitzer
    1956; Gruebel 1991.
    """
    count, step = len(service.cells.ccdf), service.cells.step
    size = 2 * count
    tilt = 1.25 * TILT / size - decay
    zeros = np.zeros(count)
    z = np.exp(-tilt - 2j * np.pi * np.arange(count + 1) / size)
    up = tilted(np.concatenate([service.lumped.lumped, zeros]), tilt)
    down = np.conj(tilted(np.concatenate([gap.lumped.lumped, zeros]), -tilt))
    ratio = (1.0 - up * down) / (1.0 - 1.0 / z)
    logs = np.log(np.abs(ratio)) + 1j * np.unwrap(np.angle(ratio))
    nu = np.asarray(fft.irfft(-logs, size))
    if decay > 0:  # undoing the tilt on the negative side would blow up the rounding
        at_one = float((nu[1:count] * np.exp(tilt * np.arange(1, count))).sum())
    else:
        negative = float((nu[count:] * np.exp(tilt * np.arange(-count, 0))).sum())
        at_one = -math.log((gap.cells.mean - service.cells.mean) / step) - float(nu[0]) - negative
    rest = at_one - fft.rfft(np.concatenate([[0.0], nu[1:count], zeros]))  # of the positive part, at 1 and at z
    waits = untilted(-np.expm1(-rest) / (1.0 - z), tilt, size)[:count]
    ladder = untilted(math.exp(-at_one) * np.expm1(rest) / (1.0 - z), tilt, size)[:count]
    return _from_halves(waits), ladder


def _from_halves(ccdf: Array) -> Array:
    """At k h what is known at (k + 1/2) h: a lump at a node stands for what lies within half a step of it."""
    noisy = np.flatnonzero((ccdf[1:] <= 0) | (ccdf[1:] > ccdf[:-1] * RISING))
    sound = int(noisy[0]) + 1 if noisy.size else len(ccdf)
    logs = np.log(np.maximum(ccdf[: max(sound, 4)], 1e-300))
    out = np.empty_like(logs)
    out[2:-1] = (9.0 * (logs[1:-2] + logs[2:-1]) - logs[:-3] - logs[3:]) / 16.0
    out[0] = (15.0 * logs[0] - 10.0 * logs[1] + 3.0 * logs[2]) / 8.0
    out[1] = (3.0 * logs[0] + 6.0 * logs[1] - logs[2]) / 8.0
    out[-1] = 1.5 * logs[-2] - 0.5 * logs[-3]
    return np.append(np.exp(np.minimum(out, logs[0] + 1.0)), np.zeros(len(ccdf) - len(out)))


def decay_of(lumped: Array, gap: Array | None = None) -> tuple[float, float]:
    """The decay x a step of a wait, and the share of it that comes from the far half of the lattice.

    sum_k p_k e^{xk} = 1 with p the lumped ladder height times the chance of a wait; with a gap, p the lumped service,
    times sum_k a_k e^{-xk}. Where the far half takes part, the lattice has not seen enough of it, or there is none.
    """
    k = np.flatnonzero(lumped > 0)
    logs = np.log(lumped[k])
    gaps = np.zeros(0) if gap is None else np.arange(len(gap))

    def above(x: float) -> float:
        back = 0.0 if gap is None else math.log(max(float((gap * np.exp(-x * gaps)).sum()), LEAST))
        return _log_of_sum(logs + x * k) + back

    high = 1.0 / len(lumped)
    while above(high) < 0 and high < STEEPEST:
        high *= 2.0
    low = high / 2.0
    while above(low) > 0 and low > SLOWEST / len(lumped):
        high, low = low, low / 2.0
    found = float(optimize.brentq(above, low, high, rtol=1e-4)) if above(low) < 0 < above(high) else low
    terms = logs + found * k
    far = k >= len(lumped) // 2
    return found, float(np.exp(terms[far] - _log_of_sum(terms)).sum())


def _log_of_sum(terms: Array) -> float:
    """log sum e^terms; scipy's looks at more than is needed a hundred times here."""
    most = float(terms.max())
    return most + math.log(float(np.exp(terms - most).sum()))
