"""The report: pages, data and pictures in a folder."""

from __future__ import annotations

import csv
import re
from pathlib import Path
from typing import Any

import plotly.graph_objects as go
import pytest
from strategies import DISTRIBUTED

import scaling_models as sm
from scaling_models import figures, report


@pytest.fixture
def no_browser(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(report, "browser", lambda: None)


def few() -> dict[str, Any]:
    return {
        "queue": lambda: figures.survival(sm.CentralQueue(), simulation=sm.CentralQueue().simulate(20_000, seed=1)),
        "sweep": figures.sweep(sm.CentralQueue(), "arrival_rate"),
    }


@pytest.mark.usefixtures("no_browser")
def test_two_runs_write_the_same_data(tmp_path: Path) -> None:
    first, second = report.write(few(), tmp_path / "a").parent, report.write(few(), tmp_path / "b").parent
    for path in sorted(first.glob("*.csv")):
        assert path.read_bytes() == (second / path.name).read_bytes()
    assert (first / "index.html").read_bytes() == (second / "index.html").read_bytes()


@pytest.mark.usefixtures("no_browser")
def test_the_data_are_what_is_drawn(tmp_path: Path) -> None:
    report.write(few(), tmp_path)
    with (tmp_path / "queue.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    marked = next(row for row in rows if row["trace"] == "p99")
    assert float(marked["x"]) == pytest.approx(1e3 * sm.CentralQueue().latency.icdf(0.99))
    assert (marked["text"], marked["x_title"]) == ("p99 49.5 ms", "latency (ms)")


@pytest.mark.usefixtures("no_browser")
def test_everything_linked_is_there_and_nothing_is_elsewhere(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    index = report.write(few(), tmp_path)
    assert index == tmp_path / "index.html"
    linked = re.findall(r'(?:href|src)="([^"#]+)"', index.read_text(encoding="utf-8"))
    assert len(linked) == 2 * (1 + 2)
    assert all((tmp_path / link).is_file() for link in linked)
    pages = [path.read_text(encoding="utf-8") for path in tmp_path.glob("*.html")]
    assert not any(re.search(r'src="https?:', page) for page in pages)
    assert (tmp_path / "plotly.min.js").stat().st_size > 10**6
    assert all(len(page) < 10**6 for page in pages)
    assert 'id="queue"' in (tmp_path / "queue.html").read_text(encoding="utf-8")
    assert "need kaleido" in capsys.readouterr().out


@pytest.mark.slow
def test_pictures_where_there_is_a_browser(tmp_path: Path) -> None:
    pytest.importorskip("kaleido")
    if report.browser() is None:
        pytest.skip("no Chromium on the PATH: no pictures were drawn")
    report.write({"queue": figures.survival(sm.CentralQueue())}, tmp_path)
    assert (tmp_path / "queue.png").read_bytes().startswith(b"\x89PNG")
    assert "<svg" in (tmp_path / "queue.svg").read_text(encoding="utf-8")
    assert 'href="queue.png"' in (tmp_path / "index.html").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", ["a/b", "../up", "", "index", "two words"])
def test_a_name_that_is_no_file_name_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(ValueError, match="is no name for a figure's files"):
        report.write({name: go.Figure()}, tmp_path / "new")
    assert not (tmp_path / "new").exists()


@pytest.mark.usefixtures("no_browser")
def test_what_is_not_a_figure_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="'bad' must be a plotly figure or a function that draws one; got 3"):
        report.write({"bad": lambda: 3}, tmp_path)


def test_the_standard_report_asks_four_questions_of_every_model() -> None:
    asked = report.figures()
    missing = {"raft-stream-sweep"}  # it has no closed form, and would be empty
    assert len(asked) == 3 * len(sm.MODELS) + len(DISTRIBUTED) + 6 - len(missing)  # no survival of a plain number
    assert not missing & set(asked)
    assert {"overload", "load", "sizing", "haproxy", "hot-shards", "rings"} < set(asked)
    drawn = asked["central-queue-sweep"]()
    assert drawn.layout.title.text.startswith("<b>Central queue: how does the latency depend on “arrival rate”?</b>")


@pytest.mark.usefixtures("no_browser")
def test_main_says_where_it_is(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(report, "figures", few)
    report.main(tmp_path)
    assert str(tmp_path / "index.html") in capsys.readouterr().out


@pytest.mark.usefixtures("no_browser")
def test_the_data_name_each_points_own_axes_and_have_a_row_a_cell_of_a_heat_map(tmp_path: Path) -> None:
    pools = [sm.CentralQueue(800, 10), sm.RoundRobin(800, 10)]
    report.write({"sizing": figures.sizing(sm.PoolPlan()), "queues": figures.queues(pools)}, tmp_path)
    with (tmp_path / "sizing.csv").open(newline="") as file:
        titles = {row["y_title"] for row in csv.DictReader(file) if row["text"].endswith("%")}
    assert titles == {"utilization (%)"}
    with (tmp_path / "queues.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    drawn = figures.queues(pools).data[0]
    cells = [row for row in rows if row["z"]]
    assert len(cells) == 2 * drawn.z.size
    at = len(drawn.x) + 3
    assert [float(cells[at][name]) for name in "xyz"] == [drawn.x[3], drawn.y[1], drawn.z[1, 3]]
    assert {(row["x_title"], row["y_title"]) for row in rows} == {("time (s)", "server")}
