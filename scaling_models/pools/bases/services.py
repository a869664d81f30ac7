"""What a service time may be, wherever it is asked for."""

from __future__ import annotations

import math

from scaling_models.latency import Distribution
from scaling_models.wording import short

SHORTEST, LONGEST = 1e-9, 1e9  # s on average: beyond, rates and their squares leave the floating-point numbers


def check_service(owner: str, service: Distribution) -> None:
    """Refuse a mean that no formula can compute with; an infinite one is legal, and overloads."""
    mean = service.mean()
    if not (SHORTEST <= mean <= LONGEST or math.isinf(mean)):
        raise ValueError(
            f"{owner}.service must have a mean in [{SHORTEST:g}, {LONGEST:g}] s, or an infinite one; "
            f"got {short(service)}"
        )
