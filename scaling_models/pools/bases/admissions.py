"""What a surge, or a slow dependency, does to classes of requests that are admitted up to limits: one run each."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from scaling_models.answers import Assumption, Timeline
from scaling_models.domains import Real
from scaling_models.montecarlo.arrays import Array, Flags
from scaling_models.montecarlo.estimates import Estimate, at_least_binomial
from scaling_models.montecarlo.kernels.admission import AdmittedClass, admitted_waits, nobody
from scaling_models.montecarlo.kernels.central import replay_central
from scaling_models.montecarlo.runs import Run
from scaling_models.montecarlo.streams import stream
from scaling_models.parameters import Slider, parameter
from scaling_models.pools.bases.occupancies import MOST_DRAWN, drawn
from scaling_models.pools.bases.pool import Pool

OVERLOAD = 1.5  # times the capacity: what comes in the surge of a timeline
BINS = 60  # of a picture; the middle third is the trouble
FREE_REFUSAL = Assumption("turning a request away costs nothing", "optimistic if reading and refusing it takes a slot")


def answered_within() -> Any:
    """The declaration of the time within which an answer counts."""
    return parameter(
        default=0.050,
        domain=Real(),
        unit="s",
        symbol="d",
        about="the time within which an answer counts",
        slider=Slider(0.005, 0.5, 0.005),
    )


def horizon(rate: float, least: float) -> float:
    """How long (s) a picture lasts: six times what takes `least` (s), ten seconds at least, 20,000 requests at most."""
    return min(max(6.0 * least, 10.0), MOST_DRAWN / rate)


def waits_of(
    arrivals: Array, services: Array, who: NDArray[np.intp], classes: tuple[AdmittedClass, ...], slots: int
) -> Array:
    """Waits (s) of the given requests from empty, NaN of those turned away."""
    gaps = np.diff(arrivals, prepend=0.0)[:, None]
    waits, _, _ = admitted_waits(services[:, None], gaps, who[:, None], nobody(classes, 1), classes, slots)
    return waits[:, 0]


def thinned(arrivals: Array, keep: Array, seed: int) -> NDArray[np.bool_]:
    """Which of the arrivals remain, each with its own probability `keep`."""
    return stream(seed, 3).random(len(arrivals)) < keep


def a_second(arrivals: Array, counted: NDArray[np.bool_], end: float) -> tuple[Array, Array]:
    """The middles of sixty bins up to `end` (s), and how many of the arrivals there are counted a second."""
    found, edges = np.histogram(arrivals[counted], BINS, (0.0, end))
    return (edges[1:] + edges[:-1]) / 2.0, found / np.diff(edges)


def of_class(found: Run, tally: str, number: int) -> Estimate:
    """How often a request of a class meets with what is tallied."""
    requests = found.tallies[f"requests_{number}"]
    return at_least_binomial(found.ratio(f"{tally}_{number}", f"requests_{number}"), max(1, int(requests.sum())))


class Surge(NamedTuple):
    """Requests from empty, of which more come during a while: arrivals and services (s), and who comes during it."""

    rate: float
    arrivals: Array
    services: Array
    surging: Flags


def surge_met(
    pool: Pool, deadline: float, that: str, what: str, latencies: Callable[[Surge], Array], seed: int
) -> Timeline:
    """A surge to one and a half times the capacity, met with a measure and without: who is answered in time?

    `latencies` (s) are those with the measure, NaN of who is turned away; `that` and `what` are its name with its
    article.
    """
    usual, slots = pool.arrival_rate, pool._slots
    surge = max(OVERLOAD * slots / pool.service.mean(), 2.0 * usual)
    arrivals, services = drawn(pool.replace(arrival_rate=surge).flow(), horizon(surge, deadline), seed)
    start, stop = arrivals[-1] / 3.0, arrivals[-1] / 1.5
    kept = thinned(arrivals, np.where((arrivals > start) & (arrivals < stop), 1.0, usual / surge), seed)
    arrivals, services = arrivals[kept], services[kept]
    limited = latencies(Surge(surge, arrivals, services, (arrivals > start) & (arrivals < stop))) <= deadline
    without = replay_central(arrivals, services, slots) + services <= deadline
    times, with_limit = a_second(arrivals, limited, stop * 1.5)
    _, no_limit = a_second(arrivals, without, stop * 1.5)
    late = (times > (start + stop) / 2.0) & (times < stop)
    return Timeline(
        f"A surge to {surge:,.0f} requests/s: at its end {with_limit[late].mean():,.0f} a second are answered "
        f"within {1e3 * deadline:.3g} ms with {that}, {no_limit[late].mean():,.0f} without",
        times,
        {f"in time with {that}": with_limit, f"in time without {what}": no_limit},
        "requests/s",
        ((start, "the surge begins"), (stop, "it ends")),
    )
