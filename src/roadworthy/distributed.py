"""One training in several processes (DDP), started here: from a notebook, too.

Lightning starts processes by running ``sys.argv`` again or by forking. In a Jupyter kernel the
first starts another kernel, and a fork after torch has used its threads may hang. So this process
becomes the first of its node and spawns the others, which meet it as those of a cluster would.
"""

from __future__ import annotations

import copy
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing import connection, get_context
from multiprocessing.process import BaseProcess
from typing import Any

import torch
from lightning_fabric.plugins.environments.lightning import (
    LightningEnvironment,
    find_free_network_port,
)
from pytorch_lightning.strategies import DDPStrategy, Strategy

from roadworthy.errors import UserError
from roadworthy.settings import Trainer

ADDRESS = ("MASTER_ADDR", "MASTER_PORT", "NODE_RANK")
"""Environment variables by which nodes find each other."""
PATIENCE = 10
"""Seconds that a process may take to end once the training has."""


class Joined(DDPStrategy):
    """DDP among processes that are already there."""

    def __init__(self) -> None:
        super().__init__(cluster_environment=LightningEnvironment())

    def _configure_launcher(self) -> None:
        """Nothing to launch."""


def alone(trainer: Trainer) -> bool:
    """Whether one process is all there is: no DDP."""
    return trainer.strategy == "auto" and trainer.devices == trainer.num_nodes == 1


def resumable(trainer: Trainer) -> bool:
    """Whether every process is known to read the checkpoints that the first one writes."""
    return trainer.strategy == "auto" and trainer.num_nodes == 1


def strategy(trainer: Trainer) -> Strategy | str:
    """What Lightning is told."""
    return Joined() if trainer.strategy == "auto" and not alone(trainer) else trainer.strategy


def check(trainer: Trainer, accelerator: str) -> None:
    """Refuse what this machine or session cannot run.

    Raises:
        UserError: fewer GPUs than devices, a cluster's strategy in a notebook, or several nodes
            that are not told where to meet.
    """
    if accelerator == "cuda" and trainer.devices > (found := torch.cuda.device_count()):
        raise UserError(
            f"trainer.devices = {trainer.devices}, but torch sees {found} GPU(s): lower it, or set "
            "encoder.accelerator to cpu"
        )
    if trainer.strategy == "ddp" and hasattr(sys, "ps1"):
        raise UserError(
            "trainer.strategy = 'ddp' takes the processes that a cluster has started, so it cannot "
            "be used in a notebook: set it to auto"
        )
    missing = [name for name in ADDRESS if name not in os.environ]
    if trainer.strategy == "auto" and trainer.num_nodes > 1 and missing:
        raise UserError(
            f"trainer.num_nodes = {trainer.num_nodes}, but {', '.join(missing)} is not set: export "
            "MASTER_ADDR and MASTER_PORT of the first node and NODE_RANK (0, 1, …) on every node"
        )


def gathered(value: Any) -> list[Any]:  # noqa: ANN401
    """The value that each process holds, in the order of ranks; every process must ask."""
    if not torch.distributed.is_initialized():
        return [value]
    values: list[Any] = [None] * torch.distributed.get_world_size()
    torch.distributed.all_gather_object(values, value)
    return values


@contextmanager
def company(
    trainer: Trainer,
    run: Callable[..., object],
    network: torch.nn.Module,
    *arguments: Any,  # noqa: ANN401
) -> Iterator[None]:
    """While the block runs ``run(network, *arguments)`` here, the node's other processes do too.

    Torch's threads are divided among them. The network is handed over in shared memory.

    Raises:
        UserError: a process could not be started, or ended before its time.
    """
    if alone(trainer) or trainer.strategy != "auto":
        yield
        return
    others: list[tuple[BaseProcess, connection.Connection]] = []
    with _first_of_node(trainer):
        try:
            for rank in range(1, trainer.devices):
                others.append(_start(rank, run, network, arguments))
            for process, ready in others:
                if ready not in connection.wait([ready, process.sentinel]):
                    process.join(1)
                    raise _ended(process)
            yield
            for process, _ in others:
                process.join(PATIENCE)
        except RuntimeError as error:  # of a connection, if another process was lost
            connection.wait([process.sentinel for process, _ in others], PATIENCE)
            for process, _ in others:
                process.join(1)  # an exit code comes a moment after the end
                if process.exitcode:
                    raise _ended(process) from error
            raise
        finally:
            for process, _ in others:
                process.kill()
                process.join()


@contextmanager
def _first_of_node(trainer: Trainer) -> Iterator[None]:
    """This process has local rank 0 and its share of threads; afterwards all is as before."""
    kept, threads = dict(os.environ), torch.get_num_threads()
    os.environ["LOCAL_RANK"] = "0"
    if trainer.num_nodes == 1:
        port = str(find_free_network_port())
        os.environ.update(zip(ADDRESS, ("127.0.0.1", port, "0"), strict=True))
    torch.set_num_threads(max(1, threads // trainer.devices))
    try:
        yield
    finally:
        if torch.distributed.is_initialized():
            torch.distributed.destroy_process_group()
        torch.set_num_threads(threads)
        for name in ("LOCAL_RANK", *ADDRESS):
            os.environ.pop(name, None)
            os.environ.update({name: kept[name]} if name in kept else {})


def _start(
    rank: int,
    run: Callable[..., object],
    network: torch.nn.Module,
    arguments: tuple[Any, ...],
) -> tuple[BaseProcess, connection.Connection]:
    """The process of a local rank, and what it will send once it has a network of its own."""
    context = get_context("spawn")
    ready, tell = context.Pipe(duplex=False)
    process = context.Process(
        target=_follow,
        args=(rank, torch.get_num_threads(), tell, run, network, arguments),
        daemon=True,
        name=f"training process {rank}",
    )
    process.start()
    return process, ready


def _ended(process: BaseProcess) -> UserError:
    return UserError(
        f"{process.name} ended too early (exit code {process.exitcode}): what it said stands "
        "above. -9 is mostly too little memory; a script must train below "
        "`if __name__ == '__main__':`"
    )


def _follow(
    rank: int,
    threads: int,
    tell: connection.Connection,
    run: Callable[..., object],
    network: torch.nn.Module,
    arguments: tuple[Any, ...],
) -> None:
    """What a spawned process does."""
    os.environ["LOCAL_RANK"] = str(rank)
    torch.set_num_threads(threads)
    own = copy.deepcopy(network)  # what comes is the first process's memory, not a copy
    tell.send(True)
    run(own, *arguments)
    torch.distributed.destroy_process_group()
