"""Measured data in scripts: short to print, quick to ask, and told what is probably wrong with them."""

from __future__ import annotations

import copy
import pickle
import time
from pathlib import Path

import numpy as np
import pytest
from pasting import pasted

import scaling_models as sm
from scaling_models.pools import CentralQueue
from scaling_models.pools.times.general_times import Later, ResponseAfter
from scaling_models.wording import MOST_SHOWN

MANY = tuple(np.random.default_rng(5).lognormal(np.log(0.010), 0.8, 50_000).tolist())


@pytest.fixture(scope="module")
def many() -> sm.Empirical:
    return sm.Empirical(MANY)


def test_up_to_fifty_numbers_are_pasted_back() -> None:
    law = sm.Empirical(MANY[:MOST_SHOWN])
    assert eval(repr(law), pasted()) == law
    assert eval(repr(sm.Empirical(0.01 for _ in range(1))), pasted()) == sm.Empirical((0.01,))


def test_a_long_sample_prints_its_ends_and_no_interpreter_takes_it(many: sm.Empirical) -> None:
    popular = sm.shards.popularities.Measured(tuple(range(1, 100_001)))
    for made in (many, CentralQueue(service=many), popular, sm.Empirical(MANY[: MOST_SHOWN + 1])):
        assert len(repr(made)) < 300
        with pytest.raises(SyntaxError):
            eval(repr(made), pasted())
    assert repr(popular) == "Measured(counts=<100,000: 1, 2, ..., 100000>)"


def test_errors_hold_no_sample(many: sm.Empirical) -> None:
    refused = [
        lambda: sm.validate(CentralQueue(service=many), MANY),  # type: ignore[arg-type]
        lambda: sm.verify(MANY),  # type: ignore[arg-type]
        lambda: sm.compare(CentralQueue(service=many)),  # type: ignore[arg-type]
        lambda: CentralQueue(service=MANY),
        lambda: CentralQueue(service=sm.Empirical(tuple(1e20 * each for each in MANY))),
    ]
    for ask in refused:
        with pytest.raises(ValueError, match="must") as said:
            ask()
        assert len(str(said.value)) < 400


def test_a_wrong_keyword_is_told_the_nearest() -> None:
    with pytest.raises(TypeError, match=r"'server' \(did you mean servers\?\); it has arrival_rate, servers"):
        CentralQueue(server=3)


@pytest.mark.parametrize("size", [60, 300, 5000])
def test_quantiles_of_many_atoms_are_the_least_times_that_reach_their_level(size: int) -> None:
    """Below and above the number of atoms from which they are bisected, some heavy, after a wait and without."""
    samples = (*MANY[:size], *([0.05] * (size // 10)), 0.0)
    for servers in (12, 400):
        latency = CentralQueue(450.0, servers, sm.Empirical(samples)).latency
        levels = np.concatenate([np.linspace(0.001, 0.999, 100), [1 - 1e-6]])
        found = latency.icdf(levels)
        assert (latency.cdf(found * (1 + 1e-9)) >= levels - 1e-9).all()
        assert (latency.cdf(found * (1 - 1e-9) - 1e-12) <= levels + 1e-9).all()
        assert (np.diff(found) >= 0).all()
        assert 0.05 in found


def test_the_mean_of_the_upper_end_of_a_band_is_told_to_1e_4(many: sm.Empirical) -> None:
    """By quadrature over few of the sample's places, beside the mean of the points that stand for the wait."""
    latency = CentralQueue(600.0, 12, many).latency
    assert isinstance(latency, ResponseAfter)
    waits, chances = latency._points
    assert Later(latency, latency).mean() == pytest.approx(float(waits @ chances) + many.mean(), rel=1e-4)  # 2e-5


def test_fifty_thousand_samples_are_quick(many: sm.Empirical) -> None:
    """CPU time, of which a few hundredths of a second were measured: one pass over all pairs would take seconds."""
    begun = time.process_time()
    assert CentralQueue(600.0, 12, many).latency.icdf(0.99) > many.icdf(0.99)
    asked = time.process_time()
    assert int(sm.servers_for(CentralQueue(4000.0, 62, many), p99=0.100)) == 57
    assert asked - begun < 0.5
    assert time.process_time() - asked < 2.0


def test_an_answer_prints_what_it_is() -> None:
    said = repr(CentralQueue.answers()["latency"])
    assert said == "<answer latency (s): time from arrival to reply: wait and service>"
    assert "object at" not in repr(sm.ShardLoad.answers())


@pytest.mark.parametrize("name", ["p99", "p99_9", "quantile", "percentile", "ppf", "median"])
def test_a_guessed_name_of_a_quantile_is_told_the_right_one(name: str) -> None:
    for asked, said in (
        (CentralQueue(), "latency.icdf"),
        (sm.Raft(), r"\w*latency.icdf"),
        (sm.Exponential(1.0), "icdf"),
    ):
        with pytest.raises(AttributeError, match=rf"has no '{name}': ask {said}\(0\.99\)"):
            getattr(asked, name)
    with pytest.raises(AttributeError, match=r"CentralQueue has no 'speed'$"):
        getattr(CentralQueue(), "speed")  # noqa: B009


def test_what_is_missing_inside_a_computation_is_what_is_told() -> None:
    class Wrong(sm.Exponential):
        @property
        def depth(self) -> int:
            return int(self.nothing)  # type: ignore[attr-defined]

    with pytest.raises(AttributeError, match="Wrong has no 'nothing'"):
        _ = Wrong(1.0).depth
    assert not hasattr(Wrong(1.0), "depth")
    assert pickle.loads(pickle.dumps(CentralQueue())) == copy.deepcopy(CentralQueue()) == CentralQueue()


def test_names_are_where_the_house_says() -> None:
    with pytest.raises(AttributeError, match=r"has no attribute 'PoolPlan': it is scaling_models.PoolPlan"):
        _ = sm.pools.PoolPlan
    listed = set(dir(sm))
    assert {"CentralQueue", "pools", "validate", "servers_for", "PoolPlan", "__version__"} <= listed
    assert not listed & {"Any", "importlib", "annotations", "TYPE_CHECKING", "_load_families", "_LATE"}


def test_sizing_says_how_far_it_can_be_trusted() -> None:
    rough = sm.servers_for(CentralQueue(600.0, 12, sm.LogNormal(0.01, 4.0)), p99=0.1)
    assert rough.accuracy.label.startswith("within")
    assert rough.says.endswith(f"(the formula is no more than an approximation: {rough.accuracy.label})")
    assert "approximation" not in sm.servers_for(CentralQueue(), p99=0.1).says
    with pytest.raises(ValueError, match=r"'zone' is no target \(did you mean zones\?\).*zones, failures, peak"):
        sm.servers_for(CentralQueue(), p99=0.1, zone=3)


@pytest.mark.parametrize(("factor", "said"), [(1e3, "measured median is"), (1e-3, "model's median is")])
def test_samples_in_another_unit_are_asked_for(factor: float, said: str) -> None:
    latency = CentralQueue().latency
    times = latency.sample(4000, rng=1)
    assert sm.validate(latency, times).attrs["says"] == ""
    with pytest.warns(UserWarning, match=f"{said} .* times the .*: are the samples in seconds"):
        table = sm.validate(latency, factor * times)
    assert said in table.attrs["says"]


def test_times_are_read_in_their_unit(tmp_path: Path) -> None:
    path = tmp_path / "times.csv"
    path.write_text("name,count,took\na,3,12.5\nb,4,7\n")
    read = sm.data.read_table(path, text=["name"], counts=["count"], unit="ms")
    assert read["took"].tolist() == pytest.approx([0.0125, 0.007])
    assert read["count"].tolist() == [3.0, 4.0]
    each = sm.data.read_table(path, ["took", "count"], unit={"took": "us"})
    assert each["took"][0] == pytest.approx(12.5e-6)
    assert each["count"][0] == 3.0
    with pytest.raises(ValueError, match="unit must be one of 's', 'ms', 'us'; got 'min'"):
        sm.data.read_table(path, ["took"], unit="min")


def test_another_separator_is_told(tmp_path: Path) -> None:
    path = tmp_path / "keys.csv"
    path.write_text("key;count\na;3\n")
    with pytest.raises(ValueError, match=r"no column 'count', only key;count: its cells seem to be separated by ';'"):
        sm.shards.popularities.Measured.read(path)


@pytest.mark.parametrize(
    "law", [sm.Exponential(1.0), sm.Empirical((1.0, 2.0)), sm.Deterministic(1.0) + sm.Exponential(1.0)]
)
def test_one_number_is_a_float(law: sm.Distribution) -> None:
    assert type(law.icdf(0.99)) is type(law.icdf(0.3)) is type(law.iccdf(0.01)) is type(law.mean()) is float
    assert law.icdf([0.3, 0.99]).shape == law.icdf(np.array([0.6, 0.99])).shape == (2,)
