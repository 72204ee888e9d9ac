"""What a run tells its user: what it will do, and what holds it up."""

from __future__ import annotations

from lenext.data.cache import cache_folder
from lenext.data.training_loader import TrainingLoader
from lenext.progress import Progress
from lenext.training.loop import Epoch
from lenext.training.preparing import Prepared

FEW = 30  # images to judge by
SHOWN = 10  # skipped files that are told one by one
SHORT = 5.0  # seconds of an epoch in which no one minds waiting
WAITING = 0.1  # of the time, from which on it is told

FASTER = {
    "memory": "a recipe that changes the images less would help",
    "cache": "--loading memory spares the disk, where the images fit",
    "workers": "--loading cache decodes once for all epochs; more --workers help where there are cores",
}


def announce(ready: Prepared, progress: Progress) -> None:
    """Say what was skipped, how the training goes, and where the images come from."""
    skipped, recipe = ready.data.skipped, ready.recipe
    for path, reason in skipped[:SHOWN]:
        progress.note(f"skipped {path}: {reason}")
    if len(skipped) > SHOWN:
        progress.note(f"skipped {len(skipped) - SHOWN} more; run.json lists them")
    for note in ready.notes:
        progress.note(note)
    images, judged = len(ready.data.train.images), len(ready.data.held_out.images)
    long = "as many epochs as the time allows" if ready.pace.deadline else plural(recipe.epochs, "epoch")
    progress.note(
        f"{recipe.name} recipe, {recipe.optimizer} with {recipe.schedule}: {long} of {plural(images, 'image')}, "
        f"{recipe.batch_size} a step; judged on {plural(judged, 'image')} ({ready.data.held_out_split})"
    )
    if recipe.why:
        progress.note(f"{recipe.name} is {recipe.why}")
    progress.note(f"images: {_where(ready.train)}; arithmetic: {ready.arithmetic}")
    if judged < FEW:
        progress.note(f"note: {plural(judged, 'image')} to judge by is few; the figures say little")


def tell_waiting(epoch: Epoch, train: TrainingLoader, progress: Progress) -> None:
    """Say when an epoch waited for images for more than a tenth of its time, and what would help."""
    took = epoch.ended - epoch.began
    share = epoch.waited / max(took, 1e-9)
    if share > WAITING and took > SHORT:
        progress.note(f"note: {100 * share:.0f} % of the epoch went by waiting for images; {FASTER[train.way]}")


def plural(count: int, what: str) -> str:
    """Return a count with its noun."""
    return f"{count:,} {what}{'' if count == 1 else 's'}"


def _where(train: TrainingLoader) -> str:
    if train.way == "memory":
        return "decoded, in memory"
    if train.way == "cache":
        return f"decoded once, mapped from {cache_folder()}"
    return f"decoded each time, by {train.workers} process{'' if train.workers == 1 else 'es'}"
