"""What sizing answers with, and what it plans for."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

from scaling_models.answers import Accuracy, Model
from scaling_models.domains import is_number
from scaling_models.pools.formulas.sizing import left_of_zones, zoned
from scaling_models.wording import short


def value_of(model: Model, name: str) -> Any:
    """A parameter's value, or a `ValueError` that says that sizing needs it."""
    if not isinstance(model, Model):
        raise ValueError(f"sizing must be given a model; got {short(model)}")
    if name not in model.parameters():
        raise ValueError(f"sizing needs {name}; {type(model).__name__} has {', '.join(model.parameters())}")
    return model.values()[name]


@dataclasses.dataclass(frozen=True)
class Sizing:
    """How many servers, and why: `says` tells it in a sentence; `int()` gives the number.

    `needed` are those that must be up, `servers` those to provide so that as many are left when what is planned for is
    lost; both `inf` where no number will do. `achieved` is the answer with `needed` of them, `one_fewer` with one fewer
    (`inf` without a steady state, NaN where there is no closed form for it). `model` is the pool with `servers`, at the
    peak; `accuracy` that of the answer.
    """

    servers: float
    needed: float
    achieved: float
    one_fewer: float
    model: Model
    accuracy: Accuracy
    says: str

    def __int__(self) -> int:
        if math.isinf(self.servers):
            raise ValueError(self.says)
        return int(self.servers)

    def __str__(self) -> str:
        return self.says


@dataclasses.dataclass(frozen=True)
class Capacity:
    """The highest arrival rate (requests/s) that given servers carry, what the answer is there, and a sentence.

    0 where no load is low enough, `inf` where any is.
    """

    arrival_rate: float
    achieved: float
    accuracy: Accuracy
    says: str

    def __float__(self) -> float:
        return self.arrival_rate

    def __str__(self) -> str:
        return self.says


@dataclasses.dataclass(frozen=True)
class Reserve:
    """What is planned for: one of `zones` and `failures` servers lost at once, and the day's peak over its mean."""

    zones: int = 1
    failures: int = 0
    peak: float = 1.0

    def __post_init__(self) -> None:
        for name, low in (("zones", 1), ("failures", 0)):
            value = getattr(self, name)
            if not (is_number(value) and float(value).is_integer() and value >= low):
                raise ValueError(f"{name} must be a whole number from {low}; got {short(value)}")
        if not (is_number(self.peak) and 1 <= self.peak < math.inf):
            raise ValueError(f"peak (the day's highest load over its mean) must lie in [1, inf); got {self.peak!r}")

    def at_peak(self, model: Model) -> Model:
        """The model at the peak's arrival rate."""
        return model if self.peak == 1 else model.replace(arrival_rate=value_of(model, "arrival_rate") * self.peak)

    def provided(self, needed: float) -> float:
        """Servers of which `needed` are left."""
        return float(zoned(needed + self.failures, self.zones))

    def left(self, servers: float) -> float:
        """Servers that are left."""
        return float(left_of_zones(servers, self.zones)) - self.failures

    @property
    def loss(self) -> str:
        """What is lost, in words; nothing where nothing is planned for."""
        parts = [f"one of {self.zones} zones"] if self.zones > 1 else []
        parts += [f"{self.failures} server{'s' if self.failures > 1 else ''}"] if self.failures else []
        return " and ".join(parts)
