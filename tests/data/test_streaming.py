"""Shards behind https: an epoch is one stream that this process reads and others decode; so is all else in order."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import huggingface_hub
import numpy as np
import pytest
import torch
from pictures import encoded, stripes
from PIL import Image
from shard_server import OPENSSL, ShardServer

from lenext.data import shard_streams
from lenext.data import workers as workers_module
from lenext.data.augmentation.augmentation import NOTHING, Augmentation
from lenext.data.colours import colour_covariance
from lenext.data.decode import ImageForm
from lenext.data.images import ImagesOnDisk
from lenext.data.loader import Batch, Loader
from lenext.data.opening import open_source
from lenext.data.preprocessing import Preprocessing
from lenext.data.reading import read_split
from lenext.data.sampling import Sampling
from lenext.data.source import Split
from lenext.data.training_data import kept_form, read_training_data
from lenext.data.training_loader import TrainingLoader
from lenext.data.workers import DecodingWorkers
from lenext.errors import LenextError, UserError

CPU = torch.device("cpu")
FORM = ImageForm(size=(16, 16), channels=3)
LEVELS = Preprocessing(FORM, (0.0,) * 3, (1 / 255,) * 3)
SHARDS, EACH = 3, 8
PLAN = Augmentation(crop="inception", mirror=True, jitter=0.4)


@pytest.fixture(scope="module")
def shards(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Shards of stripes of two classes, one image among them unreadable."""
    root = tmp_path_factory.mktemp("shards")
    for shard in range(SHARDS):
        with tarfile.open(root / f"train-{shard}.tar", "w") as made:
            for k in range(EACH):
                image = Image.fromarray(stripes(10 * shard + k, upright=bool(k % 2)))
                data = b"words" if (shard, k) == (1, 3) else encoded(image, "JPEG")
                for name, content in ((f"{shard}{k}.jpg", data), (f"{shard}{k}.cls", b"%d" % (k % 2))):
                    member = tarfile.TarInfo(name)
                    member.size = len(content)
                    made.addfile(member, io.BytesIO(content))
    return root


@pytest.fixture(autouse=True)
def ended(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let processes end with the test, though pytest keeps what an error was raised among."""
    made: list[DecodingWorkers] = []
    begin = DecodingWorkers.__init__
    monkeypatch.setattr(DecodingWorkers, "__init__", lambda one, *a, **o: (made.append(one), begin(one, *a, **o))[1])
    yield
    for iterator in (one._loader._iterator for one in made):
        if iterator is not None:
            iterator._shutdown_workers()  # type: ignore[attr-defined]


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("certificates")


@pytest.fixture
def server(shards: Path, certificates: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ShardServer]:
    """A server that is trusted, on a line that is taken up again at once."""
    if OPENSSL is None:
        pytest.skip("openssl makes the certificate")
    monkeypatch.setattr(shard_streams, "PAUSE", 0.001)
    for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy", "HF_HUB_OFFLINE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("NO_PROXY", "*")
    monkeypatch.setenv("LENEXT_CACHE", str(tmp_path))
    with ShardServer(shards, certificates) as server:
        monkeypatch.setenv("SSL_CERT_FILE", str(server.certificate))
        huggingface_hub.close_session()
        yield server
        huggingface_hub.close_session()


def remote(server: ShardServer) -> Split:
    return open_source(f"shards:{server.url}/train-{{0..2}}.tar").splits["train"]


def local(server: ShardServer) -> Split:
    return open_source(f"shards:{server.root}/train-{{0..2}}.tar").splits["train"]


def loader_of(split: Split, plan: Augmentation = PLAN, loading: Any = "workers", **options: Any) -> TrainingLoader:
    """Return a loader whose labels say which image each is."""
    numbered = Split(split.items, np.arange(len(split)), split.names)
    reading = read_split(numbered, kept_form(plan, FORM), what="", loading=loading, workers=2)
    options = {"batch_size": 5, "workers": 0, **options}
    return TrainingLoader(reading, LEVELS, device=CPU, augmentation=plan, **options)


def epoch_of(loader: TrainingLoader, epoch: int = 1) -> list[Batch]:
    return list(loader.shuffled(seed=3, epoch=epoch))


def order_of(batches: list[Batch]) -> list[int]:
    return torch.cat([batch.labels for batch in batches]).tolist()


def by_image(batches: list[Batch]) -> torch.Tensor:
    order = torch.cat([batch.labels for batch in batches]).argsort()
    return torch.cat([batch.images for batch in batches])[order]


READABLE = [i for i in range(SHARDS * EACH) if i != EACH + 3]


@pytest.mark.parametrize("workers", [0, 2])
def test_an_epoch_is_one_request_a_shard_and_the_images_are_those_of_local_shards(
    server: ShardServer, workers: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workers_module, "BUFFER", 4)
    loader = loader_of(remote(server), workers=workers)
    assert loader.way == "workers"
    for epoch in (1, 2):
        server.requests.clear()
        found = epoch_of(loader, epoch)
        assert len(server.requests) == SHARDS
        assert sorted(order_of(found)) == READABLE
        assert [len(batch) for batch in found] == [5, 5, 5, 4, 4]
        expected = epoch_of(loader_of(local(server)), epoch)
        assert order_of(found) != order_of(expected)
        assert torch.equal(by_image(found), by_image(expected))


def test_workers_and_batches_change_nothing_and_epochs_do(server: ShardServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers_module, "BUFFER", 4)
    split = remote(server)
    alone = epoch_of(loader_of(split))
    for workers in (1, 2):
        for ours, theirs in zip(epoch_of(loader_of(split, workers=workers)), alone, strict=True):
            assert torch.equal(ours.labels, theirs.labels)
            assert torch.equal(ours.images, theirs.images)
    for batch_size in (1, 4, 100):
        found = epoch_of(loader_of(split, batch_size=batch_size))
        assert order_of(found) == order_of(alone)
        assert torch.equal(by_image(found), by_image(alone))
    loader = loader_of(split)
    orders = [order_of(epoch_of(loader, epoch)) for epoch in range(4)]
    assert len(set(map(tuple, orders))) == 4


@pytest.mark.parametrize("workers", [0, 1])
def test_an_epoch_that_is_left_closes_its_stream(
    server: ShardServer, workers: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workers_module, "BUFFER", 2)
    closed: list[str] = []
    close = shard_streams._RemoteStream.close
    monkeypatch.setattr(
        shard_streams._RemoteStream, "close", lambda one: (closed.append(one._shard.name), close(one))[1]
    )
    loader = loader_of(remote(server), batch_size=2, workers=workers)
    whole = epoch_of(loader, 2)
    opened = len(server.requests)
    closed.clear()
    left = loader.shuffled(seed=3, epoch=1)
    next(left)
    del left
    assert len(set(closed)) >= len(server.requests) - opened
    again = epoch_of(loader, 2)
    assert order_of(again) == order_of(whole)
    assert torch.equal(by_image(again), by_image(whole))


def test_views_of_chosen_images_come_too(server: ShardServer) -> None:
    loader = loader_of(remote(server))
    whole = by_image(epoch_of(loader))
    parts = [np.array([20, 3]), np.array([4, 4, 7])]
    for part, (pixels, _) in zip(parts, loader.views(parts, seed=3, epoch=1), strict=True):
        assert torch.equal(pixels.permute(0, 3, 1, 2).float(), whole[part].round())


def test_a_balanced_order_is_refused(server: ShardServer) -> None:
    split = remote(server)
    with pytest.raises(UserError) as caught:
        loader_of(split, sampling="balanced")
    assert str(caught.value) == (
        "balanced sampling takes the images in an order of its own, and those behind https come in theirs; give "
        "sampling shuffled, or --loading cache"
    )
    sampling: Sampling = "balanced"
    for loading in ("memory", "cache"):
        epoch_of(loader_of(split, loading=loading, sampling=sampling))
    epoch_of(loader_of(local(server), sampling=sampling))


@pytest.mark.parametrize("workers", [0, 1])
def test_a_line_that_breaks_for_good_is_told_in_one_line(server: ShardServer, workers: int) -> None:
    loader = loader_of(remote(server), workers=workers)
    server.status = 404
    with pytest.raises(LenextError) as caught:
        epoch_of(loader)
    assert "the server answers 404" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_an_image_that_can_no_longer_be_decoded_is_told_by_its_name(server: ShardServer) -> None:
    split = remote(server)
    reading = read_split(split.take(np.array(READABLE)), FORM, what="", loading="workers", workers=1)
    broken = split.take(np.array([*READABLE[:5], EACH + 3]))
    images = ImagesOnDisk(broken, FORM, 1)
    loader = TrainingLoader(
        type(reading)(images, broken, reading.digests, reading.sums, reading.areas, []),
        LEVELS, batch_size=2, device=CPU, workers=1,
    )  # fmt: skip
    with pytest.raises(LenextError) as caught:
        epoch_of(loader)
    assert str(caught.value) == f"{server.url}/train-1.tar/13.jpg can no longer be read: not an image"


def test_images_in_order_are_one_stream(server: ShardServer) -> None:
    """Those to judge by, and those whose colours are looked at."""
    reading = read_split(remote(server), FORM, what="", loading="workers", workers=2)
    expected = read_split(local(server), FORM, what="", loading="memory", workers=2)
    assert [name.rpartition("/")[2] for name, _ in reading.skipped] == ["13.jpg"]
    server.requests.clear()
    found = list(Loader(reading, LEVELS, batch_size=5, device=CPU).in_order())
    assert len(server.requests) == SHARDS
    wanted = list(Loader(expected, LEVELS, batch_size=5, device=CPU).in_order())
    for ours, theirs in zip(found, wanted, strict=True):
        assert torch.equal(ours.images, theirs.images)
        assert torch.equal(ours.labels, theirs.labels)
    server.requests.clear()
    np.testing.assert_allclose(colour_covariance(reading), colour_covariance(expected), atol=1e-12)
    assert len(server.requests) == SHARDS


def test_looking_for_the_cache_is_one_stream(server: ShardServer) -> None:
    split = remote(server)
    server.requests.clear()
    first = read_split(split, FORM, what="", loading="cache", workers=2)
    assert len(server.requests) == 2 * SHARDS  # for their digests, and their pixels
    server.requests.clear()
    second = read_split(split, FORM, what="", loading="cache", workers=2)
    assert len(server.requests) == SHARDS
    expected = read_split(local(server), FORM, what="", loading="memory", workers=2)
    for reading in (first, second):
        np.testing.assert_array_equal(reading.digests, expected.digests)
        np.testing.assert_array_equal(reading.images.batch(np.arange(23)), expected.images.batch(np.arange(23)))


def test_a_part_that_is_held_out_is_read_as_a_stream(server: ShardServer) -> None:
    source = open_source(f"shards:{server.url}/train-{{0..2}}.tar")
    data = read_training_data(source, FORM, augmentation=NOTHING, loading="workers")
    assert len(data.train.images) + len(data.held_out.images) == 23
    loader = TrainingLoader(data.train, LEVELS, batch_size=4, device=CPU, workers=0)
    server.requests.clear()
    shown = torch.cat([batch.labels for batch in epoch_of(loader)])
    assert len(server.requests) == SHARDS
    np.testing.assert_array_equal(np.bincount(shown), np.bincount(data.train.labels))
