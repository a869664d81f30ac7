"""Waves: which customers of a block can be dealt in one step, for nobody before them touches what they look at."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from scaling_models.montecarlo.arrays import Indices

WINDOW = 128  # customers of a lane who are put in order together: at most 255, the highest wave that a byte counts


def waves(rows: Indices, among: int) -> tuple[Indices, list[slice]]:
    """An order of customers (customers, lanes), flattened, and the stretches of it in which all can go at once.

    `rows` (customers, lanes, some), each in [0, among), are all that a customer may look at or change. In each window
    of a lane's customers the wave of one is one more than the highest of those before it that share a row with it:
    w_n = 1 + max over its rows of h, which then become w_n. So everyone finds its rows as if all came in their order.
    """
    customers, lanes, _ = rows.shape
    found = _windowed(rows, among)
    highest = found.max(axis=(1, 2)).astype(np.intp)
    before = np.cumsum(highest) - highest
    kind = np.uint16 if before[-1] + 255 < 2**16 else np.int64  # of two bytes, which numpy sorts in linear time
    keys = (found + (before - 1).astype(kind)[:, None, None]).reshape(-1, lanes)[:customers].ravel()
    edges = np.cumsum(np.bincount(keys)).tolist()
    return np.argsort(keys, kind="stable"), [slice(low, high) for low, high in zip([0, *edges], edges, strict=False)]


def _windowed(rows: Indices, among: int) -> NDArray[np.uint8]:
    """The wave of each customer in its window (windows, size, lanes), from 1; of those beyond the last, any."""
    customers, lanes, some = rows.shape
    windows = -(-customers // WINDOW)
    size = -(-customers // windows)
    touched = np.full((size, some, windows, lanes), windows * among)
    for window in range(windows):
        own = rows[window * size : (window + 1) * size]
        np.add(own.transpose(0, 2, 1), window * among, out=touched[: len(own), :, window])
    highest = np.zeros(windows * among + 1, dtype=np.uint8)
    seen = np.empty((some, windows * lanes), dtype=np.uint8)
    found = np.empty((size, windows * lanes), dtype=np.uint8)
    for own, wave in zip(touched.reshape(size, some, -1), found, strict=True):  # of all windows at once
        highest.take(own, out=seen, mode="clip")
        np.maximum.reduce(seen, axis=0, out=wave)
        wave += 1
        highest[own] = wave
    return np.ascontiguousarray(found.reshape(size, windows, lanes).transpose(1, 0, 2))
