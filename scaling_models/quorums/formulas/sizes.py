"""How many replicas a quorum of each protocol takes."""

from __future__ import annotations


def majority_size(replicas: int) -> int:
    """floor(n/2) + 1: two majorities meet."""
    return _checked("majority_size", replicas) // 2 + 1


def flexible_size(replicas: int, other: int) -> int:
    """n - q + 1: the least quorum that meets all quorums of `other` replicas. Howard et al., Flexible Paxos (2016).

    A commit quorum for given election quorums, or the reverse; a write quorum for given read quorums.
    """
    if not 1 <= other <= _checked("flexible_size", replicas):
        raise ValueError(f"flexible_size: the other quorum must lie in [1, {replicas}] replicas; got {other!r}")
    return replicas - other + 1


def fast_paxos_size(replicas: int, classic: int | None = None) -> int:
    """The least fast quorum q_f with 2 q_f + q_c > 2n, q_c the classic one (a majority unless given).

    Two fast quorums and a classic one have a replica in common: Lamport, Fast Paxos (2006).
    """
    other = majority_size(replicas) if classic is None else classic
    if not 1 <= other <= _checked("fast_paxos_size", replicas):
        raise ValueError(f"fast_paxos_size: the classic quorum must lie in [1, {replicas}] replicas; got {other!r}")
    return (2 * replicas - other) // 2 + 1


def epaxos_size(replicas: int) -> int:
    """F + floor((F + 1)/2), the leader among them, of n = 2F + 1. Moraru, Andersen, Kaminsky, EPaxos (SOSP 2013)."""
    failures = _odd("epaxos_size", replicas)
    return max(1, failures + (failures + 1) // 2)  # one replica alone is its own quorum


def accord_size(replicas: int) -> int:
    """ceil(3F/2) + 1 of n = 2F + 1, where all replicas may take the fast path. Cassandra's CEP-15 (2021)."""
    return -(-3 * _odd("accord_size", replicas) // 2) + 1


def _checked(name: str, replicas: int) -> int:
    if isinstance(replicas, bool) or not isinstance(replicas, int) or replicas < 1:
        raise ValueError(f"{name}: replicas must be a whole number in [1, inf); got {replicas!r}")
    return replicas


def _odd(name: str, replicas: int) -> int:
    if _checked(name, replicas) % 2 == 0:
        raise ValueError(f"{name}: replicas must be odd, 2F + 1 for F failures; got {replicas!r}")
    return replicas // 2
