"""Processes that train one model together, as torchrun starts them; or one process alone."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.distributed import PrefixStore, Store  # type: ignore[attr-defined]

from lenext.errors import LenextError, UserError, one_line

GATHERING = timedelta(minutes=30)  # for all processes to have started
LONGEST_WAIT = timedelta(hours=12)  # for the slowest process to have read its images
GONE = ("Connection closed by peer", "Connection reset by peer", "Broken pipe", "NCCL", "Socket", "Timed out waiting")


@dataclass(frozen=True)
class Group:
    """This process among those that train one model: its `rank`, from 0, of `world`; `local` is that on its machine.

    What a method exchanges is tensors and JSON, never a pickle.
    """

    rank: int = 0
    world: int = 1
    local: int = 0

    @property
    def first(self) -> bool:
        """Whether this is the process that writes and tells."""
        return self.rank == 0

    def device(self, device: torch.device) -> torch.device:
        """Return the device of this process: of several GPUs, each process of a machine has one."""
        return torch.device(device.type, self.local) if self.world > 1 and device.type == "cuda" else device

    def own(self, count: int) -> NDArray[np.int64]:
        """Return which of `count` things are this process's part: all parts, by rank, are all of them in order."""
        return self.parts(count)[self.rank]

    def parts(self, count: int) -> list[NDArray[np.int64]]:
        """Return the parts of all processes; see `own`."""
        return np.array_split(np.arange(count), self.world)

    def sums(self, *values: float) -> list[float]:
        """Return the sums of all processes' values."""
        if self.world == 1:
            return list(values)
        told = torch.tensor(values, dtype=torch.float64)
        torch.distributed.all_reduce(told)
        return told.tolist()

    def average(self, tensors: Sequence[Tensor]) -> None:
        """Give tensors of numbers, in place, the mean of all processes'."""
        if self.world == 1 or not tensors:
            return
        flat = torch.cat([tensor.reshape(-1) for tensor in tensors])
        torch.distributed.all_reduce(flat)
        flat /= self.world
        for tensor, mean in zip(tensors, torch.split(flat, [tensor.numel() for tensor in tensors]), strict=True):
            tensor.copy_(mean.view(tensor.shape))

    def joined(self, rows: Tensor) -> Tensor:
        """Return the rows of all processes, in the order of their ranks, (sum of N, ...) on the CPU."""
        if self.world == 1:
            return rows
        rows = rows.cpu().contiguous()
        counts = [int(count) for count in self.sums(*(len(rows) * (rank == self.rank) for rank in range(self.world)))]
        most = max(counts)
        padded = rows.new_zeros((most, *rows.shape[1:]))
        padded[: len(rows)] = rows
        found = [torch.empty_like(padded) for _ in counts]
        torch.distributed.all_gather(found, padded)
        return torch.cat([each[:count] for each, count in zip(found, counts, strict=True)])

    def sent(self, data: bytes) -> bytes:
        """Return the bytes that the first process gives; those of the others are not looked at."""
        if self.world == 1:
            return data
        size = torch.tensor([len(data)])
        torch.distributed.broadcast(size, 0)
        if not int(size):
            return b""
        told = torch.empty(int(size), dtype=torch.uint8)
        if self.first:
            told.copy_(torch.frombuffer(bytearray(data), dtype=torch.uint8))
        torch.distributed.broadcast(told, 0)
        return told.numpy().tobytes()

    def agreed(self, make: Callable[[], Any]) -> Any:
        """Return what the first process makes, a JSON value; an error that stops it there stops all.

        Raises:
            LenextError: what the first process raised; that process alone tells it.
        """
        if self.world == 1:
            return make()
        error: BaseException | None = None
        said: dict[str, Any] = {}
        if self.first:
            try:
                said = {"value": make()}
            except BaseException as stopped:
                error = stopped
                said = {"error": one_line(stopped), "code": getattr(stopped, "exit_code", 1)}
        said = json.loads(self.sent(json.dumps(said).encode()))
        if error is not None:
            raise error
        if "error" in said:
            failure = (UserError if said["code"] == UserError.exit_code else LenextError)(said["error"])
            failure.told = True
            raise failure
        return said["value"]

    def shared(self, module: nn.Module, forward: Callable[..., Any]) -> Callable[..., Any]:
        """Return a module's `forward`, all processes having its weights as the first has them.

        On GPUs it is one that exchanges the gradients while they are made; on CPUs, `exchange` does it.
        """
        if self.world == 1:
            return forward
        if next(module.parameters()).device.type == "cpu":
            for tensor in module.state_dict().values():
                torch.distributed.broadcast(tensor, 0)
            return forward
        with warnings.catch_warnings():  # what newer versions call this, older ones do not know
            warnings.filterwarnings("ignore", "`broadcast_buffers` is deprecated", FutureWarning)
            return nn.parallel.DistributedDataParallel(_Forward(module, forward), broadcast_buffers=False)

    def exchange(self, parameters: Sequence[nn.Parameter]) -> None:
        """Give every gradient on a CPU the mean of all processes', summed in an order that never changes.

        That of DistributedDataParallel changes after its first step, so that one after a checkpoint would round
        otherwise.
        """
        if self.world > 1 and parameters[0].device.type == "cpu":
            self.average([each.grad for each in parameters if each.grad is not None])

    def last_only(self, forward: Callable[..., Any], last: bool) -> contextlib.AbstractContextManager[None]:
        """Let the gradients of what is inside be exchanged only where it is the last part of a step."""
        if last or not isinstance(forward, nn.parallel.DistributedDataParallel):
            return contextlib.nullcontext()
        return forward.no_sync()

    @contextlib.contextmanager
    def explained(self) -> Iterator[None]:
        """Tell in one line of a process of the group that is gone.

        Raises:
            LenextError: one is.
        """
        try:
            yield
        except RuntimeError as error:
            if self.world == 1 or not any(sign in str(error) for sign in GONE):
                raise
            raise LenextError("another process of this training is gone; what it said last tells why") from error


ALONE = Group()


class _Forward(nn.Module):
    """A module whose forward is another of its functions than `forward`."""

    def __init__(self, module: nn.Module, forward: Callable[..., Any]) -> None:
        super().__init__()
        self.module, self._forward = module, forward

    def forward(self, *arguments: Any) -> Any:
        """Return what the function returns."""
        return self._forward(*arguments)


def _untouched(store: Store, rank: int, world: int) -> Store:
    """Return a part of the store that no process of an earlier start has written to.

    Where torchrun starts processes again the store stays, with the addresses of those that are gone. So each process
    asks the first, in a word of its own, which part is theirs.

    Raises:
        LenextError: some process did not come.
    """
    word = secrets.token_hex(8)
    if rank:
        store.set(f"lenext/asks/{rank}", word)
        store.wait([f"lenext/answer/{word}"], GATHERING)
        part = store.get(f"lenext/answer/{word}").decode()
        store.set(f"lenext/{part}/here/{rank}", "")
        return PrefixStore(f"lenext/{part}", store)
    missing, answered, end = set(range(1, world)), set[str](), time.monotonic() + GATHERING.total_seconds()
    while missing:
        for other in sorted(missing):
            if store.check([f"lenext/{word}/here/{other}"]):
                missing.remove(other)
            elif store.check([f"lenext/asks/{other}"]):
                asked = store.get(f"lenext/asks/{other}").decode()
                if asked not in answered:
                    store.set(f"lenext/answer/{asked}", word)
                    answered.add(asked)
        if time.monotonic() > end:
            raise LenextError(f"of {world} processes, {len(missing)} did not come; look what they say")
        time.sleep(0.01)
    return PrefixStore(f"lenext/{word}", store)


@contextlib.contextmanager
def joined_group() -> Iterator[Group]:
    """Yield the group that torchrun, or the program, has put this process into; it is left at the end.

    Raises:
        LenextError: the others cannot be reached.
    """
    distributed = torch.distributed
    if not distributed.is_available():
        yield ALONE
        return
    began = False
    if not distributed.is_initialized() and int(os.environ.get("WORLD_SIZE", "1")) > 1 and "RANK" in os.environ:
        backend = "cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo"
        try:
            store, rank, world = next(distributed.rendezvous("env://", timeout=LONGEST_WAIT))  # type: ignore[attr-defined]
            store = _untouched(store, rank, world)
            distributed.init_process_group(backend, store=store, rank=rank, world_size=world, timeout=LONGEST_WAIT)
        except (RuntimeError, ValueError) as error:
            raise LenextError(f"the other processes cannot be reached: {one_line(error)}") from error
        began = True
    if not distributed.is_initialized():
        yield ALONE
        return
    group = Group(distributed.get_rank(), distributed.get_world_size(), int(os.environ.get("LOCAL_RANK", "0")))
    try:
        with group.explained():
            yield group
    finally:
        if began:
            with contextlib.suppress(RuntimeError):
                distributed.destroy_process_group()
