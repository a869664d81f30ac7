"""Join the shortest queue: which of its two chains is affordable, and how far it errs."""

from __future__ import annotations

from scaling_models.pools.formulas.extras import found_balanced
from scaling_models.pools.formulas.profiles import Found, found_by, shortest, states

MOST_STATES = {2: 12_000, 3: 3_500, 4: 1_000}  # by spread: what is solved in 50 ms
MOST_MORE = 1_000  # of wider ones
MOST_SLOTS = 2_000  # of the chain for many servers


def affordable_spread(servers: int, workers: int, most: int = 6) -> int:
    """The largest spread of queues, up to `most`, that is solved in 50 ms; 0 where none is."""
    spreads = range(2, most + 1)
    return max((i for i in spreads if states(servers, i, workers) <= MOST_STATES.get(i, MOST_MORE)), default=0)


def found_at_shortest(load: float, servers: int, workers: int = 1) -> Found:
    """What an arrival finds at the shortest of all queues, of equals one at random.

    By `found_by` with the largest affordable spread, else (many servers) by `found_balanced`. Load in (0, 1).
    """
    spread = affordable_spread(servers, workers)
    if servers == 1 or not spread:
        return found_balanced(load, servers, workers)
    return found_by(shortest, load, servers, workers, spread)
