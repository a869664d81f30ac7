"""What a surge, or a slow dependency, does to classes of requests that are admitted up to limits: one run each."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from scaling_models.montecarlo.arrays import Array
from scaling_models.montecarlo.estimates import Estimate, at_least_binomial
from scaling_models.montecarlo.kernels.admission import AdmittedClass, admitted_waits, nobody
from scaling_models.montecarlo.runs import Run
from scaling_models.montecarlo.streams import stream
from scaling_models.pools.bases.occupancies import MOST_DRAWN

BINS = 60  # of a picture; the middle third is the trouble


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
