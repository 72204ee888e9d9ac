"""Processes that decode: what they say of trouble, and that none is left behind."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import psutil
import pytest
import torch
from pictures import png, stripes

from lenext.data import workers as workers_module
from lenext.data.augmentation.augment import Augmenter
from lenext.data.augmentation.augmentation import NOTHING, Augmentation
from lenext.data.decode import ImageForm
from lenext.data.opening import open_source
from lenext.data.preprocessing import Preprocessing
from lenext.data.reading import read_split
from lenext.data.source import Split
from lenext.data.training_loader import TrainingLoader
from lenext.data.workers import DecodingWorkers
from lenext.errors import LenextError, UserError

if TYPE_CHECKING:
    from lenext.data.source import Item

FORM = ImageForm(size=(8, 8), channels=3)
PARTS = [np.array([2 * i, 2 * i + 1]) for i in range(12)]
KILLED = "a process that decodes images was killed, perhaps for memory; give fewer --workers, or --loading cache"


def augmenter(plan: Augmentation = NOTHING) -> Augmenter:
    return Augmenter(plan, fill=(0.0, 0.0, 0.0))


def split_of(items: list[Item]) -> Split:
    return Split(items, np.zeros(len(items), np.int64), [f"picture {i}" for i in range(len(items))])


def pictures(count: int = 24) -> list[Item]:
    return [png(stripes(i, upright=bool(i % 2), side=12)) for i in range(count)]


Decoding = Callable[..., DecodingWorkers]


@pytest.fixture
def decoding() -> Iterator[Decoding]:
    """Return a function that makes `DecodingWorkers`, whose processes end with the test, whatever it keeps."""
    made: list[DecodingWorkers] = []

    def make(items: list[Item], workers: int, plan: Augmentation = NOTHING) -> DecodingWorkers:
        made.append(DecodingWorkers(split_of(items), FORM, augmenter(plan), workers=workers))
        return made[-1]

    yield make
    for one in made:
        end(one)


def end(made: DecodingWorkers) -> None:
    iterator = made._loader._iterator
    if iterator is not None:
        iterator._shutdown_workers()  # type: ignore[attr-defined]


def told(made: DecodingWorkers) -> str:
    with pytest.raises(LenextError) as caught:
        list(made.views(0, 1, PARTS))
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.fixture
def started() -> Callable[[], list[psutil.Process]]:
    """Return a function that lists the processes which this test has started."""
    before = set(psutil.Process().children())
    return lambda: [one for one in psutil.Process().children() if one not in before]


@pytest.mark.parametrize("workers", [0, 1, 2])
def test_parts_come_with_their_views_in_order(workers: int, decoding: Decoding) -> None:
    made = decoding(pictures(), workers, Augmentation(crop="translate"))
    [(_, whole)] = decoding(pictures(), 0, Augmentation(crop="translate")).views(0, 1, [np.arange(24)])
    for _ in range(2):
        pairs = list(made.views(0, 1, PARTS))
        assert [indices.tolist() for indices, _ in pairs] == [part.tolist() for part in PARTS]
        for indices, views in pairs:
            assert torch.equal(views, whole[torch.from_numpy(indices)])


@pytest.mark.parametrize("workers", [0, 2])
def test_an_epoch_that_is_left_does_not_reach_into_the_next(workers: int, decoding: Decoding) -> None:
    made = decoding(pictures(), workers)
    expected = list(decoding(pictures(), 0).views(0, 2, PARTS[::-1]))
    left = made.views(0, 1, PARTS)
    next(left)
    del left
    for (indices, views), (part, theirs) in zip(made.views(0, 2, PARTS[::-1]), expected, strict=True):
        assert indices.tolist() == part.tolist()
        assert torch.equal(views, theirs)


@pytest.mark.parametrize("workers", [0, 1])
def test_an_image_that_can_no_longer_be_read_is_told(workers: int, tmp_path: Path, decoding: Decoding) -> None:
    items = pictures()
    items[5] = tmp_path / "gone.png"
    assert told(decoding(items, workers)) == "picture 5 can no longer be read: there is no such file"


class Changing(list):  # type: ignore[type-arg]
    """Images of a source that refuses one of them."""

    def __getitem__(self, index):  # type: ignore[no-untyped-def]
        if index == 7:
            raise UserError("train-00.tar has changed since it was opened; start again")
        return super().__getitem__(index)


@pytest.mark.parametrize("workers", [0, 1])
def test_what_a_source_says_reaches_the_user_in_one_line(workers: int, decoding: Decoding) -> None:
    assert told(decoding(Changing(pictures()), workers)) == "train-00.tar has changed since it was opened; start again"


def test_a_mistake_of_ours_is_not_taken_for_a_process_that_was_killed(
    monkeypatch: pytest.MonkeyPatch, decoding: Decoding
) -> None:
    def decode(*_: object) -> None:
        raise RuntimeError("ours")

    monkeypatch.setattr(workers_module, "decode", decode)
    with pytest.raises(RuntimeError, match="ours"):
        list(decoding(pictures(), 1).views(0, 1, PARTS))


@pytest.fixture
def unwatched() -> Iterator[None]:
    """Let no handler of torch's raise in the main thread, as none does in a run."""
    before = signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGCHLD, before)


@pytest.mark.usefixtures("unwatched")
def test_a_killed_process_is_told_in_one_line(started: Callable[[], list[psutil.Process]]) -> None:
    reading = read_split(split_of(pictures()), FORM, what="", loading="workers", workers=1)
    preprocessing = Preprocessing(FORM, (0.5,) * 3, (0.5,) * 3)
    loader = TrainingLoader(reading, preprocessing, batch_size=2, device=torch.device("cpu"), workers=1)
    batches = loader.shuffled(seed=0, epoch=1)
    next(batches)
    [process] = started()
    process.kill()
    with pytest.raises(LenextError) as caught:
        list(batches)
    assert str(caught.value) == KILLED
    assert loader._decoding is not None
    end(loader._decoding)


def test_ctrl_c_is_left_to_the_one_who_asks(decoding: Decoding, started: Callable[[], list[psutil.Process]]) -> None:
    """A process that ended by itself would be waited for."""
    views = decoding(pictures(), 1).views(0, 1, PARTS)
    next(views)
    [process] = started()
    process.send_signal(signal.SIGINT)
    assert len(list(views)) == len(PARTS) - 1


def test_processes_end_with_what_started_them(started: Callable[[], list[psutil.Process]]) -> None:
    made = DecodingWorkers(split_of(pictures()), FORM, augmenter(), workers=2)
    next(made.views(0, 1, PARTS))
    assert len(started()) == 2
    del made
    assert not started()


def test_random_numbers_of_the_model_are_left_alone(decoding: Decoding) -> None:
    torch.manual_seed(5)
    before = torch.get_rng_state()
    list(decoding(pictures(), 1).views(0, 1, PARTS))
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("error", [ConnectionResetError(104, "reset"), EOFError(), FileNotFoundError(2, "no socket")])
def test_a_line_that_is_cut_tells_of_a_kill_too(
    error: Exception, monkeypatch: pytest.MonkeyPatch, decoding: Decoding
) -> None:
    """Torch reads what a process left behind before it looks whether that still runs."""
    made = decoding(pictures(), 0)
    monkeypatch.setattr(workers_module.DataLoader, "__iter__", lambda _: raising(error))
    assert told(made) == KILLED


def raising(error: Exception) -> Iterator[None]:
    raise error
    yield


SCRIPT = """
import signal, sys
import numpy as np, torch
sys.path.insert(0, sys.argv[1])
from pictures import png, stripes
from lenext.cli.main import _terminate, _tell
from lenext.data.decode import ImageForm
from lenext.data.preprocessing import Preprocessing
from lenext.data.reading import read_split
from lenext.data.source import Split
from lenext.data.training_loader import TrainingLoader

signal.signal(signal.SIGTERM, _terminate)
items = [png(stripes(i, upright=True, side=12)) for i in range(24)]
split, form = Split(items, np.zeros(24, np.int64), list(map(str, range(24)))), ImageForm(size=(8, 8), channels=3)
reading = read_split(split, form, what="", loading="workers", workers=1)
loader = TrainingLoader(
    reading, Preprocessing(form, (0.5,) * 3, (0.5,) * 3), batch_size=2, device=torch.device("cpu"), workers=2
)
try:
    epoch = 0
    while True:
        for batch in loader.shuffled(seed=0, epoch=epoch):
            if not epoch:
                print("running", flush=True)
                epoch = 1
except BaseException as error:
    code = _tell(error)
sys.exit(code)
"""


@pytest.mark.parametrize(("whom", "number", "code"), [("all", signal.SIGINT, 130), ("one", signal.SIGTERM, 143)])
def test_an_interrupt_leaves_no_process(whom: str, number: signal.Signals, code: int) -> None:
    """Ctrl-C reaches all processes of a terminal, SIGTERM one."""
    run = subprocess.Popen(
        [sys.executable, "-c", SCRIPT, str(Path(__file__).parents[1])],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip
    try:
        assert run.stdout is not None
        assert run.stdout.readline() == "running\n"
        started = psutil.Process(run.pid).children()
        assert len(started) == 2
        (os.killpg if whom == "all" else os.kill)(run.pid, number)
        printed = run.communicate(timeout=30)[1]
    finally:
        run.kill()
    assert run.returncode == code
    assert printed == f"lenext: {'interrupted' if code == 130 else 'terminated'}\n"
    _, alive = psutil.wait_procs(started, timeout=2)
    assert not [one for one in alive if one.status() != psutil.STATUS_ZOMBIE]


def test_local_shards_are_read_where_they_are_decoded(tmp_path: Path, decoding: Decoding) -> None:
    with tarfile.open(tmp_path / "train-00.tar", "w") as made:
        for i, data in enumerate(pictures()):
            for name, content in ((f"{i:03}.png", data), (f"{i:03}.cls", b"%d" % (i % 2))):
                member = tarfile.TarInfo(name)
                assert isinstance(content, bytes)
                member.size = len(content)
                made.addfile(member, io.BytesIO(content))
    split = open_source(f"shards:{tmp_path}/train-00.tar").splits["train"]
    made_of_shards = DecodingWorkers(split, FORM, augmenter(), workers=1)
    assert not made_of_shards.streams
    pairs = zip(made_of_shards.views(0, 1, PARTS), decoding(pictures(), 0).views(0, 1, PARTS), strict=True)
    for (_, ours), (_, theirs) in pairs:
        assert torch.equal(ours, theirs)
    (tmp_path / "train-00.tar").write_bytes(b"another")
    assert told(made_of_shards).endswith("train-00.tar has changed since it was opened; start again")
    end(made_of_shards)
