"""Whatever fits the description of the interface is answered, or refused, and never with a fault of the server."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from model_server import request


def test_no_request_makes_the_server_fail(port: int, tmp_path: Path) -> None:
    words = ["run", f"http://127.0.0.1:{port}/openapi.json", "--checks", "not_a_server_error", "--max-examples", "8"]
    words += ["--seed", "1", "--phases", "examples,coverage,fuzzing", "--no-color", "--request-timeout", "20"]
    done = subprocess.run(
        [sys.executable, "-m", "schemathesis.cli", *words], capture_output=True, text=True, cwd=tmp_path, check=False
    )
    assert done.returncode == 0, done.stdout[-3000:]
    tried = re.search(r"(\d+) generated", done.stdout)
    assert tried is not None, done.stdout[-3000:]
    assert int(tried[1]) > 60
    assert request(port, "/healthz").status == 200
