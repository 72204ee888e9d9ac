"""Other libraries' names: which library wrote a checkpoint is told by the names in it, and they become ours."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor

from lenext.errors import UserError
from lenext.models import ImageClassifier
from lenext.weights.keymaps import layouts
from lenext.weights.keymaps.layout import COUNTER, Layout
from lenext.weights.loading import FLOATS
from lenext.weights.model_file import OWN_LAYOUT

# What DataParallel, torch.compile, Lightning and others put before every name.
WRAPPERS = ("module.", "_orig_mod.", "model.", "net.", "network.", "backbone.")
AVERAGES = "n_averaged"  # of weights that torch averages


@dataclass(frozen=True)
class Read:
    """Tensors under our names, what the file `called` each, the `library` whose names these are, and how it was read.

    A tensor that the model has no place for stands under a name that no model can have. `norm_eps` is what the
    library's norms add to the variance, where that is not what our model's do.
    """

    tensors: dict[str, Tensor]
    called: dict[str, str]
    library: str
    norm_eps: float | None
    how: str


def read_as_ours(
    model: ImageClassifier, tensors: Mapping[str, Tensor], *, where: str, library: str | None = None
) -> Read:
    """Bring the tensors of a checkpoint under our names; whether they fit the model is not looked at.

    Where `library` is None, it is the one of whose names there are most. `model` may be without numbers.

    Raises:
        UserError: no layout of that library is known for this model.
    """
    known = known_layouts(model)
    if library is not None and library not in known:
        raise UserError(f"{where} has the layout {library!r}, which {_name(model)} has not; it has {', '.join(known)}")
    layout = known[library] if library else max(known.values(), key=lambda each: each.fit(model, tensors))
    found = layout.read(model, tensors)
    how = where if library == OWN_LAYOUT else f"{where}, read as {layout.library}'s,"
    if not library and layout.fit(model, tensors) < len(found.tensors):
        how = f"{where}, read as {layout.library}'s (tried: {', '.join(known)}),"
    return Read(found.tensors, found.called, layout.library, layout.norm_eps, how)


def known_layouts(model: ImageClassifier) -> dict[str, Layout]:
    """Return the layouts of this very model by library, ours being the last."""
    own = Layout(library=OWN_LAYOUT, paths={name: name for name in model.state_dict()})
    return {layout.library: layout for layout in (*layouts(model), own)}


def find_layout(model: ImageClassifier, library: str) -> Layout:
    """Return the layout that `library` has for this very model.

    Raises:
        UserError: it has none.
    """
    known = known_layouts(model)
    if library not in known:
        raise UserError(f"no names of {library} are known for {_name(model)}; give {', '.join(known)}")
    return known[library]


def _name(model: ImageClassifier) -> str:
    return model.spec.name if model.spec else type(model).__name__


def tidied(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the tensors without what a training program added: a part before every name, a count of averages.

    Counters that were brought to another kind of number with the rest are whole numbers again.
    """
    tidy = {name: tensor for name, tensor in tensors.items() if name != AVERAGES}
    for wrapper in WRAPPERS * 2:
        if all(name.startswith(wrapper) for name in tidy):
            tidy = {name.removeprefix(wrapper): tensor for name, tensor in tidy.items()}
    return {
        name: tensor.long() if name.endswith(COUNTER) and tensor.dtype in FLOATS and not tensor.ndim else tensor
        for name, tensor in tidy.items()
    }
