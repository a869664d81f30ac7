"""How many servers hold a target, how much load they carry, and what that costs."""

from scaling_models.pools.formulas.sizing import spares_for
from scaling_models.sizing.loads import most_load
from scaling_models.sizing.plan import PoolPlan
from scaling_models.sizing.records import Capacity, Sizing
from scaling_models.sizing.search import servers_for
from scaling_models.sizing.tables import sizing_table

__all__ = ["Capacity", "PoolPlan", "Sizing", "most_load", "servers_for", "sizing_table", "spares_for"]
