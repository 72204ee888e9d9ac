"""The protocols: how the papers looked at each image when they measured, by the name that `--views` gives them.

Where a paper gives pixels for its own network (224, or OverFeat's 221), they are taken in proportion to the size of the
network that is judged; S = 256 is then 8/7 of it. Answers to crops are averaged as probabilities. Those of the dense
form are averaged over its map as logits, as VGG's are, and over scales and mirrors as probabilities.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from lenext.data.decode import ImageForm
from lenext.errors import UserError
from lenext.evaluation.views.geometry import (
    Size,
    View,
    anywhere,
    as_stored,
    central,
    five,
    grid,
    mirrored,
    shrunk,
    three,
    whole,
)

NATIVE = 224  # pixels a side of the networks of all papers here but OverFeat
S = 256  # the shorter side that these bring images to
VGG_SCALES = (S - 32, S, S + 32)
GOOGLENET_SCALES = (256, 288, 320, 352)
RESNET_SCALES = (224, 256, 384, 480, 640)
OVERFEAT_NATIVE = 221
OVERFEAT_SCALES = ((245, 245), (281, 317), (317, 389), (389, 461), (425, 497), (461, 569))  # the paper's table 5

Looks = Callable[[Size, ImageForm, np.random.Generator], list[View]]


@dataclass(frozen=True)
class Protocol:
    """How each image is looked at.

    `views` are given the height and width of an upright image, the form that the model's images are brought to, and
    draws. Views of a `dense` protocol, which may be of any size, go through the dense form of the network, `finer`
    with its last pool shifted; its answers are averaged over the map, or, with `largest`, each class has its highest
    probability.
    """

    name: str
    about: str
    views: Looks
    dense: bool = False
    finer: bool = False
    largest: bool = False


PROTOCOLS: dict[str, Protocol] = {}


def _protocol(
    name: str, about: str, *, dense: bool = False, finer: bool = False, largest: bool = False
) -> Callable[[Looks], Looks]:
    def add(views: Looks) -> Looks:
        PROTOCOLS[name] = Protocol(name, about, views, dense, finer, largest)
        return views

    return add


def protocol(name: str) -> Protocol:
    """Return the protocol called `name`.

    Raises:
        UserError: there is none; the message lists those that there are.
    """
    if name in PROTOCOLS:
        return PROTOCOLS[name]
    close = difflib.get_close_matches(name.lower(), PROTOCOLS, n=1)
    hint = f"did you mean {close[0]}? " if close else ""
    raise UserError(f"no views are called {name!r}; {hint}there are {', '.join(PROTOCOLS)}")


@_protocol("center", "once, as the model's preprocessing has it")
def _center(_sides: Size, form: ImageForm, _draws: np.random.Generator) -> list[View]:
    return as_stored(form.size)


@_protocol("mirror", "as the model's preprocessing has it, and mirrored")
def _mirror(_sides: Size, form: ImageForm, _draws: np.random.Generator) -> list[View]:
    return mirrored(as_stored(form.size))


@_protocol("full", "the whole image at the scale of the model's preprocessing, dense", dense=True)
def _full(sides: Size, form: ImageForm, _draws: np.random.Generator) -> list[View]:
    return whole(sides, _times(form.size, 1 / form.crop_ratio))


@_protocol("ten-crop", "four corners and the middle of the central square, each also mirrored (AlexNet)")
def _ten_crop(sides: Size, form: ImageForm, _draws: np.random.Generator) -> list[View]:
    return mirrored(five(central(sides, _scaled(form.size, S)), form.size))


@_protocol("random-5", "five places of the central square that are drawn, each also mirrored")
def _random_5(sides: Size, form: ImageForm, draws: np.random.Generator) -> list[View]:
    return mirrored(anywhere(central(sides, _scaled(form.size, S)), form.size, 5, draws))


@_protocol("dense", "the whole image at 256, dense, also mirrored (VGG)", dense=True)
def _dense(sides: Size, form: ImageForm, _draws: np.random.Generator) -> list[View]:
    return mirrored(whole(sides, _scaled(form.size, S)))


@_protocol("multi-scale", "the whole image at 224, 256 and 288, dense, also mirrored (VGG)", dense=True)
def _multi_scale(sides: Size, form: ImageForm, _draws: np.random.Generator) -> list[View]:
    return mirrored([view for scale in VGG_SCALES for view in whole(sides, _scaled(form.size, scale))])


@_protocol("multi-crop", "5 by 5 places at 224, 256 and 288, each also mirrored (VGG)")
def _multi_crop(sides: Size, form: ImageForm, _draws: np.random.Generator) -> list[View]:
    regions = [view for scale in VGG_SCALES for view in whole(sides, _scaled(form.size, scale))]
    return mirrored([view for region in regions for view in grid(region, form.size, 5)])


@_protocol(
    "crops-144", "three squares at four scales, of each the corners, the middle and all, also mirrored (GoogLeNet)"
)
def _crops_144(sides: Size, form: ImageForm, _draws: np.random.Generator) -> list[View]:
    squares = [square for scale in GOOGLENET_SCALES for square in three(sides, _scaled(form.size, scale))]
    return mirrored([view for square in squares for view in (*five(square, form.size), shrunk(square, form.size))])


@_protocol("resnet-multi-scale", "the whole image at 224, 256, 384, 480 and 640, dense (ResNet)", dense=True)
def _resnet_multi_scale(sides: Size, form: ImageForm, _draws: np.random.Generator) -> list[View]:
    return [view for scale in RESNET_SCALES for view in whole(sides, _scaled(form.size, scale))]


@_protocol(
    "overfeat", "six scales, the last pool shifted, each class's highest answer, also mirrored (OverFeat)",
    dense=True, finer=True, largest=True,
)  # fmt: skip
def _overfeat(sides: Size, form: ImageForm, _draws: np.random.Generator) -> list[View]:
    upright = sides[0] > sides[1]  # the paper's sizes are those of images that lie
    scales = [scale[::-1] if upright else scale for scale in OVERFEAT_SCALES]
    return mirrored([central(sides, _scaled(form.size, scale, OVERFEAT_NATIVE)) for scale in scales])


def _scaled(size: Size, scale: int | Size, native: int = NATIVE) -> Size:
    """Return what `scale` pixels are for a network of `size`, where they are the paper's for one of `native`."""
    height, width = (scale, scale) if isinstance(scale, int) else scale
    return round(size[0] * height / native), round(size[1] * width / native)


def _times(size: Size, factor: float) -> Size:
    return round(size[0] * factor), round(size[1] * factor)
