"""The picture of an election's timeouts: a U, of which the closed form knows one half."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from scaling_models import figures
from scaling_models.explorer import explore
from scaling_models.quorums import Election

WAN = Election(members=5, timers="continuous", one_way=0.040, fsync=0.0001, timeout=0.150, heartbeat=0.050, pauses=0.0)
LINES = ["mean downtime", "p99 downtime"]
DOTS = ["mean, simulated", "p99, simulated"]
NAMES = [*LINES, *DOTS, "least", "now", "false elections", "now, a day"]


def traces(figure: Any) -> dict[str, Any]:
    return {trace.name: trace for trace in figure.data}


def finite(values: Any) -> Any:
    found = np.array(values, dtype=float)
    return found[np.isfinite(found)]


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"loss": 0.1},
        {"spread": 0.05},
        {"spread": 3.0},
        {"timeout": 50.0},
        {"one_way": 1.0},
        {"failed": 3},
        {"pauses": 5.0},
    ],
    ids=str,
)
def test_the_traces_are_the_same_in_every_state_and_the_model_is_in_sight(changes: dict[str, Any]) -> None:
    model = WAN.replace(**changes)
    figure = figures.timeouts(model, resting=False)
    assert [trace.name for trace in figure.data] == NAMES
    low, high = figure.layout.xaxis.range
    factor = 1e3 if "(ms)" in figure.layout.xaxis.title.text else 1.0
    assert low < np.log10(factor * model.timeout) < high


def test_the_closed_form_is_one_half_of_a_u_and_simulated_dots_are_the_other() -> None:
    found = traces(figures.timeouts(WAN))
    mean, dots = found["mean downtime"], found["mean, simulated"]
    known = np.array([value is not None for value in mean.y])
    assert max(dots.x) < np.array(mean.x)[known].min()
    least = found["least"]
    assert dots.y[0] > 1.3 * least.y[0]
    assert finite(mean.y)[-1] > 1.3 * least.y[0]
    assert found["now"].y[0] == pytest.approx(1e3 * WAN.downtime.mean())
    assert found["now, a day"].y[0] == pytest.approx(WAN.false_elections)
    # The simulation's mean errs by 2%, where a group of 60 ms takes 520 ms (20,000 crashes).
    assert np.interp(60.0, dots.x, dots.y) == pytest.approx(520.0, rel=0.08)


def test_dots_wait_until_the_hand_rests() -> None:
    moving, resting = (traces(figures.timeouts(WAN, resting=each)) for each in (False, True))
    assert len(moving[DOTS[0]].x) == 0
    assert len(resting[DOTS[0]].x) > 5
    panel = explore(WAN, figures.timeouts, first=["timeout"])  # no loop runs: it rests at once
    assert len(traces(panel.figure)[DOTS[0]].x) > 5
    panel.controls["timeout"].value = 1.0
    assert traces(panel.figure)["now"].x[0] == pytest.approx(1000.0)


def test_the_title_says_how_often_and_where_it_is_least() -> None:
    title = figures.timeouts(WAN).layout.title.text.replace("<br>", " ")
    assert "timeouts from 150 ms: 392 ms without a leader on average; the least is 385 ms" in title
    assert f"{365 * WAN.false_elections:.3f} elections a year without need" in title
    assert "no majority" in figures.timeouts(WAN.replace(failed=3)).layout.title.text


def test_members_who_stand_at_nearly_the_same_time_have_one_label() -> None:
    marks = WAN.timeline().marks
    assert [text for _, text in marks if text.startswith("members")]
    times = [time for time, text in marks if "stand" in text]
    assert min(np.diff(times), default=1.0) > 0.05


def test_a_heartbeat_as_long_as_the_shortest_timeout_is_drawn():
    """Its share of the timeout is one, and stays so at every timeout drawn."""
    assert figures.timeouts(Election(heartbeat=0.3, timeout=0.3, timers="continuous"), resting=False).data
