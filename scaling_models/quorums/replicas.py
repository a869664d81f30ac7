"""A replica: how long it takes, how often it is up, what it can carry."""

from __future__ import annotations

from scaling_models.domains import Real, Record
from scaling_models.latency import LATENCY, Distribution
from scaling_models.parameters import Declared, Slider, parameter


class Replica(Declared):
    """One replica of a quorum system, as a client sees it."""

    latency: Distribution = parameter(
        default=0.010, domain=LATENCY, unit="s", symbol="X", about="time from asking it to its reply"
    )
    availability: float = parameter(
        default=0.999,
        domain=Real(0.0, 1.0, open_low=False, open_high=False),
        symbol="A",
        about="share of the time that it is up (illustrative)",
        slider=Slider(0.9, 1.0, 0.001),
    )
    read_capacity: float = parameter(
        default=1.0,
        domain=Real(),
        unit="requests/s",
        about="reads that it can take part in, were there nothing else",
        slider=Slider(1.0, 1e5, 0.1, log=True),
    )
    write_capacity: float = parameter(
        default=1.0,
        domain=Real(),
        unit="requests/s",
        about="writes that it can take part in, were there nothing else",
        slider=Slider(1.0, 1e5, 0.1, log=True),
    )


REPLICA = Record("a replica, such as Replica(0.005)", lambda: Replica, lambda: (Replica,))
