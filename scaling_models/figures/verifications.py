"""Do the closed form and the simulation agree? The relative difference of every quantity, with its interval."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray

from scaling_models import units
from scaling_models.figures import style

if TYPE_CHECKING:
    import pandas as pd

Array = NDArray[np.float64]


def verification(table: pd.DataFrame) -> go.Figure:
    """The table of `verify`: by how much the simulation differs from the closed form, a row a quantity.

    Traces, always these: the zero line, the 95% intervals, the quantities that agree, those that disagree (or that a
    formula misses whose assumption is broken), those of which too little was seen to tell. A quantity that is 0 has no
    relative difference; its row says so and stays empty. The axis reaches as far as the rows of which enough was seen.
    """
    told = zip(table.quantity, table.closed_form, table.unit, strict=True)
    names = [_label(str(quantity), float(value), str(unit)) for quantity, value, unit in told]
    with np.errstate(divide="ignore", invalid="ignore"):
        difference, low, high = (
            np.where(table.closed_form != 0, 100.0 * (table[column] / table.closed_form - 1.0), np.nan)
            for column in ("simulated", "low", "high")
        )
    apart = table.verdict.isin(["disagrees", "missed"]).to_numpy()
    unseen = (table.verdict == "unseen").to_numpy()
    agrees = ~(apart | unseen)
    broken = f", with {table.attrs['violating']}" if "violating" in table.attrs else ""
    reach = _reach(low[~unseen], high[~unseen]) if agrees.any() or apart.any() else _reach(low, high)
    difference = np.where(unseen, np.clip(difference, -reach, reach), difference)
    traces = [
        style.line([0.0, 0.0], [names[0], names[-1]] if names else [], "closed form", style.BLUE, "dash"),
        _intervals(names, low, high, reach),
        style.dots(difference[agrees], np.array(names)[agrees], "simulated, agrees", style.GREEN),
        style.dots(difference[apart], np.array(names)[apart], "simulated, disagrees", style.RED, marker_symbol="x"),
        style.dots(difference[unseen], np.array(names)[unseen], "simulated, too seldom to tell", style.GREY).update(
            marker={"symbol": "circle-open", "line_color": style.GREY}
        ),
    ]
    return style.figure(
        traces,
        f"Closed form and simulation{broken}: {_verdict(int(apart.sum()), int(unseen.sum()), len(table))}",
        "simulated less closed form, in % of the closed form (with 95% interval)",
        "",
        yaxis={"type": "category", "categoryorder": "array", "categoryarray": names[::-1], "showgrid": False},
        xaxis_range=[-1.05 * reach, 1.05 * reach],
        height=max(320, 190 + 30 * len(names)),
    )


def _verdict(apart: int, unseen: int, number: int) -> str:
    seldom = f", {unseen} seen too seldom to tell" if unseen else ""
    if apart:
        return f"{apart} of {number} quantities disagree{seldom}"
    return f"{number - unseen} of {number} quantities agree{seldom}" if unseen else f"all {number} quantities agree"


def _label(quantity: str, value: float, unit: str) -> str:
    return f"{units.words(quantity)} = {units.human(float(value), unit)}"


def _reach(low: Array, high: Array) -> float:
    """How far the longest finite interval goes from zero, in per cent."""
    ends = np.abs([*low, *high])
    return max(0.1, float(ends[np.isfinite(ends)].max(initial=0.0)))


def _intervals(names: list[str], low: Array, high: Array, reach: float) -> go.Scatter:
    """One segment a row; what goes beyond the reach is drawn so far."""
    ends = [
        (float(np.clip(a, -reach, reach)), float(np.clip(b, -reach, reach))) for a, b in zip(low, high, strict=True)
    ]
    x = [part for a, b in ends for part in (a, b, None)]
    y = [part for name in names for part in (name, name, None)]
    return style.line(x, y, "95% interval", style.GREY).update(line_width=5, opacity=0.55)
