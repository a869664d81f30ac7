"""Measured data in scripts: short to print, quick to ask, and told what is probably wrong with them."""

from __future__ import annotations

import numpy as np
import pytest
from pasting import pasted

import scaling_models as sm
from scaling_models.parameters import MOST_SHOWN
from scaling_models.pools import CentralQueue

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
