"""Rules by which a pool sheds load: who is refused at the door, and how long the rest may wait."""

from __future__ import annotations

import math

from scaling_models.domains import Real, Record
from scaling_models.parameters import Declared, Slider, parameter


class Shedder(Declared):
    """Base of the rules; a kind tells the `share` that it refuses at the door, or the `delays` that it allows."""

    def share(self, load: float) -> float:
        """The share of the requests refused at the door, at random, when so much is offered (erlangs a slot)."""
        return 0.0

    @property
    def delays(self) -> tuple[float, float]:
        """The longest waits (s): of who comes when somebody has waited all through the second, and of others."""
        return math.inf, math.inf


class ShedShare(Shedder):
    """So large a share of the requests is refused at the door, whatever the load is."""

    refused: float = parameter(
        default=0.1,
        domain=Real(0.0, 1.0, open_low=False),
        symbol="s",
        about="share of the requests that is refused",
        slider=Slider(0.0, 0.9, 0.05),
    )

    def share(self, load: float) -> float:
        """The same at any load."""
        return self.refused


class HoldUtilization(Shedder):
    """What is offered beyond a target utilization is refused at the door: the share max(0, 1 - target / offered).

    As shedders that watch the CPU do; the load is taken for known.
    """

    target: float = parameter(
        default=0.7,
        domain=Real(0.0, 1.0),
        symbol="ρ*",
        about="the utilization that is held",
        slider=Slider(0.05, 0.95, 0.05),
    )

    def share(self, load: float) -> float:
        """max(0, 1 - target / offered)."""
        return max(0.0, 1.0 - self.target / load)


class ControlledDelay(Shedder):
    """Who comes when the queue has not been empty for an `interval` waits for `target` at most, others for `interval`.

    It is dropped from the queue then, at no cost: CoDel as servers have it. Maurer, Fail at Scale, ACM Queue 13(8),
    2015; after Nichols and Jacobson, Controlling Queue Delay, 2012. It has no closed form, and is simulated.
    """

    target: float = parameter(
        default=0.005,
        domain=Real(),
        unit="s",
        about="the longest wait while a queue stands",
        slider=Slider(0.001, 0.1, 0.001),
    )
    interval: float = parameter(
        default=0.100,
        domain=Real(),
        unit="s",
        about="how long a burst may take to pass: for so long the queue may stand, and somebody wait",
        slider=Slider(0.01, 1.0, 0.01),
    )

    def _check(self) -> None:
        if self.target > self.interval:
            raise ValueError(
                f"ControlledDelay.target must lie in (0, {self.interval:g}] s, the interval; got {self.target!r}"
            )

    @property
    def delays(self) -> tuple[float, float]:
        """Target and interval."""
        return self.target, self.interval


KINDS = (HoldUtilization, ShedShare, ControlledDelay)
SHEDDER = Record("a rule of shedding, such as HoldUtilization(0.7)", base=lambda: Shedder, kinds=lambda: KINDS)
