"""How long data take to move while writes arrive, what binds them, and how long requests wait meanwhile."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special

Array = NDArray[np.float64]
MOST_ROUNDS = 100_000  # of an overwrite chase: one that takes more does not end in practice


class Chase(NamedTuple):
    """Copying in rounds, each of what was written during the one before: how many rounds until what is left is small
    enough, how long they take (s; `inf` where they never end), and how many bytes are left then, or for ever."""

    rounds: Array
    duration: Array
    left: Array


def append_chase(data: ArrayLike, rate: ArrayLike, writes: ArrayLike, stop: ArrayLike) -> Chase:
    """Rounds of copying `data` (bytes) at `rate` (bytes/s) while `writes` (bytes/s) append, until `stop` are left.

    Round i copies x_i = D (w/B)^i: n = ceil(ln(stop / D) / ln(w / B)), T = (D / B) (1 - (w/B)^n) / (1 - w/B), which is
    at most D / (B - w). With w >= B it never ends. Broadcasts; exact.
    """
    size, speed, coming, small = np.broadcast_arrays(*(np.asarray(each, float) for each in (data, rate, writes, stop)))
    ends = (coming < speed) | (size <= small)
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.where(speed > 0, coming / speed, np.inf)
        wanted = np.log(small / size) / np.log(ratio)
        rounds = np.where(size <= small, 0.0, np.where(ratio == 0, 1.0, np.ceil(wanted * (1.0 - 1e-12))))
        left = np.where(rounds == 0, size, size * ratio**rounds)
        duration = np.where(rounds == 0, 0.0, (size - left) / (speed - coming))
    return Chase(np.where(ends, rounds, np.inf), np.where(ends, duration, np.inf), np.where(ends, left, size))


def stuck_share(ratio: ArrayLike) -> Array:
    """The share of the data that an overwrite chase never gets rid of, of writes over copying r = w/B.

    The fixed point x = 1 - e^{-r x}: zero up to r = 1, and x = 1 + W(-r e^{-r}) / r above (W: Lambert's function).
    Broadcasts; exact.
    """
    r = np.asarray(ratio, dtype=float)
    above = np.clip(r, 1.0, 700.0)
    return np.asarray(np.where(r > 1.0, 1.0 + special.lambertw(-above * np.exp(-above)).real / above, 0.0))


def overwrite_chase(data: ArrayLike, rate: ArrayLike, writes: ArrayLike, stop: ArrayLike) -> Chase:
    """The same where writes change bytes of `data` evenly at random, and a byte changed twice is copied once.

    x_{i+1} = D (1 - e^{-w x_i / (B D)}). With w > B it sticks at `stuck_share` of the data, unless that is little
    enough; then `left` says how much. Broadcasts; exact (of a round's writes, the mean: bytes are many).
    """
    size, speed, coming, small = np.broadcast_arrays(*(np.asarray(each, float) for each in (data, rate, writes, stop)))
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.where(speed > 0, coming / speed, np.inf)
    fixed = stuck_share(ratio)
    sticks = (size > small) & (fixed * size >= small)
    left, copied, rounds = np.ones(size.shape), np.zeros(size.shape), np.zeros(size.shape)
    going = (size > small) & ~sticks
    for _ in range(MOST_ROUNDS):
        if not going.any():
            break
        copied += np.where(going, left, 0.0)
        rounds += going
        left = np.where(going, -np.expm1(-np.where(going, ratio, 0.0) * left), left)
        going &= left * size > small
    never = sticks | going
    with np.errstate(divide="ignore", invalid="ignore"):
        duration = np.where(never, np.inf, np.where(copied > 0, copied * size / speed, 0.0))
    return Chase(np.where(never, np.inf, rounds), duration, np.where(sticks, fixed, left) * size)


def overwritten_left(data: float, rate: float, writes: float, times: Array) -> Array:
    """Bytes left of an overwrite chase at ascending `times` (s): what the round has still to copy, and what it has
    changed so far, D (1 - e^{-w t / D}) after t seconds of it; all of them where nothing is copied. Exact."""
    if rate == 0.0:
        return np.full(len(times), data)
    found, begin, left = np.empty(len(times)), 0.0, data
    at = 0
    for _ in range(MOST_ROUNDS):
        end = begin + left / rate
        until = int(np.searchsorted(times, end, side="right"))
        since = times[at:until] - begin
        found[at:until] = np.maximum(left - rate * since, 0.0) - data * np.expm1(-writes * since / data)
        begin, left, at = end, -data * float(np.expm1(-writes * left / rate / data)), until
        if at == len(times) or left <= 1e-9 * data:
            break
    found[at:] = left
    return found


def port_times(data: float, before: int, after: int, b_in: float, b_out: float, fabric: float) -> tuple[float, ...]:
    """Seconds that the senders, the receivers and the fabric each need where N nodes become M, all evenly loaded.

    Growing: senders D (1/N - 1/M) / b_out, receivers D / (M b_in), fabric D (1 - N/M) / b; shrinking the other way
    round. Bytes and bytes/s; T is their maximum. Exact for a placement that is even and moves no more than it must.
    """
    few, many = 1.0 / max(before, after), abs(1.0 / before - 1.0 / after)
    few = few if before != after else 0.0
    sent, received = (many, few) if after > before else (few, many)
    total = abs(after - before) / max(before, after)
    return data * sent / b_out, data * received / b_in, data * total / fabric


def sent_scv(tokens: float, before: int, after: int) -> float:
    """Squared coefficient of variation of what an old node sends to new ones on a ring of random tokens.

    Of v tokens a node and d = M - N new nodes, K of the new tokens fall into a node's arcs: beta-binomial(v d, v,
    v (N - 1)); given those it sends Beta(K, v M - K) of all: E[X^2] = E[K (K + 1)] / (v M (v M + 1)). Exact. The same
    of what a node receives when nodes leave, `before` being the smaller number.
    """
    new, old, every = tokens * (after - before), tokens * before, tokens * after
    mean = new / before
    variance = mean * (1.0 - 1.0 / before) * (new + old) / (old + 1.0)
    square = (mean * mean + variance + mean) / (every * (every + 1.0))
    return square / (mean / every) ** 2 - 1.0


def foreground_wait(
    arrival_rate: ArrayLike, mean: ArrayLike, square: ArrayLike, chunk: ArrayLike, share: ArrayLike, first: bool
) -> Array:
    """Mean wait (s) of requests at a disk that also copies chunks of `chunk` seconds, which take `share` of its time.

    R0 = (lambda E[S^2] + share chunk) / 2 is the mean rest of what is being served; R0 / (1 - rho) where requests go
    `first` (non-preemptive; Cobham 1954), R0 / (1 - rho - share) in order of arrival (Pollaczek and Khinchine: divided
    once; the product (1 - rho) (1 - rho - share) belongs to a class of low priority). `mean` and `square` are E[S] and
    E[S^2]. `inf` at overload. Broadcasts; exact for chunks that come at random moments, and first for any.
    """
    load = np.asarray(arrival_rate, float) * mean
    rest = (np.asarray(arrival_rate, float) * square + np.asarray(share, float) * chunk) / 2.0
    idle = 1.0 - load - (0.0 if first else np.asarray(share, float))
    with np.errstate(divide="ignore"):
        return np.asarray(np.where(idle > 0, rest / np.where(idle > 0, idle, 1.0), np.inf))
