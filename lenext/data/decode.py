"""One image from any file: every mode and rotation becomes uint8 grey or RGB of the size that a model wants.

This module needs Pillow and NumPy alone, so that decoding processes start fast.
"""

from __future__ import annotations

import functools
import io
import re
import stat
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
import simplejpeg
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from lenext.data.resizing import resize
from lenext.errors import one_line

if TYPE_CHECKING:
    from lenext.data.source import Item

Fit = Literal["crop", "pad", "squash"]
FITS: tuple[Fit, ...] = ("crop", "pad", "squash")
LONGEST = 2.0  # times longer than the shape wanted that an image stays where nothing is cut

# The formats that are tried, whatever a file is called. Pillow knows more, some of which start other programs.
FORMATS = ("JPEG", "PNG", "GIF", "BMP", "WEBP", "TIFF", "PPM", "JPEG2000", "AVIF", "ICO", "TGA", "PCX")
SUFFIXES = frozenset(
    (
        *(".jpg", ".jpeg", ".jpe", ".jfif", ".mpo", ".png", ".apng", ".gif", ".bmp", ".dib", ".webp", ".tif", ".tiff"),
        *(".ppm", ".pgm", ".pbm", ".pnm", ".jp2", ".j2k", ".jpx", ".avif", ".ico", ".tga", ".pcx", ".heic", ".heif"),
    )
)
RESAMPLING = {"nearest": Image.Resampling.NEAREST, "bilinear": Image.Resampling.BILINEAR,
              "bicubic": Image.Resampling.BICUBIC, "lanczos": Image.Resampling.LANCZOS}  # fmt: skip
ORIENTATION, SIDEWAYS = 0x0112, (5, 6, 7, 8)  # the EXIF tag, and those of its values that exchange height and width
OVERSIZED = 4  # times the size wanted; decoding at half the scale leaves resizing two pixels for each of its own
HEIC = re.compile(rb"....ftyp(hei[cmsx]|hev[cmsx]|mif1|msf1)", re.DOTALL)  # how a HEIC file starts
HEIC_HINT = "HEIC images need the extra heic: pip install 'lenext[heic]', or save it as JPEG"
BAND = 1 << 18  # values that are brought to 8 bits at a time
SLIVER = 16  # how many times longer than the cut an image may grow before it is cut

# Pillow warns of broken metadata and of many pixels; whether the pixels can be had decides here.
warnings.filterwarnings("ignore", module=r"PIL\.")


class UnreadableImageError(Exception):
    """An image that cannot be decoded; the message is the reason."""


def is_image_name(name: str) -> bool:
    """Say whether a file of this name is taken for an image."""
    return name[name.rfind(".") :].lower() in SUFFIXES


@dataclass(frozen=True, kw_only=True)
class ImageForm:
    """What every image is brought to: how large, in how many channels, and how its shape is met.

    `size` is (height, width) in pixels; `channels` 1 or 3, or None where grey images stay grey and colour ones
    in colour; `crop_ratio` is the share of the covering image's side that `fit="crop"` keeps. With `fit="whole"`,
    which is for images that are yet to be cut, the size is covered by all of the image.
    """

    size: tuple[int, int]
    channels: int | None = None
    fit: Fit | Literal["whole"] = "crop"
    crop_ratio: float = 1.0
    interpolation: str = "bilinear"

    @property
    def kept(self) -> tuple[int, int]:
        """The size (height, width) of the part that lies in the middle of the image."""
        return self.size


def decode(item: Item, form: ImageForm) -> NDArray[np.uint8]:
    """Return the image as uint8 (H, W, C), upright and of the form's size.

    Raises:
        UnreadableImageError: empty, truncated, or no image.
    """
    image = open_image(item, form.channels)
    if not image.width * image.height:
        raise UnreadableImageError("an image without pixels")
    try:
        pixels = np.asarray(fitted(image, form))
    except (Image.DecompressionBombError, MemoryError) as error:
        raise UnreadableImageError(f"too large at {form.size[0]}x{form.size[1]} pixels") from error
    return pixels if pixels.ndim == 3 else pixels[..., None]  # (H, W) -> (H, W, 1)


def decode_window(
    item: Item, form: ImageForm, choose: Callable[[tuple[int, int]], tuple[int, int, int, int]]
) -> NDArray[np.uint8]:
    """Return a window of the image as uint8 (H, W, C) of the form's size.

    `choose` is given the height and width of the upright image and returns top, left, height and width. A JPEG whose
    window is at least `OVERSIZED` times the form's size is decoded at half, a quarter or an eighth of its scale, and
    differs by at most 2 grey levels in the mean.

    Raises:
        UnreadableImageError: empty, truncated, or no image.
    """
    data = file_content(item)
    try:
        image = unread_image(data)
        turned = image.getexif().get(ORIENTATION, 1) in SIDEWAYS
        top, left, height, width = choose(image.size if turned else (image.height, image.width))
        oversize = min(height / form.size[0], width / form.size[1])
        reduction = _reduce(image, oversize) if isinstance(data, bytes) else 1
        if reduction == 1 and (pixels := _jpeg_pixels(data, image, form)) is not None:
            out = np.empty((*form.size, pixels.shape[-1]), np.uint8)
            resize(pixels[top : top + height, left : left + width], out)
            return out
        image = upright_image(image, form.channels)
    except Exception as error:  # Pillow's decoders raise errors of many kinds on broken files
        raise UnreadableImageError(why_unreadable(error, data)) from error
    # Of a reduced image the window may begin and end within a pixel.
    box = np.array([left, top, left + width, top + height]) / reduction
    around = np.concatenate([np.floor(box[:2]), np.ceil(box[2:])]).astype(int)
    inside = tuple((box - np.tile(around[:2], 2)).tolist())
    image = image.crop(tuple(around.tolist()))
    pixels = np.asarray(image.resize((form.size[1], form.size[0]), RESAMPLING[form.interpolation], box=inside))
    return pixels if pixels.ndim == 3 else pixels[..., None]  # (H, W) -> (H, W, 1)


def _jpeg_pixels(
    data: bytes | NDArray[np.uint8] | Image.Image, image: Image.Image, form: ImageForm
) -> NDArray[np.uint8] | None:
    """Return the pixels (H, W, C) of an ordinary upright JPEG, those of Pillow; None where Pillow has to decide."""
    wanted = {(1, "L"): "GRAY", (3, "RGB"): "RGB"}.get((form.channels or 0, image.mode))
    if not isinstance(data, bytes) or image.format != "JPEG" or wanted is None or form.interpolation != "bilinear":
        return None
    if image.getexif().get(ORIENTATION, 1) != 1:
        return None
    try:
        pixels: NDArray[np.uint8] = simplejpeg.decode_jpeg(data, wanted)
    except ValueError:  # broken, or of a kind that it does not know
        return None
    return pixels if pixels.shape[:2] == (image.height, image.width) else None


def _reduce(image: Image.Image, oversize: float) -> int:
    """Let a JPEG be decoded at a part of its scale that leaves resizing two pixels for one, and return which."""
    factor = next((factor for factor in (8, 4, 2) if oversize >= factor * OVERSIZED / 2), 1)
    width, height = image.size
    # What a side has beyond a multiple of the factor becomes a pixel too large, which must not be turned to the front.
    turned = image.getexif().get(ORIENTATION, 1) != 1
    if factor == 1 or (turned and (width % factor or height % factor)):
        return 1
    image.draft(None, (width // factor, height // factor))
    return 1 if image.size == (width, height) else factor


def open_image(item: Item, channels: int | None = None) -> Image.Image:
    """Return the image upright, of mode L (1 channel) or RGB (3); None keeps grey images grey.

    Raises:
        UnreadableImageError: empty, truncated, or no image.
    """
    data = file_content(item)
    try:
        return upright_image(unread_image(data), channels)
    except Exception as error:  # Pillow's decoders raise errors of many kinds on broken files
        raise UnreadableImageError(why_unreadable(error, data)) from error


def unread_image(data: bytes | NDArray[np.uint8] | Image.Image) -> Image.Image:
    """Return the image whose header alone was read; Pillow's errors are of many kinds."""
    if isinstance(data, Image.Image):
        return data
    if isinstance(data, np.ndarray):
        return Image.fromarray(data[..., 0] if data.shape[2:] == (1,) else data)
    return Image.open(io.BytesIO(data), formats=_formats(data))


def upright_image(image: Image.Image, channels: int | None) -> Image.Image:
    """Return the image turned as EXIF says, grey or RGB, its pixels read; Pillow's errors are of many kinds."""
    if image.getexif().get(ORIENTATION, 1) != 1:
        image = ImageOps.exif_transpose(image)
    return _grey_or_rgb(image, channels)


def file_content(item: Item) -> bytes | NDArray[np.uint8] | Image.Image:
    """Return the bytes of a file; what is no file comes back as it is.

    Raises:
        UnreadableImageError: no such file, one that may not be read, or no bytes.
    """
    if isinstance(item, Path):
        try:
            _require_file(item)
            item = item.read_bytes()
        except (OSError, ValueError) as error:  # ValueError: a name that no file can have
            raise UnreadableImageError(why_unreadable(error, b"")) from error
    if isinstance(item, bytes) and not item:
        raise UnreadableImageError("empty file")
    return item


def _require_file(path: Path) -> None:
    """Raise UnreadableImageError for a pipe or a device, which may never end; OSError where nothing is."""
    mode = path.stat().st_mode
    if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
        raise UnreadableImageError("a pipe or a device, not a file")


def image_header(path: Path) -> tuple[int, int] | None:
    """Return height and width as a file's header has them, or None where Pillow refuses so large an image.

    Raises:
        UnreadableImageError: no file, or no image.
    """
    try:
        _require_file(path)
        with path.open("rb") as file:
            head = file.read(16)
        with Image.open(path, formats=_formats(head)) as image:
            return image.height, image.width
    except Image.DecompressionBombError:
        return None
    except Exception as error:  # Pillow's decoders raise errors of many kinds on broken files
        raise UnreadableImageError(why_unreadable(error, b"")) from error


def fitted(image: Image.Image, form: ImageForm) -> Image.Image:
    """Return the image at the form's size.

    `crop` scales until the shorter side covers size / crop_ratio and cuts the middle out; `pad` scales until
    the whole image is inside and fills up with black; `squash` changes the aspect ratio; `whole` makes an image no
    larger than covers the size, and cuts what is more than twice as long as the size's shape.
    """
    height, width = form.size
    resample = RESAMPLING[form.interpolation]
    if form.fit == "whole":
        return _covering(image, form.size, resample)
    if form.fit == "squash":
        return _resized(image, (width, height), resample)
    if form.fit == "pad":
        inside = _inside(image.size, form)
        canvas = Image.new(image.mode, (width, height))
        canvas.paste(_resized(image, inside, resample), ((width - inside[0]) // 2, (height - inside[1]) // 2))
        return canvas
    covered = _covered(form)
    outside, left, top = _cut(image.size, form)
    if outside[0] * outside[1] > SLIVER * covered[0] * covered[1]:  # a few pixels by thousands would fill the memory
        return image.resize((width, height), resample, box=seen_part(image.size, form))
    image = _resized(image, outside, resample)
    if image.size == (width, height):
        return image
    return image.crop((left, top, left + width, top + height))


def seen_part(sides: tuple[int, int], form: ImageForm) -> tuple[float, float, float, float]:
    """Return which part of an image of `sides` (width, height) `fitted` shows: left, top, right, bottom, in its pixels.

    A part that is padded reaches beyond the image.
    """
    height, width = form.size
    if form.fit == "crop":
        outside, left, top = _cut(sides, form)
        across, down = sides[0] / outside[0], sides[1] / outside[1]
        return left * across, top * down, (left + width) * across, (top + height) * down
    if form.fit == "pad":
        inside = _inside(sides, form)
        left, top = (width - inside[0]) // 2, (height - inside[1]) // 2
        across, down = sides[0] / inside[0], sides[1] / inside[1]
        return (0 - left) * across, (0 - top) * down, (width - left) * across, (height - top) * down
    return 0.0, 0.0, float(sides[0]), float(sides[1])


def _cut(sides: tuple[int, int], form: ImageForm) -> tuple[tuple[int, int], int, int]:
    """Return to which width and height an image is brought before it is cut, and from which left and top on."""
    outside = covering(sides, _covered(form))
    height, width = form.kept
    left, top = round((outside[0] - width) / 2), round((outside[1] - height) / 2)
    return outside, left - round((form.size[1] - width) / 2), top - round((form.size[0] - height) / 2)


def _covered(form: ImageForm) -> tuple[int, int]:
    """Return the width and height that an image is to cover before its middle is cut out."""
    return round(form.size[1] / form.crop_ratio), round(form.size[0] / form.crop_ratio)


def _inside(sides: tuple[int, int], form: ImageForm) -> tuple[int, int]:
    """Return the width and height at which an image just fits into the form's size."""
    scale = min(form.size[1] / sides[0], form.size[0] / sides[1])
    return max(1, round(sides[0] * scale)), max(1, round(sides[1] * scale))


def covering(sides: tuple[int, int], covered: tuple[int, int]) -> tuple[int, int]:
    """Return the sides that an image is brought to so that it covers `covered`, and no more, with its own shape."""
    scale = max(covered[0] / sides[0], covered[1] / sides[1])
    # The side that decides the scale is met exactly; the other one is cut down to whole pixels.
    return max(covered[0], int(sides[0] * scale + 1e-6)), max(covered[1], int(sides[1] * scale + 1e-6))


def _covering(image: Image.Image, size: tuple[int, int], resample: Image.Resampling) -> Image.Image:
    top, left, height, width = middle((image.height, image.width), size)
    if (width, height) != image.size:
        image = image.crop((left, top, left + width, top + height))
    scale = min(1.0, max(size[0] / height, size[1] / width))
    return _resized(image, (max(1, round(width * scale)), max(1, round(height * scale))), resample)


def middle(sides: tuple[int, int], size: tuple[int, int], longest: float = LONGEST) -> tuple[int, int, int, int]:
    """Return top, left, height and width of the part of an image that is no longer than `longest` allows.

    Of the shape of `size`, the largest part that fits into the image may be so many times longer.
    """
    height, width = sides
    if height * size[1] <= width * size[0]:
        width = min(width, max(1, int(longest * height * size[1] / size[0])))
    else:
        height = min(height, max(1, int(longest * width * size[0] / size[1])))
    return (sides[0] - height) // 2, (sides[1] - width) // 2, height, width


def _resized(image: Image.Image, size: tuple[int, int], resample: Image.Resampling) -> Image.Image:
    return image if image.size == size else image.resize(size, resample)


def _formats(head: bytes) -> tuple[str, ...]:
    """Return the formats to try of a file that begins so."""
    return ("HEIF",) if HEIC.match(head) and reads_heic() else _built_in_formats()


@functools.cache
def _built_in_formats() -> tuple[str, ...]:
    Image.init()
    return tuple(name for name in FORMATS if name in Image.OPEN)  # some builds of Pillow lack one or another


@functools.cache
def reads_heic() -> bool:
    """Say whether HEIC images can be read here, which takes the extra `heic`."""
    try:
        import pillow_heif
    except ImportError:
        return False
    pillow_heif.register_heif_opener()
    return True


def _grey_or_rgb(image: Image.Image, channels: int | None) -> Image.Image:
    if image.mode in ("I", "F") or image.mode.startswith("I;16"):
        image = _eight_bits(image)
    elif image.has_transparency_data:
        grey = image.mode in ("1", "L", "LA", "La")
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(white, image).convert("L" if grey else "RGB")
    if image.mode == "1":
        image = image.convert("L")
    elif image.mode not in ("L", "RGB"):
        image = image.convert("RGB")
    if channels is not None and len(image.getbands()) != channels:
        image = image.convert("L" if channels == 1 else "RGB")
    image.load()
    return image


def _eight_bits(image: Image.Image) -> Image.Image:
    """Return a 16-bit, 32-bit or float image in 8 bits: full scale to full scale."""
    values = np.asarray(image)
    if values.dtype.kind == "f":
        factor, divisor = (1 if (values > 1).any() else 255), 1
    else:
        factor, divisor = 1, (257 if image.mode != "I" or values.max(initial=0) > 255 else 1)  # 65535 -> 255
    out = np.empty(values.shape, np.uint8)
    flat, into = values.reshape(-1), out.reshape(-1)
    for start in range(0, flat.size, BAND):  # in parts, for what is in between is wider
        part = flat[start : start + BAND]
        if values.dtype.kind == "f":
            part = np.nan_to_num(part) * factor
        elif divisor > 1:
            part = part / divisor
        into[start : start + BAND] = np.rint(part).clip(0, 255)
    return Image.fromarray(out)


def why_unreadable(error: Exception, data: bytes | NDArray[np.uint8] | Image.Image) -> str:
    """Return in words why opening `data`, the bytes of a file, failed with an error."""
    if isinstance(error, FileNotFoundError):
        return "there is no such file"
    if isinstance(error, UnidentifiedImageError):
        if isinstance(data, bytes) and HEIC.match(data):
            return "a damaged HEIC image" if reads_heic() else HEIC_HINT
        return "not an image"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return f"cannot be decoded: {one_line(error)}"
