"""Four editors, chosen by the domain of what they edit: number, choice, record, rows."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, Protocol

import ipywidgets as widgets

from scaling_models import units
from scaling_models.domains import Choice, Integer, Real, Record, Rows
from scaling_models.explorer.beginnings import example, with_mean_of
from scaling_models.explorer.numbers import LABEL, NumberEditor
from scaling_models.inputs import MOST_ROWS
from scaling_models.parameters import Declared, Parameter

Changed = Callable[[], None]
NESTED = "0 0 0 1.2em"  # the margin of what stands inside another


class Editor(Protocol):
    """One value being edited: its widget, the value as it stands (or a ValueError), its controls by relative path."""

    widget: Any

    @property
    def value(self) -> Any:
        """The value as it stands; ValueError where its parts contradict each other."""

    @property
    def controls(self) -> dict[str, Any]:
        """The widgets that a hand can move, by what is added to this one's path; its own under nothing."""


@functools.singledispatch
def editor(domain: Any, declared: Parameter, value: Any, changed: Changed, label: str) -> Editor:
    """The editor of one value: of `domain` (the declaration's, or that of an item in its rows)."""
    raise TypeError(f"there is no editor for {domain!r}")


def title(declared: Parameter) -> str:
    """Name, symbol and unit, as a label says them."""
    name = units.words(declared.name)
    named = f"{name} {declared.symbol}" if declared.symbol else name
    scale = units.slider(declared) if isinstance(declared.domain, Real | Integer) else units.Scale()
    return named if scale.suffix == name else scale.title(named)


class Number:
    """A slider."""

    def __init__(self, declared: Parameter, value: float, changed: Changed, label: str) -> None:
        self._number = NumberEditor(declared, value, label)
        self.widget = self._number.widget
        self.widget.observe(lambda _: changed(), "value")

    @property
    def value(self) -> float:
        """The number in the parameter's own unit."""
        return self._number.value

    @property
    def controls(self) -> dict[str, Any]:
        """The slider."""
        return {"": self.widget}


@editor.register(Real)
@editor.register(Integer)
def _(domain: Real | Integer, declared: Parameter, value: Any, changed: Changed, label: str) -> Editor:
    return Number(declared, value, changed, label)


class Options:
    """A drop-down of named options."""

    def __init__(self, domain: Choice, declared: Parameter, value: str, changed: Changed, label: str) -> None:
        options = [(units.words(option), option) for option in domain.options]
        self.widget = dropdown(options, value, label, declared.about)
        self.widget.observe(lambda _: changed(), "value")

    @property
    def value(self) -> str:
        """The option chosen."""
        return str(self.widget.value)

    @property
    def controls(self) -> dict[str, Any]:
        """The drop-down."""
        return {"": self.widget}


@editor.register
def _(domain: Choice, declared: Parameter, value: Any, changed: Changed, label: str) -> Editor:
    return Options(domain, declared, value, changed, label)


def dropdown(options: list[tuple[str, Any]], value: Any, label: str, about: str) -> Any:
    """A drop-down as wide as the sliders."""
    layout = widgets.Layout(width="auto", min_width="26em")
    return widgets.Dropdown(options=options, value=value, description=label, style=LABEL, layout=layout, tooltip=about)


class Fields:
    """The editors of all parameters of one declared object."""

    def __init__(self, value: Declared, changed: Changed) -> None:
        self.kind = type(value)
        self.editors = {
            name: editor(declared.domain, declared, value.values()[name], changed, title(declared))
            for name, declared in value.parameters().items()
        }

    @property
    def widgets(self) -> list[Any]:
        """All editors' widgets, in order."""
        return [each.widget for each in self.editors.values()]

    @property
    def value(self) -> Any:
        """The object as it stands."""
        return self.kind(**{name: each.value for name, each in self.editors.items()})

    @property
    def controls(self) -> dict[str, Any]:
        """All controls, by path."""
        return {
            f"{name}{path}": widget for name, each in self.editors.items() for path, widget in each.controls.items()
        }


class Kinds:
    """A drop-down of kinds, and the sliders of the chosen kind under it."""

    def __init__(self, domain: Record, declared: Parameter, value: Any, changed: Changed, label: str) -> None:
        self._given, self._last, self._changed = value, value, changed
        kinds = list(domain.kinds())
        known = type(value) in kinds
        # A value of another kind (measured, or composed) stays to be chosen, as it was given.
        given: list[tuple[str, Any]] = [] if known else [(f"as given: {value!r:.40}", None)]
        options = [*given, *((kind.__name__, kind) for kind in kinds)]
        self._choice = dropdown(options, type(value) if known else None, label, declared.about)
        self._choice.observe(lambda _: self._switch(), "value")
        self._inside = widgets.VBox(layout=widgets.Layout(margin=NESTED))
        self.widget = widgets.VBox([self._choice, self._inside])
        self._fill(value if known else None)

    def _fill(self, value: Any) -> None:
        self._fields = None if value is None else Fields(value, self._changed)
        self._inside.children = [] if self._fields is None else self._fields.widgets

    def _switch(self) -> None:
        kind = self._choice.value
        self._fill(None if kind is None else with_mean_of(kind(), self._last))
        self._changed()

    @property
    def value(self) -> Any:
        """The object as it stands; remembered, for the next kind takes over its mean."""
        self._last = self._given if self._fields is None else self._fields.value
        return self._last

    @property
    def controls(self) -> dict[str, Any]:
        """The drop-down, and the chosen kind's controls."""
        inside = {} if self._fields is None else self._fields.controls
        return {"": self._choice, **{f".{path}": widget for path, widget in inside.items()}}


@editor.register
def _(domain: Record, declared: Parameter, value: Any, changed: Changed, label: str) -> Editor:
    return Kinds(domain, declared, value, changed, label)


class Items:
    """Editors of the items, each with a button that takes it away, and one button that adds another like the last."""

    def __init__(self, domain: Rows, declared: Parameter, value: Any, changed: Changed, label: str) -> None:
        self._domain, self._declared, self._changed, self._label = domain, declared, changed, label
        self._spare = value[-1] if value else example(domain.item)
        said = f"add one: {label}"  # an empty list shows nothing else
        self._add = widgets.Button(description=said, icon="plus", layout=widgets.Layout(width="auto"))
        self._add.on_click(lambda _: self._put([*self.value, self._spare]))
        self._rows = widgets.VBox()
        self.widget = widgets.VBox([self._rows, self._add])
        self._fill(value)

    def _fill(self, value: Any) -> None:
        label = self._label
        self._items = [
            editor(self._domain.item, self._declared, item, self._changed, f"{label} {at + 1}")
            for at, item in enumerate(value)
        ]
        self._removes = [self._remove(at) for at in range(len(self._items))]
        self._rows.children = [
            widgets.HBox([each.widget, button], layout=widgets.Layout(align_items="flex-start"))
            for each, button in zip(self._items, self._removes, strict=True)
        ]
        for each in self._items:
            each.widget.layout.flex = "1 1 auto"
        if value:
            self._spare = value[-1]
        self._add.disabled = len(value) >= min(self._domain.most, MOST_ROWS)

    def _remove(self, at: int) -> Any:
        button = widgets.Button(
            icon="times", tooltip=f"take away {self._label} {at + 1}", layout=widgets.Layout(width="2.6em")
        )
        button.disabled = len(self._items) <= self._domain.least
        button.on_click(lambda _: self._put([item for position, item in enumerate(self.value) if position != at]))
        return button

    def _put(self, value: list[Any]) -> None:
        self._fill(value)
        self._changed()

    @property
    def value(self) -> tuple[Any, ...]:
        """The items as they stand."""
        return tuple(each.value for each in self._items)

    @property
    def controls(self) -> dict[str, Any]:
        """The items' controls, and the buttons."""
        items = {
            f"[{at}]{path}": widget for at, each in enumerate(self._items) for path, widget in each.controls.items()
        }
        removes = {f"[{at}].remove": button for at, button in enumerate(self._removes)}
        return {**items, **removes, ".add": self._add}


class Fixed:
    """What nobody edits by hand: more rows than a panel holds."""

    def __init__(self, value: Any, label: str) -> None:
        self.value, self.controls = value, dict[str, Any]()
        self.widget = widgets.Label(f"{label}: {len(value):,} values, as given")


@editor.register
def _(domain: Rows, declared: Parameter, value: Any, changed: Changed, label: str) -> Editor:
    return Fixed(value, label) if len(value) > MOST_ROWS else Items(domain, declared, value, changed, label)
