"""Queue lengths of every server over time, beside a plain event-by-event count."""

import numpy as np
import pytest

import scaling_models as sm
from scaling_models.montecarlo.kernels import rules
from scaling_models.montecarlo.kernels.dispatch import Dispatch
from scaling_models.montecarlo.kernels.occupancy import occupancy
from scaling_models.montecarlo.traffic.arrivals import Renewal

FLOW = Renewal(sm.Exponential(0.1), sm.Exponential(0.4))


def trace(requests=400, seed=3):
    rng = np.random.default_rng(seed)
    return np.cumsum(rng.exponential(0.1, requests)), rng.exponential(0.4, requests)


@pytest.mark.parametrize("rule", [rules.RoundRobin(), rules.LeastConnections("used"), rules.LeastWork()])
def test_lengths_are_those_of_an_event_by_event_count(rule):
    arrivals, services = trace()
    servers, at = 5, 15.0
    speeds = (0.5, 1.0, 1.0, 1.0, 1.0)
    times = np.linspace(0.0, 45.0, 91)
    found = occupancy(Dispatch(FLOW, rule, servers), arrivals, services, times, 0, at=at, speeds=speeds)

    stays, free, used = [[] for _ in range(servers)], [0.0] * servers, [0] * servers
    for turn, (when, work) in enumerate(zip(arrivals, services, strict=True)):
        there = [sum(end > when for _, end in stay) for stay in stays]
        server = {
            rules.RoundRobin: lambda turn=turn, there=there: turn % servers,
            rules.LeastConnections: lambda turn=turn, there=there: min(
                range(servers), key=lambda s: (there[s], used[s], s)
            ),
            rules.LeastWork: lambda turn=turn, there=there: min(range(servers), key=lambda s: free[s]),
        }[type(rule)]()
        used[server] = turn + 1
        free[server] = max(free[server], when) + work / (speeds[server] if when >= at else 1.0)
        stays[server].append((when, free[server]))
    expected = [[sum(begin <= t < end for begin, end in stay) for stay in stays] for t in times]
    assert found.tolist() == expected
    assert found.max() > 2


def test_sharing_servers_are_refused():
    arrivals, services = trace(10)
    system = Dispatch(FLOW, rules.RoundRobin(), 2, sharing=True)
    with pytest.raises(ValueError, match="must be FIFO"):
        occupancy(system, arrivals, services, np.array([1.0]), 0, at=1.0, speeds=(1.0, 1.0))
