"""Wrong answers are kept as what `lenext train` reads: whatever the class is called, whatever the image is."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from conftest import Answer
from model_server import FORM, Reply, form, request, served
from pictures import encoded, png, stripes
from PIL import Image

import lenext
from lenext.data.opening import open_source
from lenext.serving.refusal import RefusalError
from lenext.serving.wrong import keep_wrong

PIXELS = 1_000_000
IMAGE = png(stripes(1, upright=True))
# A picture of the kind TGA that begins as a cursor does, which Pillow would take it for.
CURSOR = bytes([0, 0, 2, 0, 1, 0, 0, 0, 0, 0, 0, 0, 4, 0, 4, 0, 24, 0, 0, 0, 0, 0, 5, 0, 0, 0]) + bytes(100)


@pytest.fixture(scope="module")
def wrong(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("keeping") / "wrong"


@pytest.fixture(scope="module")
def keep(digits_file: Path, wrong: Path) -> Iterator[Callable[..., Reply]]:
    """What sends an image and its class to a server that keeps them in `wrong`."""
    with served({"digits": lenext.load(digits_file)}, wrong=wrong) as port:

        def kept(image: bytes, label: str = "7") -> Reply:
            parts = [('name="file"; filename="a"', image), ('name="label"', label.encode())]
            return request(port, "/v1/models/digits/wrong", "POST", form(parts), **FORM)

        yield kept


def test_every_kind_of_image_is_kept_under_a_name_that_training_reads(tmp_path: Path) -> None:
    picture = Image.fromarray(stripes(2, upright=True))
    kinds = ("JPEG", "PNG", "GIF", "BMP", "WEBP", "TIFF", "PPM", "JPEG2000", "TGA", "PCX")
    for kind in kinds:
        keep_wrong(tmp_path, "7", encoded(picture, kind), PIXELS)
    keep_wrong(tmp_path, "7", CURSOR, PIXELS)
    source = open_source(tmp_path)
    assert source.class_names == ("7",)
    assert len(source.splits["all"].items) == len(kinds) + 1


def test_what_looks_like_a_cursor_is_kept_and_answered(keep: Callable[..., Reply], port: int) -> None:
    found = keep(CURSOR)
    assert found.status == 201
    assert found.json["kept"].endswith(".tga")
    found = request(port, "/v1/models/digits/predict", "POST", CURSOR, Content_Type="image/x-tga")
    assert found.status == 200


@pytest.mark.parametrize("label", ["\u732b" * 100, "__MACOSX", "Thumbs.db", "@eaDir", ".hidden", "x" * 201])
def test_names_that_no_class_can_have_are_refused(keep: Callable[..., Reply], wrong: Path, label: str) -> None:
    found = keep(IMAGE, label)
    assert (found.status, set(found.json)) == (422, {"error"})
    assert not (wrong / label[:60]).exists()


@pytest.mark.parametrize("label", ["\u732b" * 66, "con tent", "x" * 200])
def test_long_and_foreign_names_are_kept(keep: Callable[..., Reply], wrong: Path, label: str) -> None:
    assert keep(IMAGE, label).status == 201
    assert (wrong / label).is_dir()


def test_a_class_that_is_called_like_a_split_is_kept_where_it_is_read_as_a_class(tmp_path: Path) -> None:
    for label in ("train", "Test"):
        with pytest.raises(RefusalError, match="would be read as the splits"):
            keep_wrong(tmp_path, label, IMAGE, PIXELS)
    assert not list(tmp_path.iterdir())
    for label in ("bus", "train"):
        keep_wrong(tmp_path, label, IMAGE, PIXELS)
    with pytest.raises(RefusalError, match="would be read as the splits"):
        keep_wrong(tmp_path, "val", IMAGE, PIXELS)
    assert open_source(tmp_path).class_names == ("bus", "train")
    (tmp_path / "val").mkdir()
    with pytest.raises(RefusalError, match="would be read as the splits"):
        keep_wrong(tmp_path, "bus", IMAGE, PIXELS)
    assert len(list((tmp_path / "bus").iterdir())) == 1


def test_the_same_image_many_times_at_once_is_kept_once(keep: Callable[..., Reply], wrong: Path) -> None:
    images = [png(np.full((30, 30), value, np.uint8)) for value in range(3)]
    with ThreadPoolExecutor(12) as pool:
        found = list(pool.map(keep, [image for image in images for _ in range(4)], ["often"] * 12))
    assert [each.status for each in found] == [201] * 12
    assert sorted(path.read_bytes() for path in (wrong / "often").iterdir()) == sorted(images)


def test_icons_are_refused_before_they_are_decoded(keep: Callable[..., Reply], port: int) -> None:
    icon = encoded(Image.fromarray(stripes(3, upright=True)), "ICO")
    for found in (keep(icon), request(port, "/v1/models/digits/predict", "POST", icon, Content_Type="image/x-icon")):
        assert found.status == 422
        assert "icon" in found.json["error"]


def test_a_file_is_no_folder_to_keep_in(command: Callable[..., Answer], digits_file: Path) -> None:
    answer = command("serve", digits_file, "--wrong", digits_file)
    assert (answer.code, answer.err.count("\n")) == (2, 1)
    assert "is a file; give --wrong a folder" in answer.err
