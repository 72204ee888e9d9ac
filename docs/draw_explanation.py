"""Draw the sheet of docs/explanation.md: twenty photographs of ImageNet, each beside its Grad-CAM.

python docs/draw_explanation.py ../shared/data
"""

from __future__ import annotations

import sys
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont, ImageOps

import lenext
from lenext.explanation.result import Explanation

SHEET = Path(__file__).parent / "images" / "explain.jpg"
WEIGHTS = "weights/mobilenet_v2-imagenet1k-torchvision.safetensors"
COLUMNS, TILE, GAP, TEXT = 4, 184, 16, 38
INK, FAINT, PAPER = "#1f2937", "#6b7280", "#ffffff"


def tile(entry: Explanation, number: int) -> Image.Image:
    """Return a photo beside its map, above what was answered."""
    size = (TILE, TILE)
    made = Image.new("RGB", (2 * TILE + 4, TILE + TEXT), PAPER)
    for place, picture in enumerate((entry.photo.convert("RGB"), entry.picture())):
        made.paste(ImageOps.pad(picture, size, color="#f3f4f6"), (place * (TILE + 4), 0))
    draw = ImageDraw.Draw(made)
    draw.text(
        (0, TILE + 5), f"{number}  {entry.label} {100 * entry.probability:.0f} %", INK, ImageFont.load_default(13)
    )
    true = Path(entry.image).stem.partition("_")[2].replace("_", " ")
    if true != entry.label:
        draw.text((0, TILE + 21), f"    is {true}", FAINT, ImageFont.load_default(12))
    return made


def main(data: Path) -> None:
    """Write the sheet."""
    photos = sorted((data / "imagenet_sample").glob("*/*.JPEG"))[::10]
    found = lenext.explain("mobilenet_v2", photos, weights=data / WEIGHTS, device="cpu").readable
    tiles = [tile(entry, number) for number, entry in enumerate(found, 1)]
    width, height = tiles[0].size
    rows = -(-len(tiles) // COLUMNS)
    sheet = Image.new("RGB", (COLUMNS * (width + GAP) + GAP, rows * (height + GAP // 2) + GAP), PAPER)
    for number, each in enumerate(tiles):
        row, column = divmod(number, COLUMNS)
        sheet.paste(each, (GAP + column * (width + GAP), GAP + row * (height + GAP // 2)))
    sheet.save(SHEET, quality=82, optimize=True)
    print(f"{SHEET}: {sheet.width}x{sheet.height}, {SHEET.stat().st_size:,} bytes")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
