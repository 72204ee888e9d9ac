"""Loading weights that another library wrote: its names and shapes become ours, then loading is strict as ever."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

from torch import Tensor, nn

from lenext.errors import UserError
from lenext.models import ImageClassifier
from lenext.weights.keymaps import layouts
from lenext.weights.loading import load_strictly

WRAPPED = "module."  # what nn.DataParallel puts before every name


def load_foreign(model: ImageClassifier, tensors: Mapping[str, Tensor], *, where: str) -> None:
    """Copy the `tensors` of another library's checkpoint into `model`; nothing is copied unless all of it fits.

    The library is the one of whose names there are most. Where its norms add something else to the variance than ours,
    the model's do so from then on, and its `spec` says so, unless the model was created with a `norm_eps`.

    Raises:
        UserError: no key map for this model, or tensors that do not fit it, told in the names of the file.
    """
    known = layouts(model)
    if not known:
        name = model.spec.name if model.spec else type(model).__name__
        raise UserError(
            f"{where} was not written by lenext, which knows no other library's names for {name}; "
            "give a run folder or a .safetensors file that lenext wrote"
        )
    tensors = _unwrapped(tensors)
    layout = max(known, key=lambda layout: layout.fit(model, tensors))
    translated = layout.read(model, tensors)
    load_strictly(model, translated.tensors, where=f"{where}, read as {layout.library}'s,", called=translated.called)
    if layout.norm_eps is not None:
        _set_norm_eps(model, layout.norm_eps)


def _set_norm_eps(model: ImageClassifier, eps: float) -> None:
    if model.spec is not None:
        if "norm_eps" in model.spec.options:
            return
        model.spec = dataclasses.replace(model.spec, options={**model.spec.options, "norm_eps": eps})
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.eps = eps


def _unwrapped(tensors: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
    if not all(name.startswith(WRAPPED) for name in tensors):
        return tensors
    return {name.removeprefix(WRAPPED): tensor for name, tensor in tensors.items()}
