"""Bench: real processes, what they find, what is remembered of it, and that none of them stays behind."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
from conftest import Answer

import lenext
from lenext.deployment.benching.process import EngineError, EngineProcess
from lenext.deployment.exporting.export import file_metadata
from lenext.deployment.exporting.onnx_file import write_onnx
from lenext.engines.remembered import Place
from lenext.errors import UserError

ENGINES: list[Any] = ["pytorch", "onnxruntime", "ncnn"]
QUICK: dict[str, Any] = {"rounds": 2, "calls": 3, "threads": 1}
DIGITS = Path(__file__).parents[2] / "examples" / "digits"


@pytest.fixture(scope="module")
def benched(digits_run: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, lenext.Bench]:
    """A run with what was learned of it, which no test changes."""
    run = Path(shutil.copytree(digits_run, tmp_path_factory.mktemp("benched") / "run"))
    return run, lenext.bench(run, engines=ENGINES, batches=(3, 1), **QUICK)


@pytest.fixture
def run(benched: tuple[Path, lenext.Bench], tmp_path: Path) -> Path:
    """A copy of the run, with what was learned."""
    copy = Path(shutil.copytree(benched[0], tmp_path / "run"))
    place = Place.of(copy)
    assert place is not None
    assert place.recall() is not None
    return copy


def test_every_engine_has_a_row_for_each_batch(benched: tuple[Path, lenext.Bench]) -> None:
    run, found = benched
    assert [(row.engine, row.batch) for row in found.rows] == [(name, batch) for name in ENGINES for batch in (1, 3)]
    for row in found.rows:
        assert row.agrees, row
        assert row.largest_gap <= 1e-5, row
        assert row.agreement == 100
        assert 0 < row.p50_ms <= row.p95_ms
        assert row.images_per_second == pytest.approx(row.batch * 1000 / row.p50_ms)
        assert row.calls == 6
        assert row.load_seconds > row.p50_ms / 1000
        assert 10 << 20 < row.peak_bytes < 4 << 30
    by_engine = {row.engine: row for row in found.rows}
    assert by_engine["pytorch"].load_seconds > by_engine["onnxruntime"].load_seconds  # it has torch to import
    assert by_engine["pytorch"].largest_gap <= 1e-6  # of three at once to one
    one = [row for row in found.rows if row.batch == 1]
    assert found.fastest == min(one, key=lambda row: row.p50_ms).engine
    assert found.remembered == run / "engines"
    assert found.compared_with == "pytorch"


def test_the_command_tells_it_all(command: Callable[..., Answer], run: Path, tmp_path: Path) -> None:
    chart = tmp_path / "engines.svg"
    words = ("--engines", "ncnn,onnxruntime", "--batch", "1", "--rounds", "1", "--calls", "2", "--threads", "1")
    answer = command("bench", run, *words, "--json", "--chart", chart)
    assert answer.code == 0, answer.err
    value = answer.json
    assert value["schema"] == 1
    assert value["model"] == "lenet5"
    assert value["compared_with"] == "pytorch"
    assert [row["engine"] for row in value["rows"]] == ["onnxruntime", "ncnn"]
    contract = {"engine", "batch", "threads", "p50_ms", "p95_ms", "images_per_second", "load_seconds", "largest_gap"}
    assert all(contract <= row.keys() for row in value["rows"])
    assert value["fastest"] in ("onnxruntime", "ncnn")
    drawn = chart.read_text()
    assert "lenet5: milliseconds to an answer, 1 thread" in drawn
    assert drawn.count("images/s") == 2
    assert "exporting" not in answer.err  # what was exported before is used again
    kept = json.loads((run / "engines" / "bench.json").read_text())["rows"]
    assert len(kept) == 6  # those of pytorch and of three at once are still there


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--engines", "tensorrt"), "there is no engine 'tensorrt'; give all, or some of pytorch, compiled"),
        (("--batch", "1,two"), "--batch '1,two': give numbers with commas between them"),
        (("--batch", "0"), "batch 0 cannot be; give 1"),
        (("--rounds", "0"), "rounds 0 cannot be"),
        (("--chart", "a.txt"), "a.txt is no .png or .svg"),
    ],
)
def test_what_cannot_be_benched(command: Callable[..., Answer], run: Path, words: tuple[str, str], said: str) -> None:
    answer = command("bench", run, *words)
    assert answer.code == 2
    assert said in answer.err
    assert answer.err.count("\n") == 1


def test_no_target_is_told_in_a_line(command: Callable[..., Answer]) -> None:
    answer = command("bench", "nowhere")
    assert answer.code == 2
    assert "there is no 'nowhere'" in answer.err


def test_an_engine_that_is_not_installed_is_left_out_and_named(
    command: Callable[..., Answer], run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *rest: None if name == "ncnn" else found(name, *rest))
    words = ("--engines", "onnxruntime,ncnn", "--batch", "1", "--rounds", "1", "--calls", "1", "--threads", "1")
    answer = command("bench", run, *words, "--json")
    assert answer.code == 0, answer.err
    assert [row["engine"] for row in answer.json["rows"]] == ["onnxruntime"]
    reason = "not installed: pip install 'lenext[ncnn]'"
    assert answer.json["skipped"] == [{"engine": "ncnn", "reason": reason}]
    assert f"ncnn is left out: {reason}" in answer.err
    doctor = command("doctor", "--json").json["engines"]
    assert doctor["ncnn"] == {"version": None, "missing": reason}
    assert doctor["onnxruntime"]["missing"] is None
    assert doctor["onnxruntime"]["version"]


def test_an_engine_that_answers_otherwise_is_never_chosen(
    command: Callable[..., Answer], run: Path, other_run: Path
) -> None:
    place = Place.of(run)
    assert place is not None
    file, other = run / "engines" / "network.onnx", lenext.load(other_run, device="cpu")
    assert isinstance(other, lenext.Classifier)
    write_onnx(other, file_metadata(other, ""), file)  # the weights of another run
    place.remember(file.parent, (), files={file.name: file})
    found = lenext.bench(run, engines=["onnxruntime"], batches=(1,), **QUICK)
    assert [row.agrees for row in found.rows] == [False]
    assert found.rows[0].largest_gap > 1e-2
    assert found.fastest is None
    known = place.recall()
    assert known is not None
    assert lenext.load(run, engine="auto", threads=1, images=10_000).predict(DIGITS) == [
        {**entry} for entry in lenext.load(run, threads=1).predict(DIGITS)
    ]
    assert [row.engine for row in known.rows if not row.agrees] == ["onnxruntime"]


def test_what_a_bench_has_found_runs_without_torch(run: Path) -> None:
    script = f"""
import sys
from lenext.cli import main
try:
    main(["predict", {str(run)!r}, {str(DIGITS)!r}, "--threads", "1", "--json"])
except SystemExit as end:
    print(end.code, "torch" in sys.modules, file=sys.stderr)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stderr.split() == ["0", "False"]
    expected = lenext.load(run, threads=1).predict(DIGITS)
    for entry, right in zip(json.loads(done.stdout), expected, strict=True):
        assert entry["predictions"][0]["label"] == right["predictions"][0]["label"]
        assert entry["predictions"][0]["probability"] == pytest.approx(right["predictions"][0]["probability"], abs=1e-5)


def test_the_engine_can_be_named(command: Callable[..., Answer], run: Path, digits_run: Path) -> None:
    right = command("predict", run, DIGITS, "--engine", "pytorch", "--top", "1", "--json").json
    for engine in ("onnxruntime", "ncnn", "auto"):
        answer = command("predict", run, DIGITS, "--engine", engine, "--top", "1", "--json")
        assert answer.code == 0, answer.err
        assert [each["predictions"][0]["label"] for each in answer.json] == [
            each["predictions"][0]["label"] for each in right
        ]
    answer = command("predict", digits_run, DIGITS, "--engine", "ncnn")
    assert answer.code == 2
    assert f"none is made of {digits_run} as it is: run lenext bench {digits_run}" in answer.err


def test_files_of_weights_that_have_changed_are_made_anew(command: Callable[..., Answer], run: Path) -> None:
    os.utime(run / "model.safetensors")
    answer = command("predict", run, DIGITS, "--engine", "onnxruntime")
    assert answer.code == 2
    words = ("--engines", "onnxruntime", "--batch", "1", "--rounds", "1", "--calls", "1", "--threads", "1")
    answer = command("bench", run, *words)
    assert answer.code == 0, answer.err
    assert "exporting for onnxruntime" in answer.err
    assert "remembered in" in answer.err
    assert command("predict", run, DIGITS, "--engine", "onnxruntime").code == 0
    assert command("predict", run, DIGITS, "--engine", "ncnn").code == 2  # which still holds the old weights


def test_an_exported_file_is_benched_by_the_engines_that_run_it(
    command: Callable[..., Answer], run: Path, tmp_path: Path
) -> None:
    file = Path(shutil.copy(run / "engines" / "network.onnx", tmp_path / "a.onnx"))
    words = ("--engines", "onnxruntime,pytorch", "--rounds", "1", "--calls", "1", "--threads", "1", "--batch", "1")
    answer = command("bench", file, *words, "--json")
    assert answer.code == 0, answer.err
    assert [row["engine"] for row in answer.json["rows"]] == ["onnxruntime"]
    assert answer.json["compared_with"] == "onnxruntime"
    assert answer.json["skipped"] == [{"engine": "pytorch", "reason": "it does not run a.onnx"}]
    assert (tmp_path / "a.onnx.engines" / "bench.json").is_file()


def test_weights_by_name_are_remembered_in_the_cache(
    command: Callable[..., Answer], own_cache: Path, tmp_path: Path
) -> None:
    lenext.create("mlp", classes=3)
    import torch

    torch.save(lenext.create("lenet5", classes=3).state_dict(), tmp_path / "a.pth")
    words = ("lenet5", "--weights", tmp_path / "a.pth", "--threads", "1")
    answer = command("bench", *words, "--engines", "ncnn", "--batch", "1", "--rounds", "1", "--calls", "1")
    assert answer.code == 0, answer.err
    assert [path.parent.parent for path in own_cache.rglob("bench.json")] == [own_cache / "lenext" / "engines"]
    assert command("predict", *words, DIGITS, "--engine", "ncnn").code == 0
    assert not [path for path in tmp_path.iterdir() if path.name != "a.pth"]


def test_removing_a_run_takes_its_engines_along(command: Callable[..., Answer], run: Path) -> None:
    assert command("runs", "rm", run, "--yes").code == 0
    assert not run.exists()


def test_a_process_that_dies_is_told_of() -> None:
    with EngineProcess("ncnn", 1) as process:
        assert process.ask("memory")["bytes"] > 1 << 20
        os.kill(process.pid, signal.SIGKILL)
        with pytest.raises(EngineError, match="its process has ended by SIGKILL"):
            process.ask("memory")
    with EngineProcess("ncnn", 1) as process, pytest.raises(EngineError, match="there is no file"):
        process.ask("open", engine="ncnn", threads=1, file="nowhere.param")


@pytest.fixture
def benching(run: Path, tmp_path: Path) -> Iterator[Callable[[], tuple[subprocess.Popen[bytes], list[psutil.Process]]]]:
    """Return a function that starts a bench without end, and returns it and the processes of its engines, at work."""
    file = Path(shutil.copy(run / "engines" / "network.onnx", tmp_path / "endless.onnx"))
    started: list[subprocess.Popen[bytes]] = []

    def start() -> tuple[subprocess.Popen[bytes], list[psutil.Process]]:
        words = ["bench", str(file), "--engines", "onnxruntime", "--threads", "1", "--rounds", "1", "--calls", "10000"]
        words += ["--batch", "64"]
        parent = subprocess.Popen([sys.executable, "-m", "lenext", *words], stderr=subprocess.DEVNULL)
        started.append(parent)
        end = time.monotonic() + 60
        while time.monotonic() < end:
            children = psutil.Process(parent.pid).children(recursive=True)
            if any(child.cpu_times().user > 1 for child in children):  # more than loading takes
                return parent, children
            time.sleep(0.05)
        raise AssertionError("no engine is at work")

    yield start
    for parent in started:
        parent.kill()
        parent.wait()


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM])
def test_no_process_stays_behind(
    benching: Callable[[], tuple[subprocess.Popen[bytes], list[psutil.Process]]], number: signal.Signals
) -> None:
    parent, children = benching()
    parent.send_signal(number)
    assert parent.wait(20) == {signal.SIGKILL: -9, signal.SIGINT: 130, signal.SIGTERM: 143}[number]
    _, alive = psutil.wait_procs(children, timeout=20)
    assert not alive


def test_the_compiled_network_answers_as_it_is(digits_run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    classifier = lenext.load(digits_run, device="cpu")
    assert isinstance(classifier, lenext.Classifier)
    monkeypatch.setenv("TORCHINDUCTOR_COMPILE_THREADS", "1")
    pixels = np.random.default_rng(0).integers(0, 255, (2, 28, 28, 1), np.uint8)
    found = classifier.compiled().logits(pixels)
    np.testing.assert_allclose(found, classifier.logits(pixels), atol=1e-5)


def test_compiling_needs_a_compiler(
    command: Callable[..., Answer], digits_run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CXX", "no-such-compiler")
    answer = command("predict", digits_run, DIGITS, "--engine", "compiled")
    assert answer.code == 2
    assert "no C++ compiler found: install g++ or clang++, or give one as CXX" in answer.err
    with pytest.raises(UserError, match="compiled is left out: no C"):
        lenext.bench(digits_run, engines=["compiled"], **QUICK)
