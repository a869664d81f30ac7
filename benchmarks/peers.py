"""What a simulated customer costs in SimPy and Ciw, each as a competent user of it would write the system.

Three systems at load 0.9 with exponential services of mean 1: M/M/1, M/M/10, and 100 servers with the power of two
choices (two different servers drawn, the one with fewer customers, the first drawn where they tie). Beside them stands
the time that numpy takes for the random numbers of as many customers, measured in the same run. All start empty; the
mean response time is printed to show that they simulate the same system. Seconds are CPU seconds of this process, the
shortest of a few runs.
"""

from __future__ import annotations

import functools
import importlib.metadata
import importlib.util
import random
import time
from collections.abc import Callable, Generator
from statistics import fmean
from typing import Any

import numpy as np

LOAD = 0.9
SERVERS = 100
REPEATS = 5
CUSTOMERS = {"simpy": 30_000, "ciw": 10_000}
DRAWS = 2**22

Case = Callable[[int], float]  # customers -> their mean response time


def simpy_queue(workers: int, customers: int) -> float:
    """M/M/c: one Resource, a process a customer."""
    import simpy

    rng, environment, times = random.Random(1), simpy.Environment(), []
    workers_at = simpy.Resource(environment, capacity=workers)

    def customer() -> Generator[Any, Any, None]:
        arrived = environment.now
        with workers_at.request() as turn:
            yield turn
            yield environment.timeout(rng.expovariate(1.0))
        times.append(environment.now - arrived)

    def source() -> Generator[Any, Any, None]:
        for _ in range(customers):
            yield environment.timeout(rng.expovariate(LOAD * workers))
            environment.process(customer())

    environment.process(source())
    environment.run()
    return fmean(times)


def simpy_two_choices(customers: int) -> float:
    """Power of two: a Resource a server, the shorter of two at arrival."""
    import simpy

    rng, environment, times = random.Random(1), simpy.Environment(), []
    servers = [simpy.Resource(environment) for _ in range(SERVERS)]

    def customer() -> Generator[Any, Any, None]:
        arrived = environment.now
        server = min(rng.sample(servers, 2), key=lambda each: each.count + len(each.queue))
        with server.request() as turn:
            yield turn
            yield environment.timeout(rng.expovariate(1.0))
        times.append(environment.now - arrived)

    def source() -> Generator[Any, Any, None]:
        for _ in range(customers):
            yield environment.timeout(rng.expovariate(LOAD * SERVERS))
            environment.process(customer())

    environment.process(source())
    environment.run()
    return fmean(times)


def ciw_queue(workers: int, customers: int) -> float:
    """M/M/c: one node."""
    import ciw

    ciw.seed(1)
    network = ciw.create_network(
        arrival_distributions=[ciw.dists.Exponential(LOAD * workers)],
        service_distributions=[ciw.dists.Exponential(1.0)],
        number_of_servers=[workers],
    )
    simulation = ciw.Simulation(network)
    simulation.simulate_until_max_customers(customers)
    return fmean(record.exit_date - record.arrival_date for record in simulation.get_all_records())


def ciw_two_choices(customers: int) -> float:
    """Power of two: a first node of no duration routes each arrival, as Ciw's guide does for the shortest queue."""
    import ciw

    class TwoChoices(ciw.routing.NodeRouting):  # type: ignore[misc]
        """To the shorter of two nodes drawn."""

        def next_node(self, ind: Any) -> Any:
            drawn = random.sample(range(2, SERVERS + 2), 2)
            return min((self.simulation.nodes[each] for each in drawn), key=lambda node: node.number_of_individuals)

    ciw.seed(1)
    network = ciw.create_network(
        arrival_distributions=[ciw.dists.Exponential(LOAD * SERVERS)] + [None] * SERVERS,
        service_distributions=[ciw.dists.Deterministic(0.0)] + [ciw.dists.Exponential(1.0)] * SERVERS,
        number_of_servers=[float("inf")] + [1] * SERVERS,
        routing=ciw.routing.NetworkRouting(routers=[TwoChoices()] + [ciw.routing.Leave()] * SERVERS),
    )
    simulation = ciw.Simulation(network)
    simulation.simulate_until_max_customers(customers)
    records = simulation.get_all_records()
    return fmean(record.exit_date - record.arrival_date for record in records if record.node > 1)


def draws(choices: int) -> float:
    """The CPU seconds a customer of numpy drawing two exponentials and so many integers below SERVERS."""
    rng, block = np.random.default_rng(1), 2**14

    def run() -> None:
        for _ in range(DRAWS // block):
            rng.standard_exponential(2 * block)
            if choices:
                rng.integers(0, SERVERS, choices * block)

    return best(run)[0] / DRAWS


def best(work: Callable[[], Any]) -> tuple[float, Any]:
    """The shortest CPU seconds of a few runs, and what they returned."""
    times = []
    for _ in range(REPEATS):
        begin = time.process_time()
        result = work()
        times.append(time.process_time() - begin)
    return min(times), result


PEERS: dict[str, dict[str, Case]] = {
    "simpy": {
        "M/M/1": functools.partial(simpy_queue, 1),
        "M/M/10": functools.partial(simpy_queue, 10),
        "power of two": simpy_two_choices,
    },
    "ciw": {
        "M/M/1": functools.partial(ciw_queue, 1),
        "M/M/10": functools.partial(ciw_queue, 10),
        "power of two": ciw_two_choices,
    },
}
CHOICES = {"M/M/1": 0, "M/M/10": 0, "power of two": 2}  # servers drawn by a customer


def main() -> None:
    """Print every figure."""
    floors = {choices: draws(choices) for choices in (0, 2)}
    for choices, floor in floors.items():
        drawn = "two exponentials" + (f" and {choices} servers" if choices else "")
        print(f"numpy draws {drawn} in {1e9 * floor:.1f} ns a customer (the floor)")
    for peer, cases in PEERS.items():
        if importlib.util.find_spec(peer) is None:
            print(f"{peer}: skipped, it is not installed.")
            continue
        for case, simulate in cases.items():
            seconds, mean = best(functools.partial(simulate, CUSTOMERS[peer]))
            each = seconds / CUSTOMERS[peer]
            print(
                f"{case}, {peer} {importlib.metadata.version(peer)}: {1e9 * each:,.0f} ns a customer, "
                f"{each / floors[CHOICES[case]]:,.0f} times the floor (mean response {mean:.2f})"
            )


if __name__ == "__main__":
    main()
