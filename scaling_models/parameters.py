"""Parameters: one declaration gives default, legal domain, slider, unit, symbol and sentence."""

from __future__ import annotations

import dataclasses
import inspect
import re
from typing import TYPE_CHECKING, Any, ClassVar, Self, dataclass_transform

from scaling_models.domains import Domain, Illegal
from scaling_models.wording import nearest, short, shown


@dataclasses.dataclass(frozen=True)
class Slider:
    """The range that a panel offers: from `low` to `high` (in the parameter's unit), in even or geometric steps."""

    low: float
    high: float
    step: float
    log: bool = False


@dataclasses.dataclass(frozen=True)
class Parameter:
    """A declaration; `name` is what users write, `field` where the value is kept."""

    name: str
    field: str
    default: Any
    domain: Domain
    unit: str
    symbol: str
    about: str
    slider: Slider | None

    def check(self, owner: str, value: Any) -> Any:
        """The value, converted, or a `ValueError` in a whole sentence."""
        try:
            return self.domain.convert(value)
        except Illegal as refusal:
            place, said = f"{owner}.{self.name}", str(refusal)
            joint = "" if said.startswith("[") else " "
            unit = f" {self.unit}" if self.unit and self.domain.measured else ""
            raise ValueError(f"{place}{joint}{said}{unit}; got {short(value)}") from None


QUANTILE = re.compile(r"p\d[\d_]*|quantiles?|percentiles?|icdf|ppf|isf|median")  # names that they have elsewhere


def parameter(
    *,
    default: Any,
    domain: Domain,
    unit: str = "",
    symbol: str = "",
    about: str,
    slider: Slider | None = None,
    alias: str | None = None,
) -> Any:
    """Declare a parameter of a `Declared` class; `alias` is its public name where the answer's name is taken."""
    declared = {"domain": domain, "unit": unit, "symbol": symbol, "about": about, "slider": slider, "alias": alias}
    return dataclasses.field(default=default, metadata=declared)


@dataclass_transform(frozen_default=True, field_specifiers=(parameter,))
class Declared:
    """Base of everything that is made of parameters: frozen, hashable, validated, with a `repr` that can be pasted.

    More than MOST_SHOWN numbers in a row are shortened to `<50,000: 0.0012, 0.0013, ..., 0.91>`, which cannot.
    """

    _declared: ClassVar[dict[str, Parameter]] = {}
    _fields: ClassVar[tuple[str, ...]] = ()

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        # No code is generated for a class: what a frozen dataclass does stands below, once for all. That is quicker.
        dataclasses.dataclass(init=False, repr=False, eq=False)(cls)
        fields = dataclasses.fields(cls)  # type: ignore[arg-type]  # made a dataclass one line above
        cls._fields = tuple(field.name for field in fields)
        made = [_parameter(field) for field in fields if "domain" in field.metadata]
        cls._declared = {each.name: each for each in made}
        cls.__doc__ = _documented(inspect.cleandoc(cls.__doc__ or ""), made)
        cls.__signature__ = inspect.Signature(  # type: ignore[attr-defined]  # what help() shows
            [
                inspect.Parameter(each.name, inspect.Parameter.POSITIONAL_OR_KEYWORD, default=each.default)
                for each in made
            ]
        )

    def __init__(self, *values: Any, **named: Any) -> None:
        given = self._bind(values, named)
        owner = type(self).__name__
        for name, each in self._declared.items():
            object.__setattr__(self, each.field, each.check(owner, given.get(name, each.default)))
        self._check()

    if not TYPE_CHECKING:  # which would then take any name for legal

        def __getattr__(self, name: str) -> Any:
            if hasattr(type(self), name):  # its own computation asked for something that there is not
                return object.__getattribute__(self, name)
            way = self._quantiles() if QUANTILE.fullmatch(name) else ""
            hint = f": ask {way}" if way else ""
            raise AttributeError(f"{type(self).__name__} has no {name!r}{hint}", name=name, obj=self)

    @classmethod
    def _quantiles(cls) -> str:
        """How to ask for quantiles, where somebody guessed another name; subclasses that have any say how."""
        return ""

    def _key(self) -> tuple[Any, ...]:
        return tuple([getattr(self, name) for name in self._fields])

    def __eq__(self, other: object) -> bool:
        return self._key() == other._key() if type(other) is type(self) else NotImplemented

    def __hash__(self) -> int:
        return hash(self._key())

    def __setattr__(self, name: str, value: Any) -> None:
        raise dataclasses.FrozenInstanceError(f"cannot assign to {type(self).__name__}.{name}: use replace({name}=...)")

    def __delattr__(self, name: str) -> None:
        raise dataclasses.FrozenInstanceError(f"cannot delete {type(self).__name__}.{name}")

    @classmethod
    def _bind(cls, values: tuple[Any, ...], named: dict[str, Any]) -> dict[str, Any]:
        names = list(cls._declared)
        if len(values) > len(names):
            raise TypeError(f"{cls.__name__} takes {len(names)} parameters ({', '.join(names)}); got {len(values)}")
        given = dict(zip(names, values, strict=False))
        for name, value in named.items():
            if name not in cls._declared:
                near = nearest(name, names)
                raise TypeError(f"{cls.__name__} has no parameter {name!r}{near}; it has {', '.join(names)}")
            if name in given:
                raise TypeError(f"{cls.__name__}.{name} is given twice")
            given[name] = value
        return given

    def _check(self) -> None:
        """Raise `ValueError` where the parameters contradict each other; subclasses say how."""

    @classmethod
    def parameters(cls) -> dict[str, Parameter]:
        """The declarations by public name, in order."""
        return cls._declared

    def values(self) -> dict[str, Any]:
        """The parameters' values by public name."""
        return {name: getattr(self, each.field) for name, each in self._declared.items()}

    def replace(self, **changes: Any) -> Self:
        """The same with some parameters changed."""
        return type(self)(**{**self.values(), **changes})

    def __repr__(self) -> str:
        inside = ", ".join(f"{name}={shown(value)}" for name, value in self.values().items())
        return f"{type(self).__name__}({inside})"


def _documented(text: str, made: list[Parameter]) -> str:
    """A class's docstring with its declarations below."""
    lines = [
        f"    {each.name}{f' ({each.symbol})' if each.symbol else ''}: {each.about}; "
        f"{each.domain}{f' {each.unit}' if each.unit and each.domain.measured else ''}, default {short(each.default)}"
        for each in made
    ]
    return "\n".join([text, "", "Parameters:", *lines]) if lines else text


def _parameter(field: dataclasses.Field[Any]) -> Parameter:
    said = {key: value for key, value in field.metadata.items() if key != "alias"}
    default = field.metadata["domain"].convert(field.default)
    return Parameter(name=field.metadata["alias"] or field.name, field=field.name, default=default, **said)
