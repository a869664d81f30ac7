"""Kernels: what happens to requests in a system, on plain arrays, for many lanes at once.

| what is simulated | system | recursion |
| --- | --- | --- |
| one queue before all slots | `central` | `queues` |
| a balancer, with a dispatch rule (`rules`) | `dispatch`, in `waves` | FIFO `servers`, processor `sharing` |
| few places, patience, deadlines | `losses` | there |
| limits on those present, by class; load shed at random, or when a queue stands | `admission`; `shedding` | there |
| clients who think; who time out and try again | `loops`; `retries` | there |
| priority classes | `priorities` | there |
| fan-out to many servers | `forks` | there |
| queries to all shards, beside requests of their own | | `scatters` |
| copies of slow requests (`copies`: the rule) | `hedging` | `pending`; cancelled: `cancelling` on a `calendar` |
| servers that fail; behind health checks | `failures`; `healthchecks` | there |
| tiers in sequence | `tandem` | there |
| slots that slow each other down; nodes in lockstep | `contended`; | there; `lockstep` |
| slots that come and go in time (`timelines`) | `autoscaling`, `deploys` | there |
| a stall of all slots | `stalls` | those of `central` and `dispatch` |
| commits of a quorum; keys dealt to shards | | `commits`; `placements`; their queues: `shards` |
| leaders that crash, pause or are deposed | `crashes`, `disruptions` | `elections` in `clusters` |
| how many shards do | | `counts` |
| nodes that fail and are rebuilt; at once; rings of virtual nodes | | `durability`; `copysets`; `rings` |
| how many shards do; ranges that split | | `counts`; `range_splits` |
| commits of a quorum; keys dealt to shards | | `commits`; `placements` |

`tallies` are the sums that pools count.
"""
