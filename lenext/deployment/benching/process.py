"""The process of one engine, seen from its parent."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, Self

import lenext
from lenext.engines.engine import EngineName
from lenext.errors import LenextError

WORKER = "lenext.deployment.benching.worker"
# What keeps threads from spinning between two calls, where they would take the cores from the next engine.
QUIET = {"OMP_WAIT_POLICY": "PASSIVE", "KMP_BLOCKTIME": "0", "TORCHINDUCTOR_COMPILE_THREADS": "1"}
PATIENCE = 5.0  # seconds that a process has to end by itself


class EngineError(LenextError):
    """What an engine could not do; the message is the reason."""


class EngineProcess:
    """A process that runs one engine. It ends with the `with` block, and with this process in any case."""

    def __init__(self, engine: EngineName, threads: int) -> None:
        self.engine, self.threads = engine, threads
        path = [str(Path(lenext.__file__).parents[1]), os.environ.get("PYTHONPATH", "")]
        self._said = tempfile.TemporaryFile()  # noqa: SIM115
        self._process = subprocess.Popen(
            [sys.executable, "-m", WORKER],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._said, encoding="utf-8",
            env={
                **os.environ, **QUIET, "OMP_NUM_THREADS": str(threads),
                "PYTHONPATH": os.pathsep.join(filter(None, path)), "PYTHONSAFEPATH": "1",
            },
            start_new_session=True,
        )  # fmt: skip

    @property
    def pid(self) -> int:
        """The process's number."""
        return self._process.pid

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def ask(self, do: str, **what: Any) -> dict[str, Any]:
        """Return what the process answers.

        Raises:
            EngineError: it cannot do that, or has ended.
        """
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        line = ""
        with contextlib.suppress(OSError):  # it has ended
            self._process.stdin.write(json.dumps({"do": do, **what}) + "\n")
            self._process.stdin.flush()
            line = self._process.stdout.readline()
        if not line.endswith("\n"):
            raise EngineError(f"its process has ended{self._last_words()}")
        answer: dict[str, Any] = json.loads(line)
        if "error" in answer:
            raise EngineError(answer["error"])
        return answer

    def close(self) -> None:
        """End the process, and those that it has started."""
        if self._process.stdin is not None:
            with contextlib.suppress(OSError):
                self._process.stdin.close()
        try:
            self._process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            if hasattr(os, "killpg"):
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(self._process.pid, signal.SIGKILL)
            self._process.kill()
            self._process.wait()
        finally:
            if self._process.stdout is not None:
                self._process.stdout.close()
            self._said.close()

    def _last_words(self) -> str:
        """Return how it ended, and the last line of what it said."""
        try:
            code = self._process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            return ""
        self._said.seek(0)
        lines = self._said.read().decode(errors="replace").split("\n")
        last = next((line.strip() for line in reversed(lines) if line.strip()), "")
        how = f" by {signal.Signals(-code).name}" if code < 0 else f" with {code}"
        return f"{how}: {last}" if last else how
