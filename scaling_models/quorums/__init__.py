"""Consensus: how long a quorum takes, and how often there is one. A new model is one file and one line in MODELS."""

from scaling_models.quorums.availability import QuorumAvailability
from scaling_models.quorums.basic_paxos import BasicPaxos
from scaling_models.quorums.batching_leader import BatchingLeader
from scaling_models.quorums.elections import Election
from scaling_models.quorums.epaxos import EPaxos
from scaling_models.quorums.exchanges import beside
from scaling_models.quorums.expressions import (
    Choose,
    Expression,
    Leaf,
    Weighted,
    choose,
    completion,
    grid,
    hierarchy,
    leaves,
    majority,
    weighted,
)
from scaling_models.quorums.fast_paxos import FastPaxos
from scaling_models.quorums.flexible_paxos import FlexiblePaxos
from scaling_models.quorums.grid_paxos import GridPaxos
from scaling_models.quorums.group_transaction import GroupTransaction
from scaling_models.quorums.layouts import LAYOUTS, Grid, Majorities, MajorityOfMajorities, ReadQuorums
from scaling_models.quorums.leader_load import LeaderLoad
from scaling_models.quorums.legs import Legs, OwnLegs, ProductionLegs
from scaling_models.quorums.links import Link
from scaling_models.quorums.partial_quorum import PartialQuorum
from scaling_models.quorums.quorum_latency import QuorumLatency
from scaling_models.quorums.raft import Raft
from scaling_models.quorums.raft_stream import RaftStream
from scaling_models.quorums.reads import ReadLatency, reads_compared
from scaling_models.quorums.region_sets import next_region, region_sets
from scaling_models.quorums.regional_epaxos import RegionalEPaxos
from scaling_models.quorums.regional_raft import RegionalRaft
from scaling_models.quorums.regions import leaders, regional_raft, round_trip
from scaling_models.quorums.replicas import Replica
from scaling_models.quorums.strategies import Strategy
from scaling_models.quorums.systems import QuorumSystem

MODELS = (
    Raft,
    RegionalRaft,
    PartialQuorum,
    QuorumAvailability,
    GroupTransaction,
    Election,
    QuorumLatency,
    FlexiblePaxos,
    GridPaxos,
    FastPaxos,
    EPaxos,
    RegionalEPaxos,
    RaftStream,
    BasicPaxos,
    ReadLatency,
    LeaderLoad,
    BatchingLeader,
)
KINDS = (ProductionLegs, OwnLegs, Replica, Link, *LAYOUTS)  # what its drop-downs offer

__all__ = [
    "KINDS",
    "MODELS",
    "BasicPaxos",
    "BatchingLeader",
    "Choose",
    "EPaxos",
    "Election",
    "Expression",
    "FastPaxos",
    "FlexiblePaxos",
    "Grid",
    "GridPaxos",
    "GroupTransaction",
    "LeaderLoad",
    "Leaf",
    "Legs",
    "Link",
    "Majorities",
    "MajorityOfMajorities",
    "OwnLegs",
    "PartialQuorum",
    "ProductionLegs",
    "QuorumAvailability",
    "QuorumLatency",
    "QuorumSystem",
    "Raft",
    "RaftStream",
    "ReadLatency",
    "ReadQuorums",
    "RegionalEPaxos",
    "RegionalRaft",
    "Replica",
    "Strategy",
    "Weighted",
    "beside",
    "choose",
    "completion",
    "grid",
    "hierarchy",
    "leaders",
    "leaves",
    "majority",
    "next_region",
    "reads_compared",
    "region_sets",
    "regional_raft",
    "round_trip",
    "weighted",
]
