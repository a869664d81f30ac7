"""Why is one shard still full? Shards in order of load, the hottest keys as segments of their bars."""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray

from scaling_models import units
from scaling_models.figures import style
from scaling_models.montecarlo.streams import stream
from scaling_models.shards import Placement, Popularity, ShardLoad

Array = NDArray[np.float64]
Indices = NDArray[np.int64]
FEW, TOP = 10, 100  # keys that are segments each, and keys that have a colour
ALONE, PLACED = 2**14, 2**18  # keys placed one by one where there are many; keys and groups of keys placed in all
NAMES = ("hottest key", f"keys 2 to {FEW}", f"keys {FEW + 1} to {TOP}", "other keys")
LOOKS = (style.RED, style.ORANGE, style.SKY, "#D5D5D5")
WIDE = 100  # shards up to which bars are so wide that their segments can have an edge
COLUMNS = 2  # of panels, where there are several
GAP = 0.22  # between panels, of the width: what is said of the levels stands there
NEAR = 0.35  # of the axis: the room that two lines of text at each of two levels take
BESIDE = 110  # pixels for that right of the last panel
HIGH, APART, AROUND = 240, 100, 170  # pixels: of a panel, between two, around all


class Drawn(NamedTuple):
    """One placement: shares of the requests on the shards, hottest first, and where the hottest keys lie."""

    loads: Array
    at: Indices  # (keys, copies): the place in that order
    parts: Array  # (keys,): the share of each copy


def hot_shards(
    models: ShardLoad | Mapping[str, ShardLoad], arrival_rate: float | None = None, seed: int = 0
) -> go.Figure:
    """The requests that each shard gets in one placement, drawn by the seed, of one model or of several by name.

    They all are given `arrival_rate` requests/s; unless given, as many as fill the hottest shard of the first. Beyond
    262,144 keys those after the 16,384th are placed in groups, which adds sqrt(shards)/500 of the load to the spread of
    what a shard gets from them (1.6% at 64 shards). A piece of a salted key is a key. Traces, a model: bars, the
    hottest keys at their foot (the hottest, each up to the tenth, those up to the hundredth, all others), the mean
    shard, the capacity.
    """
    named = {"": models} if isinstance(models, ShardLoad) else dict(models)
    if not named:
        raise ValueError("hot_shards must be given one model at least; got none")
    drawn = [_drawn(each, seed) for each in named.values()]
    first = next(iter(named.values()))
    rate = first.capacity / float(drawn[0].loads[0]) if arrival_rate is None else arrival_rate
    if not (math.isfinite(rate) and rate > 0.0):
        raise ValueError(f"hot_shards.arrival_rate must lie in (0, inf) requests/s; got {arrival_rate!r}")
    traces: list[Any] = []
    axes: dict[str, Any] = {}
    busiest = [rate * float(found.loads[0]) / each.capacity for each, found in zip(named.values(), drawn, strict=True)]
    for panel, ((name, model), found, busy) in enumerate(zip(named.items(), drawn, busiest, strict=True), start=1):
        x, y = (f"{letter}{panel if panel > 1 else ''}" for letter in "xy")
        traces += [each.update(xaxis=x, yaxis=y) for each in _panel(model, found, rate, legend=panel == 1)]
        axes |= _axes(name, model, busy, panel, len(named))
    title = f"{units.title_of(first)}: {_says(drawn[0], rate, busiest)}"
    height = {"height": _height(len(named))} if len(named) > 1 else {}
    shown = style.figure(traces, title, "", "", barmode="stack", bargap=0.1, margin_r=BESIDE, **height)
    return shown.update_layout(axes)


def _drawn(model: ShardLoad, seed: int) -> Drawn:
    popularity, top = model.popularity, model.popularity.top(TOP)
    known = model.placement.copied_loads(popularity, model.shards, model.replicas)
    if known:  # keys in order of popularity, for nothing else leaves nothing to chance
        at = np.arange(len(top))[:, None] * model.shards // popularity.size + np.arange(model.replicas)
        loads, at = np.array(known), at % model.shards
    else:
        keys = min(popularity.size, PLACED)
        at = _owners(model.placement, keys, model.shards, model.replicas, seed)
        loads = _loads(_shares(popularity), at, model.shards)
    order = np.argsort(-loads, kind="stable")
    return Drawn(loads[order], np.argsort(order, kind="stable")[at[: len(top)]], top / model.replicas)


@functools.lru_cache(maxsize=4)
def _owners(placement: Placement, keys: int, shards: int, replicas: int, seed: int) -> Indices:
    """The shards of each key (keys, copies), kept for what moves popularity alone."""
    rng = stream(seed, 0)
    if replicas == 1:
        return np.asarray(placement.place(keys, shards, rng), dtype=np.int64)[:, None]
    return np.asarray(placement.copies(keys, shards, replicas, rng), dtype=np.int64)


@functools.lru_cache(maxsize=4)
def _shares(popularity: Popularity) -> Array:
    """Of the keys that are placed one by one, and of the groups."""
    if popularity.size <= PLACED:
        return popularity.shares()
    alone = popularity.top(ALONE)
    groups = np.diff(popularity.drawn_by(np.linspace(ALONE, popularity.size, PLACED - ALONE + 1)))
    rest = popularity.total - float(alone.sum())  # to which interpolated groups add up within 1e-4
    return np.append(alone, groups * (max(rest, 0.0) / max(float(groups.sum()), 1e-300)))


def _loads(shares: Array, owners: Indices, shards: int) -> Array:
    each = [np.bincount(copy, weights=shares, minlength=shards) for copy in owners.T]
    return np.asarray(np.mean(each, axis=0))


def _panel(model: ShardLoad, found: Drawn, rate: float, *, legend: bool) -> list[Any]:
    shards = np.arange(1, model.shards + 1)
    warm = _loads(found.parts * model.replicas * (np.arange(len(found.parts)) >= FEW), found.at, model.shards)
    hot = _loads(found.parts * model.replicas, found.at, model.shards)
    bars = [
        *(_segments(found, slice(*ends)) for ends in ((0, 1), (1, FEW))),
        (shards, warm),
        (shards, np.maximum(found.loads - hot, 0.0)),
    ]
    edge = 0.4 if model.shards <= WIDE else 0.0
    traces: list[Any] = [
        go.Bar(
            x=x,
            y=rate * y,
            name=name,
            marker={"color": colour, "line": {"color": "#FFFFFF", "width": edge if number < 2 else 0.0}},
            legendgroup=name,
            showlegend=legend,
        )
        for number, ((x, y), name, colour) in enumerate(zip(bars, NAMES, LOOKS, strict=True))
    ]
    mean = rate * float(found.loads.mean())
    near = abs(mean - model.capacity) < NEAR * max(model.capacity, rate * float(found.loads[0]))
    above = (mean < model.capacity) != near  # away from each other where they are near, else away from the ends
    places = ("top right", "bottom right") if above else ("bottom right", "top right")
    levels = zip((mean, model.capacity), ("mean", "capacity"), ("dot", "dash"), places, strict=True)
    return [*traces, *(_level(model, *each) for each in levels)]


def _segments(found: Drawn, keys: slice) -> tuple[Indices, Array]:
    at = found.at[keys]
    return at.ravel() + 1, np.repeat(found.parts[keys], at.shape[1])


def _level(model: ShardLoad, height: float, name: str, dash: str, place: str) -> go.Scatter:
    """A line over all shards that says how high it is, right of them all, where no bar lies under it."""
    x, text = [0.5, model.shards + 0.5], ["", f"{name}<br>{units.number(height)}/s"]
    drawn = style.labels(x, [height] * 2, text, name, style.BLACK, mode="lines+markers+text", textposition=place)
    unseen = {"color": "rgba(0,0,0,0)", "size": 8, "line_width": 0}  # holds the text off the line
    return drawn.update(line={"color": style.BLACK, "dash": dash, "width": 1.5}, marker=unseen, hoverinfo="skip")


def _axes(name: str, model: ShardLoad, busy: float, panel: int, panels: int) -> dict[str, Any]:
    number = str(panel) if panel > 1 else ""
    said = f"{model.shards:,} shard{'s' if model.shards > 1 else ''}, hottest first"
    across: dict[str, Any] = {
        "title_text": said,
        "anchor": f"y{number}",
        "showgrid": False,
        "range": [0.5, model.shards + 0.5],
    }
    up: dict[str, Any] = {"title_text": "load of a shard (requests/s)", "anchor": f"x{number}", "rangemode": "tozero"}
    if panels > 1:
        column, row = (panel - 1) % COLUMNS, (panel - 1) // COLUMNS
        plot = _height(panels) - AROUND
        top = 1.0 - row * (HIGH + APART) / plot
        width = (1.0 - GAP * (COLUMNS - 1)) / COLUMNS
        across |= {
            "title_text": f"<b>{name}</b>: hottest {_busy(busy)}<br>{said}",
            "domain": [column * (width + GAP), column * (width + GAP) + width],
        }
        up |= {"domain": [max(0.0, top - HIGH / plot), top], **({"matches": "y"} if panel > 1 else {})}
    return {f"xaxis{number}": across, f"yaxis{number}": up}


def _height(panels: int) -> int:
    rows = -(-panels // COLUMNS)
    return AROUND + rows * (HIGH + APART) - APART


def _busy(demand: float) -> str:
    """How busy a shard is that is asked for so many times its capacity."""
    return f"{demand:.0%} busy" if demand < 1.005 else f"asked for {demand:.3g} times its capacity"


def _says(found: Drawn, rate: float, busiest: Sequence[float]) -> str:
    said = f"at {units.human(rate, 'requests/s')} the hottest shard is"
    if len(busiest) > 1:
        least, most = min(busiest), max(busiest)
        ends = f"{least:.0%} to {most:.0%} busy" if most < 1.005 else f"{_busy(least)} at best, {_busy(most)} at worst"
        return f"{said} {ends}"
    there = found.parts[(found.at == 0).any(axis=1)]  # keys of the hottest shard, hottest first
    key = f", {there[0] / found.loads[0]:.0%} of it with one key" if there.size else ""
    mean = busiest[0] * float(found.loads.mean() / found.loads[0])
    return f"{said} {_busy(busiest[0])}{key}; the mean shard is {_busy(mean)}"
