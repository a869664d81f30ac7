"""A progress bar on whatever lasts over a second."""

from __future__ import annotations

from collections.abc import Iterable

from tqdm import tqdm


def progress(steps: Iterable[int], about: str) -> Iterable[int]:
    """The steps, with a bar on a terminal that appears after a second and goes with the last of them."""
    # disable=None: only on a terminal, for in a notebook the bar leaves an empty band behind.
    bar: Iterable[int] = tqdm(steps, desc=about, unit="block", delay=1.0, leave=False, disable=None)
    return bar
