"""What a random walk of services less gaps is like, before it is solved."""

from __future__ import annotations

import math

import numpy as np

from scaling_models.latency import Distribution
from scaling_models.latency.quadrature import Array
from scaling_models.pools.formulas.lattices import cells

ROUGH, COUNT, MOST = 32, 4096, 2**18  # nodes a mean service, and at least and at most in all
LONGEST, LATE = 1.2, 1e-18  # times the gap's quantile there: what a lattice must hold
FORGOTTEN = 12.0  # the echo of a walk's steps is e^-12 at the end of a lattice
LENGTHS = 12  # of steps
UNLIKELY = 6.0  # drift squared over variance, from where it is asked whether anybody waits at all
TILTS = np.array([0.5, 1.0, 2.0, 4.0, 16.0, 64.0, 256.0])  # at which the bound is tried, drifts over variance
STEEPEST = 300.0  # tilt over the whole lattice
EXPONENTIAL_AT = np.array([0.01, 0.1, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0])  # means


def is_exponential(latency: Distribution) -> bool:
    """Whether it is exponential, whatever it is called: its ccdf is e^{-t/m} at several t."""
    mean = latency.mean()
    if not 0 < mean < math.inf:
        return False
    return bool(np.allclose(latency.ccdf(mean * EXPONENTIAL_AT), np.exp(-EXPONENTIAL_AT), rtol=1e-9, atol=0.0))


def never_waits(gap: Distribution, service: Distribution, least: float) -> bool:
    """Whether P(W > 0) <= sum_n P(S_1 + ... + S_n > A_1 + ... + A_n) is below `least` by Chernoff's bound."""
    drift, variance = gap.mean() - service.mean(), gap.variance() + service.variance()
    if not drift**2 > UNLIKELY * variance:
        return False
    times, services, gaps = _roughly(gap, service)
    longer = float(service._ccdf(times[-1:])[0])
    for theta in np.minimum(drift / variance * TILTS, STEEPEST / times[-1]):
        bound = float((services * np.exp(theta * times)).sum() * (gaps * np.exp(-theta * times)).sum())
        if bound < 1.0 and bound / (1.0 - bound) + longer < least:
            return True
    return False


def reach_of(gap: Distribution, service: Distribution) -> float:
    """How far a lattice must reach (s): over the gaps, and until the walk has forgotten the size of its steps.

    Of steps that hardly vary about some length d, an echo at the wave number 2 pi/d falls from step to step as
    |E e^{2 pi i (S - A)/d}|; d lies between the mean gap, where services are mostly short, and the mean step.
    """
    drift = gap.mean() - service.mean()
    least = LONGEST * float(gap.iccdf(LATE))
    if drift < service.mean() / 2.0:
        return least
    times, services, gaps = _roughly(gap, service)
    echo = 1e-9
    for length in np.linspace(drift, gap.mean(), LENGTHS):
        wave = np.exp(2j * np.pi / length * times)
        echo = max(echo, abs(complex((services * wave).sum())) * abs(complex((gaps * wave).sum())))
    return max(least, FORGOTTEN * gap.mean() / -math.log(min(echo, 1.0 - 1e-9)))


def _roughly(gap: Distribution, service: Distribution) -> tuple[Array, Array, Array]:
    """Times, and the masses of service and gap lumped there, on a rough lattice."""
    reach = LONGEST * float(gap.iccdf(LATE))
    step = max(service.mean() / ROUGH, reach / MOST)  # a coarser one only makes the bound of `never_waits` larger
    count = max(COUNT, int(reach / step))
    lumped = [cells(each, step, count, 0.0).lumped().lumped for each in (service, gap)]
    return step * np.arange(float(count)), lumped[0], lumped[1]
