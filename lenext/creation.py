"""`create`: a model by name, of any number of classes and channels, with weights where they are given."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lenext.building import as_size, build, check_size, positive
from lenext.errors import UserError, one_line
from lenext.models import Facts, ImageClassifier, Spec, lookup
from lenext.models.skeleton import Skeleton
from lenext.models.truncation import DROP
from lenext.registry import Entry
from lenext.weights.adapting import (
    adapt,
    channels_of,
    classes_of,
    require_adaptable,
    rows_kept,
    without_dropped,
)
from lenext.weights.catalog import CatalogEntry
from lenext.weights.checkpoint import Checkpoint, identified, read_checkpoint
from lenext.weights.classes import ClassList
from lenext.weights.foreign import Read, read_as_ours
from lenext.weights.loading import load_strictly, require_fit, require_sound
from lenext.weights.presumption import fit_preprocessing, presume
from lenext.weights.recognition import refused

MOST_CLASSES, MOST_CHANNELS = 100_000, 1024  # that weights are for; more is no network of images
DEEP = 4  # times the paper's depth


def create(
    name: str,
    *,
    classes: int | Sequence[str] | None = None,
    in_channels: int | None = None,
    size: int | tuple[int, int] | None = None,
    weights: str | Path | None = None,
    **options: Any,
) -> ImageClassifier:
    """Return the architecture `name`, in training mode.

        model = lenext.create("lenet5", classes=10)
        logits = model(torch.zeros(1, 1, 28, 28))    # (1, 10)

    `classes` (how many, or what they are called), `in_channels` and `size` (pixels, a side or height and width) are
    those of the weights, or else the paper's, where they are not given. `weights` is a file that lenext or another
    library wrote, a run folder, `hub:owner/name`, or a name of `lenext.list_weights`; their options hold where none
    are given. For other classes the model gets a new head, which keeps the rows of classes of the same name; for
    other channels its first convolution is adapted. `options` are those of the family.

    Raises:
        UserError: an unknown name or option, a count or size that the model cannot have, weights that do not fit.
        LenextError: a download failed.
    """
    entry = lookup(name)
    if weights is not None:
        return pretrained(name, weights, classes=classes, in_channels=in_channels, size=size, options=options).model
    count = _count(classes, entry.facts.classes)
    sides = as_size(size if size is not None else entry.facts.size)
    check_size(name, entry.facts, sides)
    return build(entry, count, positive("in_channels", in_channels, entry.facts.channels), sides, options)


@dataclass(frozen=True)
class Pretrained:
    """A model with weights, and what is known of these.

    `classes` are those of the weights, `preprocessing` is what the model's images go through, `metadata` what a file
    of lenext says, `trained_on` the digests of the images behind it. `presumed` says in words what nothing says and
    was therefore taken from similar weights, `unnamed` that no class has a name; `held` are the tensors that were
    there, by our names. `new_head` says that no class has a row of the last layer that is the weights', or
    that these were given a new one and not trained since.
    """

    model: ImageClassifier
    classes: ClassList
    preprocessing: Mapping[str, Any]
    metadata: Mapping[str, Any]
    trained_on: NDArray[np.uint64]
    presumed: str
    unnamed: bool
    published: CatalogEntry | None
    held: frozenset[str]
    new_head: bool


def pretrained(
    name: str | None,
    weights: str | Path,
    *,
    classes: int | Sequence[str] | None = None,
    in_channels: int | None = None,
    size: int | tuple[int, int] | None = None,
    options: Mapping[str, Any] | None = None,
) -> Pretrained:
    """Return the architecture `name` with `weights`; None is the one that the weights say.

    Raises:
        UserError: weights that do not fit, or do not say of which architecture they are.
        LenextError: a download failed.
    """
    if name is not None:
        lookup(name)
    checkpoint = read_checkpoint(weights)
    if name is None and checkpoint.model is None:
        checkpoint = identified(checkpoint)
    entry = _entry(name, checkpoint)
    bound = entry.facts.size_bound
    sides = _size(size, checkpoint, entry.facts)
    cut, asked = _stages_to_drop(checkpoint, options or {})
    read, own, given = _read(entry, checkpoint, sides, {**checkpoint.options, **asked})
    assert own.spec is not None
    _require_consistent(checkpoint, own.spec)
    checkpoint = identified(checkpoint)  # not before it fits, for a file may be as long as it likes
    known = presume(checkpoint, entry, read.library, own.spec)
    if size is None and checkpoint.size is None and not bound:
        sides = as_size(tuple(known.preprocessing["size"]))
    check_size(entry.name, entry.facts, sides)
    wanted = classes if classes is not None else own.spec.classes
    count = _count(wanted, own.spec.classes)
    channels = positive("in_channels", in_channels, own.spec.in_channels)
    require_adaptable(own, checkpoint.where, own.spec.in_channels, channels)
    model = build(entry, count, channels, sides, {**given, **cut})
    require_sound(read.tensors, where=read.how, called=read.called)
    if len(model.stages) < len(own.stages):
        tensors, kept, new_head = without_dropped(model, read.tensors), None, True
    else:
        tensors, kept = read.tensors, rows_kept(own.spec.classes, None if known.unnamed else known.classes, wanted)
        new_head = kept is not None and not any(row is not None for row in kept)
    new_head = new_head or checkpoint.metadata.get("new_head") is True
    load_strictly(model, adapt(model, tensors, kept), where=read.how, called=read.called)
    preprocessing = fit_preprocessing(known.preprocessing, sides, channels)
    return Pretrained(
        model, known.classes, preprocessing, checkpoint.metadata, checkpoint.trained_on, known.words,
        known.unnamed, checkpoint.published, frozenset(tensors), new_head,
    )  # fmt: skip


def _stages_to_drop(checkpoint: Checkpoint, options: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the option that cuts stages off what the weights are of, and the options without it."""
    asked = dict(options)
    if DROP not in asked:
        return {}, asked
    count, before = asked.pop(DROP), checkpoint.options.get(DROP, 0)
    if isinstance(count, int) and count < before:
        raise UserError(
            f"{checkpoint.where} has lost {before} stages already; drop_stages {count} cannot bring any back"
        )
    return {DROP: count}, asked


def _count(classes: Any, default: int) -> int:
    """Return how many classes there are of a number of them or a list of their names."""
    if isinstance(classes, np.integer):
        classes = int(classes)
    if classes is None or isinstance(classes, int | str | float):
        return positive("classes", classes, default)  # type: ignore[arg-type]
    names = list(classes) if isinstance(classes, Sequence) else [None]
    if not all(isinstance(name, str) for name in names) or len(set(names)) < len(names):
        raise UserError(f"classes {str(classes)[:100]} cannot be: give a number, or a list of names that differ")
    return positive("classes", len(names), default)


def _entry(name: str | None, checkpoint: Checkpoint) -> Entry:
    said = checkpoint.model
    if name is None:
        if said is None:
            raise UserError(
                f"{checkpoint.where} does not say of which architecture it is; give its name, and this as --weights"
            )
        try:
            return lookup(said)
        except UserError as error:
            raise UserError(f"{checkpoint.where} names a model that cannot be built: {one_line(error)}") from error
    if said not in (None, name):
        raise UserError(f"{checkpoint.where} holds a {said}, not a {name}")
    return lookup(name)


def _size(size: int | tuple[int, int] | None, checkpoint: Checkpoint, facts: Facts) -> tuple[int, int]:
    """Return the size that was asked for, or else that of the weights, or the paper's."""
    if size is None:
        return as_size(checkpoint.size or facts.size)
    sides = as_size(size)
    if facts.size_bound and checkpoint.size not in (None, sides):
        raise UserError(
            f"{checkpoint.where} is for images of {checkpoint.size}, not {sides}, and its dense layers fit no other; "
            "leave the size to it"
        )
    return sides


def _require_consistent(checkpoint: Checkpoint, found: Spec) -> None:
    """Raise UserError where a file of ours says something else of its tensors than they do themselves."""
    metadata = checkpoint.metadata
    for key, count in (("classes", found.classes), ("in_channels", found.in_channels)):
        if metadata and metadata[key] != count:
            raise UserError(
                f"{checkpoint.where} is damaged: it says {key} {metadata[key]}, but has tensors for {count}"
            )


def _bare(
    entry: Entry,
    classes: int,
    in_channels: int,
    size: tuple[int, int],
    options: dict[str, Any],
    checkpoint: Checkpoint,
) -> ImageClassifier:
    """Build a model without numbers; what a file says of it may be anything."""
    try:
        with Skeleton():
            depth = checkpoint.options.get("depth", 1)
            if isinstance(depth, int | float) and depth > DEEP:  # which takes its time, and more tensors than usual
                usual = build(entry, classes, in_channels, size, {**options, "depth": 1})
                if len(checkpoint.tensors) * DEEP < len(usual.state_dict()) * depth:
                    raise UserError(f"depth {depth} of {len(checkpoint.tensors)} tensors")
            return build(entry, classes, in_channels, size, options)
    except (UserError, TypeError, ValueError, RuntimeError, MemoryError, OverflowError) as error:
        if not checkpoint.metadata:
            raise
        raise UserError(f"{checkpoint.where} names a model that cannot be built: {one_line(error)}") from error


def _read(
    entry: Entry, checkpoint: Checkpoint, size: tuple[int, int], options: dict[str, Any]
) -> tuple[Read, ImageClassifier, dict[str, Any]]:
    """Return the tensors under our names, the model without numbers that they fit, and the options that it has.

    No memory is asked for that a mislabelled file would need.
    """
    facts, tensors = entry.facts, checkpoint.tensors
    probe = _bare(entry, facts.classes, facts.channels, size, options, checkpoint)
    read = read_as_ours(probe, tensors, where=checkpoint.where, library=checkpoint.layout)
    if read.norm_eps is not None:
        options = {"norm_eps": read.norm_eps, **options}
    classes = classes_of(probe, read.tensors) or facts.classes
    channels = channels_of(probe, read.tensors) or checkpoint.in_channels or facts.channels
    if classes > MOST_CLASSES or channels > MOST_CHANNELS:
        raise UserError(f"{read.how} is refused: weights for {classes:,} classes and {channels:,} channels")
    own = _bare(entry, classes, channels, size, options, checkpoint)
    try:
        require_fit(own, read.tensors, where=read.how, called=read.called)
    except UserError as error:
        raise refused(error, tensors, entry.name) from error
    return read, own, options
