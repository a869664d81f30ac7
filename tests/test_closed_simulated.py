"""The pools' closed forms beside the event-driven simulation in another language, each number within its own label.

A row a case in data/simulated_pools.csv. Normal errors of that simulation, at one in a million of false alarms over all
numbers; a mean or percentile may be off by what its accuracy states besides, and what is labelled simulated or a band
is not answered by a formula.
"""

import numpy as np
import pytest
from scipy import special
from test_simulated_pools import SERVICES, named, spread

import scaling_models as sm
from scaling_models import data, pools
from scaling_models.pools.bases.pool import Pool

QUANTITIES = ("mean", "p50", "p95", "p99", "p99.9")
ALL = data.simulated_pools().to_dict("records")
REACH = float(-special.ndtri(1e-6 / 2 / (len(ALL) * len(QUANTITIES))))
BINS = 2e-4  # the relative width of the other simulation's bins


def pool_of(case) -> Pool | None:
    """The case as a model; None where no model has such servers or traffic."""
    if case["gap_scv"] != 1 or any(spread(case[name], 1) for name in ("speeds", "fast", "weights")):
        return None
    kind, more = {
        "central_queue": (pools.CentralQueue, {}),
        "random": (pools.RandomSplit, {}),
        "round_robin": (pools.RoundRobin, {}),
        "power_of_d": (pools.PowerOfChoices, {"replacement": case["replacement"]}),
        "least_connections": (
            pools.LeastConnections,
            {"ties": "random" if case["ties"] == "random" else "least recently used"},
        ),
        "join_idle_queue": (pools.JoinIdleQueue, {}),
        "least_work_left": (pools.LeastWorkLeft, {}),
    }.get(case["policy"], (None, {}))
    if kind is None or (case["discipline"] == "ps" and "discipline" not in kind.parameters()):
        return None
    more |= {"discipline": "sharing"} if case["discipline"] == "ps" else {}
    more |= {"balancers": int(case["balancers"])} if "balancers" in kind.parameters() else {}
    more |= {"choices": int(case["choices"])} if case["policy"] == "power_of_d" else {}
    service = SERVICES[case["service"]](case["scv"])
    return kind(float(case["arrival_rate"]), int(case["servers"]), service, int(case["workers"]), **more)


CASES = [case for case in ALL if pool_of(case) is not None]


@pytest.mark.parametrize("case", CASES, ids=named)
def test_every_number_is_within_its_label(case):
    pool = pool_of(case)
    for quantity in QUANTITIES:
        level = None if quantity == "mean" else float(quantity[1:]) / 100.0
        accuracy, found = pool.accuracy("latency", level), case[quantity]
        noise = REACH * case[f"{quantity}_error"] + BINS * found
        if accuracy.label == "band":
            low, high = (float(each.icdf(level)) for each in (pool.latency_low, pool.latency_high))
            slack = pool.accuracy("latency_low", level).error or 0.0
            assert low * (1.0 - slack) - noise <= found <= high * (1.0 + slack) + noise, quantity
        elif accuracy.error is None:
            with pytest.raises(sm.NoClosedForm):
                pool.latency.mean() if level is None else pool.latency.icdf(level)
        else:
            said = pool.latency.mean() if level is None else float(pool.latency.icdf(level))
            assert abs(said - found) <= accuracy.error * found + noise, (quantity, said, found, accuracy)


def test_many_numbers_are_tested():
    """Not all cases may hide behind `simulated`."""
    labels = [pool_of(case).accuracy("latency", 0.99).label for case in CASES]
    assert len(CASES) >= 60
    assert np.mean([label != "simulated" for label in labels]) > 0.5
