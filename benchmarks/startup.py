"""How long `lenext --help`, `lenext train --help` and `import lenext` take, as whole processes.

python benchmarks/startup.py
"""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

from rounds import machine, spread

ROUNDS = 15


def seconds(command: list[str]) -> float:
    """Return how long the command takes from start to end."""
    began = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - began


def main() -> None:
    """Measure the commands in turn."""
    script = str(Path(sys.executable).with_name("lenext"))
    commands = {
        "empty Python": [sys.executable, "-c", "pass"],
        "import lenext": [sys.executable, "-c", "import lenext"],
        "lenext --help": [script, "--help"],
        "lenext train --help": [script, "train", "--help"],
    }
    times: dict[str, list[float]] = {name: [] for name in commands}
    for _ in range(ROUNDS + 1):
        for name, command in commands.items():
            times[name].append(seconds(command))
    for name, values in times.items():
        print(f"{name}: {spread(values[1:], 's', 3)}")
    print(machine())


if __name__ == "__main__":
    main()
