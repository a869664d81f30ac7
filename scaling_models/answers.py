"""What a model answers with: named metrics, how far each can be trusted, and what it takes for granted."""

from __future__ import annotations

import dataclasses
import typing
from collections.abc import Callable
from typing import Any, ClassVar, Generic, Self, TypeVar, overload

from scaling_models.domains import is_number
from scaling_models.parameters import Declared

T = TypeVar("T")


class NoClosedForm(ValueError):
    """No usable formula is known for this answer at these parameters; the sentence says what to do instead."""


@dataclasses.dataclass(frozen=True)
class Accuracy:
    """How far a formula can be believed.

    `label` is one of exact, within 3%, within 15%, bound, band, simulated; `error` the largest relative error that
    was measured (a fraction; None where simulated); `region` where that holds; `side` of a bound is "below" or "above",
    where the formula lies of what it bounds.
    """

    label: str
    error: float | None = 0.0
    region: str = "everywhere"
    side: str = ""

    def __str__(self) -> str:
        if self.error is None or self.label == "exact":
            return f"{self.label} ({self.region})"
        return f"{self.label}: measured error at most {100 * self.error:.2g}% ({self.region})"


EXACT = Accuracy("exact", 0.0, "everywhere, to numerical precision")
AS_CONSTANT = Accuracy("within 15%", 0.13, "as if times were constant, where up to a fifth of each varies")


@dataclasses.dataclass(frozen=True)
class Assumption:
    """What a model takes for granted, and which way its answers err where that fails."""

    says: str
    errs: str

    def __str__(self) -> str:
        return f"{self.says}: {self.errs}"


class Answer(Generic[T]):
    """A computed, cached answer of a model: a property with a unit, a sentence and an accuracy."""

    def __init__(self, compute: Callable[[Any], T], unit: str, about: str, accuracy: Accuracy) -> None:
        self.compute, self.unit, self.about, self.accuracy = compute, unit, about, accuracy
        self.__doc__ = compute.__doc__

    def __repr__(self) -> str:
        return f"<answer {self.name}{f' ({self.unit})' if self.unit else ''}: {self.about}>"

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    @overload
    def __get__(self, model: None, owner: type) -> Self: ...
    @overload
    def __get__(self, model: object, owner: type) -> T: ...
    def __get__(self, model: object | None, owner: type) -> Self | T:
        if model is None:
            return self
        cache = model.__dict__  # not a field: neither equality nor repr sees it
        if self.name not in cache:
            cache[self.name] = self.compute(model)
        return cache[self.name]  # type: ignore[no-any-return]


def answer(unit: str, about: str, accuracy: Accuracy = EXACT) -> Callable[[Callable[[Any], T]], Answer[T]]:
    """Declare a method of a model as one of its answers: unit, a sentence, and how far it can be trusted."""
    return lambda compute: Answer(compute, unit, about, accuracy)


class Model(Declared):
    """Base of all models: a frozen record of parameters whose `Answer`s are computed on demand.

    A model states its closed forms as answers, its assumptions, and a `simulate` that answers the same names.
    """

    _answered: ClassVar[dict[str, Answer[Any]]] = {}
    _assumptions: ClassVar[tuple[Assumption, ...]] = ()
    headline: ClassVar[str] = "latency"  # the answer that a panel's sensitivities speak of
    bounded: ClassVar[str] = "steady state"  # what there is none of, where the headline is without bound
    verified_with: ClassVar[int] = 1_000_000  # simulated requests that see errors of a few per cent at the defaults
    violations: ClassVar[tuple[str, ...]] = ()  # what `simulate` can break of the assumptions

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        own = {name: value for name, value in vars(cls).items() if isinstance(value, Answer)}
        cls._answered = {**cls._answered, **own}

    @classmethod
    def answers(cls) -> dict[str, Answer[Any]]:
        """The declared answers by name, in the order of their declaration."""
        return dict(cls._answered)

    @classmethod
    def _quantiles(cls) -> str:
        """How it is asked for quantiles: of its headline, or of the first answer that has any."""
        found = {name: typing.get_type_hints(each.compute).get("return") for name, each in cls._answered.items()}
        names = [name for name, kind in found.items() if hasattr(kind, "icdf")]
        name = cls.headline if cls.headline in names else next(iter(names), "")
        return f"{name}.icdf(0.99), or {name}.percentiles(50, 99)" if name else ""

    @classmethod
    def example(cls) -> Self:
        """An instance that verification can learn from: the defaults, unless they leave nothing to chance."""
        return cls()

    def accuracy(self, metric: str, level: float | None = None) -> Accuracy:
        """How far the closed form of `metric` can be trusted at these parameters (and quantile `level`, if any).

        What is refused (`NoClosedForm`, or a percentile of which only the mean is known) is "simulated", unless a band
        answers instead. Raises ValueError for a level outside (0, 1), and for an answer that there is not.
        """
        if level is not None and not (is_number(level) and 0.0 < level < 1.0):
            raise ValueError(f"{type(self).__name__}.accuracy: level must lie in (0, 1), a fraction; got {level!r}")
        self._answer(metric)
        refusal = self._refusal(metric, level)
        try:
            said = self._accuracy(metric, level)
        except NoClosedForm as unknown:  # what decides the accuracy is itself refused
            said = Accuracy("simulated", None, str(unknown).removesuffix(": simulate it"))
        if refusal is None:
            known = getattr(self.__dict__.get(metric), "mean_known", True)  # where it is there, and a distribution
            return said if known or said.label != "exact" else AS_CONSTANT
        if said.label == "simulated" or (said.label == "band" and self._refusal(metric + "_low", level) is None):
            return said
        return Accuracy("simulated", None, refusal)

    def _accuracy(self, metric: str, level: float | None = None) -> Accuracy:
        """What the model says of an answer that it does not refuse; subclasses say more."""
        return self._answer(metric).accuracy

    def _refusal(self, metric: str, level: float | None) -> str | None:
        """Why there is no such answer, or no such quantile of it; None where there is one."""
        if metric not in self.answers():
            return f"there is no {metric}"
        asked = self.__dict__.setdefault("_asked", set())  # no field, as cached answers are none
        if metric in asked:  # by the answer itself, while it is computed
            return None
        asked.add(metric)
        try:
            found = getattr(self, metric)
        except NoClosedForm as refusal:
            return str(refusal).removesuffix(": simulate it")
        finally:
            asked.discard(metric)
        known = getattr(found, "highest_level", 1.0)  # of a distribution
        if level is None or level <= known + 1e-9:
            return None
        return f"percentiles are known up to p{100.0 * known:g} only" if known else "only its mean is known"

    def assumptions(self, metric: str | None = None) -> tuple[Assumption, ...]:
        """What the model takes for granted, and which way it errs; of all metrics unless one is named."""
        if metric is not None:
            self._answer(metric)
        return self._assumptions

    @classmethod
    def known_violation(cls, name: str | None) -> str | None:
        """The name of a violation that `simulate` knows (None for none), or a `ValueError` that lists them."""
        if name is not None and name not in cls.violations:
            listed = ", ".join(map(repr, cls.violations)) or "nothing"
            raise ValueError(f"{cls.__name__}.simulate: violating must be one of {listed}; got {name!r}")
        return name

    def _answer(self, metric: str) -> Answer[Any]:
        known = self.answers()
        if metric not in known:
            raise ValueError(f"{type(self).__name__} has no answer {metric!r}; it has {', '.join(known)}")
        return known[metric]

    def simulate(self, requests: int = 200_000, seed: int = 0, *, violating: str | None = None) -> Simulation:
        """The same answers by Monte Carlo, each with its confidence interval; the same seed repeats them exactly.

        `violating` is one of `violations`: an assumption that is broken in the simulation.
        """
        raise NotImplementedError

    def timeline(self, seed: int = 0) -> Timeline:
        """One run with a fixed seed in which the thing goes wrong before one's eyes."""
        raise NotImplementedError


class Simulation:
    """A simulation's answers under the model's names: estimates, or simulated latencies."""

    def __init__(self, model: Model, requests: int, seed: int, *, cut: Any = None, **answers: Any) -> None:
        self.model, self.requests, self.seed, self.answers = model, requests, seed, answers
        self.cut = cut  # how the work was cut into lanes and steps, where it was

    def __getattr__(self, name: str) -> Any:
        answers = self.__dict__.get("answers", {})  # asked by copy and pickle before there are any
        if name not in answers:
            raise AttributeError(f"this simulation answers {', '.join(answers)}; not {name!r}")
        return answers[name]

    def __repr__(self) -> str:
        return f"{self.model!r}.simulate(requests={self.requests}, seed={self.seed})"


@dataclasses.dataclass(frozen=True, eq=False)
class Timeline:
    """What happens over time in one fixed-seed run in which something breaks: lines over `times` (s), and marks."""

    says: str
    times: Any
    lines: dict[str, Any]
    unit: str
    marks: tuple[tuple[float, str], ...] = ()


@dataclasses.dataclass(frozen=True, eq=False)
class SwimLanes:
    """What everybody does over time: a lane each, bars on the lanes, arrows between them, and marks; seconds.

    bars: (kind, lane, begin, end). arrows: (kind, lane, sent, lane, received). marks: (lane, time, text). `bar_kinds`
    and `arrow_kinds` name all kinds there may be, in the order in which they are drawn.
    """

    says: str
    lanes: tuple[str, ...]
    bar_kinds: tuple[str, ...]
    arrow_kinds: tuple[str, ...]
    bars: tuple[tuple[str, int, float, float], ...]
    arrows: tuple[tuple[str, int, float, int, float], ...]
    marks: tuple[tuple[int, float, str], ...] = ()
