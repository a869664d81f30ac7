"""Sweeps, comparisons, sensitivities, and the paths of inputs that they go by."""

from __future__ import annotations

import math
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pandas as pd
import pytest
from pasting import pasted
from strategies import SPREAD

import scaling_models as sm
from scaling_models import inputs, sensitivities
from scaling_models.pools import CentralQueue, RandomSplit

MODELS = [pytest.param(model.example(), id=model.__name__) for model in SPREAD]


def test_a_sweep_has_a_row_a_value_and_crosses_the_wall() -> None:
    table = sm.sweep(CentralQueue(), "arrival_rate", [800, 1000, 1200])
    assert list(table.columns) == ["arrival_rate", "mean", "p50", "p95", "p99"]
    np.testing.assert_allclose(table.iloc[0, 2:].astype(float), CentralQueue().latency.percentiles(), rtol=1e-9)
    assert np.isinf(table.iloc[1:, 1:].astype(float)).all().all()


@pytest.mark.parametrize("model", MODELS)
def test_every_input_can_be_swept_to_where_it_is(model: sm.pools.CentralQueue) -> None:
    for each in inputs.inputs(model):
        assert inputs.replaced(model, each.path, each.value) == model
        assert inputs.find(model, each.path) == each
    first = next(inputs.inputs(model))
    table = sm.sweep(model, first.path, [first.value])
    latency = getattr(model, model.headline)
    np.testing.assert_allclose(table[["p50", "p95", "p99"]].to_numpy()[0], latency.percentiles(), rtol=1e-9)


def test_nested_paths() -> None:
    table = sm.sweep(CentralQueue(), "service.mean", [0.005, 0.010], levels=(90,))
    assert table["p90"][0] == pytest.approx(CentralQueue(service=sm.Exponential(0.005)).latency.icdf(0.9))
    raft = inputs.replaced(sm.Raft(), "follower_rtts[1].value", 0.5)
    assert raft.follower_rtts[1] == sm.Deterministic(0.5)


def test_a_scalar_answer_has_its_own_name() -> None:
    table = sm.sweep(CentralQueue(), "arrival_rate", [500, 1200], answer="utilization")
    assert list(table["utilization"]) == pytest.approx([0.5, 1.2])


def test_an_answer_of_several_numbers_has_a_column_each() -> None:
    table = sm.sweep(sm.Raft(), "availability", [0.9, 0.99], answer="completes")
    assert [name for name in table.columns if name.startswith("completes[")] == [f"completes[{i}]" for i in range(5)]


def test_no_closed_form_is_not_a_number() -> None:
    table = sm.sweep(CentralQueue(), "service", [sm.Exponential(0.01), sm.Pareto(0.01, 1.9)])
    assert table["p99"].notna().tolist() == [True, False]


@pytest.mark.parametrize(
    ("path", "value", "sentence"),
    [
        ("service.men", 1.0, "there is no 'men' in Exponential, asked for by 'service.men'; it has mean"),
        ("service..mean", 1.0, "'service..mean' is no path of a parameter"),
        ("service[3]", 1.0, "there is no 3 in Exponential"),
        ("arrival_rate", -1.0, r"CentralQueue.arrival_rate must lie in \(0, inf\) requests/s; got -1.0"),
    ],
)
def test_bad_paths_and_values_are_told(path: str, value: float, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        sm.sweep(CentralQueue(), path, [value])


def test_unknown_answers_and_inputs_are_told() -> None:
    with pytest.raises(ValueError, match="CentralQueue has no answer 'speed'; it has utilization"):
        sm.sweep(CentralQueue(), "arrival_rate", [1.0], answer="speed")
    with pytest.raises(
        ValueError, match=r"CentralQueue has no input 'speed'; it has arrival_rate, servers, service.mean"
    ):
        inputs.find(CentralQueue(), "speed")


def test_compare_has_a_row_a_model() -> None:
    table = sm.compare([CentralQueue(), RandomSplit(), CentralQueue(service=sm.Pareto(0.01, 1.9))])
    assert table["mean"][:2].tolist() == pytest.approx([0.012046, 0.05], rel=1e-3)
    assert table["p99"][1] == pytest.approx(0.05 * math.log(100))
    assert math.isnan(table["mean"][2])
    assert eval(table.attrs["models"][0], pasted()) == CentralQueue()
    assert list(table.columns) == ["mean", "p50", "p95", "p99", "unit", "answer", "model"]
    assert table.model.tolist() == ["CentralQueue(service=Exponential(mean=0.01))", *table.model[1:]]
    assert table.model[1].startswith("RandomSplit(service=")


def test_compare_names_what_tells_the_models_apart() -> None:
    sizes = sm.compare([CentralQueue(servers=servers) for servers in (10, 12)])
    assert sizes.model.tolist() == ["servers=10", "servers=12"]
    policies = sm.compare([CentralQueue(), RandomSplit(), sm.LeastConnections()])
    assert policies.model.tolist() == ["CentralQueue", "RandomSplit", "LeastConnections"]
    assert sm.compare([CentralQueue(), CentralQueue()]).model.tolist() == ["CentralQueue"] * 2
    for table in (sizes, policies):
        with pd.option_context("display.width", 80, "display.max_columns", 0):
            assert max(map(len, table.to_string().splitlines())) <= 80


@pytest.mark.parametrize("requests", [None, 10_000])
def test_compare_of_nothing_is_refused(requests: int | None) -> None:
    with pytest.raises(ValueError, match="compare must be given one model at least; got none"):
        sm.compare([], requests)


def by_path(model: Any, change: float = 0.10) -> dict[str, sensitivities.Sensitivity]:
    return {each.path: each for each in sensitivities.sensitivities(model, change)}


def test_sensitivities_tell_what_a_little_more_does() -> None:
    found = by_path(CentralQueue())
    more = CentralQueue(arrival_rate=880).latency.icdf(0.99) / CentralQueue().latency.icdf(0.99) - 1.0
    assert found["arrival_rate"].effect == pytest.approx(more)
    assert found["arrival_rate"].says == f"arrival rate +10%: p99 {more:+.0%}"
    assert found["servers"].change == pytest.approx(0.1)
    assert found["workers"].change == 1.0  # a whole number changes by one at least
    assert "service.mean" in found


def test_sensitivities_tell_of_walls_and_of_what_is_illegal() -> None:
    assert by_path(CentralQueue(arrival_rate=950))["arrival_rate"].says.endswith("then no steady state")
    assert by_path(CentralQueue(arrival_rate=1200))["arrival_rate"].says.endswith("still no steady state")
    assert by_path(sm.PoolPlan())["service.mean"].says.endswith("then no number of servers will do")
    assert by_path(sm.PoolPlan(target=0.046))["target"].says.endswith("then 18 servers")
    assert by_path(sm.ShardPlan(read_limit=100.0))["reads"].says.endswith("still no number of shards will do")
    moving = sm.shards.Rebalance()
    outrun = by_path(moving.replace(write_rate=0.95 * moving.copy_rate))["write_rate"]
    assert outrun.says.endswith("then no end to it")
    ends = by_path(moving.replace(write_rate=1.02 * moving.copy_rate))["throttle"]
    assert "then an end to it, p99 " in ends.says
    refused = by_path(sm.Raft())["availability"]
    assert math.isnan(refused.effect)
    assert "not possible, Raft.availability must lie in" in refused.says


def test_without_percentiles_the_mean_is_measured() -> None:
    raft = sm.Raft(follower_rtts=(sm.MeanOnly(0.010), sm.MeanOnly(0.020)), fsync=sm.MeanOnly(0.001))
    assert by_path(raft)["follower_rtts[0].value"].says.startswith("follower rtts 1 value +10%: mean ")


def test_a_grid_is_simulated_by_any_executor():
    grid = {"arrival_rate": [700.0, 1200.0], "servers": [10, 12]}
    alone = sm.sweep(CentralQueue(), grid, requests=20_000, levels=(99,))
    assert list(alone.columns) == [
        "arrival_rate", "servers", "mean", "mean_low", "mean_high", "p99", "p99_low", "p99_high",
    ]  # fmt: skip
    assert len(alone) == 4
    assert np.isinf(alone.loc[(alone.arrival_rate == 1200) & (alone.servers == 10), "p99"]).all()
    with ThreadPoolExecutor(3) as executor:
        shared = sm.sweep(CentralQueue(), grid, requests=20_000, levels=(99,), executor=executor)
    pd.testing.assert_frame_equal(alone, shared)
    exact = sm.sweep(CentralQueue(), grid, levels=(99,))
    finite = np.isfinite(exact["mean"])
    assert (alone["mean"][finite] / exact["mean"][finite] - 1).abs().max() < 0.2


def test_a_sweep_of_a_number_is_simulated_with_its_interval():
    table = sm.sweep(CentralQueue(), "servers", [10], answer="utilization", requests=20_000)
    assert list(table.columns) == ["servers", "utilization", "utilization_low", "utilization_high"]
    assert table.utilization_low[0] < 0.8 < table.utilization_high[0]


def test_what_does_not_settle_is_not_a_number(monkeypatch):
    monkeypatch.setattr("scaling_models.montecarlo.settling.LONGEST", 10_000)
    table = sm.sweep(sm.RoundRobin(), "arrival_rate", [100.0, 999.0], requests=1000)
    assert np.isfinite(table["p99"][0])
    assert np.isnan(table["p99"][1])


def test_common_random_numbers_tell_a_difference_better_than_its_sides():
    """Two policies on the same requests: the interval of the difference covers what far longer runs say."""
    models = [sm.PowerOfChoices(900.0, 10), sm.LeastConnections(900.0, 10), sm.LeastWorkLeft(900.0, 10)]
    table = sm.compare(models, requests=400_000, seed=1)
    assert list(table.quantity[:4]) == ["mean", "p50", "p95", "p99"]
    assert (table.difference[:4] == 0.0).all()
    later = table[table.model != "PowerOfChoices"]
    assert (later.narrower > 1.2).all(), table.to_string()
    # Each side is corrected for the load that it drew, so that only half of the variance that they share is left.
    assert (later.narrower[later.quantity == "mean"] > 1.8 / 2**0.5).all(), table.to_string()
    # Means of long runs event by event, by a simulator that shares nothing with this one (0.3%); M/M/10 exactly.
    truth = {1: (0.029876, 0.019106), 2: (0.029876, models[2].latency.mean())}
    for at, (first, mine) in truth.items():
        row = table[(table.model == type(models[at]).__name__) & (table.quantity == "mean")].iloc[0]
        half = (row.difference_high - row.difference_low) / 2
        assert abs(row.difference - (mine - first)) < 3.0 * half + 0.003 * first


def test_a_difference_is_known_as_well_as_it_is_said_to_be():
    """Over forty seeds the difference varies as its intervals say: its scatter over its mean error is near 1.

    The ratio squared is chi-square(39)/39 nearly: outside [0.6, 1.5] once in 10,000.
    """
    models = [sm.RoundRobin(700.0, 10), sm.PowerOfChoices(700.0, 10)]
    found = [sm.compare(models, requests=60_000, seed=seed, levels=(95,)) for seed in range(40)]
    for quantity in ("mean", "p95"):
        rows = [table[(table.quantity == quantity)].iloc[1] for table in found]
        scatter = np.std([row.difference for row in rows], ddof=1)
        said = np.mean([(row.difference_high - row.difference_low) / 2 / 2.0 for row in rows])
        assert 0.6 < scatter / said < 1.5


def test_answers_of_several_numbers_have_a_column_each():
    pool = sm.pools.Tandem()
    table = sm.sweep(pool, "tiers", [pool.tiers, pool.tiers[:2]], answer="utilizations")
    assert table["utilizations[1]"].tolist() == [pool.utilizations[1]] * 2
    assert np.isnan(table["utilizations[2]"].tolist()).tolist() == [False, True]
    simulated = sm.sweep(pool, "arrival_rate", [100.0], answer="utilizations", requests=20_000)
    exact = pool.replace(arrival_rate=100.0).utilizations
    for at, value in enumerate(exact):
        name = f"utilizations[{at}]"
        assert simulated[f"{name}_low"][0] < simulated[name][0] < simulated[f"{name}_high"][0]
        assert simulated[name][0] == pytest.approx(value, rel=0.2)  # 20,000 requests: five errors are less
    with pytest.raises(ValueError, match="did you mean 50, 99"):
        sm.sweep(sm.CentralQueue(), "servers", [12], levels=(0.5, 0.99))
