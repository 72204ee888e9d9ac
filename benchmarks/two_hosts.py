"""Two hosts, each a network namespace of its own: torchrun meets over the line between them, loses a worker, goes on.

    sudo python benchmarks/two_hosts.py

Needs root on Linux, for `ip netns`. Both hosts train on the built-in digits, two processes each. In the middle a worker
of the second host is killed with SIGKILL; torchrun starts all four again, and they go on from the last checkpoint. A
run that nobody disturbs comes first, for comparison.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from lenext.training.folder.pulse import read_pulse

HOSTS = {"lenext-a": "10.77.0.1", "lenext-b": "10.77.0.2"}
EPOCHS = 60


def ip(*words: str) -> None:
    """Run the command `ip`."""
    subprocess.run(["ip", *words], check=True)


@contextlib.contextmanager
def line() -> Iterator[None]:
    """Make two namespaces with a line between them, and take them away at the end."""
    first, second = HOSTS
    for host in HOSTS:
        ip("netns", "add", host)
    try:
        ip("link", "add", "lenext0", "netns", first, "type", "veth", "peer", "name", "lenext0", "netns", second)
        for host, address in HOSTS.items():
            ip("-n", host, "addr", "add", f"{address}/24", "dev", "lenext0")
            for device in ("lo", "lenext0"):
                ip("-n", host, "link", "set", device, "up")
        yield
    finally:
        for host in HOSTS:
            ip("netns", "del", host)


def launch(host: str, out: Path, name: str) -> subprocess.Popen[str]:
    """Start torchrun on a host."""
    address = next(iter(HOSTS.values()))
    words = [
        sys.executable, "-m", "torch.distributed.run", "--nnodes=2", "--nproc-per-node=2", "--max-restarts=2",
        f"--rdzv-id={name}", "--rdzv-backend=c10d", f"--rdzv-endpoint={address}:29400",
        f"--rdzv-conf=is_host={int(HOSTS[host] == address)}", f"--local-addr={HOSTS[host]}",
        "-m", "lenext", "train", "digits", "--model", "lenet5", "--epochs", str(EPOCHS),
        "--threads", "1", "--checkpoint", "0.01", "--out", str(out), "--json",
    ]  # fmt: skip
    return subprocess.Popen(
        ["ip", "netns", "exec", host, *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env={**os.environ, "GLOO_SOCKET_IFNAME": "lenext0", "OMP_NUM_THREADS": "1"}, start_new_session=True,
    )  # fmt: skip


def workers(host: str) -> list[int]:
    """Return the processes of a host that train."""
    found = subprocess.run(["ip", "netns", "pids", host], capture_output=True, text=True, check=True).stdout.split()
    lines = {int(pid): Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0") for pid in found}
    return [pid for pid, words in lines.items() if b"train" in words and b"torch.distributed.run" not in words]


def trained(out: Path, name: str, *, kill: bool) -> None:
    """Train on both hosts, and say what became of it."""
    began = time.perf_counter()
    started = [launch(host, out, name) for host in HOSTS]
    if kill:
        while (pulse := read_pulse(out)) is None or pulse.epoch < EPOCHS // 4:
            if any(each.poll() is not None for each in started):
                raise SystemExit([each.communicate()[1] for each in started])
            time.sleep(0.02)
        victim = workers("lenext-b")[-1]
        os.kill(victim, signal.SIGKILL)
        print(f"killed process {victim} of lenext-b in epoch {pulse.epoch}, step {pulse.step}")
    said = [each.communicate(timeout=300) for each in started]
    codes = [each.returncode for each in started]
    if any(codes):
        raise SystemExit(f"{codes}\n" + "\n".join(err for _, err in said))
    result = json.loads((out / "run.json").read_text())
    for _, err in said:
        for told in err.splitlines():
            if told.startswith(("going on", "there is no checkpoint")):
                print(told)
    rows = [json.loads(row)["epoch"] for row in (out / "metrics.jsonl").read_text().splitlines()]
    figures = result["result"]
    print(
        f"{name}: {result['state']}, {result['hardware']['processes']} processes, {figures['epochs']} epochs, each in "
        f"the metrics {'once' if rows == list(range(1, EPOCHS + 1)) else rows}; {figures['steps_executed']} steps "
        f"executed of {result['steps']}; top-1 {figures['top1']:.2f} % on {figures['images']} images, loss "
        f"{figures['loss']:.6f}; {time.perf_counter() - began:.0f} s"
    )


def main() -> None:
    """Train undisturbed, and then with a kill."""
    with line(), tempfile.TemporaryDirectory() as folder:
        trained(Path(folder) / "undisturbed", "undisturbed", kill=False)
        trained(Path(folder) / "killed", "killed", kill=True)
        from safetensors.torch import load_file

        one, other = (load_file(Path(folder) / each / "model.safetensors") for each in ("undisturbed", "killed"))
        print("weights of both equal to the bit:", all(bool((one[key] == other[key]).all()) for key in one))


if __name__ == "__main__":
    main()
