"""Work handed to the workers of an executor, and taken back in its order."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import BrokenExecutor, Executor, Future
from typing import Any, TypeVar

from scaling_models.montecarlo.progress import progress

T = TypeVar("T")


def in_order(executor: Executor | None, work: Callable[..., T], jobs: Sequence[tuple[Any, ...]]) -> Iterator[T]:
    """`work(*job)` for each of the jobs, in their order; by the executor's workers where there is one.

    What no worker answers is done here, whatever its executor says of it (Dask's have their own exceptions): a worker
    that dies costs nothing but time. An error of the work's own comes again, and is raised from here. Raises ValueError
    for what is no executor, or one that was shut down before.
    """
    if executor is not None and not hasattr(executor, "submit"):
        raise ValueError(f"executor must be one of concurrent.futures, or None; got {executor!r}")
    if executor is None:
        for job in jobs:
            yield work(*job)
        return
    futures = [_submitted(executor, work, job) for job in jobs]
    try:
        for at in progress(range(len(jobs)), "units"):
            try:
                done = futures[at].result()
            except Exception as failure:
                done = work(*jobs[at])
                logging.getLogger(__name__).warning("what a worker left undone was done here: %r", failure)
            yield done
    finally:
        for future in futures:
            future.cancel()


def _submitted(executor: Executor, work: Callable[..., T], job: tuple[Any, ...]) -> Future[T]:
    """The job as the executor has it; one that is broken already gives a future that says so."""
    try:
        return executor.submit(work, *job)
    except BrokenExecutor as broken:
        refused: Future[T] = Future()
        refused.set_exception(broken)
        return refused
    except RuntimeError as closed:
        raise ValueError(f"executor must take work, and one that was shut down does not: {closed}") from closed
