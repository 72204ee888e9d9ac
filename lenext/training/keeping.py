"""Keeping a training: when a checkpoint is written, what it holds, and how training goes on from one."""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from lenext.errors import Terminated, UserError, one_line
from lenext.models import ImageClassifier
from lenext.processes import ALONE, Group
from lenext.training.folder.checkpoint import Checkpoint, write_checkpoint
from lenext.training.pace import Pace
from lenext.training.settings import MINUTES
from lenext.training.work import Work


@dataclass
class Place:
    """How far a training has come: `epochs` that are finished, and the images shown in all.

    `best` is the loss of the best epoch on the images that early stopping goes by, `since` how many came after it.
    `losses` are of the steps of the epoch under way, which has taken `seconds` so far, `waited` of them for images.
    `freed` of the parts that were frozen at the start are not any more.
    """

    epochs: int = 0
    images: int = 0
    since: int = 0
    best: float = math.inf
    losses: list[float] = field(default_factory=list)
    lr: float = 0.0
    seconds: float = 0.0
    waited: float = 0.0
    freed: int = 0

    def begin_epoch(self) -> None:
        """Count an epoch as finished."""
        self.epochs += 1
        self.losses, self.seconds, self.waited = [], 0.0, 0.0


class Keeping:
    """Writes checkpoints below a run folder; without one, none.

    `about` is what the run has to say besides, a JSON object, and `began` the instant, on the performance counter,
    since which time counts as spent. While `patient`, whoever wants the training to stop sets `stop`: the next
    checkpoint is the last, and once it is written, `stop` is raised. `on_step` is called after every step.
    """

    def __init__(
        self,
        run: Path | None,
        minutes: float = MINUTES,
        *,
        group: Group = ALONE,
        began: float | None = None,
        on_step: Callable[[Place, Pace], None] | None = None,
    ) -> None:
        self.run, self.seconds, self.last = run, 60 * minutes, time.perf_counter()
        self.group, self.on_step = group, on_step
        self.began = time.perf_counter() if began is None else began
        self.about: dict[str, Any] = {}
        self.stop: BaseException | None = None
        self.patient = False
        self.written: Path | None = None

    def keep_if_due(self, work: Work, place: Place, pace: Pace) -> None:
        """Write a checkpoint where the last one is old, or the training is to stop; all processes do, or none.

        Raises:
            LenextError: the write failed.
        """
        if self.on_step is not None:
            self.on_step(place, pace)
        self._keep(work, place, pace, due=time.perf_counter() - self.last >= self.seconds)

    def keep(self, work: Work, place: Place, pace: Pace) -> None:
        """Write a checkpoint.

        Raises:
            LenextError: the write failed.
        """
        self._keep(work, place, pace, due=True)

    def _keep(self, work: Work, place: Place, pace: Pace, *, due: bool) -> None:
        stops, dues = self.group.sums(self.stop is not None, due and self.group.first)
        if not stops and not dues:
            return
        checkpoint = _checkpoint(work, place, pace, self)
        if self.run is not None and _is_sound(work.model):  # from others a run would only come to the same end
            self.written = write_checkpoint(self.run, checkpoint)
        self.last = time.perf_counter()
        if stops:  # which all know, whereas a signal may have come to some since
            self.group.sums(0)  # no process leaves before all have come here
            raise self.stop or Terminated()

    @contextlib.contextmanager
    def judging(self, work: Work, place: Place, pace: Pace) -> Iterator[None]:
        """Let a signal stop what is inside at once, which may take long and changes nothing, with a checkpoint."""
        self.patient = self.group.world > 1  # who is alone need not wait for others
        try:
            yield
        except (KeyboardInterrupt, Terminated) as error:
            self.stop = error
            self.keep(work, place, pace)
        finally:
            self.patient = True


NOT_KEPT = {"deadline", "last"}  # instants of a clock that another process does not have


def _checkpoint(work: Work, place: Place, pace: Pace, keeping: Keeping) -> Checkpoint:
    tensors = {f"model.{name}": value for name, value in work.model.state_dict().items()}
    if work.average:
        tensors |= {f"average.{name}": value for name, value in work.average.model.state_dict().items()}
    kept = _optimiser_tensors(work)
    tensors |= kept
    device = next(work.model.parameters()).device
    tensors["random.cpu"] = keeping.group.joined(torch.get_rng_state()[None])
    if device.type != "cpu":
        state = torch.get_device_module(device).get_rng_state(device)
        tensors[f"random.{device.type}"] = keeping.group.joined(state[None])
    return Checkpoint(
        pace.step,
        tensors,
        {
            "place": {**asdict(place), "best": place.best if place.best < math.inf else None},
            "pace": {each.name: getattr(pace, each.name) for each in fields(pace) if each.name not in NOT_KEPT},
            "averaged": work.average.steps if work.average else 0,
            "strides": {name: list(value.stride()) for name, value in kept.items()},
            "seconds": time.perf_counter() - keeping.began,
            "run": keeping.about,
        },
    )


def _is_sound(model: ImageClassifier) -> bool:
    return all(bool(value.isfinite().all()) for value in model.state_dict().values() if value.is_floating_point())


def _optimiser_tensors(work: Work) -> dict[str, Tensor]:
    """Return what the optimiser keeps of each weight, by the weight's name."""
    names: dict[Tensor, str] = {parameter: name for name, parameter in work.model.named_parameters()}
    return {
        f"optimiser.{names[parameter]}.{key}": value
        for parameter, kept in work.optimiser.state.items()
        for key, value in kept.items()
        if value is not None
    }


def restore(checkpoint: Checkpoint, work: Work, pace: Pace, rank: int = 0) -> Place:
    """Bring everything to where a checkpoint left the process of this rank, and return how far that was.

    Its tensors are let go.

    Raises:
        UserError: the checkpoint is of another network or recipe.
    """
    try:
        work.model.load_state_dict(_part(checkpoint, "model."))
        if work.average:
            work.average.model.load_state_dict(_part(checkpoint, "average."))
            work.average.steps = checkpoint.state["averaged"]
        _restore_optimiser(checkpoint, work)
        for name, value in checkpoint.state["pace"].items():
            setattr(pace, name, value)
        said = checkpoint.state["place"]
        place = Place(**{**said, "best": math.inf if said["best"] is None else said["best"]})
        torch.set_rng_state(checkpoint.tensors["random.cpu"][rank].clone())
        device = next(work.model.parameters()).device
        if device.type != "cpu":
            torch.get_device_module(device).set_rng_state(
                checkpoint.tensors[f"random.{device.type}"][rank].clone(), device
            )
    except (KeyError, TypeError, ValueError, IndexError, RuntimeError) as error:
        raise UserError(f"the checkpoint of step {checkpoint.step} does not fit: {one_line(error)}") from error
    checkpoint.tensors.clear()
    return place


def _part(checkpoint: Checkpoint, start: str) -> dict[str, Tensor]:
    return {name.removeprefix(start): t for name, t in checkpoint.tensors.items() if name.startswith(start)}


def _restore_optimiser(checkpoint: Checkpoint, work: Work) -> None:
    names = {parameter: name for name, parameter in work.model.named_parameters()}
    order = [names[parameter] for group in work.optimiser.param_groups for parameter in group["params"]]
    kept: dict[int, dict[str, Tensor]] = {}
    for name, value in _part(checkpoint, "optimiser.").items():
        weight, _, key = name.rpartition(".")
        # Sums may be rounded otherwise where the numbers lie in another order.
        laid = torch.empty_strided(value.shape, checkpoint.state["strides"][f"optimiser.{name}"], dtype=value.dtype)
        kept.setdefault(order.index(weight), {})[key] = laid.copy_(value)
    groups = work.optimiser.state_dict()["param_groups"]
    work.optimiser.load_state_dict({"state": kept, "param_groups": groups})
