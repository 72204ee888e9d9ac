from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import Answer
from pictures import class_folder

pytestmark = pytest.mark.usefixtures("own_cache")
Command = Callable[..., Answer]


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = class_folder(tmp_path / "photos")
    (folder / "lying" / "empty.png").write_bytes(b"")
    (folder / "upright" / "again.png").write_bytes((folder / "upright" / "003.png").read_bytes())
    (folder / ".git").mkdir()
    return folder


def test_the_json_of_a_check(command: Command, photos: Path) -> None:
    done = command("check", photos, "--json")
    assert done.code == 0
    assert done.json["schema"] == 1
    assert (done.json["images"], done.json["classes"]) == (26, 2)
    assert [(each["severity"], each["kind"], each["path"]) for each in done.json["problems"]] == [
        ("problem", "empty", "lying/empty.png"),
        ("problem", "duplicate", "upright/again.png"),
        ("note", "hidden", ".git"),
    ]


def test_the_table_tells_kinds_examples_and_what_to_do(command: Command, photos: Path) -> None:
    done = command("check", photos)
    assert done.code == 0
    assert "lying/empty.png: empty file" in done.out
    assert "26 images of 2 classes (1 unreadable), 2 problems, 1 notes" in done.out
    assert "1. Leave out 2 images" in done.out
    assert f"lenext train {photos} --exclude exclude.csv" in done.out


def test_strict_ends_with_1_where_there_are_problems(command: Command, photos: Path, tmp_path: Path) -> None:
    assert command("check", photos, "--strict").code == 1
    (photos / "lying" / "empty.png").unlink()
    (photos / "upright" / "again.png").unlink()
    done = command("check", photos, "--strict", "--json")
    assert (done.code, [each["kind"] for each in done.json["problems"]]) == (0, ["hidden"])


def test_files_are_written_and_train_and_evaluate_honour_the_list(
    command: Command, photos: Path, tmp_path: Path
) -> None:
    listed, page, run = tmp_path / "list.csv", tmp_path / "page.html", tmp_path / "run"
    done = command("check", photos, "--write-exclusions", listed, "--report", page, "--strict")
    assert done.code == 1, "files are written all the same"
    assert f"written: {listed}, 2 images to leave out" in done.err
    assert page.stat().st_size > 10_000
    trained = command(
        "train", photos, "--model", "mlp", "--epochs", 1, "--threads", 1, "--exclude", listed, "--out", run, "--json"
    )
    assert trained.code == 0, trained.err
    assert (trained.json["skipped"], trained.json["train_images"] + trained.json["images"]) == (0, 24)
    judged = command("evaluate", run, photos, "--split", "all", "--exclude", listed, "--json")
    assert (judged.json["skipped"], judged.json["images"]) == (0, 24)
    assert command("evaluate", run, photos, "--split", "all", "--json").json["images"] == 25


def test_nothing_is_written_over(command: Command, photos: Path, tmp_path: Path) -> None:
    for option, name in (("--report", "page.html"), ("--write-exclusions", "list.csv")):
        (tmp_path / name).write_text("mine")
        done = command("check", photos, option, tmp_path / name)
        assert done.code == 2
        assert "is there already" in done.err
        assert (tmp_path / name).read_text() == "mine"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["gone"], "there is no data at 'gone'"),
        (["digits", "--report", "page.txt"], "page.txt cannot hold a page; give a name that ends in .html"),
    ],
)
def test_mistakes(command: Command, words: list[str], message: str) -> None:
    done = command("check", *words)
    assert done.code == 2
    assert message in done.err


def test_exact_leaves_near_copies_alone(command: Command, tmp_path: Path) -> None:
    from troubles import photo

    for split in ("train", "val"):
        for label in "ab":
            (tmp_path / split / label).mkdir(parents=True)
            for i in range(5):
                image = photo(900 + 10 * "ab".index(label) + i + (100 if split == "val" else 0))
                image.save(tmp_path / split / label / f"{i}.png")
    photo(900).save(tmp_path / "val" / "a" / "near.jpg", quality=50)
    kinds = [[each["kind"] for each in command("check", tmp_path, "--json", *more).json["problems"]]
             for more in ([], ["--exact"])]  # fmt: skip
    assert kinds == [["near-duplicate-across-splits"], []]
