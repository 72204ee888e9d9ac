"""Starts commands quickly, each in a process of its own: a process that has loaded lenext forks itself."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Started:
    """A command under way; its output goes to files."""

    pid: int
    launcher: Launcher
    out: Path
    err: Path

    def wait(self, seconds: float = 60) -> int:
        """Return the exit code, negative for a signal that killed it."""
        return self.launcher.wait(self.pid, seconds)

    def kill(self, number: signal.Signals = signal.SIGKILL) -> None:
        os.kill(self.pid, number)


class Launcher:
    """A process that waits for commands and forks one of itself for each."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.count, self.codes = folder, 0, dict[int, int]()
        self._process = subprocess.Popen(
            [sys.executable, __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
        )  # fmt: skip
        assert self._answer() == {"ready": True}

    def start(self, *words: object, cwd: Path | None = None, code: str = "", **environment: object) -> Started:
        """Start a command, or Python code, with some more variables in its environment; None takes one away."""
        self.count += 1
        out, err = (self.folder / f"{self.count}.{kind}" for kind in ("out", "err"))
        said = self._ask({
            "words": [str(word) for word in words], "out": str(out), "err": str(err), "cwd": str(cwd or self.folder),
            "environment": {key: None if value is None else str(value) for key, value in environment.items()},
            "code": code,
        })  # fmt: skip
        return Started(said["pid"], self, out, err)

    def together(self, count: int, *words: object, **environment: object) -> list[Started]:
        """Start a command as torchrun does, in so many processes that train together."""
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        return [
            self.start(
                *words, RANK=rank, LOCAL_RANK=rank, WORLD_SIZE=count, LOCAL_WORLD_SIZE=count,
                MASTER_ADDR="127.0.0.1", MASTER_PORT=port, **environment,
            )
            for rank in range(count)
        ]  # fmt: skip

    def wait(self, pid: int, seconds: float) -> int:
        end = time.monotonic() + seconds
        while pid not in self.codes:
            self.codes |= {int(key): value for key, value in self._ask({"ended": True}).items()}
            if time.monotonic() > end:
                os.kill(pid, signal.SIGKILL)
                raise TimeoutError(f"{pid} did not end in {seconds} s")
            time.sleep(0.005)
        return self.codes[pid]

    def close(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(30)
        assert self._process.stdout is not None
        self._process.stdout.close()

    def _ask(self, question: object) -> dict[str, int]:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(question) + "\n")
        self._process.stdin.flush()
        return self._answer()

    def _answer(self) -> dict[str, int]:
        assert self._process.stdout is not None
        return json.loads(self._process.stdout.readline())


def _serve(lines: Iterator[str]) -> None:
    import matplotlib.figure  # noqa: F401
    import sklearn.metrics  # noqa: F401
    import torch._dynamo  # noqa: F401

    from lenext.cli import main

    children: set[int] = set()
    print(json.dumps({"ready": True}), flush=True)
    for line in lines:
        asked = json.loads(line)
        if "ended" in asked:
            ended = {}
            for pid in list(children):
                found, status = os.waitpid(pid, os.WNOHANG)
                if found:
                    children.remove(pid)
                    ended[pid] = os.waitstatus_to_exitcode(status)
            print(json.dumps(ended), flush=True)
            continue
        pid = os.fork()
        if not pid:
            _become(asked["out"], asked["err"], asked["cwd"], asked["environment"])
            if asked["code"]:
                sys.argv[1:] = asked["words"]
                exec(asked["code"], {"__name__": "__main__"})
                sys.exit()
            main(asked["words"])
        children.add(pid)
        print(json.dumps({"pid": pid}), flush=True)
    for pid in children:
        os.kill(pid, signal.SIGKILL)


def _become(out: str, err: str, cwd: str, environment: dict[str, str | None]) -> None:
    os.setsid()
    for name, value in environment.items():
        os.environ.pop(name, None)
        if value is not None:
            os.environ[name] = value
    os.chdir(cwd)
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    for number, path in ((1, out), (2, err)):
        os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT, 0o644), number)


def words_of(files: Sequence[Path]) -> str:
    """Return what is in files, for a message."""
    return "\n".join(path.read_text() for path in files if path.exists())


if __name__ == "__main__":
    _serve(iter(sys.stdin.readline, ""))
