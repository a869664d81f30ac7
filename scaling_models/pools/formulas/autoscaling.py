"""How an autoscaler that steers by utilization climbs out of overload."""

from __future__ import annotations

import math


def scale_out(servers: int, offered_load: float, target: float) -> tuple[int, ...]:
    """The numbers of servers ordered round by round, until the target is met: n <- ceil(busy / target).

    No more can be busy than there are, so that overload looks like 100%, however deep: while n <= `offered_load`
    (erlangs) a round multiplies the servers by 1/target at most, and only then comes the number wanted,
    ceil(offered_load / target). About log(offered_load / n) / log(1 / target) + 1 rounds, each of which takes the
    provisioning, and the window of the measurement. `target` in (0, 1). Exact for the rule without noise, once each
    round's servers are there; Kubernetes' horizontal pod autoscaler.
    """
    if servers < 1 or not 0 < target < 1 or not 0 <= offered_load < math.inf:
        raise ValueError(
            "scale_out: servers must lie in [1, inf), offered_load in [0, inf) erlangs and target in (0, 1); "
            f"got {servers!r}, {offered_load!r}, {target!r}"
        )
    wanted = math.ceil(offered_load / target - 1e-9)
    rounds: list[int] = []
    while servers < wanted:
        servers = math.ceil(min(servers, offered_load) / target - 1e-9)
        rounds.append(servers)
    return tuple(rounds)
