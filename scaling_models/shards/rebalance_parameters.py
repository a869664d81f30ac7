"""What a rebalance is made of, and what it takes for granted."""

from __future__ import annotations

from typing import ClassVar

from scaling_models.answers import Assumption, Model
from scaling_models.domains import Choice, Integer, Real
from scaling_models.latency import SPREAD, Distribution, Exponential
from scaling_models.parameters import Slider, parameter
from scaling_models.shards.foreground import FIRST, ORDER
from scaling_models.shards.placements import PLACEMENT, HashRing, Placement

APPENDED, OVERWRITTEN = "appended", "overwritten"
NODES, PORT, NETWORK = Integer(1, 1000), "bytes/s", Slider(0.05e9, 2.5e9, 0.05e9)


class RebalanceParameters(Model):
    """Base: the parameters of a rebalance. Sizes are bytes, rates bytes/s."""

    placement: Placement = parameter(default=HashRing(), domain=PLACEMENT, about="how keys are put on nodes")
    nodes_before: int = parameter(
        default=4, domain=NODES, unit="nodes", symbol="N", about="nodes before", slider=Slider(1, 40, 1)
    )
    nodes_after: int = parameter(
        default=5, domain=NODES, unit="nodes", symbol="M", about="nodes after", slider=Slider(1, 40, 1)
    )
    data: float = parameter(
        default=2e12,
        domain=Real(),
        unit="bytes",
        symbol="D",
        about="data on all nodes together",
        slider=Slider(1e11, 1e13, 1e11),
    )
    throttle: float = parameter(
        default=50e6,
        domain=Real(),
        unit=PORT,
        symbol="B",
        about="what a node may copy a second, in and out each",
        slider=Slider(5e6, 250e6, 5e6),
    )
    write_rate: float = parameter(
        default=40e6,
        domain=Real(open_low=False),
        unit=PORT,
        symbol="w",
        about="what is written a second to the data that move",
        slider=Slider(0.0, 100e6, 1e6),
    )
    writes: str = parameter(
        default=APPENDED, domain=Choice((APPENDED, OVERWRITTEN)), about="whether a write adds data, or changes some"
    )
    keys: int = parameter(
        default=10_000,
        domain=Integer(100, 10**12),
        unit="keys",
        symbol="K",
        about="keys, or ranges, tablets, chunks: equally large pieces that a placement moves as a whole",
        slider=Slider(1000, 100_000, 1000),
    )
    pause: float = parameter(
        default=1.0,
        domain=Real(),
        unit="s",
        symbol="ε/B",
        about="for how long writes may stop at the cut-over",
        slider=Slider(0.1, 20.0, 0.1),
    )
    node_in: float = parameter(
        default=1.25e9, domain=Real(), unit=PORT, about="what a node's network receives", slider=NETWORK
    )
    node_out: float = parameter(
        default=1.25e9, domain=Real(), unit=PORT, about="what a node's network sends", slider=NETWORK
    )
    fabric: float = parameter(
        default=12.5e9,
        domain=Real(),
        unit=PORT,
        about="what the network between all nodes carries for the copy",
        slider=Slider(0.5e9, 25e9, 0.5e9),
    )
    disk: float = parameter(
        default=250e6,
        domain=Real(),
        unit=PORT,
        about="what a node's disk copies when it does nothing else",
        slider=Slider(50e6, 2000e6, 50e6),
    )
    chunk: float = parameter(
        default=0.05,
        domain=Real(),
        unit="s",
        symbol="c",
        about="time that the disk takes over a chunk, which nothing interrupts",
        slider=Slider(0.001, 0.2, 0.001),
    )
    order: str = parameter(default=FIRST, domain=ORDER, about="whether requests go before chunks that wait")
    arrival_rate: float = parameter(
        default=50.0,
        domain=Real(),
        unit="requests/s",
        symbol="λ",
        about="requests a second at the disk that copies most",
        slider=Slider(1, 100, 1),
    )
    service: Distribution = parameter(
        default=Exponential(0.010), domain=SPREAD, unit="s", symbol="S", about="the time that a request takes the disk"
    )

    _assumptions: ClassVar[tuple[Assumption, ...]] = (
        Assumption("what is written to the moving data is known", "optimistic if what moves more is written to more"),
        Assumption("all ports work at full rate until the last is through", "optimistic if moves wait for each other"),
        Assumption("every key is as large as another", "optimistic if one that moves is huge"),
        Assumption("chunks come at random moments", "pessimistic in order of arrival if they come at a steady pace"),
        Assumption("reading a chunk is all that a copy costs", "optimistic if it also evicts what the cache held"),
    )
