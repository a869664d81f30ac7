"""Wording: how values and names are said in a repr and in an error message."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import Any

MOST_SHOWN = 50  # numbers in a row up to which a repr can be pasted back


def nearest(name: str, known: Iterable[str]) -> str:
    """Of known names the one that a wrong one comes nearest to, as a question; nothing where none is near."""
    found = difflib.get_close_matches(name, known, n=1)
    return f" (did you mean {found[0]}?)" if found else ""


def shown(value: Any) -> str:
    """Its repr; of a tuple longer than MOST_SHOWN its ends and its length, in brackets that no interpreter takes."""
    if not isinstance(value, tuple) or type(value).__repr__ is not tuple.__repr__:
        return repr(value)
    if len(value) > MOST_SHOWN:
        return f"<{len(value):,}: {shown(value[0])}, {shown(value[1])}, ..., {shown(value[-1])}>"
    return f"({', '.join(map(shown, value))}{',' if len(value) == 1 else ''})"


def short(value: Any, most: int = 80) -> str:
    """Its repr for an error message: cut, so that a sentence never holds a whole sample or model."""
    long = type(value) is list and len(value) > MOST_SHOWN
    text = shown(tuple(value) if long else value)
    return text if len(text) <= most else text[: most - 3] + "..."


def per_cent(owner: str, levels: Iterable[float]) -> None:
    """Raise ValueError unless levels are percentiles, in per cent: where all are below 1 fractions are meant."""
    given = [float(level) for level in levels]
    wrong = [level for level in given if not 0.0 <= level <= 100.0]
    if wrong:
        raise ValueError(f"{owner}: levels must lie in [0, 100] per cent; got {wrong[0]!r}")
    if given and all(0.0 < level < 1.0 for level in given):
        meant = ", ".join(f"{100.0 * level:.10g}" for level in given)
        said = ", ".join(f"{level:g}" for level in given)
        raise ValueError(f"{owner}: levels are in per cent; got {said}: did you mean {meant}?")
