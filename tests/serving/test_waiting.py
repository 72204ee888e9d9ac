"""Who waits, and for what: the line of images, forms piece by piece, clients that leave, and images that are large."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from model_server import FORM, LIMITS, asked_in_pieces, form, request, served
from pictures import png, stripes
from PIL import Image
from starlette.requests import Request

import lenext
from lenext.prediction import Predictor
from lenext.serving import batching, turns
from lenext.serving import served as serving
from lenext.serving.batching import Line
from lenext.serving.bodies import form_of
from lenext.serving.limits import Limits
from lenext.serving.refusal import RefusalError
from lenext.serving.serve import make_server, named_predictors
from lenext.serving.served import Served, in_turn

PREDICT = "/v1/models/digits/predict"
IMAGE = png(stripes(1, upright=True))


def until(true: Callable[[], bool], seconds: float = 10.0) -> None:
    """Wait for something that other threads do."""
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.002)


@contextlib.contextmanager
def line_of(threads: int, waiting: int = 1000) -> Iterator[Line]:
    line = Line(threads=threads, waiting=waiting)
    yield line
    line.close()


class Held:
    """A predictor of digits whose answers wait until `go` is set, and how many images it was asked about."""

    def __init__(self, file: Path) -> None:
        self.go, self.began, self.images = threading.Event(), threading.Event(), 0
        self.predictor: Predictor = lenext.load(file)
        right = self.predictor.answering

        def answering(threads: int) -> Callable[[np.ndarray], np.ndarray]:
            answer = right(threads)

            def held(pixels: np.ndarray) -> np.ndarray:
                self.images += len(pixels)
                self.began.set()
                assert self.go.wait(20)
                return answer(pixels)

            return held

        self.predictor.answering = answering  # type: ignore[method-assign, assignment]


def test_no_image_waits_while_a_thread_is_idle(monkeypatch: pytest.MonkeyPatch) -> None:
    """A thread that waits for more of its own model may be woken by an image of another one."""
    release, answered = threading.Event(), threading.Event()

    def busy(images: Sequence[Any]) -> Sequence[Any]:
        assert release.wait(20)
        return images

    def first(images: Sequence[Any]) -> Sequence[Any]:
        assert answered.wait(20)  # not while the other image waits
        return images

    def second(images: Sequence[Any]) -> Sequence[Any]:
        answered.set()
        return images

    with line_of(2) as line:
        resting = line._changed._waiters  # type: ignore[attr-defined]
        line.ask(busy, [0])
        until(lambda: not len(line) and len(resting) == 1)
        monkeypatch.setattr(batching, "WINDOW", 20.0)
        line.ask(first, [1])
        until(lambda: not len(line) and len(resting) == 1)
        release.set()
        until(lambda: len(resting) == 2)  # the one that waits for more before the idle one
        monkeypatch.setattr(batching, "WINDOW", 0.0)
        assert line.ask(second, [2])[0].result(10) == 2


def test_those_who_left_do_not_make_the_line_look_fast(monkeypatch: pytest.MonkeyPatch) -> None:
    go, began = threading.Event(), threading.Event()

    def held(images: Sequence[Any]) -> Sequence[Any]:
        began.set()
        assert go.wait(20)
        return images

    with line_of(1, waiting=400) as line:
        resting = line._changed._waiters  # type: ignore[attr-defined]
        monkeypatch.setattr(batching, "WINDOW", 20.0)
        for _ in range(50):  # clients that leave while the thread waits for more
            (asked,) = line.ask(held, [0])
            until(lambda: not len(line) and len(resting) == 1)
            asked.cancel()
            with line._changed:
                line._changed.notify()
            until(lambda: len(resting) == 1)
        monkeypatch.setattr(batching, "WINDOW", 0.0)
        line.ask(held, [0])
        assert began.wait(10)
        line.ask(held, [0] * 400)
        with pytest.raises(RefusalError) as refused:
            line.ask(held, [0])
        assert int(refused.value.headers["Retry-After"]) == 40  # 400 images of 0.1 s, as it presumes at first
        go.set()


def test_images_of_a_client_that_left_are_not_answered(digits_file: Path) -> None:
    held = Held(digits_file)
    with served({"digits": held.predictor}, threads=1) as port:
        with asked_in_pieces(port, PREDICT, len(IMAGE), IMAGE) as stays:
            assert held.began.wait(10)
            with asked_in_pieces(port, PREDICT, len(IMAGE), IMAGE):
                until(lambda: b"lenext_images_waiting 1.0" in request(port, "/metrics").body)
            left = f'lenext_requests_total{{path="{PREDICT.replace("digits", "{name}")}",status="400"}} 1.0'.encode()
            until(lambda: left in request(port, "/metrics").body)
            assert b"lenext_images_waiting 0.0" in request(port, "/metrics").body  # nor do they take a place
            held.go.set()
            assert stays.recv(1 << 16).startswith(b"HTTP/1.1 200")
        assert request(port, PREDICT, "POST", IMAGE, Content_Type="image/png").status == 200
    assert held.images == 2


def test_a_full_line_says_that_it_takes_no_more(digits_file: Path) -> None:
    held = Held(digits_file)
    with served({"digits": held.predictor}, threads=1, limits=Limits(waiting=1)) as port:
        assert request(port, "/readyz").status == 200
        with asked_in_pieces(port, PREDICT, len(IMAGE), IMAGE) as one:
            assert held.began.wait(10)
            with asked_in_pieces(port, PREDICT, len(IMAGE), IMAGE) as other:
                until(lambda: request(port, "/readyz").status == 503)
                assert request(port, "/healthz").status == 200
                held.go.set()
                assert all(each.recv(1 << 16).startswith(b"HTTP/1.1 200") for each in (one, other))
        until(lambda: request(port, "/readyz").status == 200)


def test_a_fault_is_one_object_too(digits_file: Path) -> None:
    predictor = lenext.load(digits_file)

    def answering(_threads: int) -> Callable[[np.ndarray], np.ndarray]:
        return lambda pixels: pixels[10_000]

    predictor.answering = answering  # type: ignore[method-assign, assignment]
    with served({"digits": predictor}) as port:
        found = request(port, PREDICT, "POST", IMAGE, Content_Type="image/png")
        assert (found.status, set(found.json)) == (500, {"error"})
        assert "default-src 'none'" in found.headers["content-security-policy"]
        assert b'status="500"} 1.0' in request(port, "/metrics").body


def test_what_is_refused_at_the_door_is_counted(port: int) -> None:
    assert request(port, "/v1/models", Host="evil.example").status == 403
    assert request(port, PREDICT, "POST", Content_Length=str(LIMITS.body + 1)).status == 413
    figures = request(port, "/metrics").body
    assert b'lenext_requests_total{path="other",status="403"}' in figures
    assert b'lenext_requests_total{path="other",status="413"}' in figures


def asked_with(pieces: Sequence[bytes]) -> tuple[Request, list[bytes]]:
    """Return a request whose body comes in pieces, all of which are there, and those that were taken of it."""
    taken: list[bytes] = []

    async def receive() -> dict[str, Any]:
        taken.append(pieces[len(taken)])
        return {"type": "http.request", "body": taken[-1], "more_body": len(taken) < len(pieces)}

    headers = [(b"content-type", FORM["Content_Type"].encode())]
    return Request({"type": "http", "method": "POST", "headers": headers}, receive), taken


def in_pieces(body: bytes, size: int) -> list[bytes]:
    return [body[start : start + size] for start in range(0, len(body), size)]


@pytest.mark.parametrize("size", [1, 7, 100, 10_000])
def test_a_form_is_the_same_in_pieces_of_any_size(size: int) -> None:
    contents = [IMAGE[:500], b"\r\n--xyq", b"", b"\r\n--xy" * 20]
    body = form([(f'name="files"; filename="{number}"', each) for number, each in enumerate(contents)])
    asked, _ = asked_with(in_pieces(body, size))
    parts = asyncio.run(form_of(asked, Limits()))
    assert [(part.name, part.filename, part.content) for part in parts] == [
        ("files", str(number), each) for number, each in enumerate(contents)
    ]


def test_one_file_too_many_is_refused_before_the_rest_is_taken() -> None:
    pieces = in_pieces(form([('name="files"; filename="a"', b"x" * 50)] * 100), 200)
    asked, taken = asked_with(pieces)
    with pytest.raises(RefusalError, match="more than 5 files"):
        asyncio.run(form_of(asked, Limits(files=5)))
    assert len(taken) < len(pieces) / 5


def test_others_are_answered_while_a_form_is_read() -> None:
    asked, taken = asked_with(in_pieces(form([('name="files"; filename="a"', b"\r\n--x" * 1000)]), 100))
    turned = 0

    async def turn() -> None:
        nonlocal turned
        while True:
            turned += 1
            await asyncio.sleep(0)

    async def both() -> None:
        other = asyncio.ensure_future(turn())
        await form_of(asked, Limits())
        other.cancel()

    asyncio.run(both())
    assert turned >= len(taken) > 20


def test_only_a_few_wait_for_what_is_done_one_by_one() -> None:
    go, began = threading.Event(), threading.Event()

    def work(number: int) -> int:
        began.set()
        assert go.wait(20)
        return number

    async def many() -> list[int | BaseException]:
        one_by_one = turns.OneByOne()
        tasks = [asyncio.ensure_future(one_by_one.run(work, number)) for number in range(turns.MOST + 3)]
        await asyncio.to_thread(began.wait, 10)
        go.set()
        return await asyncio.gather(*tasks, return_exceptions=True)

    found = asyncio.run(many())
    assert found[: turns.MOST + 1] == list(range(turns.MOST + 1))
    assert [type(each) for each in found[turns.MOST + 1 :]] == [RefusalError] * 2


def test_large_images_are_decoded_one_after_another(digits_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    right, under_way, most = serving.decode, 0, 0
    counting = threading.Lock()
    together = threading.Barrier(2)
    assert in_turn(Image.new("L", (4_000, 4_001))) is in_turn(Image.new("L", (8_000, 8_000)))

    def decode(item: Image.Image, form: Any) -> Any:
        nonlocal under_way, most
        with counting:
            under_way += 1
            most = max(most, under_way)
        with contextlib.suppress(threading.BrokenBarrierError):
            together.wait(0.3)
        with counting:
            under_way -= 1
        return right(item, form)

    monkeypatch.setattr(serving, "decode", decode)
    for large, expected in ((1_000_000, 2), (100, 1)):
        monkeypatch.setattr(serving, "LARGE", large)
        model = Served("digits", lenext.load(digits_file), pixels=1_000_000, threads=2)
        under_way, most = 0, 0
        together.reset()
        threads = [threading.Thread(target=model.answer, args=([IMAGE],)) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert most == expected


def test_a_run_in_the_current_folder_has_the_name_of_the_folder(
    digits_run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(digits_run)
    assert list(named_predictors(["."])) == [digits_run.name]
    assert list(named_predictors([f"../{digits_run.name}"])) == [digits_run.name]


def test_the_end_waits_for_bodies_that_are_still_coming() -> None:
    graceful = make_server({}, limits=Limits(body_seconds=200)).config.timeout_graceful_shutdown
    assert graceful is not None
    assert graceful > 200
