"""Where the places of a stage's map lie on the image that enters the network."""

from __future__ import annotations

from torch import nn

from lenext.building import build
from lenext.cost.profile import profile
from lenext.models import Spec, lookup
from lenext.models.blocks import SqueezeExcite
from lenext.models.skeleton import Skeleton

Places = tuple[tuple[float, float], tuple[float, float]]  # the centre of the first, and from one to the next


def places(spec: Spec, stage: int) -> Places:
    """Return the centre of the first place of a stage's map, and the step to the next, vertical, horizontal, in pixels.

    A place is centred on the pixels that it depends on (Araujo et al. 2019, https://doi.org/10.23915/distill.00021),
    through whatever the layers before it pad. With strides of 2 and paddings that keep the size, the first place lies
    on the first pixel, not in the middle of an even share of the image. Squeeze-and-excitation, through which every
    place sees the whole image, says nothing of where it lies, and is left out.
    """
    with Skeleton():
        model = build(lookup(spec.name), spec.classes, spec.in_channels, spec.size, spec.options)
    for path, part in list(model.named_modules()):
        if isinstance(part, SqueezeExcite):
            parent, _, name = path.rpartition(".")
            setattr(model.get_submodule(parent), name, nn.Identity())
    found = profile(model).output_of(f"stages.{stage}")
    assert found.geometry is not None
    down, across = found.geometry
    return (down.offset + down.field / 2, across.offset + across.field / 2), (down.stride, across.stride)
