"""How likely is it to take longer? The survival function of an answer, on a log tail."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray

from scaling_models import sweeps, units
from scaling_models.answers import Model, NoClosedForm, Simulation
from scaling_models.figures import style
from scaling_models.latency import Distribution
from scaling_models.montecarlo.estimates import Sampled, student

Array = NDArray[np.float64]
LEVELS = (50.0, 95.0, 99.0)
LOWEST = 1e-4  # the tail that is drawn
POINTS = 200
DOTS = tuple(np.geomspace(0.9, LOWEST, 33).tolist())
STEPS = 600  # of measured samples


def survival(
    model: Model,
    answer: str | None = None,
    simulation: Simulation | Sampled | None = None,
    measured: Sequence[float] | Array | None = None,
) -> go.Figure:
    """The chance that an answer (the headline unless named) exceeds a value, down to 1 in 10,000.

    Traces, always these: the band that the closed form leaves, where it is one; interval (95%) and dots of the
    simulation; steps of the measured samples; the closed form as a line; a marker for each of p50, p95, p99. What is
    absent is an empty trace; the title says why.
    """
    name = answer or model.headline
    declared = sweeps.known_answer(type(model), name)
    if not sweeps.is_distribution(type(model), name):
        raise ValueError(f"survival needs an answer that is a distribution; {name!r} of {type(model).__name__} is none")
    latency = sweeps.closed(model, name)
    found = _simulated(simulation, name)
    samples = np.sort(np.asarray([] if measured is None else measured, dtype=float))
    marked = _percentiles(latency)
    ends = _ends_of_band(model, name)
    end = max([_end(latency, found, samples), *(_tail(each) for each in ends)])
    banded = _says_band(name, ends, declared.unit) if math.isnan(marked[-1]) else ""
    scale = units.axis(declared.unit, [end])
    traces = [
        _band_trace(ends, end, scale.factor),
        *_simulation_traces(found, scale.factor),
        _measured_trace(samples, scale.factor),
        style.line(*_curve(None if banded else latency, end, scale.factor), "closed form", style.BLUE),
        *(_percentile_trace(level, value, scale, end) for level, value in zip(LEVELS, marked, strict=True)),
    ]
    said = banded or _says(name, latency, marked, found, model)
    title = f"{units.title_of(model)}: {said}"
    x, y = scale.title(units.words(name)), "chance of more than that"
    return style.figure(traces, title, x, y, yaxis=style.tail_axis(LOWEST), xaxis_rangemode="tozero")


def closed_form(latency: Distribution) -> tuple[list[go.Scatter], units.Scale]:
    """The curve of one distribution (s) and the markers of its p50, p95 and p99, and the scale they are shown in."""
    end = _tail(latency) if latency.lost < 1.0 else 1.0
    scale = units.axis("s", [end])
    marks = zip(LEVELS, _percentiles(latency), strict=True)
    curve = style.line(*_curve(latency, end, scale.factor), "closed form", style.BLUE)
    return [curve, *(_percentile_trace(level, value, scale, end) for level, value in marks)], scale


def _simulated(simulation: Any, name: str) -> Sampled | None:
    found: Sampled | None = getattr(simulation, name) if isinstance(simulation, Simulation) else simulation
    return found


def _percentiles(latency: Distribution | None) -> list[float]:
    if latency is None:
        return [math.nan] * len(LEVELS)
    try:
        return [float(value) for value in latency.percentiles(*LEVELS)]
    except NoClosedForm:  # only a mean is known
        return [math.nan] * len(LEVELS)


def _ends_of_band(model: Model, name: str) -> list[Distribution]:
    """The two distributions between which the answer lies, where that is all that is known of it."""
    ends = [sweeps.closed(model, f"{name}{end}") for end in ("_low", "_high") if f"{name}{end}" in model.answers()]
    return [each for each in ends if each is not None and each.lost < 1.0]


def _band_trace(ends: Sequence[Distribution], end: float, factor: float) -> go.Scatter:
    curves = [_curve(each, end, factor) for each in ends] or [(np.array([]), np.array([]))] * 2
    (x, y), (far_x, far_y) = curves
    return go.Scatter(
        x=[*x, *far_x[::-1]],
        y=[*y, *far_y[::-1]],
        name="closed form's band",
        fill="toself",
        fillcolor=style.WASH,
        line={"width": 1, "color": style.BLUE},
        mode="lines",
        hoverinfo="skip",
        showlegend=bool(ends),
    )


def _says_band(name: str, ends: Sequence[Distribution], unit: str) -> str:
    if not ends:
        return ""
    low, high = (units.human(float(each.icdf(0.99)), unit) for each in ends)
    return f"p99 of the {units.words(name)} lies between {low} and {high}"


def _end(latency: Distribution | None, found: Sampled | None, samples: Array) -> float:
    """Where the drawing ends: the 99.99% quantile of the closed form, else of the simulation, else of the samples."""
    if latency is not None and latency.lost < 1.0:
        return _tail(latency)
    if found is not None:
        return float(found.icdf(1.0 - LOWEST))
    return float(samples[-1]) if len(samples) else 1.0


def _tail(latency: Distribution) -> float:
    try:
        end = float(latency.icdf(min((1.0 - latency.lost) * (1.0 - LOWEST), latency.highest_level)))
    except NoClosedForm:
        end = 1.5 * latency.mean()
    return end * 1.05 if end > 0 else 1e-3


def _curve(latency: Distribution | None, end: float, factor: float) -> tuple[Array, Array]:
    if latency is None or latency.highest_level == 0.0:  # of a mean alone there is no curve
        return np.array([]), np.array([])
    kinks = np.array(latency.kinks[:POINTS])
    # Just before a jump and at it: a step is drawn as a step.
    times = np.unique(np.concatenate([np.linspace(0.0, end, POINTS), kinks * (1 - 1e-12), kinks]))
    times = times[times <= end]
    return times * factor, np.maximum(latency.ccdf(times), 1e-12)


def _percentile_trace(level: float, value: float, scale: units.Scale, end: float) -> go.Scatter:
    there = math.isfinite(value)
    text = [f"p{level:g} {scale.text(value)}"] if there else []
    x, y = ([scale.show(value)], [1.0 - level / 100.0]) if there else ([], [])
    font = {"color": style.BLACK, "size": 14}
    # The curve falls: above it on the right, and near the edge below it on the left, nothing is in the way.
    place = "bottom left" if there and value > 0.85 * end else "top right"
    return style.labels(x, y, text, f"p{level:g}", style.BLUE, textfont=font, textposition=place)


def _simulation_traces(found: Sampled | None, factor: float) -> list[go.Scatter]:
    times, shares, low, high = _estimates(found)
    band = go.Scatter(
        x=[*(times * factor), *(times * factor)[::-1]],
        y=[*high, *low[::-1]],
        name="95% interval",
        fill="toself",
        fillcolor=style.BAND,
        line={"width": 0},
        mode="lines",
        hoverinfo="skip",
    )
    return [band, style.dots(times * factor, shares, "simulated", style.ORANGE)]


def _estimates(found: Sampled | None) -> tuple[Array, Array, Array, Array]:
    """Times, shares above, and the ends of the 95% interval; only as far as ten samples lie beyond."""
    if found is None:
        return (np.array([]),) * 4
    levels = np.array([level for level in DOTS if level * found.size >= 10.0])
    times = np.unique(found.icdf(1.0 - levels))
    feet = times * (1 - 1e-9)  # a jump is seen from its head too: of a constant there is nothing else to see
    times = np.union1d(times, feet[found.ccdf(feet) - found.ccdf(times) > 0.01])
    each = [found.ccdf_estimate(float(time)) for time in times]
    share, error = np.array([one.value for one in each]), np.array([one.error for one in each])
    half = student(0.95, len(found.sizes) - 1) * error
    seen = share > 0
    low, high = np.maximum(share - half, 1e-12), np.minimum(share + half, 1.0)
    return times[seen], share[seen], low[seen], high[seen]


def _measured_trace(samples: Array, factor: float) -> go.Scatter:
    size = len(samples)
    above = np.unique(np.round(np.geomspace(1, size, STEPS)).astype(int))[::-1] if size else np.array([], dtype=int)
    x, y = samples[size - above] * factor, (above - 1) / max(size, 1)
    trace = style.line(x, np.maximum(y, 1e-12), "measured", style.GREEN)
    return trace.update(line_shape="hv", line_width=2)


def _says(name: str, latency: Distribution | None, marked: Sequence[float], found: Sampled | None, model: Model) -> str:
    said, unit = units.words(name), model.answers()[name].unit
    if latency is None:
        drawn = "simulation only" if found is not None else "simulate it"
        return f"{said}, no closed form for these parameters: {drawn}"
    if latency.lost >= 1.0:
        return f"{said} without bound, for there is no {model.bounded}"
    if any(math.isnan(value) for value in marked):
        return f"{said} known by its mean only, {units.human(latency.mean(), unit)}"
    half, most = (units.human(value, unit) for value in (marked[0], marked[-1]))
    return f"{said} is at most {half} in half of the cases, {most} in 99%"
