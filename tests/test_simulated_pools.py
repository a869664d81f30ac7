"""The pools' simulation beside an event-driven one in another language: policies, disciplines, services, loads.

A row a case in data/simulated_pools.csv; mean and percentiles must agree within both sides' errors, at one in a million
of false alarms over all of them (Student's t, 63 degrees of freedom on either side, shared among the rows).
"""

import math

import numpy as np
import pytest
from scipy import special, stats

import scaling_models as sm
from scaling_models import data
from scaling_models.latency.adapters import as_latency
from scaling_models.montecarlo.kernels import rules
from scaling_models.montecarlo.kernels.central import Central
from scaling_models.montecarlo.kernels.dispatch import Dispatch
from scaling_models.montecarlo.runs import run
from scaling_models.montecarlo.traffic.arrivals import Renewal

QUANTITIES = ("mean", "p50", "p95", "p99", "p99.9")
# Rules that look at every sharing server take a minute a case: of those only the quicker ones are run here.
LONG = {("least_connections", "ps", "lognormal"), ("join_idle_queue", "ps", "exp"), ("power_of_d", "ps", "lognormal")}
CASES = [
    case
    for case in data.simulated_pools().to_dict("records")
    if (case["policy"], case["discipline"], case["service"]) not in LONG
]
REACH = float(special.stdtrit(63, 1.0 - 1e-6 / 2 / (len(CASES) * len(QUANTITIES))))

SERVICES = {
    "exp": lambda scv: sm.Exponential(1.0),
    "det": lambda scv: sm.Deterministic(1.0),
    "h2": lambda scv: sm.Hyperexponential(1.0, scv),
    "lognormal": lambda scv: sm.LogNormal(1.0, scv),
    "gamma": lambda scv: sm.Erlang(1.0, round(1.0 / scv)),
    "pareto2.5": lambda scv: sm.Pareto(1.0, 2.5),
}


def gap(rate, scv):
    return sm.Exponential(1.0 / rate) if scv == 1 else as_latency(stats.gamma(1.0 / scv, scale=scv / rate))


def spread(text, servers):
    """`value:servers;...` as one value a server, or None for an empty cell or equal servers."""
    if not isinstance(text, str) or ":" not in text:
        return None
    parts = (part.split(":") for part in text.split(";"))
    return tuple(value for number, count in parts for value in [float(number)] * int(count))


def system(case):
    flow = Renewal(gap(case["arrival_rate"], case["gap_scv"]), SERVICES[case["service"]](case["scv"]))
    servers, workers = int(case["servers"]), int(case["workers"])
    if case["policy"] == "central_queue":
        return Central(flow, servers * workers)
    fast = spread(case["fast"], servers)
    rule = {
        "random": lambda: rules.Random(),
        "weighted": lambda: rules.Random(spread(case["weights"], servers)),
        "round_robin": lambda: rules.RoundRobin(),
        "power_of_d": lambda: rules.PowerOf(int(case["choices"]), case["replacement"] == "with"),
        "least_connections": lambda: rules.LeastConnections("random" if case["ties"] == "random" else "used"),
        "join_idle_queue": lambda: rules.JoinIdle(),
        "least_work_left": lambda: rules.LeastWork(),
    }[case["policy"]]()
    return Dispatch(
        flow,
        rule,
        servers,
        workers,
        int(case["balancers"]),
        spread(case["speeds"], servers),
        fast and tuple(each or None for each in fast),
        case["discipline"] == "ps",
    )


def named(case):
    kept = ("policy", "servers", "workers", "load", "service", "choices", "balancers", "discipline", "speeds", "fast")
    return "-".join(str(case[name]) for name in kept)


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES, ids=named)
def test_the_two_simulations_agree(case):
    requests = 30_000 if case["discipline"] == "ps" else 300_000
    found = run(system(case), requests, seed=11).times["latency"]
    mine = found.mean_estimate()
    assert abs(mine.value - case["mean"]) <= REACH * math.hypot(mine.error, case["mean_error"])
    for quantity in QUANTITIES[1:]:
        level = float(quantity[1:]) / 100.0
        theirs = np.array([-1.0, 1.0]) * REACH * case[f"{quantity}_error"] + case[quantity]
        low, high = found.interval(level, special.stdtr(63, REACH) * 2 - 1)
        slack = 2e-4 * case[quantity]  # the width of their bins
        assert low - slack <= theirs[1], (quantity, low, high, case[quantity])
        assert high + slack >= theirs[0], (quantity, low, high, case[quantity])
