"""What a simulated customer costs in SimPy and Ciw, each as a competent user of it would write the system.

Three systems at load 0.9 with exponential services of mean 1: M/M/1, M/M/10, and 100 servers with the power of two
choices (two different servers drawn, the one with fewer customers, the first drawn where they tie).
Beside them stands what a customer costs in this package, in the kernel alone (its draws included) and in a whole
`simulate` with settling, binning and checks, and what numpy takes for its random numbers, all measured in the same run.
The peers start empty, and do not settle; mean response times are printed to show that all simulate the same system.
Seconds are CPU seconds of this process, the shortest of a few runs.
"""

from __future__ import annotations

import functools
import importlib.metadata
import importlib.util
import random
from collections.abc import Callable, Generator
from statistics import fmean
from typing import Any

from speed import LOAD, best, cost, kernels, runs, whole

SERVERS = 100
CUSTOMERS = {"simpy": 30_000, "ciw": 10_000}
OURS = 4_000_000
REPEATS = 3

KERNELS = {"M/M/1": "M/M/1, lanes", "M/M/10": "M/M/10", "power of two": "power of two, 100"}

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


def timed(simulate: Case, customers: int) -> tuple[float, float]:
    """CPU seconds a customer, and the mean response time."""
    means: list[float] = []
    seconds = best(lambda: means.append(simulate(customers)), REPEATS)
    return seconds / customers, means[-1]


def main() -> None:
    """Print every figure: each system with ours first, and then the peers."""
    for name, model in runs().items():
        kernel, ours = cost(kernels()[KERNELS[name]]()), cost(whole(model, OURS), REPEATS)
        mean = model.simulate(OURS, seed=2).latency.mean() / model.service.mean()
        print(
            f"{name}: {1e9 * ours.ours:.0f} ns a customer, {ours.ratio:.1f} times its draws; the kernel alone "
            f"{1e9 * kernel.ours:.0f} ns, {kernel.ratio:.1f} times (mean response {mean:.2f})"
        )
        for peer, cases in PEERS.items():
            if importlib.util.find_spec(peer) is None:
                print(f"    {peer}: skipped, it is not installed (it comes with the extra bench).")
                continue
            each, mean = timed(cases[name], CUSTOMERS[peer])
            print(
                f"    {peer} {importlib.metadata.version(peer)}: {1e9 * each:,.0f} ns a customer, "
                f"{each / ours.ours:,.0f} times ours, {each / kernel.ours:,.0f} times the kernel "
                f"(mean response {mean:.2f})",
                flush=True,
            )


if __name__ == "__main__":
    main()
