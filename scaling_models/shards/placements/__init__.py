"""How keys are put on shards. A new placement is one file and one line in PLACEMENTS."""

from scaling_models.domains import Record
from scaling_models.shards.placements.bounded_load import BoundedLoad as BoundedLoad
from scaling_models.shards.placements.even_hash import EvenHash as EvenHash
from scaling_models.shards.placements.hash_ring import HashRing as HashRing
from scaling_models.shards.placements.hash_slots import HashSlots as HashSlots
from scaling_models.shards.placements.jump_hash import JumpHash as JumpHash
from scaling_models.shards.placements.maglev import Maglev as Maglev
from scaling_models.shards.placements.modulo import Modulo as Modulo
from scaling_models.shards.placements.multi_probe import MultiProbe as MultiProbe
from scaling_models.shards.placements.placement import Placement as Placement
from scaling_models.shards.placements.range_partition import RangePartition as RangePartition
from scaling_models.shards.placements.rendezvous import Rendezvous as Rendezvous

PLACEMENTS = (
    EvenHash,
    HashRing,
    JumpHash,
    Rendezvous,
    HashSlots,
    Modulo,
    Maglev,
    BoundedLoad,
    MultiProbe,
    RangePartition,
)
PLACEMENT = Record(
    "a placement of keys on shards, such as HashRing(virtual_nodes=128)", lambda: Placement, lambda: PLACEMENTS
)

__all__ = ["PLACEMENT", "PLACEMENTS", "Placement", *(kind.__name__ for kind in PLACEMENTS)]
