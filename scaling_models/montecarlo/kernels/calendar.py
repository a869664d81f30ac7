"""FIFO servers whose queued requests may be cancelled: queues, requests and their due copies, of many lanes."""

from __future__ import annotations

import dataclasses

import numpy as np

from scaling_models.montecarlo.arrays import Array, Flags, Indices

PLACES = 8  # for requests of a lane at first; doubled when they run out
NOBODY = -1
BY_REQUEST = ("born", "open", "sent", "ties", "due", "later", "vacant")
BY_COPY = ("after", "server", "size")


@dataclasses.dataclass
class Calendar:
    """Servers, their queues and the requests there; times in seconds on each lane's own clock.

    Lanes have places for requests, and `copies` for each one's copies: copy k of request r is r x copies + k. A queue
    is a linked list of nodes, server s being the node before its queue and copy c the node servers + c; the requests
    whose next copy will fall due are another (in order of time, as the delay is the same for all), request r being the
    node r + 1 and 0 the one before. All arrays are flat, lane by lane: `lane x width + number within the lane`.
    """

    lanes: int
    servers: int
    copies: int
    places: int
    coming: Array  # (lanes) the next arrival
    next_due: Array  # (lanes) when the next copy falls due, infinite if none will
    tokens: Array  # (lanes)
    vacancies: Indices  # (lanes) height of the stack of vacant places
    latest: Indices  # (lanes) last node of those to fall due
    ends: Array  # (lanes x servers) when the service there ends; infinite if idle
    serving: Indices  # (lanes x servers) the copy in service; NOBODY if idle, or about to look at the queue
    length: Indices  # (lanes x servers) copies there, as a balancer counts them
    last: Indices  # (lanes x servers) last node of the queue
    after: Indices  # (lanes x (servers + places x copies)) the node after this one
    server: Indices  # (lanes x places x copies) where a copy was sent
    size: Array  # (lanes x places x copies) its service
    born: Array  # (lanes x places) when a request arrived
    open: Flags  # (lanes x places) whether it is not done
    sent: Indices  # (lanes x places) how many copies it has had
    ties: Indices  # (lanes x places) what still refers to it: copies at servers, and a copy to come
    due: Array  # (lanes x places) when that falls due
    later: Indices  # (lanes x (1 + places)) the node after this one
    vacant: Indices  # (lanes x places) a stack of vacant places

    @classmethod
    def begin(cls, busy: Array, copies: int) -> Calendar:
        """Servers (lanes, servers) that are busy for so many seconds, or 0 and idle; an arrival at once."""
        lanes, servers = busy.shape
        each, many = lanes * servers, lanes * PLACES
        return cls(
            lanes,
            servers,
            copies,
            PLACES,
            coming=np.zeros(lanes),
            next_due=np.full(lanes, np.inf),
            tokens=np.zeros(lanes),
            vacancies=np.full(lanes, PLACES, dtype=np.intp),
            latest=np.zeros(lanes, dtype=np.intp),
            ends=np.where(busy > 0.0, busy, np.inf).ravel(),
            serving=np.full(each, NOBODY, dtype=np.intp),
            length=np.zeros(each, dtype=np.intp),
            last=np.tile(np.arange(servers), lanes),
            after=np.zeros(each + many * copies, dtype=np.intp),
            server=np.zeros(many * copies, dtype=np.intp),
            size=np.zeros(many * copies),
            born=np.zeros(many),
            open=np.zeros(many, dtype=np.bool_),
            sent=np.zeros(many, dtype=np.intp),
            ties=np.zeros(many, dtype=np.intp),
            due=np.zeros(many),
            later=np.zeros(lanes + many, dtype=np.intp),
            vacant=np.tile(np.arange(PLACES), lanes),
        )

    def pick(self, lanes: Indices) -> Calendar:
        """A copy of the named lanes."""
        each = [getattr(self, field.name) for field in dataclasses.fields(self)][4:]
        picked = [array.reshape(self.lanes, -1)[lanes].reshape(-1) for array in each]
        return Calendar(len(lanes), self.servers, self.copies, self.places, *picked)

    def rebase(self, clock: Array) -> None:
        """Count all times from the lanes' `clock`."""
        for times in (self.coming, self.next_due, self.ends, self.born, self.due):
            by_lane = times.reshape(self.lanes, -1)
            by_lane -= clock[:, None]

    def allot(self, lanes: Indices) -> Indices:
        """Places for new requests, one in each of the named lanes."""
        if not self.vacancies.all():
            self._double()
        self.vacancies[lanes] -= 1
        return np.asarray(self.vacant[lanes * self.places + self.vacancies[lanes]])

    def release(self, lanes: Indices, requests: Indices) -> None:
        """One thing less refers to the requests; the places of those to which nothing does are vacant again."""
        at = lanes * self.places + requests
        ties = self.ties[at] - 1
        self.ties[at] = ties
        gone = (ties == 0).nonzero()[0]
        if gone.size:
            lanes = lanes[gone]
            self.vacant[lanes * self.places + self.vacancies[lanes]] = requests[gone]
            self.vacancies[lanes] += 1

    def _double(self) -> None:
        lanes, places, copies = self.lanes, self.places, self.copies
        for names, columns in ((BY_REQUEST, places), (BY_COPY, places * copies)):
            for name in names:
                old = getattr(self, name).reshape(lanes, -1)
                more = np.zeros((lanes, columns), dtype=old.dtype)
                setattr(self, name, np.concatenate([old, more], axis=1).reshape(-1))
        new = np.arange(places)
        self.vacant.reshape(lanes, -1)[np.arange(lanes)[:, None], self.vacancies[:, None] + new] = places + new
        self.vacancies += places
        self.places += places

    def join(self, lanes: Indices, servers: Indices, copies: Indices) -> None:
        """Copies join the queues of servers."""
        row, at = lanes * (self.servers + self.places * self.copies), lanes * self.servers + servers
        node = self.servers + copies
        self.after[row + self.last[at]] = node
        self.last[at] = node

    def leave(self, lanes: Indices, servers: Indices) -> Indices:
        """Take the oldest copies out of queues; NOBODY where the queue is empty."""
        row, at = lanes * (self.servers + self.places * self.copies), lanes * self.servers + servers
        last = self.last[at]
        node = np.where(last == servers, NOBODY, self.after[row + servers])
        self.after[row + servers] = self.after[row + np.maximum(node, 0)]
        self.last[at] = np.where(last == node, servers, last)
        return np.where(node < 0, NOBODY, node - self.servers)

    def postpone(self, lanes: Indices, requests: Indices, due: Array) -> None:
        """A copy of the requests will be due, later than all those of their lanes so far."""
        row, last = lanes * (1 + self.places), self.latest[lanes]
        self.later[row + last] = requests + 1
        self.latest[lanes] = requests + 1
        self.due[lanes * self.places + requests] = due
        self.next_due[lanes] = np.where(last == 0, due, self.next_due[lanes])

    def fall_due(self, lanes: Indices) -> Indices:
        """Take out the requests whose copies are next due."""
        row = lanes * (1 + self.places)
        node = self.later[row]
        following = self.later[row + node]
        emptied = self.latest[lanes] == node
        self.later[row] = following
        self.latest[lanes] = np.where(emptied, 0, self.latest[lanes])
        due = self.due[lanes * self.places + np.maximum(following - 1, 0)]
        self.next_due[lanes] = np.where(emptied, np.inf, due)
        return node - 1
