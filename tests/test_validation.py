"""Models beside the measurements that ship in data/."""

import math

import numpy as np
import pytest

import scaling_models as sm
from scaling_models.pools import CentralQueue
from scaling_models.validation import measured

OVERSLEEP = 0.00012  # s, the servers woke so much late on average
OVERHEAD = 0.0004  # s, of the path without any wait: measured between 0.35 and 0.5 ms


@pytest.fixture(scope="module")
def haproxy():
    trace = sm.data.haproxy_trace()
    arrivals, demands = trace.arrival_s.to_numpy(), trace.demand_s.to_numpy()
    rate = (len(arrivals) - 1) / (arrivals[-1] - arrivals[0])
    pool = CentralQueue(rate, 10, sm.Exponential(demands.mean() + OVERSLEEP))
    replayed = pool.replay(arrivals, demands, oversleep=OVERSLEEP, overhead=OVERHEAD)
    return sm.validate(pool.latency + OVERHEAD, trace.central_queue_latency_s, replayed=replayed)


def test_the_replayed_trace_comes_near_the_real_balancer(haproxy):
    assert abs(haproxy.system["mean"]) < 0.02
    assert abs(haproxy.system["p99"]) < 0.03


def test_the_closed_form_lies_in_the_runs_own_interval(haproxy):
    assert haproxy.inside.all()
    assert (haproxy.low < haproxy.measured).all()
    assert (haproxy.measured < haproxy.high).all()
    np.testing.assert_allclose((1 + haproxy.chance) * (1 + haproxy.system), 1 + haproxy.gap)


@pytest.mark.parametrize("links", ["const", "normal"])
@pytest.mark.parametrize("operation", ["put", "read"])
def test_etcd_is_the_first_follower_and_a_constant(links, operation):
    """Three members: the leader and the faster of two followers. On tmpfs the disk is part of the constant."""
    series = sm.data.etcd_latency()
    followers = [sm.Empirical(tuple(series[f"{links}_rtt_{i}"])) for i in (2, 3)]
    constant = float(np.mean(series[f"zero_{operation}_paced"]))
    predicted = sm.quorums.Raft(tuple(followers), 0.0).commit_latency.mean() + constant
    assert predicted == pytest.approx(series[f"{links}_{operation}_paced"].mean(), rel=0.05)


@pytest.mark.parametrize(
    ("samples", "warm_up", "said"),
    [([1.0, -1.0], 0.1, "finite numbers"), ([0.1] * 50, 1.5, "warm_up must lie"), ([0.1] * 20, 0.1, "too few")],
)
def test_bad_measurements_are_refused(samples, warm_up, said):
    with pytest.raises(ValueError, match=said):
        measured(samples, warm_up)


def test_a_wait_that_is_mostly_none_is_validated():
    """The median of a wait is 0: a ratio to it is no number, unless both are 0."""
    wait = sm.CentralQueue(100.0, 12, sm.Exponential(0.01)).wait
    samples = np.where(np.arange(2000) % 50 == 0, 0.01, 0.0)
    table = sm.validate(wait, samples, replayed=samples)
    assert table.loc["p50", ["gap", "chance", "system"]].tolist() == [0.0, 0.0, 0.0]
    late = sm.validate(sm.Exponential(0.01), samples)
    assert math.isnan(late.loc["p50", "gap"])
    with pytest.raises(ValueError, match="did you mean 50, 99"):
        sm.validate(wait, samples, levels=(0.5, 0.99))
