"""Which regions decide? How far each reply comes from, who completes the quorum, and the tail that it makes."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import plotly.graph_objects as go

from scaling_models import units
from scaling_models.answers import NoClosedForm
from scaling_models.figures import style, tails
from scaling_models.latency import Distribution
from scaling_models.quorums import RegionalRaft

LEFT, RIGHT = [0.0, 0.62], [0.74, 1.0]  # parts of the width: the regions, the tail
KINDS = (
    ("the client's journey", style.PURPLE),
    ("in the quorum", style.BLUE),
    ("decides most often", style.ORANGE),
    ("decides at times", style.SKY),
    ("hardly ever waited for", "#C8C8C8"),
)
JOURNEY, EARLIER, DECIDES, AT_TIMES, LATER = range(len(KINDS))
SELDOM = 0.01  # share of the commits below which a far replica may be called free
SPREAD = (0.05, 0.95)  # levels between which a round trip is drawn as varying


@dataclasses.dataclass(frozen=True)
class Row:
    """One region: what is drawn of it."""

    name: str
    kind: int
    mean: float
    ends: tuple[float, float]  # NaN where only the mean is known
    says: str


def regions(model: RegionalRaft) -> go.Figure:
    """A bar a region, as long as its round trip (the leader's: its disk write), the nearest first, and the commit.

    Traces, always these: the bars of the client's journey, of the replies in the quorum, of the one that decides most
    often, of later ones that do so at times, and of those that hardly ever do; between which times 90% of each lie; the
    mean commit; what is said of each; and on the right the survival of the write latency with its p50, p95 and p99,
    once there is a jitter.
    """
    rows = _rows(model)
    commit = model.commit_latency.mean()
    scale = units.axis("s", [commit, *(row.mean for row in rows), *(end for row in rows for end in row.ends)])
    names = [row.name for row in rows]
    traces: list[Any] = [_bars(rows, kind, scale) for kind in range(len(KINDS))]
    traces += [_spreads(rows, scale), _commit(commit, names, scale), _sayings(rows, commit, scale)]
    curve, across = tails.closed_form(model.write_latency)
    tail = [each.update(xaxis="x2", yaxis="y2", showlegend=False) for each in curve]
    farthest = scale.show(max(commit, *(_end(row) for row in rows)))
    fresh = style.figure(
        [*traces, *tail],
        _title(model, rows, commit),
        scale.title("time since the leader has the command"),
        "",
        margin_r=70,
        barmode="overlay",
        bargap=0.35,
    )
    return fresh.update_layout(
        xaxis={"domain": LEFT, "range": [0.0, 1.42 * farthest], "anchor": "y"},
        yaxis={"type": "category", "categoryorder": "array", "categoryarray": names[::-1], "showgrid": False},
        xaxis2={
            "domain": RIGHT,
            "anchor": "y2",
            "rangemode": "tozero",
            "title_text": across.title("write latency"),
        },
        yaxis2={"anchor": "x2", "title_text": _right(model), **style.tail_axis(tails.LOWEST)},
    )


def _rows(model: RegionalRaft) -> list[Row]:
    """The leader, the followers by distance, and the client where it is elsewhere."""
    raft = model.raft
    laws = {model.leader: raft.fsync, **dict(zip(model.followers, raft.follower_rtts, strict=True))}
    shares = _shares(model)
    decides = max(shares, key=lambda name: shares[name]) if shares else ""
    last = laws[decides].mean() if decides else (1.0 + 1e-9) * model.commit_latency.mean()  # as if they were constant
    rows = []
    for name in sorted(laws, key=lambda name: (name != model.leader, laws[name].mean())):
        mean, share = laws[name].mean(), shares.get(name, math.nan)
        kind = DECIDES if name == decides else EARLIER if mean <= last else LATER if share < SELDOM else AT_TIMES
        role = "leader's disk" if name == model.leader else ""
        often = "" if math.isnan(share) or share < 5e-4 else f"completes {units.human(min(share, 1.0), '')}"
        rows.append(Row(name, kind, mean, _ends(laws[name]), ", ".join(filter(None, (role, often)))))
    if model.client == model.leader:
        return rows
    away = model.journey
    return [*rows, Row(f"client in {model.client}", JOURNEY, away.mean(), _ends(away), "to the leader and back")]


def _shares(model: RegionalRaft) -> dict[str, float]:
    try:
        return dict(zip((model.leader, *model.followers), model.completes, strict=True))
    except NoClosedForm:
        return {}


def _ends(law: Distribution) -> tuple[float, float]:
    try:
        low, high = (float(end) for end in law.icdf(SPREAD))
    except NoClosedForm:
        return math.nan, math.nan
    return low, high


def _end(row: Row) -> float:
    return row.mean if math.isnan(row.ends[1]) else max(row.mean, row.ends[1])


def _bars(rows: list[Row], kind: int, scale: units.Scale) -> go.Bar:
    name, colour = KINDS[kind]
    mine = [row for row in rows if row.kind == kind]
    return go.Bar(
        x=[scale.show(row.mean) for row in mine],
        y=[row.name for row in mine],
        name=name,
        orientation="h",
        marker={"color": colour, "line_width": 0},
    )


def _spreads(rows: list[Row], scale: units.Scale) -> go.Scatter:
    known = [row for row in rows if row.ends[1] > row.ends[0]]
    x = [part for row in known for part in (*map(scale.show, row.ends), None)]
    y = [part for row in known for part in (row.name, row.name, None)]
    return style.line(x, y, "90% of the round trips", style.BLACK)


def _commit(commit: float, names: list[str], scale: units.Scale) -> go.Scatter:
    there = [scale.show(commit)] * 2 if math.isfinite(commit) else []
    return style.line(there, [names[0], names[-1]] if there else [], "mean commit", style.RED, "dash")


def _sayings(rows: list[Row], commit: float, scale: units.Scale) -> go.Scatter:
    """Right of each bar, and of the commit, whose line would cross it."""
    return style.labels(
        [scale.show(max(_end(row), commit)) for row in rows],
        [row.name for row in rows],
        [f"  {scale.text(row.mean)}{f', {row.says}' if row.says else ''}" for row in rows],
        "said",
        style.BLACK,
        mode="text",
        textposition="middle right",
    )


def _right(model: RegionalRaft) -> str:
    return "chance of more than that" if model.jitter else "choose a jitter: of means no tail is known"


def _title(model: RegionalRaft, rows: list[Row], commit: float) -> str:
    free = [row.name for row in rows if row.kind == LATER]
    decides = next((row.name for row in rows if row.kind == DECIDES), "")
    said = f"Led from {model.leader} a commit takes {units.human(commit, 's')}"
    if decides:
        said += f": {decides} decides" + (" most often" if model.jitter else "")
    elif not model.jitter:
        said += " if no round trip varies; choose a jitter to see who decides"
    return said + (f"; {' and '.join(free)} cost{'s' if len(free) == 1 else ''} nothing" if free else "")
