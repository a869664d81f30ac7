"""One slow server, one that fails fast, traces replayed through the policies, and the picture of their queues."""

import math

import numpy as np
import pytest

import scaling_models as sm
from scaling_models import figures
from scaling_models.pools import CentralQueue, LeastConnections, LeastWorkLeft, PowerOfChoices, RandomSplit, RoundRobin

ERRORS = "errors in 1 ms"


@pytest.mark.parametrize(
    "pool",
    [
        RandomSplit(400.0, 10, first_speed=0.5),
        RoundRobin(400.0, 10, sm.LogNormal(0.010, 2.0), first_speed=0.5),
        RoundRobin(400.0, 10, first_answers=ERRORS),
        RandomSplit(200.0, 4, first_speed=2.0),
    ],
    ids=repr,
)
def test_splits_over_unequal_servers_agree_with_their_twins(pool):
    """False-alarm rate 1e-6 a table; a mean 3% wrong would be seen in three of the four."""
    table = sm.verify(pool, requests=1_000_000, seed=5)
    assert (table.verdict != "disagrees").all(), table.to_string()


def test_round_robin_drowns_the_slow_server_and_the_shortest_queue_spares_it():
    assert math.isinf(RoundRobin(600.0, 10, first_speed=0.5).latency.icdf(0.99))
    spared = LeastConnections(600.0, 10, first_speed=0.5)
    with pytest.raises(sm.NoClosedForm):
        _ = spared.latency
    assert spared.utilization == pytest.approx(6.0 / 9.5)
    assert spared.simulate(200_000, seed=1).latency.interval(0.99)[1] < 0.065


def test_a_server_that_fails_fast_attracts_requests_where_queues_are_looked_at():
    """Its share by the 95% interval, 25 standard errors and more above a tenth."""
    assert RandomSplit(600.0, 10, first_answers=ERRORS).error_share == 0.1
    assert RandomSplit(600.0, 10).error_share == LeastConnections(600.0, 10).error_share == 0.0
    for kind in (LeastConnections, PowerOfChoices):
        found = kind(600.0, 10, first_answers=ERRORS).simulate(200_000, seed=1).error_share
        assert found.value - 25.0 * found.error > 0.1


def test_a_trace_replayed_in_turn_is_lindleys_recursion_at_every_server():
    rng = np.random.default_rng(1)
    arrivals, demands = np.cumsum(rng.exponential(0.1, 500)), rng.exponential(0.4, 500)
    found = RoundRobin(servers=5).replay(arrivals, demands, oversleep=0.01, overhead=0.5)
    for server in range(5):
        free = 0.0
        for at in range(server, 500, 5):
            free = max(free, arrivals[at]) + demands[at] + 0.01
            assert found[at] == pytest.approx(free - arrivals[at] + 0.5, abs=1e-9)


def test_a_trace_replayed_by_least_work_is_the_central_queue():
    rng = np.random.default_rng(2)
    arrivals, demands = np.cumsum(rng.exponential(0.1, 500)), rng.exponential(0.4, 500)
    one, other = (kind(servers=5).replay(arrivals, demands) for kind in (CentralQueue, LeastWorkLeft))
    np.testing.assert_allclose(one, other, atol=1e-9)
    np.testing.assert_allclose(one, CentralQueue(servers=1, workers=5).replay(arrivals, demands), atol=1e-9)


def test_sharing_servers_and_disordered_traces_are_refused_in_a_sentence():
    with pytest.raises(ValueError, match="must be FIFO"):
        RandomSplit(discipline="sharing").replay(np.array([1.0]), np.array([1.0]))
    with pytest.raises(ValueError, match="ascending"):
        RoundRobin().replay(np.array([2.0, 1.0]), np.array([1.0, 1.0]))
    with pytest.raises(ValueError, match="must be FIFO"):
        figures.queues(RandomSplit(discipline="sharing"))
    with pytest.raises(ValueError, match="slow must lie in"):
        RoundRobin().occupancy(slow=0.0)


def test_the_picture_of_the_queues_has_a_panel_a_policy_and_shows_what_the_slow_server_does():
    pools = [RoundRobin(800.0, 10), LeastConnections(800.0, 10)]
    drawn = figures.queues(pools)
    maps = [trace for trace in drawn.data if trace.type == "heatmap"]
    assert len(maps) == len(pools)
    assert {trace.zmax for trace in maps} == {maps[0].zmax}
    drowned, spared = (pool.occupancy().in_pool(slow=True) - pool.occupancy().in_pool(slow=False) for pool in pools)
    assert drowned > 4.0 * spared > 0.0
    assert "Round robin" in drawn.layout.annotations[0].text
    with pytest.raises(ValueError, match="one pool at least"):
        figures.queues([])
