"""What a panel says beside its figure: accuracy, assumptions, sensitivities, as HTML lines."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape

from scaling_models import sweeps, units
from scaling_models.answers import Accuracy, Model, NoClosedForm
from scaling_models.sensitivities import Sensitivity, sensitivities

LINE = '<div style="line-height:1.45; font-size:13px">{}</div>'


def message(sentence: str) -> str:
    """A sentence that asks for attention, or an empty line that keeps its place."""
    return f'<span role="status" style="color:#B3261E">{escape(sentence)}&nbsp;</span>'


def code(model: Model) -> str:
    """The model's repr, to be pasted."""
    return LINE.format(f'<code style="user-select:all; overflow-wrap:anywhere">{escape(repr(model))}</code>')


def closed_form_sentence(model: Model) -> str:
    """Why the headline has no closed form, or not all of it; nothing where it has one."""
    try:
        getattr(model, model.headline)
    except NoClosedForm as reason:
        return str(reason)
    tail = _tail(model).label
    said = units.words(model.headline)
    if tail == "band":
        return f"the {said} is known by its mean, and by a band for its percentiles"
    return f"only the mean of the {said} has a closed form here" if tail == "simulated" else ""


def _tail(model: Model) -> Accuracy:
    """How accurate the headline's p99 is, or the headline itself where that is a number."""
    return model.accuracy(model.headline, 0.99 if sweeps.is_distribution(type(model), model.headline) else None)


def accuracy(model: Model) -> str:
    """How accurate the formula of the headline is, for its mean and its p99 where they differ."""
    mean, tail = str(model.accuracy(model.headline)), str(_tail(model))
    said = mean if mean == tail else f"mean {mean}; p99 {tail}"
    return LINE.format(f"<b>How accurate the formula is</b> ({units.words(model.headline)}): {escape(said)}.")


def _grouped(found: Sequence[Sensitivity]) -> list[str]:
    """What the possible changes do, those that do the same in one; those that do something by themselves first."""
    groups: dict[str, list[str]] = {}
    for each in found:
        if not math.isnan(each.change):
            groups.setdefault(each.does, []).append(each.says.removesuffix(f": {each.does}"))
    return [f"{', '.join(who)}: {does}" for does, who in sorted(groups.items(), key=lambda each: len(each[1]))]


def assumptions(model: Model) -> str:
    """What the model assumes and which way it errs, and what 10% more of each input does."""
    taken = "; ".join(f"{each.says} (<i>{escape(each.errs)}</i>)" for each in model.assumptions(model.headline))
    changes = "; ".join(escape(each) for each in _grouped(sensitivities(model)))
    lines = [f"<b>What it assumes:</b> {taken or 'nothing'}."]
    lines += [f"<b>What 10% more of each input does:</b> {changes}."] if changes else []
    return LINE.format("<br>".join(lines))
