"""The four legs of a replicated write and a read (WARS): write, acknowledgement, request, response."""

from __future__ import annotations

from scaling_models.domains import Choice, Record
from scaling_models.latency import LATENCY, Distribution, Exponential, Pareto, mixture
from scaling_models.parameters import Declared, parameter
from scaling_models.quorums.formulas.staleness import Four


class Legs(Declared):
    """Base: how long each message of a replica takes, disk included; a kind tells the four."""

    @property
    def four(self) -> Four:
        """Write to the replica, acknowledgement back, read request to it, response back."""
        raise NotImplementedError


class OwnLegs(Legs):
    """Legs of one's own."""

    write: Distribution = parameter(
        default=Exponential(0.005), domain=LATENCY, unit="s", symbol="W", about="until the replica has the write"
    )
    acknowledgement: Distribution = parameter(
        default=Exponential(0.001), domain=LATENCY, unit="s", symbol="A", about="its acknowledgement on the way back"
    )
    request: Distribution = parameter(
        default=Exponential(0.001), domain=LATENCY, unit="s", symbol="R", about="a read's request on the way there"
    )
    response: Distribution = parameter(
        default=Exponential(0.001), domain=LATENCY, unit="s", symbol="S", about="its response on the way back"
    )

    @property
    def four(self) -> Four:
        """The fields."""
        return self.write, self.acknowledgement, self.request, self.response


def _fit(share: float, least: float, index: float, rate: float) -> Distribution:
    """A Pareto body (from `least` ms) and an exponential tail (`rate` a ms), as the fits are printed."""
    body = Pareto(least * 1e-3 * index / (index - 1.0), index)
    return mixture((share, 1.0 - share), (body, Exponential(1e-3 / rate)))


SOLID_STATE = _fit(0.9122, 0.235, 10.0, 1.66)
FITS = {  # the write, and all three others, in ms
    "LNKD-SSD": (SOLID_STATE, SOLID_STATE),
    "LNKD-DISK": (_fit(0.38, 1.05, 1.51, 0.183), SOLID_STATE),
    "YMMR": (_fit(0.939, 3.0, 3.5, 0.0028), _fit(0.982, 1.5, 3.8, 0.0217)),
}


class ProductionLegs(Legs):
    """Legs as fitted to production traces: LinkedIn's Voldemort on solid state and on disks, Yammer's Riak.

    Bailis and others, Probabilistically Bounded Staleness for Practical Partial Quorums, VLDB 2012, table 3. The index
    of Yammer's writes is printed as 3.35; 3.5 is what reproduces that paper's results.
    """

    fit: str = parameter(default="LNKD-DISK", domain=Choice(tuple(FITS)), about="which production system")

    @property
    def four(self) -> Four:
        """The write's fit, and one that the three others share."""
        write, other = FITS[self.fit]
        return write, other, other, other


LEGS = Record(
    "the legs of a replica, such as ProductionLegs('LNKD-DISK')", lambda: Legs, lambda: (ProductionLegs, OwnLegs)
)
