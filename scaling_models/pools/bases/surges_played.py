"""How long a surge may be that is simulated request by request."""

from __future__ import annotations

MOST_EACH, MOST_WORK = 10**6, 10**8  # requests of a surge, and times the slots they are sorted among: half a minute


def check_surge(owner: str, requests: float, slots: int) -> None:
    """Refuse what would take many minutes, or hours: so many requests before the steady state, and until none waits."""
    most = min(MOST_EACH, MOST_WORK // slots)
    if requests > most:
        raise ValueError(
            f"{owner}.simulate: {requests:,.0f} requests come in one surge, with the steady state before it: more than "
            f"{most:,} before {slots:,} slots are too many to simulate"
        )
