"""The report: figures as pages, their data as CSV, and pictures where a Chromium is found."""

from __future__ import annotations

import contextlib
import csv
import importlib.util
import os
import re
import shutil
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from html import escape
from pathlib import Path
from typing import Any, TypeAlias

import plotly.graph_objects as go
from plotly.offline import get_plotlyjs
from tqdm import tqdm

from scaling_models import data, inputs, pools, quorums, shards, sweeps, units
from scaling_models import figures as draw
from scaling_models.answers import Model
from scaling_models.figures import style
from scaling_models.latency import Exponential
from scaling_models.montecarlo.verification import verify
from scaling_models.shards.popularities import Cached, Salted
from scaling_models.sizing import PoolPlan

PLOTLY = "plotly.min.js"
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
NO_PICTURES = (
    "No PNG and SVG were written: they need kaleido (pip install 'scaling-models[static]') and a Chromium or Chrome "
    "on the PATH."
)
PAGE = """<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>scaling_models: report</title>
<style>body {{ font: 16px/1.5 Arial, Helvetica, sans-serif; max-width: 940px; margin: 2em auto; color: #222 }}
iframe {{ width: 100%; border: 0 }}</style></head><body>
<h1>scaling_models: report</h1>
<ol>{contents}</ol>
{sections}
</body></html>
"""

Drawable: TypeAlias = "go.Figure | Callable[[], go.Figure]"


def figures() -> dict[str, Callable[[], go.Figure]]:
    """The figures of the standard report by file name, drawn when called: up to four a model, six more."""
    models = (*pools.MODELS, *shards.MODELS, *quorums.MODELS)
    found = {name: figure for kind in models for name, figure in _questions(kind.example()).items()}
    busy = _asking("How busy may servers be?", lambda: draw.load(pools.CentralQueue()))
    sized = _asking("How many servers, surviving the loss of a zone?", lambda: draw.sizing(PoolPlan()))
    overload = _asking("Why did it not come back?", _overload)
    return {
        "overload": overload,
        "load": busy,
        "sizing": sized,
        "haproxy": _asking("Would it have predicted a real balancer?", _haproxy),
        "hot-shards": _asking("I added shards: why is one still at 100%?", _hot_shards),
        "rings": _asking("What do virtual nodes do?", draw.rings),
        **found,
    }


def _overload() -> go.Figure:
    """A second's stall of ten workers at 30% load whose clients retry, with one remedy or another."""
    pool = pools.RetryingClients()
    remedies = {
        "no remedy": pool,
        "retry budget of 10%": pool.replace(remedies=(pools.RetryBudget(0.10),)),
        "queue limit of 50": pool.replace(remedies=(pools.QueueLimit(50),)),
    }
    return draw.recovery(remedies, "answered in time", beside="requests")


def _hot_shards() -> go.Figure:
    """A million keys of Zipf's law on 64 shards, and what is done about the hottest."""
    model = shards.ShardLoad()
    remedies = {
        "as it is": model,
        "more shards": model.replace(shards=128),
        "10 hottest keys in 8 pieces": model.replace(popularity=Salted(model.popularity, hot_keys=10, pieces=8)),
        "100 hottest keys cached": model.replace(popularity=Cached(model.popularity, top_keys=100)),
    }
    return draw.hot_shards(remedies)


def _haproxy() -> go.Figure:
    """HAProxy before ten servers, as measured, and the central queue at the measured rate and mean."""
    trace = data.haproxy_trace()
    arrivals, demands = trace.arrival_s.to_numpy(), trace.demand_s.to_numpy()
    rate = (len(arrivals) - 1) / float(arrivals[-1] - arrivals[0])
    pool = pools.CentralQueue(rate, 10, Exponential(float(demands.mean())))
    return draw.survival(pool, measured=trace.central_queue_latency_s.to_numpy()[len(trace) // 10 :])


def _questions(model: Model) -> dict[str, Callable[[], go.Figure]]:
    name, answer = units.title_of(model), units.words(model.headline)
    swept = inputs.leading(model)
    asked: dict[str, tuple[str, Callable[[], go.Figure]]] = {
        "survival": (
            f"{name}: how large does the {answer} get?",
            lambda: draw.survival(model, simulation=model.simulate(seed=0)),
        ),
        "sweep": (f"{name}: how does the {answer} depend on “{swept.label}”?", lambda: draw.sweep(model, swept.path)),
        "verification": (
            f"{name}: do formula and simulation agree?",
            lambda: draw.verification(verify(model)),
        ),
        "timeline": (f"{name}: what happens when it breaks?", lambda: draw.timeline(model)),
    }
    if not sweeps.is_distribution(type(model), model.headline):
        del asked["survival"]
    if sweeps.closed(model, model.headline) is None:  # a sweep would be empty
        del asked["sweep"]
    stem = name.lower().replace(" ", "-")
    return {f"{stem}-{key}": _asking(question, figure) for key, (question, figure) in asked.items()}


def _asking(question: str, figure: Callable[[], go.Figure]) -> Callable[[], go.Figure]:
    """The figure with a question for its title, and its own title, the answer, below."""

    def drawn() -> go.Figure:
        made = figure()
        answer = (made.layout.title.text or "").replace("<br>", " ").partition(": ")[2]
        below = f"<br><span style='font-size:14px'>{style.wrapped(answer[:1].upper() + answer[1:], 120)}</span>"
        return made.update_layout(title_text=f"<b>{question}</b>{below}", margin_t=112)

    return drawn


def write(figures: Mapping[str, Drawable], folder: Path | str) -> Path:
    """Write figures to a folder, by file name: NAME.html, NAME.csv, NAME.png and NAME.svg, and an `index.html`.

    A figure may be given as a function that draws it. The pages need no internet: plotly.js is written once beside
    them. The CSV has a row a point, or a cell of a heat map (trace, x, y, z, text, and the titles of the point's axes),
    and the same bytes every time.
    Pictures are written where kaleido and a Chromium are found, else a printed sentence says so. Returns the index.
    Raises ValueError for a name that is no file name and for what is not a figure.
    """
    for name in figures:
        if not NAME.fullmatch(name) or name == "index":
            raise ValueError(
                f"report.write: {name!r} is no name for a figure's files; use letters, digits, - and _, and not index"
            )
    target = Path(folder)
    target.mkdir(parents=True, exist_ok=True)
    (target / PLOTLY).write_text(get_plotlyjs(), encoding="utf-8")
    titles: dict[str, tuple[str, float]] = {}
    with _pictures() as picture:
        for name, figure in tqdm(figures.items(), desc="figures", unit="figure"):
            drawn = _drawn(name, figure)
            titles[name] = (_plain_title(drawn, name), _height(drawn))
            _write_page(drawn, name, target)
            _write_data(drawn, target / f"{name}.csv")
            picture(drawn, target / name)
    index = target / "index.html"
    index.write_text(_index(titles, target), encoding="utf-8")
    return index


def main(folder: Path) -> None:
    """Write the standard report, and print where it is."""
    print(f"The report is in {write(figures(), folder)}")


def _drawn(name: str, figure: Drawable) -> go.Figure:
    drawn = figure() if callable(figure) else figure
    if not isinstance(drawn, go.Figure):
        raise ValueError(
            f"report.write: {name!r} must be a plotly figure or a function that draws one; got {drawn!r:.80}"
        )
    return drawn


def _height(figure: go.Figure) -> float:
    return float(figure.layout.height or style.SIZE["height"])


def _plain_title(figure: go.Figure, name: str) -> str:
    first = (figure.layout.title.text or name).split("<br><span")[0]
    return re.sub(r"<[^>]*>", " ", first).strip()


def _write_page(figure: go.Figure, name: str, folder: Path) -> None:
    page = figure.to_html(include_plotlyjs=PLOTLY, div_id=name, full_html=True, default_height=f"{_height(figure):g}px")
    (folder / f"{name}.html").write_text(page, encoding="utf-8")


def _write_data(figure: go.Figure, path: Path) -> None:
    """The numbers as drawn, in long form; numbers are written so that they read back the same."""
    with path.open("w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file, lineterminator="\n")
        rows.writerow(["trace", "x", "y", "z", "text", "x_title", "y_title"])
        for trace in figure.data:
            titles = [_axis_title(figure, letter, trace[f"{letter}axis"]) for letter in "xy"]
            rows.writerows([trace.name or "", *point, *titles] for point in _points(trace))


def _axis_title(figure: go.Figure, letter: str, axis: str | None) -> str:
    """The title of a trace's axis ("x2", say), or of the one under it that shares its range."""
    found = figure.layout[f"{letter}axis{(axis or letter)[1:]}"]
    shared = figure.layout[f"{letter}axis{found.matches[1:]}"] if found.matches else found
    return found.title.text or shared.title.text or ""


def _points(trace: Any) -> Iterator[tuple[str, str, str, str]]:
    """The points of a trace, or the cells of a heat map; the gaps between pieces are rows without numbers."""
    x, y = ([_cell(value) for value in ([] if trace[axis] is None else trace[axis])] for axis in ("x", "y"))
    if "z" in trace:
        yield from ((x[i], y[j], _cell(z), "") for j, row in enumerate(trace.z) for i, z in enumerate(row))
        return
    text = trace.text if isinstance(trace.text, tuple | list) else [trace.text or ""] * len(x)
    yield from ((at, value, "", str(said or "")) for at, value, said in zip(x, y, text, strict=True))


def _cell(value: Any) -> str:
    if value is None or value != value:  # NaN differs from itself
        return ""
    return value if isinstance(value, str) else repr(float(value))


def browser() -> str | None:
    """The Chromium that draws pictures, if there is one."""
    given = os.environ.get("BROWSER_PATH")
    return given or next(filter(None, map(shutil.which, BROWSERS)), None)


@contextlib.contextmanager
def _pictures() -> Iterator[Callable[[go.Figure, Path], None]]:
    """What writes PNG and SVG, with one browser for all of them; or what does nothing, after saying why."""
    if browser() is None or importlib.util.find_spec("kaleido") is None:
        print(NO_PICTURES)
        yield lambda figure, stem: None
        return
    import kaleido  # type: ignore[import-untyped]

    kaleido.start_sync_server(silence_warnings=True)
    try:
        yield _write_pictures
    finally:
        kaleido.stop_sync_server(silence_warnings=True)


def _write_pictures(figure: go.Figure, stem: Path) -> None:
    size = {"width": style.SIZE["width"], "height": _height(figure)}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # plotly warns that a running server keeps its options: which is meant
        figure.write_image(stem.with_suffix(".png"), scale=2, **size)
        figure.write_image(stem.with_suffix(".svg"), **size)


def _index(titles: Mapping[str, tuple[str, float]], folder: Path) -> str:
    contents = "".join(f'<li><a href="#{name}">{escape(title)}</a></li>\n' for name, (title, _) in titles.items())
    sections = "\n".join(_section(name, title, height, folder) for name, (title, height) in titles.items())
    return PAGE.format(contents=contents, sections=sections)


def _section(name: str, title: str, height: float, folder: Path) -> str:
    endings: Iterable[str] = (each for each in ("html", "csv", "png", "svg") if (folder / f"{name}.{each}").exists())
    links = " · ".join(f'<a href="{name}.{ending}">{ending.upper()}</a>' for ending in endings)
    said = escape(title, quote=True)
    frame = f'<iframe src="{name}.html" title="{said}" height="{height + 20:g}" loading="lazy"></iframe>'
    return f'<section id="{name}">\n<h2>{escape(title)}</h2>\n{frame}\n<p>{links}</p>\n</section>'
