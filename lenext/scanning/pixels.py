"""The pixels of an image of any size: regions of it, at any scale, from memory or read where they are wanted."""

from __future__ import annotations

import logging
import math
from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from lenext.data.decode import RESAMPLING, UnreadableImageError, image_header, open_image
from lenext.data.reading import free_memory
from lenext.errors import UserError, one_line

MEMORY_SHARE = 0.25  # of the free memory, for the pixels of one image
AT_ONCE = 2**26  # pixels of the image that one region is made of; more are taken in strips
SUPPORT = 3  # pixels that a filter of Pillow sees to either side, at most


class Pixels(ABC):
    """An upright image as uint8, `height` x `width`, in 1 or 3 `channels`."""

    def __init__(self, height: int, width: int, channels: int) -> None:
        self.height, self.width, self.channels = height, width, channels

    @abstractmethod
    def cut(self, top: int, left: int, height: int, width: int) -> Image.Image:
        """Return a part of the image, of mode L or RGB."""

    def region(
        self, size: tuple[int, int], top: int, left: int, height: int, width: int, interpolation: str
    ) -> NDArray[np.uint8]:
        """Return a part of the image resized to `size`: uint8 (height, width, C), the same as of the whole resized."""
        out = np.empty((height, width, self.channels), np.uint8)
        tall, wide = self.height / size[0], self.width / size[1]  # pixels of the image for one of the region
        rows = max(1, int(AT_ONCE / max(1.0, width * wide * tall)))
        for row in range(0, height, rows):
            count = min(rows, height - row)
            out[row : row + count] = self._resized((tall, wide), top + row, left, count, width, interpolation)
        return out

    def _resized(
        self, ratio: tuple[float, float], top: int, left: int, height: int, width: int, interpolation: str
    ) -> NDArray[np.uint8]:
        tall, wide = ratio
        box = (left * wide, top * tall, (left + width) * wide, (top + height) * tall)
        margin = (math.ceil(SUPPORT * max(1.0, wide)), math.ceil(SUPPORT * max(1.0, tall)))
        west, north = max(0, int(box[0]) - margin[0]), max(0, int(box[1]) - margin[1])
        east = min(self.width, math.ceil(box[2]) + margin[0])
        south = min(self.height, math.ceil(box[3]) + margin[1])
        image = self.cut(north, west, south - north, east - west)
        inside = (box[0] - west, box[1] - north, min(box[2] - west, image.width), min(box[3] - north, image.height))
        if image.size != (width, height) or inside != (0, 0, *image.size):
            image = image.resize((width, height), RESAMPLING[interpolation], box=inside)
        pixels = np.asarray(image)
        return pixels if pixels.ndim == 3 else pixels[..., None]  # (H, W) -> (H, W, 1)


class PixelsInMemory(Pixels):
    """An image that Pillow has decoded."""

    def __init__(self, image: Image.Image) -> None:
        super().__init__(image.height, image.width, len(image.getbands()))
        self.image = image

    def cut(self, top: int, left: int, height: int, width: int) -> Image.Image:
        """Return a part of the image, of mode L or RGB."""
        if (height, width) == (self.height, self.width):
            return self.image
        return self.image.crop((left, top, left + width, top + height))


class PixelsOnDisk(Pixels):
    """An image that libvips reads by regions; what cannot be read so, it first unpacks to a temporary file."""

    def __init__(self, path: Path, channels: int) -> None:
        vips = _vips(path)
        try:
            image = vips.Image.new_from_file(str(path), access="random", fail_on="truncated").autorot()
            self.image = _eight_bits(image, channels)
        except vips.Error as error:
            raise UserError(f"{path} cannot be read: {one_line(error)}") from error
        self.path, self.failure = path, vips.Error
        super().__init__(self.image.height, self.image.width, channels)

    def cut(self, top: int, left: int, height: int, width: int) -> Image.Image:
        """Return a part of the image, of mode L or RGB.

        Raises:
            UserError: the file is damaged there.
        """
        try:
            data = self.image.crop(left, top, width, height).write_to_memory()
        except self.failure as error:
            raise UserError(f"{self.path} cannot be read: {one_line(error)}") from error
        return Image.frombuffer("L" if self.channels == 1 else "RGB", (width, height), data)


def open_pixels(image: Any, channels: int) -> Pixels:
    """Return the pixels of a file, a PIL image or a uint8 array, upright and in 1 or 3 channels.

    A file that Pillow refuses for its size, or whose pixels take more than `MEMORY_SHARE` of the free memory, is read
    by regions.

    Raises:
        UserError: not an image, or one that only libvips could read, which is not installed.
    """
    where = str(image) if isinstance(image, str | Path) else "the image"
    path = Path(image) if isinstance(image, str | Path) else None
    if path is not None and path.is_dir():
        raise UserError(f"{path} is a folder; give one image")
    try:
        if path is not None and _is_too_large(path, channels):
            return PixelsOnDisk(path, channels)
        pixels = PixelsInMemory(open_image(path or image, channels))
    except UnreadableImageError as error:
        raise UserError(f"{where} cannot be read: {error}") from error
    if not pixels.height * pixels.width:
        raise UserError(f"{where} is an image without pixels")
    return pixels


def _is_too_large(path: Path, channels: int) -> bool:
    try:
        sides = image_header(path)
    except UnreadableImageError:  # whoever decodes it tells the reason
        return False
    return sides is None or math.prod(sides) * channels > MEMORY_SHARE * free_memory()


def _vips(path: Path) -> Any:
    try:
        import pyvips
    except (ImportError, OSError) as error:  # OSError: the library that it calls is missing
        raise UserError(
            f"{path} is too large to be decoded at once; pip install 'lenext[large]' reads it by regions"
        ) from error
    logging.getLogger("pyvips").setLevel(logging.ERROR)  # each broken row would be a line
    return pyvips


def _eight_bits(image: Any, channels: int) -> Any:
    """Return the image in 8 bits a channel, transparency on white, as `lenext.data.decode` makes them."""
    if image.format in ("float", "double"):
        image = image * (255 if image.max() <= 1 else 1)
    elif image.format in ("ushort", "short", "uint", "int") and (image.format == "ushort" or image.max() > 255):
        image = image / 257  # 65535 -> 255
    if image.format != "uchar":
        image = image.rint().cast("uchar")  # casting clips
        image = image.copy(interpretation="srgb" if image.bands >= 3 else "b-w")
    if image.interpretation == "cmyk":
        image = ((255 - image.extract_band(0, n=3)) * (255 - image.extract_band(3)) / 255).rint().cast("uchar")
    if image.hasalpha():
        image = image.flatten(background=255)
    if image.bands >= 3:
        image = image.extract_band(0, n=3)
        if channels == 1:  # the weights of Pillow's convert("L")
            image = (image * [0.299, 0.587, 0.114]).bandmean() * 3
            image = image.rint().cast("uchar")
        return image
    image = image.extract_band(0)
    return image if channels == 1 else image.bandjoin([image, image])
