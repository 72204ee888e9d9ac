"""The server answers what a predictor answers, and turns away what it should, in one line, whatever comes."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from model_server import FORM, LIMITS, Reply, asked_in_pieces, form, heard, request, said, served
from pictures import encoded, png, stripes
from PIL import Image

import lenext
from lenext.data.decode import open_image
from lenext.data.digits import open_digits
from lenext.data.opening import open_source

PREDICT = "/v1/models/digits/predict"


def digit(number: int) -> bytes:
    """Return a digit as the bytes of a PNG."""
    return png(np.asarray(open_digits().splits["all"].items[number]).squeeze())


def asked(port: int, body: bytes, path: str = PREDICT, **headers: str) -> Reply:
    return request(port, path, "POST", body, **{"Content_Type": "image/png", **headers})


def test_answers_are_those_of_the_file(port: int, digits_file: Path) -> None:
    images = [digit(number) for number in range(0, 60, 5)]
    expected = lenext.load(digits_file).predict([np.asarray(open_image(image, 1)) for image in images], top=3)
    for image, entry in zip(images, expected, strict=True):
        (found,) = asked(port, image, f"{PREDICT}?top=3").json["predictions"]
        for one, other in zip(found["predictions"], entry["predictions"], strict=True):
            assert one["label"] == other["label"]
            assert one["probability"] == pytest.approx(other["probability"], abs=1e-5)
        assert found["low_confidence"] == (found["predictions"][0]["probability"] < 0.6)


def test_several_files_come_back_in_order_with_those_that_cannot_be_read(port: int) -> None:
    parts = [('name="files"; filename="a.png"', digit(1)), ('name="files"; filename="b.png"', b"no image"),
             ('name="files"; filename="c.png"', digit(2))]  # fmt: skip
    found = request(port, PREDICT, "POST", form(parts), **FORM)
    assert found.status == 200
    assert [entry["file"] for entry in found.json["predictions"]] == ["a.png", "b.png", "c.png"]
    assert ["error" in entry for entry in found.json["predictions"]] == [False, True, False]


def test_it_says_what_it_has_and_that_it_is_well(port: int) -> None:
    told = request(port, "/v1/models").json
    assert told["models"][0]["name"] == "digits"
    assert [each["label"] for each in told["models"][0]["classes"]] == list("0123456789")
    assert told["wrong"] is True
    assert (request(port, "/healthz").json, request(port, "/readyz").json) == ({"status": "ok"}, {"status": "ok"})
    figures = request(port, "/metrics").body.decode()
    assert 'lenext_requests_total{path="/healthz",status="200"}' in figures
    assert "lenext_images_waiting 0.0" in figures
    paths = json.loads(request(port, "/openapi.json").body)["paths"]
    assert {"/v1/models", "/v1/models/{name}/predict", "/healthz"} <= paths.keys()
    docs = request(port, "/docs").body.decode()
    assert "http" not in docs.replace("/docs", "")  # nothing from elsewhere
    for file in re.findall(r'(?:src|href)="([^"]+)"', docs):
        assert request(port, file).status == 200


NAMES = {  # what files may be called, and what they are called in answers
    "../../etc/passwd": "passwd", "C:\\x": "x", "a\0b": "ab", "x" * 4000: "x" * 200, "con": "con", "": "image",
    "\u202egnp.exe": "gnp.exe", "%00": "%00", "..": "..", "a/b/": "b", "/": "image", "a\r\nX: y": '"a',
}  # fmt: skip


def test_files_are_called_by_the_last_part_of_their_name(port: int) -> None:
    for name, told in NAMES.items():
        body = form([(f'name="files"; filename="{name}"', digit(0))])
        (found,) = request(port, PREDICT, "POST", body, **FORM).json["predictions"]
        assert found["file"] == told


def test_what_has_no_type_is_told_how_to_have_one(port: int) -> None:
    found = asked(port, digit(0), Content_Type="application/x-www-form-urlencoded")  # as curl sends it
    assert found.status == 415
    assert "with Content-Type: image/jpeg" in found.json["error"]


def bomb(width: int, height: int) -> bytes:
    """Return a PNG that says it has so many pixels, and holds few."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(b"\0" * 1000)) + chunk(b"IEND", b"")
    )


def malformed() -> list[tuple[bytes, dict[str, str]]]:
    """Return 200 uploads that cannot be answered, each with its headers."""
    rng = np.random.default_rng(0)
    picture = Image.fromarray(stripes(1, upright=True))
    whole = {kind: encoded(picture, kind) for kind in ("PNG", "JPEG", "WEBP", "BMP", "GIF", "TIFF")}
    made: list[tuple[bytes, dict[str, str]]] = []
    for kind, content in whole.items():
        made += [(content[: int(len(content) * share)], {}) for share in (0.01, 0.05, 0.1, 0.2, 0.3)]
        if kind in ("PNG", "WEBP", "JPEG"):
            made += [(content[: len(content) // 2], {})]
    made += [(bomb(1 << power, 1 << power), {}) for power in range(10, 31)]
    made += [(rng.bytes(length), {}) for length in range(1, 42)]
    made += [(b"\0" * length, {}) for length in (1, 10, 1000, 100_000)]
    made += [
        (digit(0), {"Content_Type": kind})
        for kind in ("text/html", "application/json", "application/x-pickle", "audio/mp3")
    ]
    made += [(b"", {}), (b"", FORM), (b"x" * (LIMITS.body + 1), {}), (b"x" * (4 * LIMITS.body), {})]
    made += [
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", {}),
        (b"%PDF-1.7\n", {}),
        (b"PK\x03\x04", {}),
        (b"\x80\x04.", {}),
    ]
    good = form([('name="files"; filename="a.png"', digit(0))])
    made += [(good[:cut], FORM) for cut in range(0, min(len(good), 120), 6)]
    made += [(good.replace(b"xyz", b"zyx"), FORM), (good, {"Content_Type": "multipart/form-data"})]
    made += [
        (form([('name="files"; filename="a.png"', digit(0))] * 6), FORM),
        (form([('name="text"', b"words")]), FORM),
    ]
    made += [(form([(f'name="{n}"', b"x") for n in range(30)]), FORM), (form([('name="files"', b"\0" * 50)]), FORM)]
    made += [(form([(f'name="files"; filename="{name}"', b"no image")]), FORM) for name in NAMES]
    made += [(digit(0), {"Content_Encoding": "gzip", "Content_Type": "text/plain"})]
    bits = bytearray(whole["PNG"])
    while len(made) < 200:
        broken = bytearray(bits)
        for place in rng.integers(8, 60, 8).tolist():
            broken[place] ^= 0xFF
        made.append((bytes(broken), {}))
    return made[:200]


def test_two_hundred_malformed_uploads_are_refused_and_the_next_is_answered(port: int) -> None:
    for number, (body, headers) in enumerate(malformed()):
        found = asked(port, body, **headers)
        assert 400 <= found.status < 500, (number, found.status, found.body[:200])
        assert set(found.json) == {"error"}
        assert len(found.json["error"].splitlines()) == 1
        if number % 20 == 0:
            assert asked(port, digit(3)).status == 200
    assert asked(port, digit(3)).status == 200


@pytest.mark.parametrize(
    ("raw", "status"),
    [
        (b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n" + b"X: " + b"a" * 20_000 + b"\r\n\r\n", 431),
        (b"GET /" + b"a" * 20_000 + b" HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", 431),
        (b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n" + b"".join(b"X%d: y\r\n" % n for n in range(2000)), 431),
        (b"nonsense\r\n\r\n", 400),
        (b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: -5\r\n\r\n", 400),
        (
            b"POST /x HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            400,
        ),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400),
        (b"GET /healthz HTTP/1.1\r\n\r\n", 400),
        (b"GET /healthz HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400),
    ],
)
def test_headers_that_are_wrong_or_too_long_are_refused(port: int, raw: bytes, status: int) -> None:
    found = said(port, raw)
    assert found.status == status
    assert "error" in found.json


def test_who_sends_too_slowly_is_not_waited_for(port: int) -> None:
    head = f"POST {PREDICT} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Length: 100000\r\n\r\n"
    with socket.create_connection(("127.0.0.1", port), timeout=10) as slow_head, \
            socket.create_connection(("127.0.0.1", port), timeout=10) as slow_body, \
            socket.create_connection(("127.0.0.1", port), timeout=10) as silent:  # fmt: skip
        slow_head.sendall(b"GET /healthz HTT")
        slow_body.sendall(head.encode() + b"a few bytes")
        assert Reply(slow_head.recv(4096)).status == 408
        assert Reply(slow_body.recv(4096)).status == 408
        assert silent.recv(4096) == b""
    assert asked(port, digit(4)).status == 200


def test_a_browser_that_was_tricked_is_refused(port: int) -> None:
    for headers in (
        {"Host": "evil.example"}, {"Host": f"127.0.0.1.evil.example:{port}"}, {"Origin": "http://evil.example"},
        {"Origin": "null"}, {"Origin": f"http://127.0.0.1:{port + 1}"}, {"Sec_Fetch_Site": "cross-site"},
        {"Sec_Fetch_Site": "same-site"},
    ):  # fmt: skip
        found = asked(port, digit(0), **headers)
        assert (found.status, set(found.json)) == (403, {"error"}), headers
        assert "access-control-allow-origin" not in found.headers
    for headers in (
        {"Host": f"localhost:{port}"},
        {"Origin": f"http://127.0.0.1:{port}", "Sec_Fetch_Site": "same-origin"},
    ):
        assert asked(port, digit(0), **headers).status == 200
    link = {"Sec_Fetch_Site": "cross-site", "Sec_Fetch_Mode": "navigate", "Sec_Fetch_Dest": "document"}
    assert request(port, "/", **link).status == 200
    assert asked(port, digit(0), **link).status == 403
    found = request(port, "/v1/models")
    assert "default-src 'none'" in found.headers["content-security-policy"]
    assert found.headers["x-content-type-options"] == "nosniff"
    assert request(port, "/v1/models", "OPTIONS", Origin=f"http://127.0.0.1:{port}").status == 405


def test_with_a_token_everything_else_needs_it(digits_file: Path) -> None:
    token = "a-token-of-many-letters"
    with served({"digits": lenext.load(digits_file)}, token=token) as port:
        for path in ("/v1/models", "/metrics", "/docs", "/openapi.json", "/", "/models", "/nowhere"):
            found = request(port, path)
            assert (found.status, found.headers["www-authenticate"]) == (401, "Bearer"), path
        assert asked(port, digit(0), Authorization="Bearer wrong-token-of-letters").status == 401
        assert asked(port, digit(0), Authorization=f"Basic {token}").status == 401
        assert asked(port, digit(0), Authorization=f"Bearer {token}").status == 200
        assert request(port, "/healthz").status == request(port, "/readyz").status == 200
        assert request(port, "/v1/models?token=wrong-token-of-letters").status == 401
        entered = request(port, f"/v1/models?token={token}&x=1")
        assert (entered.status, entered.headers["location"]) == (303, "/v1/models?x=1")
        cookie = entered.headers["set-cookie"]
        assert "HttpOnly" in cookie
        assert "SameSite=lax" in cookie
        assert request(port, "/v1/models", Cookie=cookie.partition(";")[0]).status == 200
        assert request(port, "/v1/models", Cookie='lenext-token=no; x="').status == 401


def test_wrong_answers_are_kept_ready_to_train_on(port: int, kept_wrong: Path) -> None:
    path = "/v1/models/digits/wrong"

    def keep(label: bytes, image: bytes) -> Reply:
        return request(port, path, "POST", form([('name="file"; filename="../a.png"', image),
                                                  ('name="label"', label)]), **FORM)  # fmt: skip

    kept = keep(b"7", digit(7))
    assert kept.status == 201
    where = kept_wrong.parent / kept.json["kept"]
    assert where.parent == kept_wrong / "7"
    assert where.read_bytes() == digit(7)
    assert keep(b"7", digit(7)).json == kept.json
    for label in (b"../up", b"/etc", b".hidden", b"", b"a\x00b", b"x" * 300, b"a\\b", b"..", b"con:"):
        assert keep(label, digit(1)).status in (400, 422), label
    assert keep(b"7", b"no image").status == 422
    assert {path.name for path in kept_wrong.iterdir()} == {"7"}
    assert open_source(kept_wrong).class_names == ("7",)


def test_who_comes_when_the_line_is_full_is_told_when_to_come_again(digits_file: Path) -> None:
    predictor = lenext.load(digits_file)
    slow, right = threading.Event(), predictor.answering

    def answering(threads: int) -> object:
        answer = right(threads)

        def slowly(pixels: np.ndarray) -> np.ndarray:
            slow.wait(20)
            return answer(pixels)

        return slowly

    predictor.answering = answering  # type: ignore[method-assign, assignment]
    with served({"digits": predictor}, threads=1) as port, ThreadPoolExecutor(60) as pool:
        waiting = [pool.submit(asked, port, digit(0)) for _ in range(60)]
        while sum(each.done() for each in waiting) < 60 - 40 - 8:
            time.sleep(0.02)
        refused = [each.result() for each in waiting if each.done()]
        assert {each.status for each in refused} == {503}
        assert all(int(each.headers["retry-after"]) >= 1 for each in refused)
        slow.set()
        assert {each.result().status for each in waiting} == {200, 503}


def whole(connection: socket.socket) -> bytes:
    """Return what comes until the server closes the connection."""
    return b"".join(iter(lambda: connection.recv(1 << 16), b""))


@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGTERM")
def test_told_to_end_under_load_it_answers_what_it_has_taken(digits_file: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "lenext", "serve", digits_file, "--port", "0"], stderr=subprocess.PIPE, text=True
    )
    assert process.stderr is not None
    try:
        port = int(process.stderr.readline().rpartition(":")[2])
        image, lost, answered = digit(5), [], []
        head = f"POST {PREDICT} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Length: {len(image)}\r\n\r\n".encode()

        def ask() -> None:
            while True:
                try:
                    connection = socket.create_connection(("127.0.0.1", port), timeout=20)
                except ConnectionError:
                    return
                with connection:
                    try:
                        connection.sendall(head + image)
                        reply = connection.recv(1 << 16)
                    except ConnectionError:
                        reply = b""
                (answered if reply.startswith(b"HTTP/1.1 200") else lost).append(reply)
                if not reply:
                    return

        clients = [threading.Thread(target=ask) for _ in range(16)]
        for client in clients:
            client.start()
        while len(answered) < 200:
            time.sleep(0.01)
        said(port, b"nonsense\r\n\r\n")
        request(port, PREDICT, "POST", form([], "xyz")[:3] + b"?", **FORM)
        with socket.create_connection(("127.0.0.1", port), timeout=20) as kept, \
                asked_in_pieces(port, PREDICT, len(image), image[:-1]) as half:  # fmt: skip
            kept.sendall(head + image)
            assert heard(kept).status == 200
            process.send_signal(signal.SIGTERM)
            kept.sendall(head + image)
            assert whole(kept).startswith(b"HTTP/1.1 200")
            half.sendall(image[-1:])
            assert whole(half).startswith(b"HTTP/1.1 200")
        for client in clients:
            client.join(30)
        assert process.wait(30) == 143
        assert not lost
        told = process.stderr.read().splitlines()
        assert told[1:] == ["lenext: terminated"]  # and nothing of what clients did wrong
    finally:
        process.kill()
        process.wait()
        process.stderr.close()


def test_torch_is_not_imported_to_serve_an_exported_file(digits_file: Path) -> None:
    script = """
import sys, lenext
from lenext.serving.serve import make_server, named_predictors
make_server(named_predictors([sys.argv[1]]))
lenext.load(sys.argv[1]).predict([__import__("numpy").zeros((28, 28), "uint8")])
print("torch" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", script, digits_file], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--host", "0.0.0.0"), "give --token"),
        (("--token", "short"), "can be guessed"),
        (("--port", "70000"), "port 70000"),
        (("--host", "203.0.113.7", "--token", "a-token-of-many-letters"), "cannot listen on 203.0.113.7"),
        (("--low-confidence", "2"), "is no probability"),
    ],
)
def test_mistakes_are_told_in_a_line(command, digits_file: Path, words: tuple[str, ...], told: str) -> None:
    answer = command("serve", digits_file, *words)
    assert (answer.code, answer.err.count("\n")) == (2, 1)
    assert told in answer.err


def test_two_models_of_one_name_are_refused(command, digits_file: Path) -> None:
    answer = command("serve", digits_file, digits_file)
    assert answer.code == 2
    assert "two targets are called digits" in answer.err
