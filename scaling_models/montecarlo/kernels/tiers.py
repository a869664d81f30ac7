"""Requests at tiers in sequence, many lanes side by side: who is in service, and who waits."""

from __future__ import annotations

import dataclasses

import numpy as np

from scaling_models.montecarlo.arrays import Array, Indices

PLACES = 8  # for waiting requests of a tier at first; doubled when they run out
BORN, ENTERED, SIZE = 0, 1, 2  # what is kept of a request: arrival in the system, arrival in the tier, its own size
KEPT = 3


@dataclasses.dataclass
class Tiers:
    """Requests in service and waiting at the tiers of many lanes; times in seconds from the lane's last step."""

    coming: Array  # (lanes,) the next arrival
    ends: Array  # (lanes, slots) of all tiers, one after the other; inf where idle
    held: Array  # (lanes, slots, KEPT) the requests there
    waiting: Array  # (lanes, tiers, places, KEPT) rings
    head: Indices  # (lanes, tiers) the place of the first
    length: Indices  # (lanes, tiers) how many wait

    def pick(self, lanes: Indices) -> Tiers:
        """A copy of the named lanes, their rings no longer than needed."""
        picked = Tiers(*(getattr(self, field.name)[lanes].copy() for field in dataclasses.fields(self)))
        places = PLACES
        while places < picked.length.max():
            places *= 2
        if places < picked.waiting.shape[2]:
            order = (picked.head[..., None] + np.arange(places)) % picked.waiting.shape[2]
            picked.waiting = np.take_along_axis(picked.waiting, order[..., None], axis=2)
            picked.head[:] = 0
        return picked

    def rebase(self, now: Array) -> None:
        """Count times from the lanes' `now`."""
        self.coming -= now
        self.ends -= now[:, None]
        self.held[..., :SIZE] -= now[:, None, None]
        self.waiting[..., :SIZE] -= now[:, None, None, None]

    def join(self, lanes: Indices, tiers: Indices, requests: Array) -> None:
        """Requests (named lanes, KEPT) go to the end of the queue of their tier."""
        if not len(lanes):
            return
        if self.length[lanes, tiers].max() == self.waiting.shape[2]:
            among, kinds, places, _ = self.waiting.shape
            order = (self.head[..., None] + np.arange(places)) % places
            self.waiting = np.take_along_axis(self.waiting, order[..., None], axis=2)
            self.waiting = np.concatenate([self.waiting, np.zeros((among, kinds, places, KEPT))], axis=2)
            self.head[:] = 0
        at = (self.head[lanes, tiers] + self.length[lanes, tiers]) % self.waiting.shape[2]
        self.waiting[lanes, tiers, at] = requests
        self.length[lanes, tiers] += 1

    def first(self, lanes: Indices, tiers: Indices) -> Array:
        """Take the first of the queue of a tier of each named lane."""
        requests = self.waiting[lanes, tiers, self.head[lanes, tiers]]
        self.head[lanes, tiers] = (self.head[lanes, tiers] + 1) % self.waiting.shape[2]
        self.length[lanes, tiers] -= 1
        return np.asarray(requests)
