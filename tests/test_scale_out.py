"""The rounds of an autoscaler: by its own rule without noise, and simulated with it."""

import math

import numpy as np
import pytest

import scaling_models as sm
from scaling_models.montecarlo.kernels.autoscaling import ChangingPool, ScalingRule
from scaling_models.montecarlo.traffic.arrivals import TimeVarying
from scaling_models.pools.formulas.autoscaling import scale_out


@pytest.mark.parametrize("servers", [1, 3, 10, 57])
@pytest.mark.parametrize("load", [0.5, 8.0, 11.0, 100.0, 3000.0])
@pytest.mark.parametrize("target", [0.5, 0.6, 0.9])
def test_rounds_follow_the_rule(servers, load, target):
    rule = ScalingRule(target, tolerance=0.0, most=10**6)
    rounds, n = [], servers
    while (more := int(rule.wanted(np.array([min(n, load)]), np.array([n]))[0])) > n:
        rounds.append(more)
        n = more
    assert scale_out(servers, load, target) == tuple(rounds)


def test_the_number_of_rounds_is_a_logarithm():
    found = scale_out(10, 1000.0, 0.5)
    assert found == (20, 40, 80, 160, 320, 640, 1280, 2000)
    assert len(found) == math.ceil(math.log2(100)) + 1


def test_a_simulated_pool_climbs_in_the_same_rounds():
    """Ten servers at target 0.6 meet a load of 30: 17, 29 and 49 or so, a provisioning apart."""
    rounds = scale_out(10, 30.0, 0.6)
    assert rounds == (17, 29, 49, 50)
    rule = ScalingRule(0.6, 5.0, 5.0, 20.0, 1e4, 10, 200)
    flow = TimeVarying((0.0, 20.0, 20.0), (5.0, 5.0, 30.0), math.inf, sm.Exponential(1.0))
    run = ChangingPool(flow, 10, rule).follow(np.arange(1.0, 140.0), 40, seed=1)
    ordered = [np.median(run.ordered[at]) for at in (31, 57, 82)]
    assert ordered[0] == rounds[0]
    assert ordered[1] == rounds[1]
    assert abs(ordered[2] - rounds[2]) <= 1  # all busy still, for the backlog is being served


@pytest.mark.parametrize("wrong", [(0, 1.0, 0.5), (1, -1.0, 0.5), (1, 1.0, 1.0)])
def test_illegal_rules_are_refused(wrong):
    with pytest.raises(ValueError, match="scale_out: servers must lie"):
        scale_out(*wrong)
