"""What do virtual nodes do? Rings with their tokens, and the share of the keys that each node holds."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray

from scaling_models.figures import style
from scaling_models.shards.placements import HashRing
from scaling_models.shards.placements.hash_ring import allocated_tokens, random_tokens

Array = NDArray[np.float64]
Indices = NDArray[np.int64]
RINGS = (HashRing(1), HashRing(16), HashRing(16, "allocated"))
TOKENS = {"random": random_tokens, "allocated": allocated_tokens}
KINDS = (("smallest node", style.BLUE), ("largest node", style.RED), ("other nodes", "#D5D5D5"))
MARKS = 200  # tokens up to which each has a line of one pixel; more have finer ones
STEP = 1.0 / 360  # of a turn: between the points of an arc
INNER, OUTER = 0.9, 1.1  # radii at which a token's mark ends
HEIGHT, GAP = 620, 0.05  # pixels; of the width, between rings
RINGS_FROM, BARS_TO = 0.46, 0.36  # of the height


def rings(placements: Sequence[HashRing] = RINGS, nodes: int = 8, seed: int = 0) -> go.Figure:
    """Rings of so many nodes, one a placement, their tokens drawn by the seed; below each the shares of its nodes.

    Traces, a placement: the arcs of the keys (clockwise, each up to its token) of the smallest node, of the largest,
    and of all others; the tokens; bars of the nodes' shares, in the same three kinds; the even share.
    """
    if not placements:
        raise ValueError("rings must be given one placement at least; got none")
    if nodes < 3:
        raise ValueError(f"rings.nodes must lie in [3, inf) nodes; got {nodes!r}")
    traces: list[Any] = []
    axes: dict[str, Any] = {}
    largest = []
    for panel, placement in enumerate(placements, start=1):
        tokens, owner = TOKENS[placement.tokens](nodes, placement.virtual_nodes, seed)
        ends = tokens / 2.0**64
        shares = np.asarray(np.bincount(owner, np.diff(ends, prepend=ends[-1] - 1.0), nodes), dtype=float)
        largest.append(float(shares.max()))
        below, above = (str(number) if number > 1 else "" for number in (panel, panel + len(placements)))
        traces += [each.update(xaxis=f"x{above}", yaxis=f"y{above}") for each in _ring(ends, owner, shares)]
        traces += [each.update(xaxis=f"x{below}", yaxis=f"y{below}") for each in _bars(shares)]
        axes |= _axes(placement, nodes, below, above, _part(panel - 1, len(placements)))
    for each in traces[len(traces) // len(placements) :]:
        each.showlegend = False
    held = ", ".join(f"{share:.1%}" for share in largest)
    title = f"Hash ring: the largest of {nodes} nodes has {held} of the keys; an even share is {1.0 / nodes:.1%}"
    return style.figure(traces, title, "", "", barmode="overlay", bargap=0.1, height=HEIGHT).update_layout(axes)


def _kinds(shares: Array) -> tuple[Indices, ...]:
    """The nodes of each kind."""
    order = np.argsort(-shares, kind="stable")
    return order[-1:], order[:1], order[1:-1]


def _ring(ends: Array, owner: Indices, shares: Array) -> list[go.Scatter]:
    starts = np.roll(ends, 1)
    starts[0] -= 1.0
    arcs = []
    for nodes, (name, colour) in zip(_kinds(shares), KINDS, strict=True):
        mine = np.isin(owner, nodes)
        x, y = _arcs(starts[mine], ends[mine])
        drawn = style.line(x, y, name, colour, legendgroup=name, hoverinfo="skip")
        arcs.append(drawn.update(line={"width": 14, "simplify": False}))
    gap = np.full(len(ends), np.nan)
    x, y = (np.stack([INNER * each, OUTER * each, gap], axis=1).ravel() for each in _at(ends))
    tokens = style.line(x, y, "tokens", style.BLACK, hoverinfo="skip")
    return [*arcs, tokens.update(line={"width": min(1.0, MARKS / len(ends)), "simplify": False})]


def _arcs(starts: Array, ends: Array) -> tuple[Array, Array]:
    """Points along the circle, arc by arc, with gaps between them."""
    turns = [
        np.append(np.linspace(start, end, max(2, math.ceil((end - start) / STEP))), np.nan)
        for start, end in zip(starts, ends, strict=True)
    ]
    return _at(np.concatenate(turns))


def _at(turn: Array) -> tuple[Array, Array]:
    """Places on the circle, clockwise from the top."""
    return np.sin(2.0 * math.pi * turn), np.cos(2.0 * math.pi * turn)


def _bars(shares: Array) -> list[Any]:
    order = np.argsort(-shares, kind="stable")
    bars = [
        go.Bar(
            x=np.flatnonzero(np.isin(order, nodes)) + 1,
            y=100.0 * shares[order[np.isin(order, nodes)]],
            name=name,
            marker={"color": colour, "line_width": 0},
            legendgroup=name,
            showlegend=False,
        )
        for nodes, (name, colour) in zip(_kinds(shares), KINDS, strict=True)
    ]
    even = style.line([0.5, len(shares) + 0.5], [100.0 / len(shares)] * 2, "even share", style.BLACK, "dash")
    return [*bars, even.update(line={"width": 1.5})]


def _axes(placement: HashRing, nodes: int, below: str, above: str, width: list[float]) -> dict[str, Any]:
    hidden = {"visible": False, "range": [-1.25, 1.25], "constrain": "domain"}
    return {
        f"xaxis{below}": {
            "title_text": f"<b>{_name(placement)}</b><br>{nodes} nodes, largest first",
            "domain": width,
            "anchor": f"y{below}",
            "showgrid": False,
            "tickformat": "d",
        },
        f"yaxis{below}": {
            "title_text": "share of the keys (%)" if not below else "",
            "domain": [0.0, BARS_TO],
            "anchor": f"x{below}",
            "rangemode": "tozero",
            **({"matches": "y"} if below else {}),
        },
        f"xaxis{above}": {**hidden, "domain": width, "anchor": f"y{above}"},
        f"yaxis{above}": {**hidden, "domain": [RINGS_FROM, 1.0], "anchor": f"x{above}", "scaleanchor": f"x{above}"},
    }


def _name(placement: HashRing) -> str:
    count = placement.virtual_nodes
    return f"{count:,} {placement.tokens} token{'s' if count > 1 else ''} a node"


def _part(number: int, parts: int) -> list[float]:
    """The ends of one of several equal parts of the width."""
    width = (1.0 - GAP * (parts - 1)) / parts
    return [number * (width + GAP), number * (width + GAP) + width]
