"""Hedging against an event calendar with the same numbers, exact means, fixed points, limits, both starts."""

import heapq
import itertools
import math
from collections import deque
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lanes import FALSE_ALARM, assert_mean, streams
from scipy import optimize

import scaling_models as sm
from scaling_models.montecarlo.estimates import from_batches, student
from scaling_models.montecarlo.kernels.calendar import Calendar
from scaling_models.montecarlo.kernels.cancelling import cancelled_responses
from scaling_models.montecarlo.kernels.copies import HedgingRule
from scaling_models.montecarlo.kernels.forks import distinct
from scaling_models.montecarlo.kernels.hedging import Hedging
from scaling_models.montecarlo.kernels.pending import Pending, hedged_responses

END, DUE, ARRIVAL = range(3)


class Reference:
    """One lane by an event calendar: copies as objects, queues as deques, cancelled ones taken out of them."""

    def __init__(self, services, gaps, candidates, rule, cancel):
        self.services, self.gaps, self.candidates, self.rule, self.cancel = services, gaps, candidates, rule, cancel
        self.queues = [deque() for _ in range(rule.servers)]  # the copy in service stands first
        self.events, self.order = [(0.0, ARRIVAL, 0, None)], itertools.count(1)
        self.row, self.tokens, self.requests, self.copies, self.busy = 0, 0.0, [], 0, 0.0
        self.done, self.history = [], []

    def run(self):
        while self.events:
            now, kind, _, thing = heapq.heappop(self.events)
            if self.row == len(self.services) and kind != END:
                continue  # no numbers left
            (self.end, self.fall_due, self.arrive)[kind](now, thing)
            self.history.append((now, len(self.requests), self.copies, self.busy))
        return self

    def push(self, when, kind, thing):
        heapq.heappush(self.events, (when, kind, next(self.order), thing))

    def arrive(self, now, _):
        request = SimpleNamespace(born=now, copies=[], response=None, awaits=False)
        self.requests.append(request)
        self.push(now + self.gaps[self.row], ARRIVAL, None)
        self.tokens = min(self.tokens + self.rule.budget, self.rule.burst)
        self.send(now, request)

    def fall_due(self, now, request):
        request.awaits = False
        if request.response is not None:
            return
        if self.rule.budget < math.inf and self.tokens < 1.0 - 1e-9:  # ten earnings of 0.1 are one
            request.row = self.row
            self.row += 1
            return
        self.tokens -= 1.0
        self.send(now, request)

    def send(self, now, request):
        had = [copy.server for copy in request.copies]
        drawn = [server for server in self.candidates[self.row] if server not in had][: self.rule.choices]
        server = min(drawn, key=lambda each: len(self.queues[each]))
        size = self.services[self.row] if self.rule.redraw or not had else request.copies[0].size
        copy = SimpleNamespace(request=request, server=server, size=size, ends=None)
        request.copies.append(copy)
        request.row = self.row
        self.row += 1
        self.copies += 1
        self.queues[server].append(copy)
        if len(self.queues[server]) == 1:
            self.begin(now, server)
        if len(request.copies) < self.rule.copies:
            request.awaits = True
            self.push(now + self.rule.delay, DUE, request)

    def begin(self, now, server):
        queue = self.queues[server]
        while queue and self.cancel == "waiting" and queue[0].request.response is not None:
            queue.popleft()
        if queue:
            queue[0].ends = now + queue[0].size
            self.busy += queue[0].size
            self.push(queue[0].ends, END, queue[0])

    def end(self, now, copy):
        queue = self.queues[copy.server]
        if not any(other is copy for other in queue):
            return  # cancelled in service
        assert queue.popleft() is copy
        request = copy.request
        if request.response is None:
            request.response = now - request.born
            self.done.append(request)
            for other in request.copies if self.cancel == "anywhere" else ():
                if other is not copy:
                    self.withdraw(now, other)
        self.begin(now, copy.server)

    def withdraw(self, now, copy):
        queue = self.queues[copy.server]
        served = queue[0] is copy
        self.queues[copy.server] = queue = deque(each for each in queue if each is not copy)
        if served:
            self.busy -= copy.ends - now
            self.begin(now, copy.server)


rules = st.builds(
    lambda servers, choices, copies, **more: HedgingRule(
        servers, choices=min(choices, servers), copies=min(copies, servers), **more
    ),
    servers=st.integers(2, 5),
    delay=st.sampled_from([0.0, 0.3, 1.5, 4.0]),
    choices=st.integers(1, 3),
    copies=st.integers(1, 4),
    redraw=st.booleans(),
    budget=st.sampled_from([math.inf, math.inf, 0.3]),
    burst=st.sampled_from([1.0, 4.0]),
)
cases = given(st.integers(0, 10**6), rules, st.sampled_from([0.3, 0.6, 1.3]))


def numbers(seed, rule, load, rows, lanes):
    rng = np.random.default_rng(seed)
    services = rng.exponential(1.0, (rows, lanes))
    gaps = rng.exponential(1.0 / (load * rule.servers), (rows, lanes))
    return services, gaps, distinct(rule.drawn, rule.servers, (rows, lanes), rng)


def lane_of(drawn, lane):
    services, gaps, candidates = drawn
    return services[:, lane].tolist(), gaps[:, lane].tolist(), candidates[..., lane].tolist()


@cases
@settings(max_examples=20, deadline=None)
def test_without_cancellation_responses_equal_an_event_calendar(seed, rule, load):
    drawn = numbers(seed, rule, load, 100, 3)
    responses, tallies, _ = hedged_responses(*drawn, Pending.begin(np.zeros((3, rule.servers)), rule), rule)
    for lane in range(3):
        reference = Reference(*lane_of(drawn, lane), rule, "never").run()
        expected = np.full(100, np.nan)
        for request in reference.requests:
            settled = not request.awaits or request.response <= rule.delay * len(request.copies)
            expected[request.row] = request.response if settled else np.nan
        np.testing.assert_allclose(responses[:, lane], expected, atol=1e-9)
        found = [tallies[name][lane] for name in ("requests", "copies", "busy")]
        sizes = sum(copy.size for request in reference.requests for copy in request.copies)
        assert found == pytest.approx([len(reference.requests), reference.copies, sizes / rule.servers], abs=1e-9)


@cases
@settings(max_examples=20, deadline=None)
@pytest.mark.parametrize("cancel", ["waiting", "anywhere"])
def test_with_cancellation_responses_equal_an_event_calendar(cancel, seed, rule, load):
    drawn = numbers(seed, rule, load, 200, 3)
    state = Calendar.begin(np.zeros((3, rule.servers)), rule.copies)
    responses, tallies, after = cancelled_responses(*drawn, state, rule, cancel == "anywhere")
    _, further, _ = cancelled_responses(*(each[-1:] for each in drawn), after, rule, cancel == "anywhere")
    for lane in range(3):
        reference = Reference(*lane_of(drawn, lane), rule, cancel).run()
        found = responses[:, lane][np.isfinite(responses[:, lane])]
        until = tallies["time"][lane] + 1e-9
        expected = [each.response for each in reference.done if each.born + each.response <= until]
        np.testing.assert_allclose(found, expected, atol=1e-9)
        if further["time"][lane] > 1e-9:  # nothing more happens at the time of the last event
            _, requests, copies, busy = [each for each in reference.history if each[0] <= until][-1]
            found = [tallies[name][lane] for name in ("requests", "copies", "busy")]
            assert found == pytest.approx([requests, copies, busy / rule.servers], abs=1e-9)


@cases
@settings(max_examples=20, deadline=None)
@pytest.mark.parametrize("cancel", ["never", "waiting", "anywhere"])
def test_blocks_go_on_where_the_last_one_stopped(cancel, seed, rule, load):
    rule = HedgingRule(rule.servers, rule.delay, rule.choices, rule.copies, rule.redraw)
    drawn = numbers(seed, rule, load, 120, 3)

    def run(state, steps, used):
        mine = [
            np.stack([np.roll(each[..., i], -used[i], axis=0) for i in range(3)], axis=-1)[:steps] for each in drawn
        ]
        if cancel == "never":
            return hedged_responses(*mine, state, rule)
        return cancelled_responses(*mine, state, rule, cancel == "anywhere")

    begin = (
        Pending.begin(np.full((3, rule.servers), 2.0), rule)
        if cancel == "never"
        else Calendar.begin(np.full((3, rule.servers), 2.0), rule.copies)
    )
    whole, tallies, _ = run(begin, 120, [0, 0, 0])
    cut = seed % 120
    first, before, between = run(begin, cut, [0, 0, 0])
    mixed = between.pick(np.array([2, 0, 0, 1])).pick(np.array([1, 3, 0]))
    second, after, _ = run(mixed, 120 - cut, before["copies"].astype(int))
    np.testing.assert_allclose(np.concatenate([first, second]), whole, atol=1e-9)
    for name, total in tallies.items():
        np.testing.assert_allclose(before[name] + after[name], total, atol=1e-9)


def lane_means(system, steps, warm_up, backlog=0.0, lanes=256, seed=1):
    """Ratios by lane after a warm-up: mean latency, copies a request, utilization; and all latencies."""
    state = system.start(np.full(lanes, backlog), streams(seed))
    seen, tallies = [], {}
    for block in range(1, 1 + (warm_up + steps) // 500):
        outcomes, state = system.advance(state, streams(seed, block), 500)
        if block * 500 > warm_up:
            seen.append(outcomes.times["latency"])
            for name, value in outcomes.tallies.items():
                tallies[name] = tallies.get(name, 0.0) + value
    latency = np.concatenate(seen)
    return SimpleNamespace(
        latency=np.nanmean(latency, axis=0),
        copies=tallies["copies"] / tallies["requests"],
        utilization=tallies["busy"] / tallies["time"],
        all=latency[np.isfinite(latency)],
        tallies=tallies,
    )


def poisson(load, rule, cancel, service=None):
    return Hedging(sm.Exponential(1.0 / (load * rule.servers)), service or sm.Exponential(1.0), rule, cancel)


@pytest.mark.parametrize(("servers", "copies", "load"), [(6, 3, 0.4)])
def test_redundancy_has_the_exact_mean_and_utilization(servers, copies, load):
    exact = sum(
        1.0 / (servers * (math.comb(servers - 1, copies - 1) / math.comb(i - 1, copies - 1) - load))
        for i in range(copies, servers + 1)
    )
    means = lane_means(poisson(load, HedgingRule(servers, 0.0, copies=copies), "anywhere"), 3000, 500)
    assert_mean(means.latency, exact, seen=0.06)
    assert_mean(means.utilization, load, seen=0.06)


@pytest.mark.parametrize("choices", [1, 2])
def test_copies_cancelled_anywhere_leave_exponential_work_as_it_is(choices):
    means = lane_means(poisson(0.6, HedgingRule(10, 1.0, choices), "anywhere"), 2000, 500)
    assert_mean(means.utilization, 0.6, seen=0.05)
    assert (means.copies > 1.0).all()


@pytest.mark.parametrize(("load", "delay"), [(0.4, 4.0)])
def test_without_cancellation_utilization_and_latency_are_near_the_fixed_point(load, delay):
    rule = HedgingRule(20, delay)
    u = optimize.brentq(lambda u: u - load * (1.0 + math.exp(-(1.0 - u) * delay)), load, 0.7)
    means = lane_means(poisson(load, rule, "never"), 10_000, 2000)
    assert_mean(means.utilization, u, seen=0.02, low=-0.006, high=0.006)
    late = math.exp(-(1.0 - u) * delay)
    mean = (1.0 - late + late / (1.0 + 1.0)) / (1.0 - u)
    assert_mean(means.latency, mean, low=0.0, high=0.034)


@pytest.mark.parametrize("cancel", ["never", "waiting", "anywhere"])
def test_limits_no_load_and_no_copies(cancel):
    delay = 0.7
    alone = lane_means(poisson(1e-9, HedgingRule(3, delay), cancel), 1000, 0)
    assert_mean(alone.latency, 1.0 - math.exp(-delay) / 2.0, seen=0.04)
    same = lane_means(poisson(1e-9, HedgingRule(3, delay, redraw=False), cancel), 1000, 0)
    assert_mean(same.latency, 1.0, seen=0.04)
    single = lane_means(poisson(0.3, HedgingRule(3, math.inf), cancel), 2500, 500)
    assert_mean(single.latency, 1.0 / 0.7, seen=0.05)
    assert_mean(single.utilization, 0.3, seen=0.05)
    assert (single.copies == 1.0).all()


def test_cancelling_less_costs_more_work():
    rule = HedgingRule(5, 1.0)
    found = [lane_means(poisson(0.4, rule, cancel), 1500, 500) for cancel in ("anywhere", "waiting", "never")]
    loads = [from_batches(each.utilization).value for each in found]
    assert loads[0] < loads[1] < loads[2]
    assert loads[2] - loads[1] > 10.0 * from_batches(found[2].utilization).error


@pytest.mark.parametrize("cancel", ["never", "waiting", "anywhere"])
def test_a_budget_bounds_the_copies(cancel):
    rule = HedgingRule(4, 0.2, budget=0.1, burst=5.0)
    means = lane_means(poisson(0.6, rule, cancel), 1000, 1000)
    further = means.tallies["copies"] - means.tallies["requests"]
    assert (further <= 0.1 * means.tallies["requests"] + 5.0).all()
    assert_mean(means.copies - 1.0, 0.1)


@pytest.mark.parametrize("cancel", ["never", "waiting", "anywhere"])
def test_empty_and_overfull_starts_agree(cancel):
    system = poisson(0.35, HedgingRule(4, 1.0, 2), cancel, sm.Erlang(1.0, 2))
    low = lane_means(system, 2000, 500)
    high = lane_means(system, 2000, 1000, backlog=20.0, seed=2)
    for name in ("latency", "utilization", "copies"):
        first, second = (from_batches(getattr(each, name)) for each in (low, high))
        allowed = student(1.0 - FALSE_ALARM, first.freedom) * math.hypot(first.error, second.error)
        assert abs(first.value - second.value) <= allowed < 0.05 * first.value
    state = system.start(np.full(4, 20.0), streams(0))
    outcomes, _ = system.advance(state, streams(1), 200)
    assert np.nanmax(outcomes.times["latency"]) > 19.0


def test_illegal_rules_are_refused():
    with pytest.raises(ValueError, match=r"HedgingRule.copies must lie in \[1, 2\]"):
        HedgingRule(2, 1.0, copies=3)
    with pytest.raises(ValueError, match=r"HedgingRule.choices must lie in \[1, 2\]"):
        HedgingRule(2, 1.0, choices=3)
    with pytest.raises(ValueError, match=r"HedgingRule.delay must lie in \[0, inf\]"):
        HedgingRule(2, math.nan)
    with pytest.raises(ValueError, match=r"HedgingRule.budget must lie in \[0, inf\]"):
        HedgingRule(2, 1.0, budget=-0.1)
    with pytest.raises(ValueError, match=r"HedgingRule.burst must lie in \[1, inf\]"):
        HedgingRule(2, 1.0, burst=0.5)
    with pytest.raises(ValueError, match=r"Hedging.cancel must be one of never, waiting, anywhere; got 'later'"):
        poisson(0.5, HedgingRule(2, 1.0), "later")
