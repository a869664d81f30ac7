"""Models beside nginx and HAProxy as measured: each policy, under three kinds of service."""

import functools

import numpy as np
import pytest
from scipy import special

import scaling_models as sm
from scaling_models import data
from scaling_models.montecarlo.kernels.dispatch import dispatch
from scaling_models.montecarlo.kernels.servers import FifoServers
from scaling_models.pools import CentralQueue, LeastConnections, PowerOfChoices, RoundRobin
from scaling_models.validation import measured

BUSY, PATH = 0.00012, 0.00035  # s: how long a server is busy beyond its demand, and what the path costs besides
HANDED_OVER = {"hyperexponential": 0.00021, "deterministic": 0.00016}  # s, idle until one queue sends the next
JITTER = 1e-4  # s, to which arrivals at the balancer are known
LANES, WARM_UP = 24, 1000
LEVELS = (50, 95, 99)
MACHINE = 0.012  # that the machine's own stalls may make of a mean or a quantile

NGINX = {
    "nginx_round_robin": RoundRobin(400, 10),
    "nginx_least_connections": LeastConnections(400, 10, ties="in turn"),
    "nginx_random_two": PowerOfChoices(400, 10),
}
TWO_WORKERS = {
    "nginx_least_connections_two_workers": LeastConnections(400, 10, ties="in turn", balancers=2),
    "nginx_random_two_two_workers": PowerOfChoices(400, 10, balancers=2),
}
HAPROXY = {
    "haproxy_least_connections": LeastConnections(400, 10, ties="least recently used"),
    "haproxy_random_two": PowerOfChoices(400, 10, replacement="with"),
    "haproxy_central_queue": CentralQueue(400, 10),
}
RUNS = [
    *(("exponential", *run) for run in (NGINX | TWO_WORKERS).items()),
    *((service, *run) for service in ("hyperexponential", "deterministic") for run in (NGINX | HAPROXY).items()),
]
NAMED = [f"{service}-{series}" for service, series, _ in RUNS]
COMPARED = len(RUNS) * (1 + len(LEVELS))
REACH = float(special.stdtrit(LANES - 1, 1.0 - 0.5e-6 / 2 / COMPARED)) * np.sqrt(1.0 + 1.0 / LANES)
# What is drawn neither by the policy nor by chance of the ties: the very latencies can be told.
TOLD = [run for run in RUNS if "round_robin" in run[1] or "central" in run[1] or run[0] == "deterministic"]
TOLD = [run for run in TOLD if "random" not in run[1]]
LOADED = [run for run in RUNS if "least" not in run[1] or run[0] == "hyperexponential"]  # which take long


@functools.cache
def trace(service):
    return data.balancer_trace(service)


def overheads(service, pool):
    """Of a slot, and of the path: with one queue in the balancer a part of the path keeps the slot idle."""
    handed = HANDED_OVER[service] if isinstance(pool, CentralQueue) else 0.0
    return BUSY + handed, PATH - handed


def summary(latencies):
    """Mean and quantiles (quantities, lanes)."""
    kept = latencies[WARM_UP:]
    return np.vstack([kept.mean(axis=0), np.percentile(kept, LEVELS, axis=0)])


@functools.cache
def replayed(service, pool, scale=1.0):
    """The trace through the pool on lanes whose arrivals differ by the jitter: mean and quantiles, by lane."""
    table, (busy, path) = trace(service), overheads(service, pool)
    arrivals, work = table.arrival_s.to_numpy(), scale * (table.demand_s.to_numpy() + busy)
    if isinstance(pool, CentralQueue):
        return summary(pool.replay(arrivals, work)[:, None] + path)
    rng = np.random.default_rng(1)
    jittered = np.sort(arrivals[:, None] + rng.uniform(0.0, JITTER, (len(arrivals), LANES)), axis=0)
    gaps, balancers = np.diff(jittered, prepend=0.0, axis=0), getattr(pool, "balancers", 1)
    servers = FifoServers.begin(LANES, np.zeros((LANES * pool.servers, 1)), balancers)
    whose = rng.integers(0, balancers, gaps.shape) if balancers > 1 else None
    services = np.repeat(work[:, None], LANES, axis=1)
    told = dispatch(servers, pool._rule(), services, gaps, rng, dispatcher=whose, dispatchers=balancers)
    return summary(told.latencies + path)


def miss(service, series, pool, wrong=1.0, scale=1.0):
    """By how much the worst of mean and quantiles, times `wrong`, is off: at most 1 if it holds."""
    found = wrong * replayed(service, pool, scale)
    seen = summary(trace(service)[f"{series}_latency_s"].to_numpy()[:, None])[:, 0]
    spread = found.std(axis=1, ddof=1) if found.shape[1] > 1 else 0.0
    return float(np.max(np.abs(found.mean(axis=1) - seen) / (MACHINE * seen + REACH * spread)))


@pytest.mark.parametrize(("service", "series", "pool"), RUNS, ids=NAMED)
def test_the_replayed_trace_is_what_was_measured(service, series, pool):
    """False alarm 0.5e-6 over all runs together, beyond what the machine makes of it."""
    assert miss(service, series, pool) <= 1.0


@pytest.mark.parametrize(("service", "series", "pool"), LOADED, ids=[f"{run[0]}-{run[1]}" for run in LOADED])
def test_a_load_wrong_by_a_tenth_is_seen(service, series, pool):
    assert miss(service, series, pool, scale=1.1) > 1.0


@pytest.mark.parametrize(("service", "series", "pool"), TOLD, ids=[f"{run[0]}-{run[1]}" for run in TOLD])
@pytest.mark.parametrize("wrong", [0.97, 1.03])
def test_a_latency_wrong_by_three_per_cent_is_seen_where_nothing_is_drawn(service, series, pool, wrong):
    assert miss(service, series, pool, wrong) > 1.0


@pytest.mark.parametrize(
    ("service", "series", "other"),
    [
        ("deterministic", "haproxy_least_connections", LeastConnections(400, 10)),
        ("deterministic", "haproxy_least_connections", LeastConnections(400, 10, ties="in turn")),
        ("deterministic", "nginx_least_connections", LeastConnections(400, 10, ties="least recently used")),
        ("exponential", "nginx_least_connections_two_workers", LeastConnections(400, 10, ties="in turn")),
        ("exponential", "nginx_random_two_two_workers", PowerOfChoices(400, 10)),
        ("exponential", "nginx_random_two", RoundRobin(400, 10)),
    ],
)
def test_another_rule_is_seen(service, series, other):
    assert miss(service, series, other) > 1.0


def services(service, mean):
    kinds = {
        "exponential": sm.Exponential(mean),
        "hyperexponential": sm.Hyperexponential(mean, 4.0),
        "deterministic": sm.Deterministic(mean),
    }
    return kinds[service]


@pytest.mark.parametrize(("service", "series", "pool"), RUNS, ids=NAMED)
def test_the_closed_form_lies_in_the_runs_own_interval(service, series, pool):
    """From the measured rate and mean service alone, false alarm 0.5e-6 over all runs and quantities together."""
    table, (busy, path) = trace(service), overheads(service, pool)
    rate = (len(table) - 1) / (table.arrival_s.iloc[-1] - table.arrival_s.iloc[0])
    known = pool.replace(arrival_rate=rate, service=services(service, table.demand_s.mean() + busy))
    run, confidence = measured(table[f"{series}_latency_s"]), 1.0 - 0.5e-6 / COMPARED
    for level in (None, *LEVELS):
        accuracy = known.accuracy("latency", level and level / 100.0)
        if accuracy.error is None:
            continue
        if level is None:
            (low, high), closed = run.mean_interval(confidence), known.latency.mean()
        else:
            (low, high), closed = run.interval(level / 100.0, confidence), float(known.latency.icdf(level / 100.0))
        slack = (accuracy.error + MACHINE) * closed
        assert low - slack <= closed + path <= high + slack, level


def test_the_head_says_how_they_were_measured() -> None:
    for service in data.SERVICES:
        table = trace(service)
        assert len(table) == 10_000
        assert table.arrival_s.is_monotonic_increasing
        assert table.demand_s.mean() == pytest.approx(0.02, rel=0.02)
        for series in list(table)[2:]:
            assert (table[series] > table.demand_s - 1e-4).all()  # replies were kept to 0.1 ms
    with pytest.raises(ValueError, match="service must be one of exponential"):
        data.balancer_trace("uniform")
