"""Where the stages of a run are computed: in processes of this machine, spread over its GPUs, or by Ray on several."""

import logging
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import replace
from typing import Any, Literal

import cv2
import torch

from stact_pacs.errors import Defect, Misconfigured
from stact_pacs.train.run_setup import RunSetup
from stact_pacs.train.stages import Stage, perform

Executor = Literal["local", "ray"]
"""Processes of this machine, or those that Ray starts: here, or on the cluster that RAY_ADDRESS names."""
Submit = Callable[[Stage], Future[Any]]
"""Has a stage done by a worker, some time; its future holds what went wrong."""


def workers(executor: Executor, setup: RunSetup, processes: int) -> AbstractContextManager[Submit]:
    """Start workers of one thread each, which end with the context.

    Parameters
    ----------
    processes
        Stages at the same time, on each GPU where there are several; 0: one for each core, or one on each GPU. On a
        cluster it is without meaning: there a stage takes one core and, unless the device is `cpu`, one GPU.

    Raises
    ------
    Misconfigured
        Ray is asked for and not installed, or its cluster cannot be joined.
    Defect
        A worker died, not only its stage.
    """
    at_once = processes or (1 if setup.device.startswith("cuda") else os.cpu_count() or 1)
    return _local(setup, at_once) if executor == "local" else _on_ray(setup, at_once)


def _defect_of_dead_worker() -> Defect:
    return Defect(
        "A worker died, most likely for want of memory.", remedy="Resume the run, with fewer processes (--processes)."
    )


def _compute_in_one_thread() -> None:
    """Have sums added in one order always, and leave the other cores to the other workers."""
    torch.set_num_threads(1)
    cv2.setNumThreads(1)


# -- this machine --------------------------------------------------------------------------------------


@contextmanager
def _local(setup: RunSetup, processes: int) -> Iterator[Submit]:
    devices = devices_of(setup.device, torch.cuda.device_count())
    context = multiprocessing.get_context("spawn")  # a forked torch may hang in its thread pools
    with ExitStack() as stack:
        pools = [
            stack.enter_context(ProcessPoolExecutor(processes, mp_context=context, initializer=_in_worker))
            for _ in devices
        ]

        def submit(stage: Stage) -> Future[Any]:
            at = (stage.fold or 0) % len(devices)
            return pools[at].submit(perform, replace(setup, device=devices[at]), stage)

        try:
            yield submit
        except BrokenProcessPool as error:
            raise _defect_of_dead_worker() from error


def devices_of(device: str, gpus: int) -> list[str]:
    """Return the devices that folds are dealt to, in turn: `cuda` means every GPU, other names mean themselves.

    >>> devices_of("cuda", gpus=2)
    ['cuda:0', 'cuda:1']
    """
    return [f"cuda:{number}" for number in range(gpus)] if device == "cuda" else [device]


def _in_worker() -> None:
    """Prepare a worker of this machine, and see to it that it never outlives the run."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # Ctrl-C ends it without a word; the run itself says what happened
    _compute_in_one_thread()
    parent = multiprocessing.parent_process()
    assert parent is not None, "a worker has a parent"

    def follow() -> None:
        parent.join()
        os._exit(1)  # killed runs leave no worker behind that would write beside a resumed run

    threading.Thread(target=follow, daemon=True).start()


# -- Ray -----------------------------------------------------------------------------------------------


@contextmanager
def _on_ray(setup: RunSetup, processes: int) -> Iterator[Submit]:
    ray = _connected_ray(processes)
    gpus = 1 if setup.device.startswith("cuda") else 0
    try:
        remote = ray.remote(num_cpus=1, num_gpus=gpus, max_retries=0)(_perform_in_one_thread)
        given = ray.put(setup)
        yield lambda stage: remote.remote(given, stage).future()
    except ray.exceptions.RayTaskError as error:
        raise error.cause from error  # the stage's own error
    except ray.exceptions.RayError as error:
        raise _defect_of_dead_worker() from error
    finally:
        ray.shutdown()


def _connected_ray(processes: int) -> Any:
    """Join the cluster that RAY_ADDRESS names, or start Ray here: on loopback alone, and silent towards its makers."""
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    here: dict[str, Any] = {}
    if "RAY_ADDRESS" not in os.environ:
        here = {"address": "local", "num_cpus": processes, "include_dashboard": False}
        # Ray's only word for a machine that listens to nobody else; it must be there before the import.
        os.environ["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] = "0"
    try:
        import ray
    except ImportError as error:
        raise Misconfigured("Ray is not installed.", remedy="pip install 'stact-pacs[ray]'") from error
    try:
        ray.init(log_to_driver=False, logging_level=logging.ERROR, **here)
    except ConnectionError as error:
        raise Misconfigured(
            f"The Ray cluster of RAY_ADDRESS lets nobody in: {error}",
            remedy="Start it, and give this machine its token; or unset RAY_ADDRESS to compute here.",
        ) from error
    return ray


def _perform_in_one_thread(setup: RunSetup, stage: Stage) -> None:
    _compute_in_one_thread()
    perform(setup, stage)
