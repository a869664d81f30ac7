"""The stateless tier: servers behind a load balancer. A new model is one file and one line in MODELS."""

from scaling_models.pools.central_queue import CentralQueue
from scaling_models.pools.erlang import erlang_b, erlang_c
from scaling_models.pools.random_split import RandomSplit

MODELS = (RandomSplit, CentralQueue)

__all__ = ["MODELS", "CentralQueue", "RandomSplit", "erlang_b", "erlang_c"]
