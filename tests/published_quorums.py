"""How published rows about quorum systems are put to the package."""

from scaling_models.quorums import QuorumSystem, Replica, leaves, majority
from scaling_models.quorums import choose as k_of
from scaling_models.quorums.formulas import sizes


def expression(text, names):
    """The reads of a row, as the paper writes them."""
    if text == "majority":
        return majority(*names)
    if text == "2 of 3 of (2 of 3)":
        return k_of(2, *(k_of(2, *names[i : i + 3]) for i in (0, 3, 6)))
    algebra = text.partition("reads=")[2] or text.partition(" (found")[0]
    return eval(algebra, dict(zip(names, leaves(tuple(names)), strict=True)))


def described(system="", reads="", n=0, nodes=None, capacity=(), read_capacity=(), write_capacity=(), **_):
    """The quorum system of a row; nodes are (write capacity, read capacity, latency in s)."""
    names = "abcdefghi"[: n or len(nodes or "abcdef")]
    read, write = read_capacity or capacity or [1.0] * len(names), write_capacity or capacity or [1.0] * len(names)
    rows = nodes or {name: (write[i], read[i], 0.010) for i, name in enumerate(names)}
    replicas = {name: Replica(float(time), read_capacity=r, write_capacity=w) for name, (w, r, time) in rows.items()}
    return QuorumSystem(expression(system or reads, names), replicas=replicas)


def strategy(read_fraction=1.0, f=0, optimize="load", load_limit=None, strategy="best", **row):
    """The strategy of a row, and its fractions of reads."""
    share = {float(key): value for key, value in read_fraction.items()} if isinstance(read_fraction, dict) else None
    fractions = read_fraction if share is None else share
    system = described(**row)
    found = system.uniform_strategy(f) if strategy == "uniform" else None
    return found or system.strategy(fractions, f, optimize, load_limit=load_limit), fractions


def answered(ask, **fixed):
    """An answer of the row's strategy."""

    def answer(**row):
        found, fractions = strategy(**row, **fixed)
        return getattr(found, ask)(fractions)

    return answer


SIZES = {
    "EPaxos": sizes.epaxos_size,
    "Accord": sizes.accord_size,
    "Fast Paxos, majority classic": sizes.fast_paxos_size,
}
ANSWERS = {
    ("quorum_system", "load"): answered("load"),
    ("quorum_system", "capacity"): answered("capacity"),
    ("quorum_system", "capacity_f1"): answered("capacity"),
    ("quorum_system", "network_load"): answered("network", optimize="network"),
    ("quorum_system", "latency_s"): answered("latency"),
    ("quorum_system", "capacity_at_latency_optimum"): answered("capacity"),
    ("quorum_size", "fast_quorum"): lambda n, protocol: SIZES[protocol](n),
    ("quorum_size", "q2"): lambda n, protocol, q1: sizes.flexible_size(n, q1),
}
