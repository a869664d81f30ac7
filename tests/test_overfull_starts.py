"""Overfull lanes begin with services under way, which where services vary are much longer than a service."""

import math

import numpy as np
import pytest

import scaling_models as sm
from scaling_models.montecarlo.kernels.copies import HedgingRule
from scaling_models.montecarlo.kernels.failures import FATES, FailingServers
from scaling_models.montecarlo.kernels.healthchecks import CheckedServers
from scaling_models.montecarlo.kernels.hedging import CANCELLATIONS, Hedging
from scaling_models.montecarlo.kernels.priorities import Preemption, Priorities, PriorityClass
from scaling_models.montecarlo.kernels.residuals import DRAWN
from scaling_models.montecarlo.streams import streams_of
from scaling_models.montecarlo.traffic.arrivals import Renewal

SCV, BACKLOG, LANES = 4.0, 3.0, 4000
GAP, SERVICE = sm.Exponential(1.0), sm.Hyperexponential(1.0, SCV)
UP, DOWN = sm.Exponential(90.0), sm.Exponential(10.0)
CLASSES = (PriorityClass(GAP, SERVICE), PriorityClass(sm.Exponential(3.0), SERVICE))


def checked(state):
    return state[0].free[state[0].up] - BACKLOG


def failing(state):
    down = np.where(np.isfinite(state.open), 0.0, state.change)
    return (state.free - down)[state.free > 0.0]


def hedged(state):
    return (state.free if hasattr(state, "free") else state.ends).ravel() - BACKLOG


STARTS = {
    "checked": (CheckedServers(Renewal(GAP, SERVICE), 4, UP, DOWN), checked),
    **{f"failing, {fate}": (FailingServers(GAP, SERVICE, 4, UP, DOWN, fate), failing) for fate in FATES},
    **{f"hedging, {cancel}": (Hedging(GAP, SERVICE, HedgingRule(4, 1.0), cancel), hedged) for cancel in CANCELLATIONS},
    "priorities": (Priorities(CLASSES, 1), lambda state: state.free.ravel() - BACKLOG),
    "preemption": (Preemption(CLASSES), lambda state: state.left.ravel()),
}


@pytest.mark.parametrize("name", STARTS)
def test_overfull_lanes_begin_with_services_under_way(name):
    """What is left of the service found under way has mean E[S^2] / 2 E[S] (renewal theory).

    Six standard errors, those of the 65,536 services that they are chosen from with them.
    """
    system, left = STARTS[name]
    rest = left(system.start(np.full(LANES, BACKLOG), streams_of(1)))
    squares = SERVICE.sample(10**6, rng=np.random.default_rng(1)) ** 2
    error = math.hypot(rest.std() / math.sqrt(rest.size), squares.std() / math.sqrt(DRAWN) / 2.0)
    assert error < 0.04 * rest.mean()
    assert abs(rest.mean() - (1.0 + SCV) / 2.0) < 6.0 * error
