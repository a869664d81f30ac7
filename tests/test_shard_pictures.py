"""Pictures of shards: what is drawn is one placement, with the same traces in every state."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np
import plotly.graph_objects as go
import pytest

from scaling_models import figures, report
from scaling_models.figures import shards
from scaling_models.figures.rings import RINGS
from scaling_models.montecarlo.kernels.placements import shard_loads
from scaling_models.montecarlo.streams import stream
from scaling_models.shards import (
    PLACEMENTS,
    Cached,
    EvenHash,
    HashRing,
    LRUCached,
    Measured,
    RangePartition,
    Salted,
    ShardLoad,
    UniformKeys,
    Zipf,
)

BASE = ShardLoad()
KEYS = ("hottest key", "keys 2 to 10", "keys 11 to 100", "other keys")
STATES = {
    "default": BASE,
    "more shards": BASE.replace(shards=256),
    "one shard": BASE.replace(shards=1),
    "salted": BASE.replace(popularity=Salted(Zipf(), 10, 8)),
    "gathered": BASE.replace(popularity=Salted(Zipf(), 10, 8, gathered=1.0)),
    "cached": BASE.replace(popularity=Cached(Zipf(), 100)),
    "lru": BASE.replace(popularity=LRUCached(Zipf(), 1000)),
    "few keys": BASE.replace(popularity=Measured((5, 3, 1)), shards=8),
    "even keys": BASE.replace(popularity=UniformKeys(5000)),
    "copies": BASE.replace(replicas=3, placement=HashRing(16)),
    "ranges": BASE.replace(placement=RangePartition("adjacent")),
    "very many keys": BASE.replace(popularity=Zipf(10**10, 0.8), placement=RangePartition("adjacent")),
    "very many even keys": BASE.replace(popularity=UniformKeys(10**9)),
    **{kind.__name__: BASE.replace(placement=kind()) for kind in PLACEMENTS},
}
FIGURES: dict[str, Callable[[], go.Figure]] = {
    "hot shards": lambda: figures.hot_shards(BASE),
    "side by side": lambda: figures.hot_shards({"before": BASE, "after": STATES["salted"], "cached": STATES["cached"]}),
    "rings": figures.rings,
}


def shape(figure: go.Figure) -> list[tuple[str, str]]:
    """The names and kinds of the traces, in order."""
    return [(trace.name, trace.type) for trace in figure.data]


def loads(figure: go.Figure, at: int = 0) -> Any:
    """What the bars of one panel stand for, by shard."""
    bars = figure.data[6 * at : 6 * at + 4]
    x, y = (np.concatenate([np.asarray(bar[axis], dtype=float) for bar in bars]) for axis in "xy")
    return np.bincount(x.astype(int), y)[1:]


@pytest.mark.parametrize("name", FIGURES)
def test_a_picture_has_a_title_and_axes_with_units_and_repeats(name: str) -> None:
    figure = FIGURES[name]()
    assert figure.layout.title.text
    assert figure.layout.template.layout.font.size >= 13
    assert figure.layout.xaxis.title.text.endswith("first")
    assert figure.layout.yaxis.title.text.endswith(("(requests/s)", "(%)"))
    assert figure.to_json() == FIGURES[name]().to_json()


@pytest.mark.parametrize("state", STATES)
def test_hot_shards_have_the_same_traces_in_every_state(state: str) -> None:
    figure = figures.hot_shards(STATES[state], arrival_rate=1000.0)
    assert shape(figure) == [*((name, "bar") for name in KEYS), ("mean", "scatter"), ("capacity", "scatter")]
    model, drawn = STATES[state], loads(figure)
    assert len(drawn) == model.shards
    assert (np.diff(drawn) <= 1e-9).all()
    assert drawn.sum() == pytest.approx(1000.0 * model.popularity.total)
    assert figure.data[4].y[0] == pytest.approx(drawn.mean())
    assert figure.data[5].y[0] == model.capacity


def test_the_hottest_keys_are_segments_of_the_shards_that_hold_them() -> None:
    popularity = Measured(tuple(range(200, 0, -1)))
    shares = popularity.shares()
    model = ShardLoad(16, popularity)
    figure = figures.hot_shards(model, 1000.0, seed=5)
    owners = model.placement.place(200, 16, stream(5, 0))
    held = np.bincount(owners, shares, 16)
    order = np.argsort(-held, kind="stable")
    np.testing.assert_allclose(loads(figure), 1000.0 * held[order])
    hottest, few = figure.data[0], figure.data[1]
    assert order[hottest.x[0] - 1] == owners[0]
    np.testing.assert_array_equal(order[np.array(few.x) - 1], owners[1:10])
    np.testing.assert_allclose(few.y, 1000.0 * shares[1:10])
    np.testing.assert_allclose(sum(figure.data[2].y), 1000.0 * shares[10:100].sum())


def test_every_copy_is_a_segment_of_another_shard() -> None:
    hottest = figures.hot_shards(STATES["copies"], 1000.0).data[0]
    assert len(set(hottest.x)) == 3
    np.testing.assert_allclose(hottest.y, 1000.0 * Zipf().top(1)[0] / 3)


def test_groups_of_keys_add_little_to_the_spread_of_loads() -> None:
    """N sum p^2, the squared spread of an even shard's load, over keys and groups instead of all keys."""
    for popularity in (Zipf(), UniformKeys(), UniformKeys(10_000_000)):
        placed = shards._shares(popularity)
        assert len(placed) == shards.PLACED
        assert placed.sum() == pytest.approx(1.0)
        added = float((placed**2).sum()) - popularity.sum_of_squares()
        assert added + 1e-7 >= 0.0  # bins of ranks are taken as even
        assert np.sqrt(64 * added) < 0.0165
        np.testing.assert_allclose(placed[:1000], popularity.top(1000))


def test_what_is_drawn_is_what_is_simulated() -> None:
    small = ShardLoad(32, Zipf(10_000, 0.99), EvenHash())
    dealt = shard_loads(small.popularity.shares(), 32, small.placement.place, 1, 9)[0]
    np.testing.assert_allclose(loads(figures.hot_shards(small, 1.0, seed=9)), np.sort(dealt)[::-1])


def test_the_drawn_hottest_shard_is_as_hot_as_the_formula_says() -> None:
    """The mean of 60 placements within 5 standard errors (false alarm 6e-7)."""
    drawn = [loads(figures.hot_shards(BASE, 1.0, seed))[0] for seed in range(60)]
    law = BASE.hottest_share
    assert abs(np.mean(drawn) - law.mean()) < 5.0 * np.sqrt(law.variance() / 60)


def test_adjacent_hot_keys_are_all_on_the_first_range() -> None:
    figure = figures.hot_shards(STATES["ranges"], 1000.0)
    assert set(figure.data[0].x) | set(figure.data[1].x) == {1}
    np.testing.assert_allclose(loads(figure), 1000.0 * np.array(STATES["ranges"].placement.loads(Zipf(), 64)))


def test_unless_given_the_traffic_fills_the_hottest_shard_of_the_first() -> None:
    figure = figures.hot_shards({"before": BASE, "after": STATES["cached"]})
    assert loads(figure)[0] == pytest.approx(BASE.capacity)
    assert 0.15 < loads(figure, 1)[0] / BASE.capacity < 0.2
    assert "the hottest shard is 17% to 100% busy" in figure.layout.title.text
    assert figure.layout.xaxis2.title.text.startswith("<b>after</b>: hottest 17% busy")
    assert figure.layout.yaxis2.matches == "y"


def test_the_title_says_what_fills_the_hottest_shard() -> None:
    figure = figures.hot_shards(BASE)
    mean = 100 * loads(figure).mean() / BASE.capacity
    key = 100 * figure.data[0].y[0] / BASE.capacity
    said = f"the hottest shard is 100% busy, {key:.0f}% of it with one key; the mean shard is {mean:.0f}% busy"
    assert said in figure.layout.title.text.replace("<br>", " ")
    salted = figures.hot_shards(STATES["salted"], 10_000.0)  # whose hottest keys lie elsewhere too
    pieces = [y for bar in salted.data[:2] for x, y in zip(bar.x, bar.y, strict=True) if x == 1]
    assert f"{100 * max(pieces) / loads(salted)[0]:.0f}% of it with one key" in salted.layout.title.text


@pytest.mark.parametrize(
    ("draw", "said"),
    [
        (lambda: figures.hot_shards({}), "must be given one model at least"),
        (lambda: figures.hot_shards(BASE, 0.0), r"arrival_rate must lie in \(0, inf\) requests/s; got 0"),
        (lambda: figures.hot_shards(BASE, float("nan")), "got nan"),
        (lambda: figures.rings([]), "must be given one placement at least"),
        (lambda: figures.rings(nodes=2), r"nodes must lie in \[3, inf\) nodes; got 2"),
    ],
)
def test_what_cannot_be_drawn_is_refused(draw: Callable[[], go.Figure], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        draw()


@pytest.mark.parametrize("tokens", ["random", "allocated"])
@pytest.mark.parametrize(("virtual_nodes", "nodes"), [(1, 3), (16, 8), (128, 64)])
def test_rings_have_the_same_traces_in_every_state(tokens: str, virtual_nodes: int, nodes: int) -> None:
    figure = figures.rings([HashRing(virtual_nodes, tokens)], nodes, seed=1)
    assert shape(figure) == shape(figures.rings(RINGS[:1]))
    bars = np.concatenate([trace.y for trace in figure.data[4:7]])
    assert len(bars) == nodes
    assert bars.sum() == pytest.approx(100.0)
    assert figure.data[7].y[0] == pytest.approx(100.0 / nodes)
    gaps = int(np.isnan(figure.data[3].x).sum())
    assert gaps == virtual_nodes * nodes  # a mark a token


@pytest.mark.parametrize("placement", [HashRing(4), HashRing(4, "allocated")])
def test_a_rings_arcs_are_the_keys_of_its_nodes(placement: HashRing) -> None:
    """The share of even keys that the placement itself puts on the largest node is its bar, and its arcs' length."""
    figure = figures.rings([placement], 8, seed=3)
    hashes = (np.arange(100_000, dtype=np.uint64) * np.uint64(2**64 // 100_000)).astype(np.uint64)
    held = np.sort(np.bincount(placement.owners(hashes, 8, 3), minlength=8))[::-1] / 1000.0
    bars = {x: y for trace in figure.data[4:7] for x, y in zip(trace.x, trace.y, strict=True)}
    np.testing.assert_allclose([bars[place] for place in range(1, 9)], held, atol=0.01)
    largest = figure.data[1]
    x, y = np.asarray(largest.x), np.asarray(largest.y)
    turned = np.nansum(2.0 * np.arcsin(np.hypot(np.diff(x), np.diff(y)) / 2.0)) / (2.0 * np.pi)
    assert 100.0 * turned == pytest.approx(held[0], abs=0.01)


def test_side_by_side_only_the_first_panel_is_in_the_legend() -> None:
    for figure, traces in ((FIGURES["side by side"](), 6), (figures.rings(), 8)):
        shown = [number for number, trace in enumerate(figure.data) if trace.showlegend is not False]
        assert shown
        assert max(shown) < traces


def test_the_report_has_both() -> None:
    asked = report.figures()
    title = asked["hot-shards"]().layout.title.text
    assert title.startswith("<b>I added shards: why is one still at 100%?</b>")
    assert "the hottest shard is 17% to 100% busy" in title.replace("<br>", " ")
    assert asked["rings"]().layout.title.text.startswith("<b>What do virtual nodes do?</b>")


@pytest.mark.slow
@pytest.mark.parametrize("model", [BASE, BASE.replace(placement=HashRing()), STATES["salted"]])
def test_a_picture_is_drawn_while_a_slider_moves(model: ShardLoad) -> None:
    """In 100 ms of one core."""

    def seconds(shards: int) -> float:
        start = time.process_time()
        figures.hot_shards(model.replace(shards=shards), 12_000.0)
        return time.process_time() - start

    assert min(seconds(shards) for shards in (60, 61, 62)) < 0.1
