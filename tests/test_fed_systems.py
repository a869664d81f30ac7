"""Systems fed by flows that burst or remember: the simplest of each kind is the central queue, path by path."""

import numpy as np
import pytest
from lanes import streams

import scaling_models as sm
from scaling_models.montecarlo.kernels.central import Central
from scaling_models.montecarlo.kernels.forks import ForkJoin
from scaling_models.montecarlo.kernels.healthchecks import CheckedServers
from scaling_models.montecarlo.kernels.losses import Loss
from scaling_models.montecarlo.traffic.arrivals import Batches, Correlated, Modulated, Renewal, sinusoid

SERVICE, NEVER = sm.Exponential(0.5), sm.Deterministic(1e12)
FLOWS = (
    Renewal(sm.Erlang(0.8, 3), SERVICE),
    Batches(1.0, 3.0, SERVICE),
    Modulated((3.0, 0.5), (0.5, 0.1), SERVICE),
    Correlated(sm.Exponential(1.0), sm.LogNormal(0.5, 4.0), 0.8),
    sinusoid(1.0, 0.9, 20.0, SERVICE),
)
IDS = [type(flow).__name__ for flow in FLOWS]


def followed(system, lanes=5):
    """Waits, or latencies where the system tells no waits, of blocks between which lanes are picked."""
    state, seen = system.start(np.zeros(lanes), streams(1)), []
    for block, customers in enumerate((1, 40, 80)):
        told, state = system.advance(state, streams(1, block + 1), customers)
        state = system.pick(state, np.arange(lanes)[::-1])
        seen.append(told.times)
    return {name: np.concatenate([times[name] for times in seen]) for name in seen[0]}


@pytest.mark.parametrize("flow", FLOWS, ids=IDS)
def test_a_loss_system_that_loses_nobody_is_the_central_queue(flow):
    expected = followed(Central(flow, 2))
    for lossless in (Loss(flow, 2), Loss(flow, 2, 10**3), Loss(flow, 2, patience=NEVER)):
        found = followed(lossless)
        np.testing.assert_allclose(found["wait"], expected["wait"], atol=1e-9)
        np.testing.assert_allclose(found["latency"], expected["latency"], atol=1e-9)


@pytest.mark.parametrize("flow", FLOWS, ids=IDS)
def test_one_server_that_does_not_fail_is_the_central_queue(flow):
    found, expected = followed(CheckedServers(flow, 1, NEVER, SERVICE)), followed(Central(flow, 1))
    np.testing.assert_allclose(found["wait"], expected["wait"], atol=1e-9)


@pytest.mark.parametrize("flow", FLOWS, ids=IDS)
def test_one_task_at_one_server_is_the_central_queue(flow):
    """With its services drawn anew: a fork takes only their law from the flow."""
    if isinstance(flow, Correlated):
        flow = Renewal(flow.gap, flow.service)
    found, expected = followed(ForkJoin(flow, 1, 1, workers=2)), followed(Central(flow, 2))
    np.testing.assert_allclose(found["latency"], expected["latency"], atol=1e-9)
