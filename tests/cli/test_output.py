from __future__ import annotations

import io
import sys

import pytest

from lenext.cli.output import TerminalProgress, plain_table, print_json


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_no_bar_where_there_is_no_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    assert list(TerminalProgress().track([1, 2, 3], "counting", 3, lambda _: 1)) == [1, 2, 3]
    printed = capsys.readouterr()
    assert (printed.out, printed.err) == ("", "")


def test_a_terminal_shows_speed_and_count(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setenv("TERM", "xterm")
    assert list(TerminalProgress().track(iter([2, 1]), "counting", 3, lambda n: n)) == [2, 1]
    assert "counting" in terminal.getvalue()
    assert "3/3" in terminal.getvalue()
    assert "images/s" in terminal.getvalue()


def test_json_carries_the_schema(capsys: pytest.CaptureFixture[str]) -> None:
    print_json({"a": 1})
    print_json([{"a": 1}])
    assert capsys.readouterr().out == '{\n  "schema": 1,\n  "a": 1\n}\n[\n  {\n    "schema": 1,\n    "a": 1\n  }\n]\n'


def test_tables_set_numbers_flush_right() -> None:
    table = plain_table("name", "count", right=("count",))
    assert [column.justify for column in table.columns] == ["left", "right"]
