"""The picture of the regions: who is waited for, said by the model's own numbers."""

from __future__ import annotations

from typing import Any

import pytest

from scaling_models import figures
from scaling_models.quorums import RegionalRaft

ABROAD = RegionalRaft(
    leader="us-east-2",
    followers=("us-east-1", "us-west-2", "eu-west-1", "ap-northeast-1", "sa-east-1", "ap-south-1"),
    client="eu-west-1",
    jitter=0.2,
)
STATES = (RegionalRaft(), ABROAD, RegionalRaft(followers=()), RegionalRaft(followers=("us-east-2",), jitter=1.0))


def bars(figure: Any) -> dict[str, list[str]]:
    return {trace.name: list(trace.y) for trace in figure.data if trace.type == "bar"}


@pytest.mark.parametrize("model", STATES)
def test_the_traces_are_always_the_same(model: RegionalRaft) -> None:
    found, first = figures.regions(model), figures.regions(STATES[0])
    assert [(each.name, each.type) for each in found.data] == [(each.name, each.type) for each in first.data]
    assert sum(map(len, bars(found).values())) == 1 + len(model.followers) + (model.client != model.leader)
    assert "(ms)" in found.layout.xaxis.title.text
    assert "(ms)" in found.layout.xaxis2.title.text


def test_who_completes_the_quorum_decides_and_who_hardly_ever_does_is_free() -> None:
    drawn, shares = bars(figures.regions(ABROAD)), dict(zip(ABROAD.followers, ABROAD.completes[1:], strict=True))
    assert drawn["decides most often"] == [max(shares, key=lambda name: shares[name])]
    assert all(shares[name] >= 0.01 for name in drawn["decides at times"])
    assert all(shares[name] < 0.01 for name in drawn["hardly ever waited for"])
    assert drawn["the client's journey"] == ["client in eu-west-1"]
    title = figures.regions(ABROAD).layout.title.text.replace("<br>", " ")
    assert title.endswith(f"{drawn['hardly ever waited for'][0]} costs nothing")


def test_of_means_alone_no_tail_is_drawn() -> None:
    shown = figures.regions(RegionalRaft())
    assert not next(each for each in shown.data if each.name == "closed form").x
    assert "choose a jitter" in shown.layout.yaxis2.title.text
    assert not next(each for each in figures.survival(RegionalRaft()).data if each.name == "closed form").x
