"""Values to begin with: of another kind with the same mean, or of an item where a list was empty."""

from __future__ import annotations

from typing import Any

from scaling_models.domains import Choice, Record


def with_mean_of(new: Any, old: Any) -> Any:
    """`new`, its times scaled so that it has the mean of `old`, where both have one."""
    if not (hasattr(new, "mean") and hasattr(old, "mean")):
        return new
    before, after = old.mean(), new.mean()
    if not (0 < before < float("inf") and 0 < after < float("inf")):
        return new
    times = {name: value for name, value in new.values().items() if new.parameters()[name].unit == "s"}
    return new.replace(**{name: float(f"{value * before / after:.6g}") for name, value in times.items()})


def example(domain: Any) -> Any:
    """A value to begin with, where a list was empty."""
    if isinstance(domain, Record):
        return domain.kinds()[0]()
    return domain.options[0] if isinstance(domain, Choice) else domain.convert(max(domain.low, 1))
