"""The linear programme of the best strategy: probability flows through decision diagrams."""

from __future__ import annotations

import dataclasses
import math
from collections import defaultdict
from collections.abc import Iterator, Mapping

import numpy as np
from scipy import optimize, sparse

from scaling_models.quorums.expressions import Expression
from scaling_models.quorums.expressions.diagrams import FALSE, TRUE
from scaling_models.quorums.strategies import Strategy, reply_time
from scaling_models.quorums.systems import QuorumSystem, survivors

AIMS = ("load", "network", "latency")
NOTHING = 1e-11  # of a flow, which is a probability
LARGE = 4000  # variables
SLACK = 1e-12  # relative, of a limit: what rounding of its statement may cost

Row = dict[int, float]


@dataclasses.dataclass
class Flow:
    """A unit of probability that flows through a diagram from its root to true: a strategy over the paths' replicas.

    `edges` (tail, head, replica that is asked or "") are variables `first`, `first` + 1, ...; a unit starts at `root`,
    or a share of one. `time` (s) is when the sets of this flow have replied, at the latest.
    """

    side: Expression
    root: int
    time: float
    first: int
    edges: list[tuple[int, int, str]]

    @property
    def source(self) -> int:
        """The variable that tells how much flows here."""
        return self.first + len(self.edges)


def best(
    system: QuorumSystem, fractions: Mapping[float, float], f: int, minimize: str, limits: Mapping[str, float | None]
) -> Strategy:
    """The strategy that minimizes one of the three within limits on the others.

    Every set of replicas that survives f failures is a path of the side's diagram, and every strategy a unit flow, so
    that quorums need not be listed. Where latency matters there is a diagram for each time by which a quorum may have
    replied, and the flow is shared among them. Capacities and times are scaled to the largest, for the solver's
    tolerances are absolute.
    """
    if minimize not in AIMS:
        raise ValueError(f"minimize must be one of {', '.join(map(repr, AIMS))}; got {minimize!r}")
    set_limits = {name: value for name, value in limits.items() if value is not None}
    for name, value in set_limits.items():
        if name == minimize:
            raise ValueError(f"{name}_limit cannot be set where the {name} is minimized; got {value!r}")
        if not value > 0:
            raise ValueError(f"{name}_limit must lie in (0, inf); got {value!r}")
    timed = minimize == "latency" or "latency" in set_limits
    sides = _flows(system, f, timed)
    programme = _Programme(system, sides, fractions)
    solved = programme.solve(minimize, set_limits)
    if solved is None:
        said = ", ".join(f"{name}_limit={value!r}" for name, value in set_limits.items())
        raise ValueError(f"no strategy that survives {f} failures keeps within {said}")
    reads, writes = (_quorums(system, flows, solved, f) for flows in sides)
    return Strategy(system, reads, writes)


def _flows(system: QuorumSystem, f: int, timed: bool) -> tuple[list[Flow], list[Flow]]:
    first, found = 0, []
    for side in (system.reads, system.writes):
        system.least_quorum(side, f)
        flows = []
        for time, root in _timed(system, side, survivors(side, f)) if timed else [(math.nan, survivors(side, f))]:
            flows.append(Flow(side, root, time, first, _edges(side, root)))
            first = flows[-1].source + 1
        found.append(flows)
    return (found[0], found[1])


def _timed(system: QuorumSystem, side: Expression, root: int) -> Iterator[tuple[float, int]]:
    """For each time the sets of `root` that hold a quorum by then."""
    times = {name: system.replica(name).latency.mean() for name in side.names()}
    for limit in sorted(set(times.values())):
        prompt = side.diagram.without(side.root, [name for name, time in times.items() if time > limit])
        number = side.diagram.choose(prompt, root, FALSE)
        if number != FALSE:
            yield limit, number


def _edges(side: Expression, root: int) -> list[tuple[int, int, str]]:
    diagram, found = side.diagram, []
    for tail in diagram.below(root):
        level, low, high = diagram.nodes[tail]
        found.append((tail, high, diagram.names[level]))
        if low != FALSE:
            found.append((tail, low, ""))
    return found


class _Programme:
    """Variables: the flows' edges and sources, then the load at each fraction."""

    def __init__(
        self, system: QuorumSystem, sides: tuple[list[Flow], list[Flow]], fractions: Mapping[float, float]
    ) -> None:
        self.system, self.sides, self.fractions = system, sides, fractions
        self.loads = 1 + max(flow.source for flows in sides for flow in flows)
        self.size = self.loads + len(fractions)
        self.scales = {
            "load": 1.0 / min(self._quick_enough(flows) for flows in sides),
            "network": float(len(system.names)),
            "latency": max(flow.time for flows in sides for flow in flows),
        }

    def _quick_enough(self, flows: list[Flow]) -> float:
        """The largest capacity such that the replicas which have it are a quorum, and so what decides on the load."""
        ranked = sorted(self.system.names, key=self._capacity, reverse=True)
        for count, name in enumerate(ranked, 1):
            if any(flow.side.diagram.holds(flow.root, frozenset(ranked[:count])) for flow in flows):
                return self._capacity(name)
        return self._capacity(ranked[-1])

    def _capacity(self, name: str) -> float:
        one = self.system.replica(name)
        return max(one.read_capacity, one.write_capacity)

    def solve(self, minimize: str, limits: Mapping[str, float]) -> np.ndarray | None:
        """The variables at the optimum, or None where the limits cannot be met."""
        kept, units = self._conserved()
        bounds = self._busiest()
        ends = [0.0] * len(bounds)
        for name, limit in limits.items():
            bounds.append(self._worth(name))
            ends.append(limit / self.scales[name] * (1.0 + SLACK))
        aim = np.zeros(self.size)
        for column, value in self._worth(minimize).items():
            aim[column] = value
        upper, equal = _matrix(bounds, self.size), _matrix(kept, self.size)
        method = "highs-ds" if self.size < LARGE else "highs-ipm"  # ten times as fast at ten thousand variables
        found = optimize.linprog(aim, upper, ends, equal, units, method=method)  # type: ignore[call-overload]  # sparse
        if found.status == 2:
            return None
        if found.status != 0:
            raise ValueError(f"the linear programme of the strategy was not solved: {found.message}")
        return np.asarray(found.x)

    def _conserved(self) -> tuple[list[Row], list[float]]:
        """What enters a node leaves it; the sources of a side sum to one."""
        rows: list[Row] = []
        units: list[float] = []
        for flows in self.sides:
            for flow in flows:
                through: dict[int, Row] = defaultdict(dict)
                through[flow.root][flow.source] = 1.0
                for column, (tail, head, _) in enumerate(flow.edges, flow.first):
                    through[tail][column] = -1.0
                    through[head][column] = 1.0
                rows += [row for node, row in through.items() if node != TRUE]
            rows.append({flow.source: 1.0 for flow in flows})
            units += [0.0] * (len(rows) - len(units) - 1) + [1.0]
        return rows, units

    def _busiest(self) -> list[Row]:
        """At each fraction no replica has more load than the busiest."""
        asked = [self._asked(flows) for flows in self.sides]
        rows = []
        for place, share in enumerate(self.fractions):
            for name in self.system.names:
                replica, row = self.system.replica(name), {self.loads + place: -1.0}
                reads = share / (replica.read_capacity * self.scales["load"])
                writes = (1.0 - share) / (replica.write_capacity * self.scales["load"])
                for columns, each in zip(asked, (reads, writes), strict=True):
                    row |= dict.fromkeys(columns[name], each)
                rows.append(row)
        return rows

    @staticmethod
    def _asked(flows: list[Flow]) -> dict[str, list[int]]:
        """The edges at which each replica is asked."""
        found: dict[str, list[int]] = defaultdict(list)
        for flow in flows:
            for column, (_, _, name) in enumerate(flow.edges, flow.first):
                if name:
                    found[name].append(column)
        return found

    def _worth(self, name: str) -> Row:
        """The load, network or latency as a sum over variables, scaled."""
        if name == "load":
            return {self.loads + place: weight for place, weight in enumerate(self.fractions.values())}
        mean = math.fsum(share * weight for share, weight in self.fractions.items())
        row: Row = {}
        for flows, share in zip(self.sides, (mean, 1.0 - mean), strict=True):
            for flow in flows:
                if name == "latency":
                    row[flow.source] = share * flow.time / self.scales[name]
                else:
                    asked = [c for c, (_, _, who) in enumerate(flow.edges, flow.first) if who]
                    row |= dict.fromkeys(asked, share / self.scales[name])
        return row


def _matrix(rows: list[Row], size: int) -> sparse.csr_array:
    places = np.repeat(np.arange(len(rows)), [len(row) for row in rows])
    columns = np.fromiter((column for row in rows for column in row), dtype=np.intp)
    values = np.fromiter((value for row in rows for value in row.values()), dtype=float)
    return sparse.csr_array((values, (places, columns)), shape=(len(rows), size))


def _quorums(system: QuorumSystem, flows: list[Flow], solved: np.ndarray, f: int) -> dict[frozenset[str], float]:
    """The flows as sets of replicas with probabilities, each set without those that it can do without."""
    found: dict[frozenset[str], float] = defaultdict(float)
    for flow in flows:
        for names, weight in _paths(flow, solved):
            found[_spare(system, flow.side, names, f, math.isfinite(flow.time))] += weight
    return found


def _paths(flow: Flow, solved: np.ndarray) -> Iterator[tuple[frozenset[str], float]]:
    left = dict(enumerate(solved[flow.first : flow.source].tolist()))
    out: dict[int, list[int]] = defaultdict(list)
    for place, (tail, _, _) in enumerate(flow.edges):
        out[tail].append(place)
    while True:
        node, path = flow.root, []
        while node != TRUE:
            place = max(out[node], key=left.__getitem__)
            path.append(place)
            node = flow.edges[place][1]
        weight = min((left[place] for place in path), default=0.0)
        if weight <= NOTHING:
            return
        for place in path:
            left[place] -= weight
        yield frozenset(flow.edges[place][2] for place in path if flow.edges[place][2]), weight


def _spare(system: QuorumSystem, side: Expression, names: frozenset[str], f: int, timed: bool) -> frozenset[str]:
    number = survivors(side, f)
    limit = reply_time(system, side, names) if timed else math.inf
    for name in sorted(names):
        rest = names - {name}
        if side.diagram.holds(number, rest) and (not timed or reply_time(system, side, rest) <= limit):
            names = rest
    return names
