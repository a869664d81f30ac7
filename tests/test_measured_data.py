"""Measured data in scripts: short to print, quick to ask, and told what is probably wrong with them."""

from __future__ import annotations

import time

import numpy as np
import pytest
from pasting import pasted

import scaling_models as sm
from scaling_models.parameters import MOST_SHOWN
from scaling_models.pools import CentralQueue
from scaling_models.pools.times.general_times import Later, ResponseAfter

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
    """Below and above the number of atoms from which they are bisected, some of them heavy, after a wait and without."""
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
