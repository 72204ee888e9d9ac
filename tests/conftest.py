"""What several tests share: one trained run, and the command line."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import settings
from launcher import Launcher
from torch.utils.data._utils import signal_handling

import lenext
from lenext import device
from lenext.cli import main
from lenext.deployment.exporting.export import ExportFormat
from lenext.training.run import TrainResult

# A busy machine is no failure, and a check of a change draws the same examples each time.
settings.register_profile("lenext", deadline=None, derandomize=bool(os.environ.get("CI")))
settings.load_profile("lenext")

# No handler of torch's for children that end, as there is none in a run: what NNCF loads leaves the main thread an
# alternate stack that is no longer there, on which a handler would be called.
signal_handling._SIGCHLD_handler_set = True

if "PYTEST_XDIST_WORKER" in os.environ:  # one of several workers, which share the cores; so do the processes it starts
    os.environ["OMP_NUM_THREADS"] = "1"
    torch.set_num_threads(1)


@dataclass(frozen=True)
class Answer:
    """What a command gave: exit code, standard output, standard error."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """The value that the command printed."""
        return json.loads(self.out)


@pytest.fixture(scope="session")
def digits_result(tmp_path_factory: pytest.TempPathFactory) -> TrainResult:
    """LeNet-5, trained on the built-in digits for two epochs: quick, and good enough to tell them apart."""
    out = tmp_path_factory.mktemp("runs") / "digits"
    return lenext.train("digits", "lenet5", epochs=2, out=out, seed=1)


@pytest.fixture(scope="session")
def digits_run(digits_result: TrainResult) -> Path:
    """The run folder of `digits_result`; no test writes to it."""
    return Path(digits_result.run)


@pytest.fixture(scope="session")
def digits_files(digits_run: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The trained run as exported files, by the name of their format; no test writes to them."""
    folder, check = tmp_path_factory.mktemp("exported"), Path(__file__).parents[1] / "examples" / "digits"
    endings: dict[ExportFormat, str] = {"onnx": "onnx", "openvino": "xml", "ncnn": "param"}
    files = dict[str, Path]()
    for format, ending in endings.items():
        (folder / format).mkdir()
        with warnings.catch_warnings(action="ignore"):  # of tracing, which pnnx needs
            files[format] = lenext.export(digits_run, format, folder / format / f"digits.{ending}", check=check).out
    return files


@pytest.fixture(scope="session")
def digits_file(digits_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The trained run as an ONNX file."""
    return lenext.export(digits_run, "onnx", tmp_path_factory.mktemp("served") / "digits.onnx").out


@pytest.fixture(scope="session")
def kept_wrong(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that the server of `port` keeps wrong answers in."""
    return tmp_path_factory.mktemp("kept") / "wrong"


@pytest.fixture(scope="session")
def port(digits_file: Path, kept_wrong: Path) -> Iterator[int]:
    """The port of a server of the digits, in this process."""
    from model_server import served

    with served({"digits": lenext.load(digits_file)}, wrong=kept_wrong) as found:
        yield found


@pytest.fixture(scope="session")
def other_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The digits again, one epoch and another seed: worse than `digits_run`, judged on the same images."""
    return Path(lenext.train("digits", "lenet5", epochs=1, seed=2, out=tmp_path_factory.mktemp("runs") / "other").run)


@pytest.fixture
def copied_run(digits_run: Path, tmp_path: Path) -> Callable[..., Path]:
    """Return a function that copies the trained run to a name below `tmp_path`, its record changed."""

    def run(name: str = "run", **changes: Any) -> Path:
        path = Path(shutil.copytree(digits_run, tmp_path / name))
        record = json.loads((path / "run.json").read_text())
        (path / "run.json").write_text(json.dumps({**record, **changes}))
        return path

    return run


@pytest.fixture(autouse=True)
def threads_as_before() -> Iterator[None]:
    """Take back what a test says of threads, by `--threads` too, which holds for the process."""
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def one_thread() -> Iterator[None]:
    """Small networks are slow on the threads of a busy machine, which wait for each other."""
    with device.one_thread():
        yield


@pytest.fixture
def own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Let the user's cache be a new folder, and return it."""
    folder = tmp_path_factory.mktemp("cache")
    monkeypatch.setenv("XDG_CACHE_HOME", str(folder))
    return folder


@pytest.fixture
def command(capsys: pytest.CaptureFixture[str]) -> Callable[..., Answer]:
    """Return a function that runs a command in this process, through the real entry point."""

    def run(*words: str | Path) -> Answer:
        capsys.readouterr()
        with pytest.raises(SystemExit) as end:
            main([str(word) for word in words])
        printed = capsys.readouterr()
        assert isinstance(end.value.code, int)
        return Answer(end.value.code, printed.out, printed.err)

    return run


@pytest.fixture
def process() -> Callable[..., Answer]:
    """Return a function that runs a command in a process of its own."""

    def run(*words: str | Path, **options: Any) -> Answer:
        done = subprocess.run(
            [sys.executable, "-m", "lenext", *map(str, words)], capture_output=True, text=True, timeout=300, **options
        )
        return Answer(done.returncode, done.stdout, done.stderr)

    return run


@pytest.fixture(scope="session")
def launcher(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Launcher]:
    """Return what starts commands in processes of their own, quickly."""
    started = Launcher(tmp_path_factory.mktemp("launched"))
    yield started
    started.close()
