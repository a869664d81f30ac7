"""Where do the requests stand? The queue of every server over time, a panel a policy, for the same requests."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from scaling_models import units
from scaling_models.figures import style
from scaling_models.pools.bases.occupancies import Occupancy
from scaling_models.pools.bases.pool import Pool

PANEL = 150  # pixels of height
HIGHEST = 0.98  # the quantile of all queues at which the colours end, so that ordinary ones can be told apart


def queues(models: Pool | Sequence[Pool], seed: int = 0, slow: float = 0.5) -> go.Figure:
    """Requests at each server over time, from empty; at half time the first server goes on at `slow` times its speed.

    A heat map a pool, of one colour scale; pools of equal traffic meet the same arrivals and demands. Raises ValueError
    for pools whose servers share themselves.
    """
    pools = [models] if isinstance(models, Pool) else list(models)
    if not pools:
        raise ValueError("queues must be given one pool at least; got none")
    told = [pool.occupancy(seed, slow) for pool in pools]
    most = max(5.0, float(np.quantile(np.concatenate([each.requests.ravel() for each in told]), HIGHEST)))
    across = units.scale("s", [float(max(each.times[-1] for each in told))])
    names = [f"{units.title_of(pool)}: {_says(each)}" for pool, each in zip(pools, told, strict=True)]
    made = make_subplots(len(pools), 1, shared_xaxes=True, subplot_titles=names, vertical_spacing=0.28 / len(pools))
    for row, each in enumerate(told, 1):
        made.add_trace(_heat_map(each, across.factor, most, row == 1), row, 1)
    made.add_traces([_half(each, across.factor) for each in told], list(range(1, len(told) + 1)), [1] * len(told))
    layout = style.figure([], "The queue of every server: from half time on the first is slow", "", "").layout
    made.update_layout(template=layout.template, title_text=layout.title.text, height=140 + PANEL * len(pools))
    made.update_annotations(x=0.0, xanchor="left", font_size=14)
    for row, pool in enumerate(pools, 1):
        ticks, ends = max(1, pool.servers // 5), [0.5, pool.servers + 0.5]
        made.update_yaxes(title_text="server", showgrid=False, tick0=1, dtick=ticks, range=ends, row=row, col=1)
    made.update_xaxes(title_text=across.title("time"), row=len(pools), col=1)
    return made.update_xaxes(showgrid=False)


def _heat_map(told: Occupancy, factor: float, most: float, first: bool) -> go.Heatmap:
    bar = {"title": {"text": f"requests<br>at the server<br>({most:.0f} or more:<br>brightest)"}, "thickness": 14}
    servers = list(range(1, told.requests.shape[1] + 1))
    return go.Heatmap(
        x=told.times * factor,
        y=servers,
        z=told.requests.T,
        zmin=0.0,
        zmax=most,
        colorscale="Viridis",
        showscale=first,
        colorbar=bar,
        hovertemplate="server %{y}, time %{x:.3g}: %{z} requests<extra></extra>",
    )


def _half(told: Occupancy, factor: float) -> go.Scatter:
    at = told.change * factor
    ends = [0.5, told.requests.shape[1] + 0.5]
    return style.line([at, at], ends, "server 1 goes slow", style.RED, "dot", showlegend=False)


def _says(told: Occupancy) -> str:
    before, after = (told.in_pool(slow) for slow in (False, True))
    return f"{units.number(before)} requests in the pool, with the slow server {units.number(after)}"
