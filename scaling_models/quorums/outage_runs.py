"""How the availability of a quorum is simulated: first losses from all up, and long stretches."""

from __future__ import annotations

import dataclasses
import math
from typing import TYPE_CHECKING, Any

import numpy as np

from scaling_models.answers import Timeline
from scaling_models.montecarlo.arrays import Array
from scaling_models.montecarlo.estimates import Estimate, SimulatedLatency, from_batches, ratio
from scaling_models.montecarlo.kernels.outages import Cluster, first_losses, stretches
from scaling_models.montecarlo.streams import stream

if TYPE_CHECKING:
    from scaling_models.quorums.availability import QuorumAvailability

YEAR = 365.25 * 86400.0
BATCHES = 64
WARM = 40.0  # relaxation times, after which e^-40 of the start is left
LATE = 15.0  # times that a replica is up, where those that wait for the crew make it slower
BLOCK = 100_000  # lanes that are played together
FEW = 100  # outages
MOST_EVENTS = 50_000_000  # failures and repairs, of which a million take a second


def played(model: QuorumAvailability, cluster: Cluster, requests: int, seed: int) -> dict[str, Any]:
    """The answers from `requests` failures and repairs, half of them for either."""
    return {
        "time_to_loss": SimulatedLatency(_losses(model, cluster, requests, seed).reshape(BATCHES, -1)),
        **_watched(model, cluster, requests, seed),
    }


def _losses(model: QuorumAvailability, cluster: Cluster, requests: int, seed: int) -> Array:
    count = _count(model, requests)
    if model.impossible:
        return np.zeros(count)
    blocks = enumerate(range(0, count, BLOCK))
    return np.concatenate(
        [first_losses(cluster, model.commit, min(BLOCK, count - at), stream(seed, 1, block)) for block, at in blocks]
    )


def _events(model: QuorumAvailability) -> float:
    """Failures and repairs a second, at most."""
    zones, replicas = model.zone_mtbf + model.zone_mttr, model.mtbf + model.mttr
    return 2.0 * (model.replicas / replicas + model.zones / zones)


def _count(model: QuorumAvailability, requests: int) -> int:
    """How many first losses take about half as many failures and repairs as `requests`."""
    found = model.outages
    each = _events(model) * model.availability / found.frequency if found.frequency > 0 else 1.0
    if each * BATCHES > MOST_EVENTS:
        raise ValueError(
            f"QuorumAvailability.simulate: {each:,.3g} failures and repairs come before a quorum is lost; more "
            f"than {MOST_EVENTS // BATCHES:,} take too long to be simulated"
        )
    return BATCHES * max(1, round(requests / 2 / max(each, 1.0) / BATCHES))


def _watched(model: QuorumAvailability, cluster: Cluster, requests: int, seed: int) -> dict[str, Estimate]:
    """Long stretches, a batch of lanes each: begun all up, and watched once that is forgotten."""
    relaxed = WARM / (1.0 / model.zone_mtbf + 1.0 / model.zone_mttr)
    slow = WARM / (1.0 / model.mtbf + 1.0 / model.mttr) if model.crew >= model.replicas else LATE * model.mtbf
    warm = max(relaxed, slow)
    each = max(1, round(requests / 2 / (BATCHES * 4.0 * warm * _events(model))))
    seconds = max(3.0 * warm, requests / 2 / (BATCHES * each * _events(model)) - warm)
    if BATCHES * each * (warm + seconds) * _events(model) > 2.0 * MOST_EVENTS:
        raise ValueError(
            f"QuorumAvailability.simulate: {warm * _events(model):,.3g} failures and repairs come before the start "
            "is forgotten: so many take too long to be simulated"
        )
    seen = stretches(cluster, model.commit, model.failover, warm, seconds, BATCHES * each, stream(seed, 2))
    down, no_votes, began = (
        part.reshape(BATCHES, each).sum(axis=1) for part in (seen.without_commit, seen.without_failover, seen.began)
    )
    total, count = each * seconds, float(began.sum())
    length = max(model.mttr, model.zone_mttr)
    lost = _rare(from_batches(down / total), count, length / (BATCHES * total))
    votes = _rare(from_batches(no_votes / total), count, length / (BATCHES * total))
    often = _rare(from_batches(began / total), count, 1.0 / (BATCHES * total))
    outage = ratio(down, began) if count else None
    if outage and count < FEW:
        outage = dataclasses.replace(outage, error=math.inf)
    return {
        "availability": dataclasses.replace(lost, value=1.0 - lost.value),
        "unavailability": lost,
        "failover_availability": dataclasses.replace(votes, value=1.0 - votes.value),
        "downtime_a_year": Estimate(YEAR * lost.value, YEAR * lost.error, lost.freedom),
        "outages_a_year": Estimate(YEAR * often.value, YEAR * often.error, often.freedom),
        **({"mean_outage": outage} if outage else {}),  # of what was not seen there is no mean
    }


def timeline(model: QuorumAvailability, seed: int) -> Timeline:
    """A zone fails, and then replicas elsewhere one by one, until no commit quorum is left; then all come back."""
    first = int(stream(seed, 3).integers(min(model.zones, model.replicas)))
    inside = [i for i, zone in enumerate(model.zone_of) if zone == first]
    order = inside + [i for i in range(model.replicas) if i not in inside]
    data = model.replicas - model.witnesses
    falls, gone = [], 0
    while sum(i < data for i in order[gone:]) >= model.commit:
        gone = len(inside) if gone == 0 else gone + 1
        falls.append(gone)
    if not falls:
        raise ValueError(
            f"a commit needs {model.commit} replicas with data, and there are {data}: no quorum can be lost"
        )
    gap = max(model.mttr, model.zone_mttr)
    times = np.linspace(0.0, gap * (len(falls) + 3), 400)
    at = gap * (1.0 + np.arange(len(falls)))
    back = at[-1] + gap
    down = np.concatenate([[0], [sum(i < data for i in order[:count]) for count in falls]])
    up = data - np.where(times < back, down[np.searchsorted(at, times, side="right")], 0)
    marks = [(float(at[0]), f"zone {first + 1} fails"), *((float(t), "a replica fails") for t in at[1:])]
    return Timeline(
        f"A zone takes {len(inside)} of {model.replicas} members; after {len(falls) - 1} further failures fewer than "
        f"{model.commit} replicas with data are up, and nothing commits",
        times,
        {"replicas up": up.astype(float), "commit quorum": np.full(len(times), float(model.commit))},
        "replicas",
        (*marks, (float(back), "all are back")),
    )


def _rare(found: Estimate, count: float, each: float) -> Estimate:
    """An estimate from `count` outages that add `each` to it: of few, the batches' own spread says too little."""
    return dataclasses.replace(found, error=max(found.error, (count + 30.0) * each / 5.0)) if count < FEW else found
