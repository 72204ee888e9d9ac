"""Preprocessing as part of an ONNX graph: from uint8 RGB images of any size to what the network sees.

Sizes are worked out in whole numbers, by the rules of `lenext.data.decode.fitted`: halves are rounded to even ones.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import onnx_ir as ir
from numpy.typing import ArrayLike
from onnx_ir.tape import Tape

from lenext.data.decode import ImageForm
from lenext.data.preprocessing import Preprocessing

HEIGHT, WIDTH = 1, 2  # the axes of an image in (N, H, W, C)
GREY = (19595, 38470, 7471)  # of 65536, by which Pillow weighs red, green and blue
# How ONNX's Resize does what Pillow's filters do; lanczos it does not have.
RESIZING: dict[str, dict[str, str | int | float]] = {
    "nearest": {"mode": "nearest", "nearest_mode": "round_prefer_ceil"},
    "bilinear": {"mode": "linear", "antialias": 1},
    "bicubic": {"mode": "cubic", "antialias": 1, "cubic_coeff_a": -0.5, "exclude_outside": 1},
}


def fits_into_a_graph(form: ImageForm) -> bool:
    """Say whether ONNX has what brings images to this form."""
    return form.interpolation in RESIZING and form.fit in _FITS


class Nodes:
    """Nodes of an ONNX graph, in the order they were made."""

    def __init__(self) -> None:
        self.tape = Tape()
        self.constants = 0

    def constant(self, value: ArrayLike, dtype: type = np.int64) -> ir.Value:
        """Return a constant."""
        self.constants += 1
        return self.tape.initializer(ir.tensor(np.asarray(value, dtype)), f"preprocessing_{self.constants}")

    def op(
        self, kind: str, *inputs: ir.Value | ArrayLike | None, **attributes: str | int | float | Sequence[int]
    ) -> ir.Value:
        """Return the output of a new node; numbers among its inputs become int64 constants."""
        values = [each if each is None or isinstance(each, ir.Value) else self.constant(each) for each in inputs]
        return self.tape.op(kind, values, attributes)

    def round_half_even(self, over: ir.Value, under: ir.Value | int) -> ir.Value:
        """Return over / under, which are not negative, as Python rounds it."""
        whole = self.op("Div", over, under)
        rest = self.op("Mul", self.op("Sub", over, self.op("Mul", whole, under)), 2)
        odd = self.op("Sub", whole, self.op("Mul", self.op("Div", whole, 2), 2))
        # Beyond the half, or at it behind an odd number.
        up = self.op("Greater", self.op("Add", rest, odd), under)
        return self.op("Add", whole, self.op("Cast", up, to=ir.DataType.INT64))


def preprocessing_nodes(images: ir.Value, preprocessing: Preprocessing) -> tuple[Nodes, ir.Value]:
    """Return nodes from uint8 (N, H, W, 3) to what the network sees, float32 (N, C, height, width), and this."""
    form, nodes = preprocessing.form, Nodes()
    pixels = _grey(nodes, images) if form.channels == 1 else images
    fitted = _FITS[form.fit](nodes, pixels, form)
    # What follows knows its shape, whatever shape the images had.
    fitted = nodes.op("Reshape", fitted, [-1, *form.size, form.channels or 3])
    # Channel by channel, which engines do several times faster than with three numbers for each pixel.
    planes = nodes.op("Cast", nodes.op("Transpose", fitted, perm=[0, 3, 1, 2]), to=ir.DataType.FLOAT)
    mean, std = (
        nodes.constant((np.array(each, np.float32) * 255)[:, None, None], np.float32)
        for each in (preprocessing.mean, preprocessing.std)
    )
    return nodes, nodes.op("Div", nodes.op("Sub", planes, mean), std)


def _grey(nodes: Nodes, images: ir.Value) -> ir.Value:
    """(N, H, W, 3) -> (N, H, W, 1)"""
    # Whole numbers below 2^24, which float32 holds; of whole-number arithmetic some engines round a division.
    wide = nodes.op("Cast", images, to=ir.DataType.FLOAT)
    total = nodes.op("ReduceSum", nodes.op("Mul", wide, nodes.constant(GREY, np.float32)), [3], keepdims=1)
    rounded = nodes.op("Add", total, nodes.constant(0x8000, np.float32))
    shifted = nodes.op("Floor", nodes.op("Mul", rounded, nodes.constant(1 / 0x10000, np.float32)))
    return nodes.op("Cast", shifted, to=ir.DataType.UINT8)


def _sides(nodes: Nodes, images: ir.Value) -> tuple[ir.Value, ir.Value]:
    """Return height and width, each (1,)."""
    return nodes.op("Shape", images, start=HEIGHT, end=HEIGHT + 1), nodes.op(
        "Shape", images, start=WIDTH, end=WIDTH + 1
    )


def _resized(nodes: Nodes, images: ir.Value, height: ir.Value, width: ir.Value, form: ImageForm) -> ir.Value:
    number = nodes.op("Shape", images, start=0, end=1)
    channels = nodes.constant([form.channels or 3])
    sizes = nodes.op("Concat", number, height, width, channels, axis=0)
    return nodes.op(
        "Resize", images, None, None, sizes, coordinate_transformation_mode="half_pixel", **RESIZING[form.interpolation]
    )


def _crop(nodes: Nodes, images: ir.Value, form: ImageForm) -> ir.Value:
    """Scale until the image covers size / crop_ratio, and cut the middle out."""
    cover = [round(side / form.crop_ratio) for side in form.size]
    height, width = _sides(nodes, images)
    by_width = nodes.op("Div", nodes.op("Mul", height, [cover[1]]), width)  # the height, where the width is met exactly
    by_height = nodes.op("Div", nodes.op("Mul", width, [cover[0]]), height)
    outside = [nodes.op("Max", by_width, [cover[0]]), nodes.op("Max", by_height, [cover[1]])]
    resized = _resized(nodes, images, outside[0], outside[1], form)
    starts = [
        nodes.round_half_even(nodes.op("Sub", whole, [side]), nodes.constant([2]))
        for whole, side in zip(outside, form.size, strict=True)
    ]
    start = nodes.op("Concat", *starts, axis=0)
    return nodes.op("Slice", resized, start, nodes.op("Add", start, list(form.size)), [HEIGHT, WIDTH])


def _pad(nodes: Nodes, images: ir.Value, form: ImageForm) -> ir.Value:
    """Scale until the whole image is inside, and fill up with black."""
    height, width = _sides(nodes, images)
    high, wide = ([side] for side in form.size)
    by_width = nodes.round_half_even(nodes.op("Mul", height, wide), width)
    by_height = nodes.round_half_even(nodes.op("Mul", width, high), height)
    inside = [
        nodes.op("Max", nodes.op("Min", by_width, high), [1]),
        nodes.op("Max", nodes.op("Min", by_height, wide), [1]),
    ]
    resized = _resized(nodes, images, inside[0], inside[1], form)
    before = [nodes.op("Div", nodes.op("Sub", side, own), [2]) for side, own in zip((high, wide), inside, strict=True)]
    after = [
        nodes.op("Sub", nodes.op("Sub", side, own), start)
        for side, own, start in zip((high, wide), inside, before, strict=True)
    ]
    pads = nodes.op("Concat", *before, *after, axis=0)
    return nodes.op("Pad", resized, pads, nodes.constant(0, np.uint8), [HEIGHT, WIDTH])


def _squash(nodes: Nodes, images: ir.Value, form: ImageForm) -> ir.Value:
    """Scale without regard to the shape."""
    height, width = (nodes.constant([side]) for side in form.size)
    return _resized(nodes, images, height, width, form)


_FITS = {"crop": _crop, "pad": _pad, "squash": _squash}
