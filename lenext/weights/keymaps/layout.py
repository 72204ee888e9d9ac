"""A layout: the names and shapes that another library gives to the tensors of one of our models."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from torch import Tensor, nn

COUNTER = "num_batches_tracked"  # of batch normalisation: how many batches it has seen, which no answer depends on


@dataclass(frozen=True)
class Translated:
    """Tensors under our names, and what the file calls each, for messages.

    A tensor that our model has no place for stands under a name that no model can have.
    """

    tensors: dict[str, Tensor]
    called: dict[str, str]


@dataclass(frozen=True, kw_only=True)
class Layout:
    """How `library` lays out the tensors of one model of ours; it reads both ways.

        layout = Layout(library="torchvision", paths={"head.classifier": "fc"})
        layout.names(["head.classifier.weight"])    # {"head.classifier.weight": "fc.weight"}

    `paths` pairs the path of a module of ours, or the name of a tensor, with theirs. `shapes` are the shapes of
    those of their tensors, by our names, that hold the same elements in the same order in another shape. `spare`
    are prefixes of what their models have and this one was built without. `norm_eps` is what the library's norms add
    to the variance, where that is not what our model's do. `older` is a pattern in the names of its older files, and
    what stands there now.
    """

    library: str
    paths: Mapping[str, str]
    shapes: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    spare: tuple[str, ...] = ()
    norm_eps: float | None = None
    older: tuple[str, str] | None = None

    def names(self, own: Iterable[str]) -> dict[str, str]:
        """Return their name for each of our names of tensors.

        Raises:
            LookupError: the key map forgets a tensor, or gives one name twice.
        """
        names = {name: self._theirs(name) for name in own}
        if len(set(names.values())) < len(names):
            raise LookupError(f"the key map for {self.library} gives one name to two tensors")
        return names

    def read(self, model: nn.Module, tensors: Mapping[str, Tensor]) -> Translated:
        """Bring their tensors under our names and into our shapes; nothing is checked or left out but `spare`."""
        own = model.state_dict()
        names = self.names(own)
        ours = {theirs: name for name, theirs in names.items()}
        read, called = dict[str, Tensor](), dict(names)
        for stored, tensor in tensors.items():
            theirs = self._now(stored)
            if theirs in ours:
                name = ours[theirs]
                same = tuple(tensor.shape) == self.shapes.get(name)
                read[name] = tensor.reshape(own[name].shape) if same else tensor
                called[name] = stored
            elif not theirs.startswith(self.spare):
                unknown = f"{self.library}: {theirs}"  # never a name of ours, though `theirs` may be one
                read[unknown], called[unknown] = tensor, theirs
        if not any(theirs.endswith(COUNTER) for theirs in tensors):  # written by PyTorch before 0.4.1
            read |= {name: tensor for name, tensor in own.items() if name.endswith(COUNTER)}
        return Translated(read, called)

    def write(self, model: nn.Module) -> dict[str, Tensor]:
        """Return the tensors of our model as the library would store them."""
        own = model.state_dict()
        return {
            theirs: own[name].reshape(self.shapes.get(name, own[name].shape))
            for name, theirs in self.names(own).items()
        }

    def fit(self, model: nn.Module, theirs: Iterable[str]) -> int:
        """Return how many of the names in `theirs` are those of this layout."""
        return len(set(self.names(model.state_dict()).values()) & set(map(self._now, theirs)))

    def _now(self, name: str) -> str:
        return re.sub(*self.older, name) if self.older else name

    def _theirs(self, name: str) -> str:
        path, rest = name, ""
        while path not in self.paths:
            path, _, last = path.rpartition(".")
            if not path:
                raise LookupError(f"the key map for {self.library} forgets {name}")
            rest = f".{last}{rest}"
        return self.paths[path] + rest


def numbered(prefix: str, *parts: tuple[str, nn.Module]) -> dict[str, str]:
    """Return the paths of layers that the other library holds in one `nn.Sequential`, counted from 0.

    `parts` are the paths of ours and the modules there, in order; every layer counts, with weights or without, but
    for the identity, which stands for a layer that is not there.
    """
    layers = [
        f"{path}.{name}" if name else path
        for path, part in parts
        for name, module in part.named_modules()
        if not list(module.children()) and not isinstance(module, nn.Identity)
    ]
    return {layer: f"{prefix}.{number}" for number, layer in enumerate(layers)}
