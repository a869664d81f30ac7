"""The stateless tier: servers behind a load balancer. A new model is one file and one line in MODELS."""

from typing import TYPE_CHECKING, Any

from scaling_models.pools.abandonment import Abandonment
from scaling_models.pools.adaptive_shedding import AdaptiveShedding
from scaling_models.pools.autoscaled import Autoscaler
from scaling_models.pools.balancer import BalancedPool
from scaling_models.pools.batch_arrivals import BatchArrivals
from scaling_models.pools.bulkheads import Bulkheads
from scaling_models.pools.cache_loss import CacheLoss
from scaling_models.pools.central_queue import CentralQueue
from scaling_models.pools.closed_loop import ClosedLoop
from scaling_models.pools.contended import ContendedPool
from scaling_models.pools.failing_servers import FailingServers
from scaling_models.pools.fan_out import FanOut
from scaling_models.pools.finite_queue import FiniteQueue
from scaling_models.pools.formulas.bulkheads import class_blocking
from scaling_models.pools.formulas.erlang import erlang_b, erlang_c
from scaling_models.pools.formulas.erlang_arrivals import busy_root, erlang_arrivals_wait
from scaling_models.pools.formulas.fan_out import nelson_tantawi, varma_makowski
from scaling_models.pools.formulas.loops import machine_repairman
from scaling_models.pools.formulas.losses import blocking, erlang_a
from scaling_models.pools.formulas.redundancy import redundancy_mean
from scaling_models.pools.formulas.supermarket import mean_field
from scaling_models.pools.formulas.weights import best_weights
from scaling_models.pools.hedging import HedgedRequests
from scaling_models.pools.join_idle_queue import JoinIdleQueue
from scaling_models.pools.least_connections import LeastConnections
from scaling_models.pools.least_work_left import LeastWorkLeft
from scaling_models.pools.load_shedding import LoadShedding
from scaling_models.pools.load_step import LoadStep
from scaling_models.pools.modulated_arrivals import ModulatedArrivals
from scaling_models.pools.power_of_choices import PowerOfChoices
from scaling_models.pools.priorities import Priorities
from scaling_models.pools.random_split import RandomSplit
from scaling_models.pools.redundancy import RedundantRequests
from scaling_models.pools.remedies import KINDS as REMEDIES
from scaling_models.pools.remedies import Backoff, DeadlineDrop, QueueLimit, RetryBudget
from scaling_models.pools.retrying_clients import RetryingClients
from scaling_models.pools.rolling_deploy import RollingDeploy
from scaling_models.pools.round_robin import RoundRobin
from scaling_models.pools.shedders import KINDS as SHEDDERS
from scaling_models.pools.shedders import ControlledDelay, HoldUtilization, ShedShare
from scaling_models.pools.tandem import Tandem
from scaling_models.pools.tier import Tier
from scaling_models.pools.time_varying import TimeVaryingLoad
from scaling_models.pools.warm_up import ColdServers
from scaling_models.pools.weighted_split import WeightedSplit

POLICIES = (
    RandomSplit,
    RoundRobin,
    PowerOfChoices,
    LeastConnections,
    JoinIdleQueue,
    LeastWorkLeft,
    CentralQueue,
)
MODELS = (
    *POLICIES,
    WeightedSplit,
    FanOut,
    FiniteQueue,
    Abandonment,
    ClosedLoop,
    Priorities,
    RetryingClients,
    HedgedRequests,
    RedundantRequests,
    BatchArrivals,
    ModulatedArrivals,
    LoadStep,
    FailingServers,
    TimeVaryingLoad,
    Autoscaler,
    Bulkheads,
    LoadShedding,
    AdaptiveShedding,
    CacheLoss,
    ContendedPool,
    Tandem,
    RollingDeploy,
    ColdServers,
    BalancedPool,
)

KINDS = (*REMEDIES, *SHEDDERS, Tier)  # what its panels offer, and their code names

__all__ = [
    "KINDS",
    "MODELS",
    "POLICIES",
    "Abandonment",
    "AdaptiveShedding",
    "Autoscaler",
    "Backoff",
    "BalancedPool",
    "BatchArrivals",
    "Bulkheads",
    "CacheLoss",
    "CentralQueue",
    "ClosedLoop",
    "ColdServers",
    "ContendedPool",
    "ControlledDelay",
    "DeadlineDrop",
    "FailingServers",
    "FanOut",
    "FiniteQueue",
    "HedgedRequests",
    "HoldUtilization",
    "JoinIdleQueue",
    "LeastConnections",
    "LeastWorkLeft",
    "LoadShedding",
    "LoadStep",
    "ModulatedArrivals",
    "PowerOfChoices",
    "Priorities",
    "QueueLimit",
    "RandomSplit",
    "RedundantRequests",
    "RetryBudget",
    "RetryingClients",
    "RollingDeploy",
    "RoundRobin",
    "ShedShare",
    "Tandem",
    "Tier",
    "TimeVaryingLoad",
    "WeightedSplit",
    "best_weights",
    "blocking",
    "busy_root",
    "class_blocking",
    "erlang_a",
    "erlang_arrivals_wait",
    "erlang_b",
    "erlang_c",
    "machine_repairman",
    "mean_field",
    "nelson_tantawi",
    "redundancy_mean",
    "varma_makowski",
]


if not TYPE_CHECKING:  # which would then take any name for legal

    def __getattr__(name: str) -> Any:
        hint = ": it is scaling_models.PoolPlan" if name == "PoolPlan" else ""
        raise AttributeError(f"module 'scaling_models.pools' has no attribute {name!r}{hint}")
