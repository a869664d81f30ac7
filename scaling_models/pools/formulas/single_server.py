"""One FIFO server: the wait of M/G/1 and of GI/G/1 on a lattice, both by a tilted Fourier transform."""

from __future__ import annotations

import math

import numpy as np
from scipy import fft, optimize, special

from scaling_models.latency.quadrature import Array
from scaling_models.pools.formulas.lattices import TILT, Cells, tilted, untilted

RISING = 1.0 + 1e-6  # a ccdf that rises by more is rounding
STEEPEST = 700.0  # decay a step
SLOWEST = 1e-9  # decay over the whole lattice


def poisson_waits(utilization: float, service: Cells, decay: float = 0.0) -> Array:
    """P(W > k h | W > 0) of M/G/1 at the nodes k h of the service's lattice.

    V(t) = P(W > t) solves V = rho R' + rho int_0^t V(t - u) dR(u), R the equilibrium distribution of the service and R'
    its ccdf; V is linear between the nodes, V(0) = rho, and the sum is undone by a Fourier transform of the
    sequences times e^{-tilt k}. `decay` (a step, 0 if unknown) is that of V: what is told then keeps its relative
    precision. The error is of second order in h: two steps h and h/2 tell it, and extrapolate it away. Independent
    of what the service does beyond the lattice. Pollaczek 1930 and Khinchine 1932; the tilt: Gruebel 1991.
    """
    ccdf, lumped, right = service.residual()
    tilt = TILT / len(ccdf) - decay
    above = tilted(ccdf - utilization * right, tilt)
    return untilted(above / (1.0 - utilization * tilted(lumped, tilt)), tilt, len(ccdf))


def renewal_waits(service: Cells, gap: Cells, decay: float = 0.0) -> Array:
    """P(W > k h) of GI/G/1 at the nodes k h of the lattice that both share, to the right of 0 at k = 0.

    Spitzer's identity by a Wiener-Hopf factorisation: with H(z) = (1 - S(z) A(1/z))/(1 - 1/z) on the circle
    |z| = e^{-tilt}, -log H = nu has its positive part in W(z) = exp(sum_{k>0} nu_k (z^k - 1)), normalised by the exact
    drift E S - E A, so that a service cut off by the lattice does no harm. The lattice must be 40 mean gaps and
    services long. Second order in h, as `poisson_waits`. Spitzer 1956; Gruebel 1991.
    """
    count, step = len(service.ccdf), service.step
    size = 2 * count
    tilt = 1.25 * TILT / size - decay
    zeros = np.zeros(count)
    z = np.exp(-tilt - 2j * np.pi * np.arange(count + 1) / size)
    up = tilted(np.concatenate([service.lumped()[0], zeros]), tilt)
    down = np.conj(tilted(np.concatenate([gap.lumped()[0], zeros]), -tilt))
    ratio = (1.0 - up * down) / (1.0 - 1.0 / z)
    logs = np.log(np.abs(ratio)) + 1j * np.unwrap(np.angle(ratio))
    nu = np.asarray(fft.irfft(-logs, size))
    if decay > 0:  # undoing the tilt on the negative side would blow up the rounding
        at_one = float((nu[1:count] * np.exp(tilt * np.arange(1, count))).sum())
    else:
        negative = float((nu[count:] * np.exp(tilt * np.arange(-count, 0))).sum())
        at_one = -math.log((gap.mean - service.mean) / step) - float(nu[0]) - negative
    positive = np.concatenate([[0.0], nu[1:count], zeros])  # tilted already
    waits = -np.expm1(fft.rfft(positive) - at_one) / (1.0 - z)
    return _from_halves(untilted(waits, tilt, size)[:count])


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
    return np.append(np.exp(out), np.zeros(len(ccdf) - len(out)))


def decay_of(lumped: Array, gap: Array | None = None) -> tuple[float, float]:
    """The decay x a step of a wait, and the share of it that comes from the far half of the lattice.

    sum_k p_k e^{xk} = 1 with p the lumped residual times the utilization; with a gap, p the lumped service, times
    sum_k a_k e^{-xk}. Where the far half takes part, the lattice has not seen enough of the service, or there is none.
    """
    k = np.flatnonzero(lumped > 0)
    logs = np.log(lumped[k])
    gaps = np.zeros(0) if gap is None else np.arange(len(gap))

    def above(x: float) -> float:
        back = 0.0 if gap is None else math.log(float((gap * np.exp(-x * gaps)).sum()))
        return float(special.logsumexp(logs + x * k)) + back

    high = 1.0 / len(lumped)
    while above(high) < 0 and high < STEEPEST:
        high *= 2.0
    low = high / 2.0
    while above(low) > 0 and low > SLOWEST / len(lumped):
        high, low = low, low / 2.0
    found = float(optimize.brentq(above, low, high, rtol=1e-10)) if above(low) < 0 < above(high) else low
    terms = logs + found * k
    far = k >= len(lumped) // 2
    return found, float(np.exp(terms[far] - special.logsumexp(terms)).sum())
