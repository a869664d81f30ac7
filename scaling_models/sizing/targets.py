"""What a pool is sized by: one answer of a model, and the most that it may come to."""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Mapping
from typing import Any

import numpy as np

from scaling_models import sweeps, units
from scaling_models.answers import Model, NoClosedForm
from scaling_models.domains import is_number
from scaling_models.latency import Distribution
from scaling_models.pools.formulas.sizing import ROUNDING
from scaling_models.wording import nearest

PERCENTILE = re.compile(r"p(\d\d?)(?:_(\d+))?")
RESERVES = ("zones", "failures", "peak")  # the other keywords of `servers_for`
EXTREME = 1e300  # ratios are kept within, so that their logarithms are numbers


@dataclasses.dataclass(frozen=True)
class Target:
    """An answer that shall be at most `bound`: its quantile at `level` (a fraction), its mean, or the number itself."""

    answer: str
    bound: float
    unit: str
    spread: bool  # whether the answer is a distribution
    level: float | None = None

    @property
    def name(self) -> str:
        """As people say it: p99 of the latency."""
        said = units.words(self.answer)
        if not self.spread:
            return said
        return f"mean of the {said}" if self.level is None else f"p{100.0 * self.level:.10g} of the {said}"

    def human(self, value: float) -> str:
        """A value of the answer, with its unit."""
        return units.human(float(value), self.unit)

    def value(self, model: Model) -> float:
        """What the model's closed form answers; `NoClosedForm` where there is none that can be trusted."""
        found = self._found(model)
        if not isinstance(found, Distribution):
            return float(found)
        return self.of(found)

    def of(self, latency: Distribution) -> float:
        """The mean or quantile of a distribution."""
        return latency.mean() if self.level is None else float(latency.icdf(self.level))

    def excess(self, model: Model) -> float:
        """How far the target is missed, as a logarithm: not positive where it is met."""
        found = self._found(model)
        if isinstance(found, Distribution):
            return self.excess_of(found)
        return _log_ratio(float(found), self.bound)

    def excess_of(self, latency: Distribution) -> float:
        """The same of a distribution: of its mean, or of the chance to be late: without a search for a quantile."""
        if self.level is None:
            return _log_ratio(latency.mean(), self.bound)
        if not latency.spread_known:
            raise NoClosedForm("only the mean is known here, and no percentile")
        return _log_ratio(float(latency.ccdf(self.bound)), 1.0 - self.level)

    def met(self, model: Model) -> bool:
        """Whether the answer is at most the bound, but for rounding."""
        return self.excess(model) <= ROUNDING

    def _found(self, model: Model) -> Any:
        found = getattr(model, self.answer)
        if model.accuracy(self.answer, self.level).label == "simulated":
            raise NoClosedForm(
                f"{type(model).__name__} has no closed form that holds for {self.name} here: simulate it"
            )
        if not isinstance(found, Distribution) and np.ndim(found):
            raise ValueError(f"{self.answer} of {type(model).__name__} is several numbers: a target must be for one")
        return found


def _log_ratio(value: float, bound: float) -> float:
    return math.log(min(max(value / bound, 1.0 / EXTREME), EXTREME))


def targets(model: Model, named: Mapping[str, Any], level: float | None) -> list[Target]:
    """The targets that keywords name: `p99=`, `p99_9=`, `mean=` of the headline; an answer's name, with its level."""
    if not named:
        raise ValueError("a target is wanted: p99=0.1, mean=0.05, latency=0.1 with level=0.999, utilization=0.7")
    found = [_target(model, name, bound, level) for name, bound in named.items()]
    if level is not None and not any(
        each.answer == name for each, name in zip(found, named, strict=True) if each.spread
    ):
        raise ValueError("level goes with the name of a distribution, as in latency=0.1, level=0.999")
    return found


def _target(model: Model, name: str, bound: Any, level: float | None) -> Target:
    answer, at = _read(model, name, level)
    declared = sweeps.known_answer(type(model), answer)
    if not (is_number(bound) and 0 < bound < math.inf):
        unit = f" {declared.unit}" if declared.unit else ""
        raise ValueError(f"the target {name} must lie in (0, inf){unit}; got {bound!r}")
    spread = sweeps.is_distribution(type(model), answer)
    if answer == name and spread and level is None:
        raise ValueError(f"{name} is a distribution: say at which level, {name}={bound!r}, level=0.99")
    if answer != name and not spread:
        raise ValueError(f"{name} asks for a distribution, but {answer} of {type(model).__name__} is a number")
    return Target(answer, float(bound), declared.unit, spread, at if spread else None)


def _read(model: Model, name: str, level: float | None) -> tuple[str, float | None]:
    """The answer that a keyword means, and the level."""
    if name in model.answers():
        if level is not None and not (is_number(level) and 0 < level < 1):
            raise ValueError(f"level must lie in (0, 1); got {level!r}")
        return name, level
    if name == "mean":
        return model.headline, None
    percentile = PERCENTILE.fullmatch(name)
    if percentile and float(percentile[1]) + float(percentile[2] or 0):
        return model.headline, float(f"{percentile[1]}.{percentile[2] or 0}") / 100.0
    known = ", ".join(model.answers())
    raise ValueError(
        f"{name!r} is no target{nearest(name, [*RESERVES, *model.answers()])}: write p99=0.1 (p99_9 for 99.9%), "
        f"mean=0.05, or one of {known} with its bound, "
        f"and level=0.999 with a distribution; what is planned for is {', '.join(RESERVES)}"
    )
