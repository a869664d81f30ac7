"""How published rows about the load of leaders are put to the package."""

from scaling_models.quorums.formulas import leader_load


def rounds(n, mu_md_ms, mu_ms_ms, ttx_ms, pipelines):
    """A leader that serialises a broadcast once."""
    seconds = (each / 1e3 for each in (mu_md_ms, mu_ms_ms, ttx_ms))
    return float(leader_load.round_throughput(n, *seconds, pipelines))


def more_followers(n, a_over_b, known_n, known_ops_per_s):
    """Work a + b (n - 1) on a command, scaled to what another number of members could do."""
    here, there = (leader_load.Work(a_over_b, 1.0, members - 1, 0.0).whole for members in (n, known_n))
    return known_ops_per_s * there / here


ANSWERS = {
    ("leader_throughput", "rounds_per_s"): rounds,
    ("leader_throughput", "ops_per_s"): more_followers,
    ("paxi_load", "load"): lambda L, Q, c, n: float(leader_load.exchange_load(Q, L, c)),
    ("raft_closed_loop", "ops_per_s"): lambda clients, latency_ms, **_: float(
        leader_load.closed_bound(clients, latency_ms / 1e3, 0.0)
    ),
}
