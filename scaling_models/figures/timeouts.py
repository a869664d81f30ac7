"""How low can timeouts go? The time without a leader, and elections without need, against the shortest timeout."""

from __future__ import annotations

import functools
import math
from typing import Any, NamedTuple

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray

from scaling_models import sweeps, units
from scaling_models.figures import style
from scaling_models.montecarlo.streams import stream
from scaling_models.quorums import Election

Array = NDArray[np.float64]
POINTS, MOVING, PLAYED = 41, 13, 9  # timeouts of the closed form, at rest and while it moves; of the simulation
CRASHES = 2000  # of a simulated point: its mean errs by 1 to 2%
SLOWEST = 0.7  # of the timeouts' range: requests that take longer split nearly every term
HEIGHT = 520
DECADES = 12.0  # of how often
UP_TO = 8.0  # times the shortest timeout drawn
AROUND = 2.0  # times the timeout that there is: as far is drawn at least
NAMES, COLOURS = ("mean", "p99"), (style.BLUE, style.RED)


class Points(NamedTuple):
    """Mean and 99% quantile (s) of the time without a leader, over shortest timeouts (s)."""

    timeouts: Array
    mean: Array
    p99: Array

    @property
    def least(self) -> tuple[float, float]:
        """The timeout of the least mean, and that."""
        at = int(np.nanargmin(np.where(np.isfinite(self.mean), self.mean, np.inf)))
        return float(self.timeouts[at]), float(self.mean[at])


def timeouts(model: Election, resting: bool = True, seed: int = 0) -> go.Figure:
    """Mean and p99 of the downtime against the shortest timeout, its heartbeats in proportion; false elections below.

    Where the closed form refuses, 2,000 crashes are simulated a point, unless the hand is not `resting`. Traces, always
    these: mean and p99 of the closed form, mean and p99 as simulated, where the mean is least, where the model stands,
    false elections a day, those of the model.
    """
    ends = _ends(model)
    known = _known(model, ends, POINTS if resting else MOVING)
    played = _played(model, ends, tuple(np.isnan(known.mean)), seed) if resting else _nothing()
    both = Points(*(np.concatenate(parts) for parts in zip(known, played, strict=True)))
    now = _at(model, both)
    false = np.array([_false(_scaled(model, timeout)) for timeout in known.timeouts])
    across, x = units.axis("s", [ends[1]]), known.timeouts
    traces = [
        *(_line(across, x, y, name, colour) for name, y, colour in zip(NAMES, known[1:], COLOURS, strict=True)),
        *(_dots(across, played, y, name, c) for name, y, c in zip(NAMES, played[1:], COLOURS, strict=True)),
        *_marks(across, both, (model.timeout, now), ends),
        style.line(across.factor * x, _drawn(false), "false elections", style.PURPLE, yaxis="y2"),
        style.labels(*_mark(across, model.timeout, _false(model), ""), "now, a day", style.BLACK, yaxis="y2"),
    ]
    title = f"{units.title_of(model)}: {_says(model, both, now)}"
    figure = style.figure(traces, title, across.title("shortest timeout, heartbeats in proportion"), "")
    limits = _limits(both)
    first, last = (math.log10(across.show(end)) for end in ends)
    return figure.update_layout(
        height=HEIGHT,
        xaxis={**style.log_axis(), "anchor": "y2", "range": [first - 0.02, last + 0.02]},
        yaxis={**style.log_axis(), "domain": [0.36, 1.0], "range": limits, "title_text": "no leader (ms)"},
        yaxis2={**_seldom(false), "domain": [0.0, 0.24], "anchor": "x", "title_text": "without need<br>(a day)"},
    )


def _ends(model: Election) -> tuple[float, float]:
    """The shortest timeouts that are drawn (s): from where requests take most of the range, and about the model's."""
    hop = max(model.hop, 1e-3 * model.heartbeat)
    least = 1.001 * model.timeout * hop / (SLOWEST * model.range)
    return min(least, model.timeout / 1.2), max(UP_TO * least, AROUND * model.timeout)


def _scaled(model: Election, timeout: float) -> Election:
    # The share first: a heartbeat as long as the shortest timeout must not come out longer by rounding.
    return model.replace(timeout=timeout, heartbeat=timeout * min(1.0, model.heartbeat / model.timeout))


def _nothing() -> Points:
    return Points(np.array([]), np.array([]), np.array([]))


def _known(model: Election, ends: tuple[float, float], points: int) -> Points:
    """By the closed form; NaN where it refuses, or where there is never a leader."""
    places = np.geomspace(*ends, points)
    table = sweeps.columns([_scaled(model, float(place)) for place in places], "downtime", (99.0,))
    return Points(places, *(np.where(np.isfinite(table[name]), table[name], np.nan) for name in NAMES))


@functools.lru_cache(maxsize=32)
def _played(model: Election, ends: tuple[float, float], wanted: tuple[bool, ...], seed: int) -> Points:
    """As simulated, event by event, at some of the places where it is wanted."""
    places = np.geomspace(*ends, POINTS)[list(wanted)]
    chosen = np.unique(np.linspace(0, len(places) - 1, min(len(places), PLAYED)).round().astype(int))
    able = model.electable and model.loss < 1.0
    found = [_simulated(_scaled(model, float(place)), seed) for place in places[chosen]] if able else []
    rows = [(float(place), *each) for place, each in zip(places[chosen], found, strict=False) if each]
    return Points(*np.array(rows).T) if rows else _nothing()


def _simulated(model: Election, seed: int) -> tuple[float, float] | None:
    """Mean and p99 of some crashes; nothing where requests take so much of the range that hardly a term elects."""
    if model.hop > SLOWEST * model.range:
        return None
    try:
        downtime = model.crashes().play(CRASHES, stream(seed, 6)).downtime
    except ValueError:  # no leader emerges
        return None
    return float(downtime.mean()), float(np.quantile(downtime, 0.99))


def _at(model: Election, both: Points) -> float:
    """The model's own mean (s): by the closed form, else between the simulated points, else NaN."""
    found = sweeps.closed(model, "downtime")
    if found is not None:
        return float(found.mean())
    seen = np.isfinite(both.mean)
    order = np.argsort(both.timeouts[seen])
    at, means = both.timeouts[seen][order], both.mean[seen][order]
    inside = len(at) > 0 and at[0] <= model.timeout <= at[-1]
    return float(np.exp(np.interp(math.log(model.timeout), np.log(at), np.log(means)))) if inside else math.nan


def _false(model: Election) -> float:
    found = sweeps.closed(model, "false_elections")
    return math.nan if found is None else float(found)


def _drawn(values: Array) -> list[float | None]:
    return [value if math.isfinite(value) and value > 0 else None for value in values.tolist()]


def _line(across: units.Scale, x: Array, y: Array, name: str, colour: str) -> go.Scatter:
    return style.line(across.factor * x, _drawn(1e3 * y), f"{name} downtime", colour)


def _dots(across: units.Scale, played: Points, y: Array, name: str, colour: str) -> go.Scatter:
    return style.dots(across.factor * played.timeouts, 1e3 * y, f"{name}, simulated", colour)


def _mark(across: units.Scale, timeout: float, value: float, text: str) -> tuple[list[float], list[float], list[str]]:
    there = math.isfinite(value) and value > 0
    return ([across.show(timeout)], [value], [text]) if there else ([], [], [])


def _marks(across: units.Scale, both: Points, now: tuple[float, float], ends: tuple[float, float]) -> list[go.Scatter]:
    """Where the mean is least, below the curve, and where the model stands, above it."""
    at, least = both.least if np.isfinite(both.mean).any() else (math.nan, math.nan)
    share = math.log(now[0] / ends[0]) / math.log(ends[1] / ends[0])
    lowest = _mark(across, at, 1e3 * least, f"least {units.human(least, 's')} at {units.human(at, 's')}")
    here = _mark(across, now[0], 1e3 * now[1], f"now {units.human(now[1], 's')}")
    return [
        style.labels(*lowest, "least", style.GREEN, textposition="bottom center"),
        style.labels(*here, "now", style.BLACK, textposition=style.away(share, 0.7)),
    ]


def _limits(both: Points) -> list[float]:
    """Ends of the axis of times, as logarithms of ms; with room for what is said of the least."""
    seen = np.concatenate([both.mean, both.p99])
    seen = 1e3 * seen[np.isfinite(seen)]
    low, high = (float(seen.min()), float(seen.max())) if len(seen) else (100.0, 1000.0)
    room = 0.25 * max(math.log10(high / low), 0.3)
    return [math.log10(low) - room, math.log10(high) + 0.3 * room]


def _seldom(false: Array) -> dict[str, Any]:
    """A log axis of how often, with few ticks: at 1, 2 and 5 of two decades, else about four in all."""
    seen = np.log10([value for value in _drawn(false) if value] or [1e-6, 1.0])
    high = float(seen.max())
    low = max(float(seen.min()), high - DECADES)
    if high - low < 2.0:
        return {**style.log_axis(), "range": [low - 0.1, high + 0.1]}
    powers = range(math.floor(low), math.ceil(high) + 1, math.ceil((high - low) / 4.0))
    names = [units.number(10.0**power) if power > -4 else f"10<sup>{power}</sup>" for power in powers]
    return {"type": "log", "range": [low - 0.1, high + 0.1], "tickvals": [10.0**p for p in powers], "ticktext": names}


def _says(model: Election, both: Points, now: float) -> str:
    if not model.electable:
        return f"{model.alive} followers are left: no majority, and no leader"
    when = units.human(model.timeout, "s")
    here = f"{units.human(now, 's')} without a leader" if math.isfinite(now) else "hardly a term elects anybody"
    if not np.isfinite(both.mean).any():
        return f"timeouts from {when}: no closed form, simulate it"
    at, least = both.least
    said = (
        f"timeouts from {when}: {here} on average; the least is {units.human(least, 's')}, from {units.human(at, 's')}"
    )
    false = _false(model)
    return said if math.isnan(false) else f"{said}; {units.number(365 * false)} elections a year without need"
