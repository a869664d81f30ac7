"""The accuracy atlas: measured by one command, and what ships is what the models say."""

from __future__ import annotations

import math

import pandas as pd
import pytest

import scaling_models as sm
from scaling_models import atlas
from scaling_models.answers import NoClosedForm
from scaling_models.pools.bases.pool import Pool

EVERY = 13  # cases; it shares no factor with the services, the loads and the sizes, so all of them are met
CASES = list(atlas.cases())[::EVERY]
DIGITS = 6e-6  # relative: the file holds six, so 1.00000 may be off by half of its last


def said(pool: Pool, quantity: str) -> float:
    """The model's own number for a row's quantity."""
    name, what = quantity.split(" ")
    answered = getattr(pool, name)
    return float(answered.mean() if what == "mean" else answered.icdf(float(what[1:]) / 100.0))


@pytest.fixture(scope="module")
def shipped() -> dict[tuple[object, ...], pd.DataFrame]:
    told = list(CASES[0][0])
    return dict(iter(sm.data.accuracy().groupby(told)))


@pytest.mark.parametrize(("told", "pool"), CASES, ids=["-".join(map(str, told.values())) for told, _ in CASES])
def test_the_shipped_rows_are_what_the_model_says(shipped, told, pool):
    if tuple(told.values()) not in shipped:  # it did not settle
        return
    rows = shipped[tuple(told.values())]
    for row in rows.itertuples():
        if row.verdict == "no formula":
            with pytest.raises(NoClosedForm):
                pool.latency  # noqa: B018
            continue
        name, what = row.quantity.split(" ")
        level = None if what == "mean" else float(what[1:]) / 100.0
        assert pool.accuracy(name, level).label == row.label
        assert said(pool, row.quantity) == pytest.approx(row.closed_form, rel=DIGITS)


def test_hardly_any_case_is_missing_and_none_disagrees():
    table = sm.data.accuracy()
    there = table.drop_duplicates(list(CASES[0][0]))
    assert len(there) > 0.98 * len(list(atlas.cases()))
    assert set(table.verdict) == {"agrees", "unseen", "no formula"}


def test_a_case_is_measured_and_a_wrong_formula_seen(monkeypatch):
    """A latency three per cent too long, at the mean of a random split, where 400,000 requests see one per cent."""
    told, pool = next(atlas.cases((4,), (1,), (0.5,)))
    honest = atlas.measured([(told, pool)], requests=400_000).set_index("quantity")
    assert (honest.verdict != "disagrees").all()
    low, high = honest.loc["latency mean", ["low", "high"]]
    assert high - low < 2 * 0.01 * honest.loc["latency mean", "closed_form"]
    wrong = type(pool)(pool.arrival_rate, pool.servers, pool.service)
    wrong.__dict__["latency"] = pool.latency * 1.03
    table = atlas.measured([(told, wrong)], requests=400_000).set_index("quantity")
    assert table.loc["latency mean", "verdict"] == "disagrees"
    assert math.isclose(table.loc["latency mean", "closed_form"], 1.03 * honest.loc["latency mean", "closed_form"])
