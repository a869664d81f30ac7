"""Declarations: conversion, sentences, hashing, repr."""

import inspect
import math
import re

import numpy as np
import pytest
import scipy.stats

import scaling_models as sm
from scaling_models.domains import Choice, Integer, Real, Rows
from scaling_models.parameters import Declared, parameter


class Sample(Declared):
    """A record with one parameter of each plain domain."""

    rate: float = parameter(default=2.0, domain=Real(), unit="requests/s", about="a rate")
    size: int = parameter(default=3, domain=Integer(1, 9), unit="servers", about="a size")
    way: str = parameter(default="left", domain=Choice(("left", "right")), about="a way")
    shares: tuple[float, ...] = parameter(default=(0.5,), domain=Rows(Real(0, 1), 1, 3), about="some shares")


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"rate": -1.0}, "Sample.rate must lie in (0, inf) requests/s; got -1.0"),
        ({"rate": math.nan}, "Sample.rate must lie in (0, inf) requests/s; got nan"),
        ({"rate": math.inf}, "Sample.rate must lie in (0, inf) requests/s; got inf"),
        ({"rate": True}, "Sample.rate must be a number in (0, inf) requests/s; got True"),
        ({"rate": "2"}, "Sample.rate must be a number in (0, inf) requests/s; got '2'"),
        ({"size": 2.5}, "Sample.size must be a whole number in [1, 9] servers; got 2.5"),
        ({"size": 10}, "Sample.size must be a whole number in [1, 9] servers; got 10"),
        ({"way": "up"}, "Sample.way must be one of 'left', 'right'; got 'up'"),
        ({"shares": (0.5, 2.0)}, "Sample.shares[1] must lie in (0, 1); got (0.5, 2.0)"),
        ({"shares": ()}, "Sample.shares must have 1 to 3 items; got ()"),
        ({"shares": 0.5}, "Sample.shares must be a tuple of 1 to 3 items, each (0, 1); got 0.5"),
    ],
)
def test_illegal_values_are_refused_in_a_sentence(given, sentence):
    with pytest.raises(ValueError, match=f"^{re.escape(sentence)}$"):
        Sample(**given)


def test_values_are_converted_so_that_repr_can_be_pasted():
    made = Sample(np.float64(1), np.int64(4), "right", [0.25, 0.5])
    assert repr(made) == "Sample(rate=1.0, size=4, way='right', shares=(0.25, 0.5))"
    assert eval(repr(made), {"Sample": Sample}) == made
    assert hash(made) == hash(Sample(1, 4, "right", (0.25, 0.5)))
    assert made.replace(size=5).values() == {"rate": 1.0, "size": 5, "way": "right", "shares": (0.25, 0.5)}


@pytest.mark.parametrize(
    ("values", "named", "said"),
    [
        ((1, 2, "left", (0.5,), 9), {}, "takes 4"),
        ((1,), {"rate": 2}, "twice"),
        ((), {"speed": 2}, "no parameter 'speed'"),
    ],
)
def test_wrong_calls_are_type_errors(values, named, said):
    with pytest.raises(TypeError, match=said):
        Sample(*values, **named)


def test_records_are_frozen_and_tell_their_signature():
    with pytest.raises(AttributeError):
        Sample().rate = 3
    assert str(inspect.signature(Sample)) == "(rate=2.0, size=3, way='left', shares=(0.5,))"


def test_declarations_are_the_documentation():
    assert Sample.__doc__.startswith("A record with one parameter of each plain domain.")
    assert "rate: a rate; (0, inf) requests/s, default 2.0" in Sample.__doc__


def declared_classes(base=Declared):
    for each in base.__subclasses__():
        yield each
        yield from declared_classes(each)


SHOWN = sorted(
    {each for each in declared_classes() if each.__module__.startswith("scaling_models.")},
    key=lambda each: each.__name__,
)


@pytest.mark.parametrize("kind", SHOWN, ids=lambda kind: kind.__name__)
def test_every_declaration_is_complete_and_its_default_legal(kind):
    for name, each in kind.parameters().items():
        assert each.about, name
        assert each.domain.convert(each.default) == each.default
        if each.slider:
            number = (
                each.domain.item if isinstance(each.domain, Rows) else each.domain
            )  # the sliders of rows are items'
            assert number.convert(each.slider.low) is not None
            assert number.convert(each.slider.high) is not None


@pytest.mark.parametrize("model", sm.MODELS, ids=lambda model: model.__name__)
def test_models_work_with_no_argument_and_paste_back(model):
    made = model()
    names = {}
    exec("from scaling_models import *", names)
    assert eval(repr(made), names) == made
    assert made.assumptions()
    for metric in model.answers():
        assert made.accuracy(metric).label
        assert made.assumptions(metric)
        assert model.answers()[metric].about
    with pytest.raises(ValueError, match="has no answer 'nonsense'"):
        made.accuracy("nonsense")


def test_what_is_no_number_of_ours_is_refused_in_a_sentence() -> None:
    with pytest.raises(ValueError, match=r"CentralQueue.arrival_rate must lie in \(0, inf\) requests/s; got 1"):
        sm.CentralQueue(arrival_rate=10**400)
    with pytest.raises(ValueError, match=r"CentralQueue.servers must be a whole number in \[1, \d+\]"):
        sm.CentralQueue(servers=10**400)
    with pytest.raises(ValueError, match=r"CentralQueue\.service must be one latency; .* is several"):
        sm.CentralQueue(service=scipy.stats.expon(scale=[0.01, 0.02]))
    for divisor in (0, -2.0, math.nan, "two"):
        with pytest.raises(ValueError, match=r"divided by a number in \(0, inf\) only; got"):
            sm.Exponential(0.01) / divisor  # type: ignore[operator]
    for shape in (3.0, (2, 1.5), -1):
        with pytest.raises(ValueError, match=r"Exponential.sample: shape must be whole numbers"):
            sm.Exponential(0.01).sample(shape)  # type: ignore[arg-type]
    assert sm.Exponential(0.01).sample(np.int64(3), rng=1).shape == (3,)


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        (sm.RandomSplit, "service"),
        (sm.Abandonment, "patience"),
        (sm.ClosedLoop, "think"),
        (sm.CacheLoss, "service"),
        (sm.Rebalance, "service"),
        (sm.BasicPaxos, "apart"),
        (sm.Election, "pause"),
        (sm.PoolPlan, "service"),
    ],
)
def test_a_mean_alone_is_refused_where_much_depends_on_the_spread(kind, name):
    """As a constant it would be the best case, labelled exact."""
    for bare in (sm.MeanOnly(0.01), sm.MeanOnly(0.01) + 0.001, sm.MeanOnly(0.01) * 2.0):
        with pytest.raises(ValueError, match=rf"{kind.__name__}\.{name} must be a latency whose spread is known"):
            kind(**{name: bare})
