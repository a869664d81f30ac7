"""Models on one axis: which policy, and how much it buys; and the load of pools whose utilization is not linear."""

import re
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import scaling_models as sm
from scaling_models import figures
from scaling_models.figures import style
from scaling_models.montecarlo.comparison import labels
from scaling_models.pools import CentralQueue, FanOut, FiniteQueue, PowerOfChoices, RandomSplit

MODELS = [RandomSplit(), PowerOfChoices(), CentralQueue()]


@pytest.fixture(scope="module")
def table():
    return sm.compare(MODELS, requests=100_000, seed=1, levels=(95, 99))


def trace(figure, name):
    return next(each for each in figure.data if each.name.startswith(name))


def shape(figure):
    return [(each.name, each.mode) for each in figure.data]


def test_a_comparison_draws_the_models_own_numbers():
    figure = figures.comparison(MODELS)
    np.testing.assert_allclose(trace(figure, "closed form").x, [1e3 * each.latency.icdf(0.99) for each in MODELS])
    assert list(trace(figure, "closed form").y) == ["Random split", "Power of choices", "Central queue"]
    ratio = 1.0 - CentralQueue().latency.icdf(0.99) / RandomSplit().latency.icdf(0.99)
    assert f"Central queue has the lowest p99, 49.5 ms: {ratio:.0%} less than Random split" in figure.layout.title.text
    assert figure.layout.xaxis.title.text == "p99 latency (ms)"
    assert figure.to_json() == figures.comparison(MODELS).to_json()


def test_the_simulated_differences_are_the_tables(table):
    figure, plain = figures.comparison(MODELS, table=table), figures.comparison(MODELS)
    assert shape(figure) == shape(plain)
    rows = table[table.quantity == "p99"].reset_index()
    np.testing.assert_allclose(trace(figure, "simulated").x, 1e3 * rows.simulated)
    low = 1e3 * (rows.simulated[0] + rows.difference_low)
    bars = trace(figure, "95% interval of the difference").x
    np.testing.assert_allclose([bars[0], bars[3], bars[6]], low)
    said = trace(figure, "said").text[2]
    told = [float(part.replace("−", "-")) for part in re.findall(r"([−+][\d.]+)%", said)]
    share = 100 * rows.difference[2] / rows.simulated[0]
    assert told[0] == pytest.approx(share, abs=0.5)
    assert told[1] < share < told[2] < 0
    assert not trace(plain, "simulated").x[0]
    assert "p95" in figures.comparison(MODELS, 95, table=table).layout.xaxis.title.text


def test_what_is_not_known_is_said():
    models = [CentralQueue(), CentralQueue(service=sm.Pareto(0.01, 1.9)), RandomSplit(1200.0)]
    figure = figures.comparison(models)
    assert shape(figure) == [
        (name.replace("Random split", trace(figure, "Central").name[:-11]), mode)
        for name, mode in shape(figures.comparison(MODELS))
    ]
    assert [each.strip() for each in trace(figure, "said").text][1:] == [
        "no closed form: simulate it",
        "no steady state",
    ]
    assert "none of the others is" in figure.layout.title.text
    assert "of none of these" in figures.comparison(models[1:]).layout.title.text
    assert "has the lowest" in figures.comparison(models[::-1]).layout.title.text


def test_its_colours_are_told_apart_by_the_colour_blind():
    for each in figures.comparison(MODELS).data:
        colour = each.line.color if each.mode == "lines" else each.marker.color
        assert colour in (None, style.GREY, style.ORANGE, style.BLACK, style.BLUE)


def test_mistakes_are_told_in_a_sentence(table):
    with pytest.raises(ValueError, match="must be given two models at least"):
        figures.comparison([CentralQueue()])
    with pytest.raises(ValueError, match=r"distributions of one unit; got latency \(s\), hottest_share \(\)"):
        figures.comparison([CentralQueue(), sm.ShardLoad()])
    with pytest.raises(ValueError, match=r"must be compare\(models, requests=...\) of these models, with p99"):
        figures.comparison(MODELS[:2], table=table)
    with pytest.raises(ValueError, match=r"with p99.9; it has p99.9 of 0"):
        figures.comparison(MODELS, 99.9, table=table)


def test_the_load_of_a_pool_that_loses_requests_is_its_own_utilization():
    pool = FiniteQueue(1500.0)
    figure = figures.load(pool)
    own, now = trace(figure, "this pool"), trace(figure, "now")
    assert now.x[-1] == pytest.approx(100.0 * pool.utilization)
    assert now.y[-1] == pytest.approx(1e3 * pool.latency.icdf(0.99))
    height = np.interp(now.x[-1], own.x, [np.nan if y is None else y for y in own.y])
    assert height == pytest.approx(now.y[-1], rel=0.01)  # the point lies on its own line, beyond the offered capacity
    at_half = pool.replace(arrival_rate=500.0)
    height = np.interp(100.0 * at_half.utilization, own.x, own.y)
    assert height == pytest.approx(1e3 * at_half.latency.icdf(0.99), rel=0.002)


def test_sizes_that_a_model_cannot_have_leave_their_line_empty():
    for pool in (PowerOfChoices(choices=3), FanOut()):
        figure = figures.load(pool, sizes=(2, 10))
        assert not any(trace(figure, "2 servers").y)
        assert any(trace(figure, "10 servers").y)
    assert list(figures.sweep(PowerOfChoices(choices=5), "servers").data[0].x[:2]) == [1, 6]


def test_sizing_starts_from_what_is_legal_and_says_what_is_not_known():
    found = sm.servers_for(PowerOfChoices(10.0, choices=2), p99=0.1)
    assert found.servers == 1
    assert found.says.endswith("at most 100 ms is wanted")
    assert sm.servers_for(FanOut(), p99=1.0).servers == 8


def test_labels_that_are_alike_are_numbered():
    first, second = (
        sm.CentralQueue(100, 12, sm.Exponential(0.01) + sm.LogNormal(0.02, 1.0) + last)
        for last in (sm.Deterministic(0.003), sm.Deterministic(0.004))
    )
    assert len(set(labels([first, second]))) == 2
    assert labels([first, first.replace(servers=13)]) == ["servers=12", "servers=13"]


def test_what_no_common_requests_go_through_is_refused_in_a_sentence():
    with pytest.raises(ValueError, match=r"CentralQueue, Rebalance are simulated in other ways"):
        sm.compare([CentralQueue(), sm.Rebalance()], requests=1000)
    with pytest.raises(ValueError, match="all numbers; got latency of CentralQueue, mean_fill of RangeSplits"):
        sm.compare([CentralQueue(), sm.RangeSplits()], requests=1000)


def test_what_is_no_executor_is_refused_in_a_sentence():
    with pytest.raises(ValueError, match="executor must be one of concurrent"):
        CentralQueue().simulate(1000, executor="threads")


def test_low_percentiles_and_headlines_that_are_numbers_are_compared():
    pools = [sm.CentralQueue(800.0, servers) for servers in (10, 11)]
    table = sm.compare(pools, requests=20_000, levels=(10, 50))
    assert (table.difference_low <= table.difference).all()
    assert np.isfinite(table.difference).all()
    curves = [sm.ScalingCurve(), sm.ScalingCurve(nodes=8)]
    numbers = sm.compare(curves, requests=20_000).set_index("model")
    assert numbers.difference.iloc[0] == 0.0
    truth = curves[1].throughput - curves[0].throughput
    assert numbers.difference_low.iloc[1] <= truth <= numbers.difference_high.iloc[1]
    with pytest.raises(ValueError, match="got latency of CentralQueue, throughput of ScalingCurve"):
        sm.compare([pools[0], curves[0]], requests=20_000)
    with pytest.raises(ValueError, match=r"levels are in per cent; got 0.5, 0.99: did you mean 50, 99\?"):
        sm.compare(pools, levels=(0.5, 0.99))


def test_an_executor_that_was_shut_down_is_refused_in_a_sentence():
    executor = ThreadPoolExecutor(1)
    executor.shutdown()
    with pytest.raises(ValueError, match="executor must take work, and one that was shut down does not"):
        RandomSplit().simulate(100_000, seed=1, executor=executor)
