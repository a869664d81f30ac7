"""A progress bar on whatever lasts over a second."""

from __future__ import annotations

from collections.abc import Iterable


def progress(steps: Iterable[int], about: str) -> Iterable[int]:
    """The steps, with a bar that appears after a second and goes with the last of them; a widget in a notebook."""
    from tqdm.auto import tqdm  # here, for it looks for a notebook, which a model's import need not wait for

    bar: Iterable[int] = tqdm(steps, desc=about, unit="block", delay=1.0, leave=False)
    return bar
