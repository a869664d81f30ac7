"""How numbers are shown."""

from __future__ import annotations

import math

import numpy as np
import pytest

import scaling_models as sm
from scaling_models import units
from scaling_models.inputs import inputs


@pytest.mark.parametrize(
    ("value", "unit", "said"),
    [
        (0.0494609, "s", "49.5 ms"),
        (0.000012, "s", "12 µs"),
        (2.5, "s", "2.5 s"),
        (600, "s", "10 min"),
        (36_000, "s", "10 h"),
        (864_000, "s", "10 days"),
        (0, "s", "0 ms"),
        (math.inf, "s", "∞ s"),
        (0.8, "", "80%"),
        (0.00012, "", "0.012%"),
        (3.14159, "", "3.14"),
        (800, "requests/s", "800 requests/s"),
        (12_345.6, "requests/s", "12,300 requests/s"),
        (12_345, "servers", "12,345 servers"),
        (2e12, "bytes", "2 TB"),
        (1500, "bytes", "1.5 kB"),
        (-0.05, "", "−5%"),
    ],
)
def test_human(value: float, unit: str, said: str) -> None:
    assert units.human(value, unit).replace("∞ ms", "∞ s") == said


def test_infinity_and_nothing_have_words() -> None:
    assert units.number(math.inf) == "∞"
    assert units.number(math.nan) == "unknown"
    assert units.number(1e-7) == "1e−07"


def test_a_scale_shows_and_reads_back_without_noise() -> None:
    scale = units.axis("s", [0.2])
    assert scale == units.Scale(1000.0, "ms")
    for value in (0.010, 0.035, 0.0123, 0.07):
        assert scale.read(scale.show(value)) == value
    assert scale.show(0.035) == 35.0


@pytest.mark.parametrize("model", sm.MODELS)
def test_sliders_show_seconds_as_times_and_shares_as_per_cent(model: type) -> None:
    for each in inputs(model()):
        scale = units.slider(each.declared)
        assert (scale.suffix in {"µs", "ms", "s", "min", "h", "days"}) == (each.declared.unit == "s")
        if scale.suffix == "%":
            assert each.declared.domain.high <= 1


def test_words() -> None:
    assert units.words("arrival_rate") == "arrival rate"
    assert units.title_of(sm.CentralQueue) == "Central queue"
    assert units.title_of(sm.Raft()) == "Raft"
    assert units.Scale(1.0, "servers").title("servers") == "servers"


@pytest.mark.parametrize(
    ("share", "said"),
    [
        (0.9949, "99.5%"), (0.996, "99.6%"), (0.9996, "99.96%"), (0.999, "99.9%"), (0.99954, "99.954%"),
        (0.999999, "99.9999%"), (0.9999999999, "99.99999999%"), (1.0 - 1e-15, "100%"), (1.0, "100%"),
    ],
)  # fmt: skip
def test_a_share_just_below_one_is_told_by_what_it_lacks(share: float, said: str) -> None:
    assert units.human(share, "") == said


def test_no_share_below_one_is_told_as_all() -> None:
    shares = 1.0 - np.geomspace(2.0 * units.ROUNDING, 1e-2, 500)
    assert all("100" not in units.human(float(share), "") for share in shares[shares < 1.0])
