"""The panel: sliders, a line for messages, a figure redrawn in place, and what stands behind its numbers."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Sequence
from typing import Any

import ipywidgets as widgets
import plotly.graph_objects as go

from scaling_models import figures, inputs, sweeps
from scaling_models.answers import Model, Simulation
from scaling_models.explorer import notes
from scaling_models.explorer.drawing import Quiet, redraw, shown
from scaling_models.explorer.editors import Editor, Fields
from scaling_models.wording import short

SEED = 0
KEPT = 32  # simulations kept of models that were shown


class Panel(widgets.VBox):  # type: ignore[misc]  # ipywidgets ships no types
    """Sliders and figure of one model: `model` as it stands, `figure`, `controls` by path, `message`."""

    def __init__(
        self,
        model: Model,
        figure: Callable[..., go.Figure],
        options: dict[str, Any],
        first: Sequence[str] | None = None,
    ) -> None:
        self.model = model
        self._draw = functools.partial(figure, **options)
        free = set(inspect.signature(figure).parameters) - set(options)
        self._takes_dots, self._takes_rest = "simulation" in free, "resting" in free
        self._simulations: dict[Model, Simulation | str] = {}
        self._quiet = Quiet()
        self._fields = Fields(model, self._changed)
        inside = _controls(self._fields, first)
        self._make_widgets()
        self.figure = shown(self._picture(model, None))
        self.timeline: go.FigureWidget | None = None
        # Both figures stay in the page, one hidden: taken out of it, a figure never draws again.
        self._shown, self._broken = widgets.VBox([self.figure]), widgets.VBox([])
        self._broken.layout.display = "none"
        self._refusal = ""
        buttons = widgets.HBox([self.dots, self.break_it] if self._takes_dots else [self.break_it])
        super().__init__(
            [
                *inside,
                self.message,
                self._shown,
                self._broken,
                buttons,
                self.accuracy,
                self.assumptions,
                self.code,
            ]
        )
        self._show(model)

    def _make_widgets(self) -> None:
        self.message, self.accuracy, self.assumptions, self.code = (widgets.HTML() for _ in range(4))
        about = "the same question answered by simulation, with a fixed seed"
        self.dots = widgets.Checkbox(description="simulated dots", indent=False, tooltip=about)
        self.dots.layout.width = "12em"
        self.dots.observe(lambda _: self._show(self.model), "value")
        about = "a run in which it goes wrong before your eyes; press again to come back"
        self.break_it = widgets.ToggleButton(description="Break it", icon="bolt", tooltip=about)
        self.break_it.observe(lambda _: self._guarded(self._toggle), "value")

    @property
    def controls(self) -> dict[str, Any]:
        """The widgets that change the model, by path: `service` the kinds, `service.mean` the slider."""
        return self._fields.controls

    def _changed(self) -> None:
        """A control has moved: an illegal combination leaves the last good picture and says why."""
        self._refusal = ""
        self._guarded(lambda: self._show(self._fields.value))

    def _guarded(self, act: Callable[[], None]) -> None:
        # An exception that leaves a callback would vanish into the notebook server's log.
        try:
            act()
        except ValueError as refusal:
            self._refuse(str(refusal))
        except Exception as error:
            self._refuse(f"{type(error).__name__}: {error}")

    def _refuse(self, sentence: str) -> None:
        """Say it until a control moves again: what is explained later speaks of the last good picture."""
        self._refusal = sentence
        self._say(sentence)

    def _say(self, sentence: str) -> None:
        self.message.value = notes.message(self._refusal or sentence)

    def _show(self, model: Model) -> None:
        """Draw what is known at once; simulate and explain when the hand rests."""
        found = self._simulations.get(model) if self._wants_dots(model) else None
        picture = self._picture(model, found)
        redraw(self.figure, picture)
        self.model = model
        self.code.value = notes.code(model)
        self._say(self._sentence(model, found))
        self._quiet.later(lambda: self._guarded(self._explain))

    def _picture(self, model: Model, found: Simulation | str | None, resting: bool = False) -> go.Figure:
        more: dict[str, Any] = {"simulation": found} if isinstance(found, Simulation) else {}
        return self._draw(model, **more, **({"resting": resting} if self._takes_rest else {}))

    def _wants_dots(self, model: Model) -> bool:
        return self._takes_dots and (bool(self.dots.value) or bool(notes.closed_form_sentence(model)))

    def _sentence(self, model: Model, found: Simulation | str | None) -> str:
        missing = notes.closed_form_sentence(model)
        drawn = " The dots are simulated." if missing and isinstance(found, Simulation) else ""
        return " ".join(filter(None, [missing and f"{missing}.{drawn}", found if isinstance(found, str) else ""]))

    def _explain(self) -> None:
        model = self.model
        self.accuracy.value = notes.accuracy(model)
        self.assumptions.value = notes.assumptions(model)
        found = self._simulated(model) if self._wants_dots(model) else None
        if found is not None or self._takes_rest:
            redraw(self.figure, self._picture(model, found, resting=True))
            self._say(self._sentence(model, found))
        if self.break_it.value:
            self._break()

    def _simulated(self, model: Model) -> Simulation | str:
        """The model's simulation, or the sentence why there is none; either is kept."""
        if model not in self._simulations:
            while len(self._simulations) >= KEPT:
                del self._simulations[next(iter(self._simulations))]
            try:
                self._simulations[model] = model.simulate(seed=SEED)
            except ValueError as refusal:  # not settled, or nothing to simulate
                self._simulations[model] = str(refusal)
        return self._simulations[model]

    def _toggle(self) -> None:
        self._refusal = ""
        if self.break_it.value:
            self._break()
        else:
            self._swap(broken=False)
            self._say(self._sentence(self.model, self._simulations.get(self.model)))

    def _swap(self, *, broken: bool) -> None:
        self._shown.layout.display = "none" if broken else None
        self._broken.layout.display = None if broken else "none"

    def _break(self) -> None:
        try:
            picture = figures.timeline(self.model, seed=SEED)
        except NotImplementedError:
            self._swap(broken=False)
            self._refuse(f"{type(self.model).__name__} has no timeline to show yet.")
            return
        except ValueError:
            self._swap(broken=False)  # an old timeline must not stand over a new model
            raise
        if self.timeline is None:
            self.timeline = shown(picture)  # made late: each figure of a notebook carries megabytes of script
            self._broken.children = [self.timeline]
        redraw(self.timeline, picture)
        self._swap(broken=True)


def _controls(fields: Fields, first: Sequence[str] | None) -> list[Any]:
    """The editors in columns; those that are not named among the `first`, if any are, folded away below."""
    if first is None:
        return [_columns(list(fields.editors.values()))]
    unknown = [name for name in first if name not in fields.editors]
    if unknown or isinstance(first, str):
        known = ", ".join(fields.editors)
        raise ValueError(f"explore.first must be a list of parameters of the model, of {known}; got {first!r}")
    rest = [each for name, each in fields.editors.items() if name not in first]
    folded = widgets.Accordion([_columns(rest)], titles=("more parameters",), selected_index=None)
    return [_columns([fields.editors[name] for name in first]), *([folded] if rest else [])]


def _columns(editors: Sequence[Editor]) -> Any:
    """The editors in two columns of about equal height, one under the other where the page is narrow."""
    weights = [1 + len(each.controls) for each in editors]
    half, left = sum(weights) / 2.0, 0
    while left < len(weights) and sum(weights[: left + 1]) <= half + weights[left] / 2.0:
        left += 1
    layout = widgets.Layout(flex="1 1 28em", min_width="28em")
    parts = ([each.widget for each in part] for part in (editors[:left], editors[left:]))
    columns = [widgets.VBox(part, layout=layout) for part in parts if part]
    return widgets.HBox(columns, layout=widgets.Layout(flex_flow="row wrap", width="100%"))


def explore(
    model: Model | type[Model],
    figure: Callable[..., go.Figure] | None = None,
    *,
    first: Sequence[str] | None = None,
    **figure_options: Any,
) -> Panel:
    """A panel of sliders for a model (or a class, at its defaults), with a figure.

    Unless given, that is `figures.survival` of a headline that is a distribution, else its sweep over the first slider.
    `figure_options` are handed on to the figure: `explore(CentralQueue, figures.sweep, parameter="arrival_rate")`.
    `first` names the parameters whose sliders are seen, in that order; all others are under "more parameters".
    """
    shown_model = model() if isinstance(model, type) else model
    if not isinstance(shown_model, Model):
        raise ValueError(f"explore must be given a model or a class of models; got {short(model)}")
    if figure is None and not sweeps.is_distribution(type(shown_model), shown_model.headline):
        figure, figure_options = figures.sweep, {"parameter": inputs.leading(shown_model).path, **figure_options}
    return Panel(shown_model, figure or figures.survival, figure_options, first)
