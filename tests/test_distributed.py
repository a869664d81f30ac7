"""Work shared through Dask: the same bytes as alone, and a worker that dies costs nothing but time."""

import logging
import os
import signal
import threading
import time

import distributed
import numpy as np
import pandas as pd
import pytest

import scaling_models as sm
from scaling_models.montecarlo import runs
from scaling_models.montecarlo.kernels.central import Central
from scaling_models.montecarlo.workers import in_order

REQUESTS = 4_000_000
GRID = {"servers": [8, 10, 12], "arrival_rate": [500.0, 700.0]}
POOL = sm.CentralQueue(700.0, 10)


@pytest.fixture(scope="module")
def client():
    """Two worker processes, begun again when they die; all listen to this machine only, at free ports."""
    here = {"host": "127.0.0.1", "dashboard_address": "127.0.0.1:0", "silence_logs": logging.CRITICAL}
    with (
        distributed.LocalCluster(n_workers=2, threads_per_worker=1, processes=True, **here) as cluster,
        distributed.Client(cluster) as client,
    ):
        yield client


@pytest.fixture(autouse=True)
def many_units(monkeypatch):
    """Runs cut into as many units as there are lanes to copy, whose samples are kept."""
    monkeypatch.setattr(Central, "copies", 1)
    monkeypatch.setattr(runs, "KEPT", REQUESTS)


def same(one, other):
    """Whether two simulations told the same, byte by byte."""
    return one.cut == other.cut and all(
        np.array_equal(getattr(one, name).batches, getattr(other, name).batches) for name in ("wait", "latency")
    )


def test_a_shared_run_has_the_same_bytes(client):
    alone = POOL.simulate(REQUESTS, seed=3)
    assert alone.cut.units > 2
    assert same(alone, POOL.simulate(REQUESTS, seed=3, executor=client.get_executor()))


def test_a_shared_sweep_has_the_same_numbers(client):
    shared = sm.sweep(POOL, GRID, requests=20_000, executor=client.get_executor())
    pd.testing.assert_frame_equal(shared, sm.sweep(POOL, GRID, requests=20_000), check_exact=True)


def test_a_worker_that_is_killed_under_way_loses_nothing(client):
    alone = POOL.simulate(REQUESTS, seed=4)
    pids, killed = list(client.run(os.getpid).values()), []

    def kill_one_at_work():
        while not any(client.processing().values()):
            time.sleep(0.001)
        os.kill(pids[0], signal.SIGKILL)
        killed.append(pids[0])

    killer = threading.Thread(target=kill_one_at_work)
    killer.start()
    shared = POOL.simulate(REQUESTS, seed=4, executor=client.get_executor())
    killer.join()
    assert killed
    assert same(alone, shared)


def test_work_that_kills_every_worker_is_done_here(client, caplog):
    here = os.getpid()

    def deadly(number):
        if os.getpid() != here:
            os.kill(os.getpid(), signal.SIGKILL)
        return number**2

    client.run_on_scheduler(lambda dask_scheduler: setattr(dask_scheduler, "allowed_failures", 0))
    assert list(in_order(client.get_executor(), deadly, [(1,), (2,)])) == [1, 4]
    assert "KilledWorker" in caplog.text


def test_an_error_of_the_work_comes_out(client):
    with pytest.raises(ZeroDivisionError):
        list(in_order(client.get_executor(), divmod, [(1, 0)]))
