from __future__ import annotations

import errno
from pathlib import Path

import pytest

from lenext.errors import LenextError, UserError
from lenext.files import create_text, parse_stamped, stamped, to_json, write_atomically, write_text


def test_what_was_there_stays_when_a_write_fails(tmp_path: Path) -> None:
    path = tmp_path / "run.json"
    path.write_text("before")

    def fill_half(beside: Path) -> None:
        beside.write_text("hal")
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(LenextError, match=r"cannot write .*run\.json: No space left on device") as caught:
        write_atomically(path, fill_half)
    assert caught.value.exit_code == 1
    assert path.read_text() == "before"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_a_failure_at_any_step_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    path = tmp_path / "a.txt"
    path.write_text("before")

    def fail(*_arguments: object) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr("os.fsync" if step == "fsync" else "pathlib.Path.replace", fail)
    with pytest.raises(LenextError, match="Input/output error"):
        write_text(path, "after")
    monkeypatch.undo()
    assert path.read_text() == "before"
    assert list(tmp_path.iterdir()) == [path]


def test_an_interrupt_passes_and_leaves_nothing_behind(tmp_path: Path) -> None:
    def interrupt(beside: Path) -> None:
        beside.write_text("hal")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_atomically(tmp_path / "a.txt", interrupt)
    assert not list(tmp_path.iterdir())


def test_a_full_device_is_an_error_of_one_line() -> None:
    with pytest.raises(LenextError, match="cannot write"):
        write_atomically(Path("/dev/full/x"), lambda beside: beside.write_text("x"))


def test_stamped_json_is_read_back(tmp_path: Path) -> None:
    value = stamped({"name": "größe"})
    assert parse_stamped(to_json(value), "here") == value
    write_text(tmp_path / "a.json", to_json(value))
    assert "größe" in (tmp_path / "a.json").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "here is damaged"),
        ("[]", "carries no format number"),
        ("{}", "carries no format number"),
        ('{"format": 7, "lenext_version": "3.1"}', r"here has format 7, written by lenext 3\.1; this is lenext"),
        ('{"format": "1"}', "has format '1', written by lenext an unknown version"),
    ],
)
def test_json_that_cannot_be_used_says_why(text: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        parse_stamped(text, "here")


def test_json_is_always_valid() -> None:
    assert to_json("\udcff") == '"\\udcff"'
    with pytest.raises(ValueError, match="not JSON compliant"):
        to_json(float("nan"))


@pytest.mark.parametrize("links", [True, False])
def test_a_new_file_is_there_whole_or_not_at_all(links: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if not links:

        def refuse(*_: object) -> None:
            raise OSError(errno.EPERM, "Operation not permitted")

        monkeypatch.setattr(Path, "hardlink_to", refuse)
    create_text(tmp_path / "a.json", "caf\u00e9\udce9")
    assert (tmp_path / "a.json").read_bytes() == "caf\u00e9\\udce9".encode()
    with pytest.raises(FileExistsError):
        create_text(tmp_path / "a.json", "other")
    assert (tmp_path / "a.json").read_bytes() == "caf\u00e9\\udce9".encode()
    assert [path.name for path in tmp_path.iterdir()] == ["a.json"]
