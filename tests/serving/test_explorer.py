"""The explorer's figures are those of the registry and of `profile`; its files are in the wheel."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from http.client import HTTPConnection
from importlib.resources import files
from pathlib import Path

import pytest
from model_server import request

import lenext
from lenext.errors import UserError
from lenext.registry import lookup
from lenext.serving.architectures import LARGEST, architecture, architectures


def test_every_architecture_is_told_with_its_facts() -> None:
    told = {each["name"]: each for each in architectures()}
    assert list(told) == lenext.list_models()
    vgg, facts = told["vgg16"], lookup("vgg16").facts
    assert (vgg["params"], vgg["macs"], vgg["year"], vgg["size"]) == (facts.params, facts.macs, 2014, 224)
    assert (vgg["top1_error"], vgg["top5_error"], vgg["protocol"]) == (27.0, 8.8, facts.errors[0].protocol)
    assert [each["top1"] for each in vgg["errors"]] == [error.top1 for error in facts.errors]
    assert told["lenet5"]["top1_error"] is None
    assert "torchvision" in told["resnet50"]["protocol"]  # whose figure it is


@pytest.mark.parametrize(("name", "size"), [("lenet5", None), ("vgg16", None), ("resnet18", 320), ("googlenet", 160)])
def test_stages_add_up_to_the_whole(name: str, size: int | None) -> None:
    told, cost = architecture(name, size), lenext.profile(name, size=size)
    assert told["input"] == list(cost.input[1:])
    assert told["total"]["macs"] == sum(stage["macs"] for stage in told["stages"]) == cost.total.macs
    assert told["total"]["params"] == sum(stage["params"] for stage in told["stages"]) == cost.total.params
    assert sum(stage["share"] for stage in told["stages"]) == pytest.approx(1)
    assert sum(stage["params_share"] for stage in told["stages"]) == pytest.approx(1)
    assert told["stages"][-1]["output"] == [told["classes"]]


def test_a_stage_by_hand() -> None:
    first, second = architecture("lenet5")["stages"][:2]
    assert (first["output"], first["layers"], first["params"], first["macs"]) == ([6, 28, 28], 1, 156, 25 * 6 * 784)
    assert (second["output"], second["params"], second["macs"]) == ([16, 10, 10], 2416, 150 * 16 * 100)
    assert second["receptive_field"] == 14


def test_what_cannot_be_is_refused_in_one_line() -> None:
    with pytest.raises(UserError, match="no model is called 'vgg61'; did you mean"):
        architecture("vgg61")
    with pytest.raises(UserError, match="image side 8 < 32, the smallest for vgg16"):
        architecture("vgg16", 8)
    with pytest.raises(UserError, match=f"size 4000 is above {LARGEST}"):
        architecture("vgg16", 4000)


def test_the_server_tells_architectures(port: int) -> None:
    assert len(request(port, "/v1/architectures").json["architectures"]) == len(lenext.list_models())
    told = request(port, "/v1/architectures/resnet18?size=64").json
    assert (told["input"], told["stages"][0]["output"]) == ([3, 64, 64], [64, 16, 16])
    for path, status, why in (("vgg61", 404, "did you mean"), ("vgg16?size=8", 422, "the smallest for vgg16"),
                              ("vgg16?size=0", 422, "size"), ("vgg16?size=9999", 422, "size")):  # fmt: skip
        found = request(port, f"/v1/architectures/{path}")
        assert found.status == status
        assert why in found.json["error"]


def test_files_of_the_pages_are_sent_and_none_beside_them(port: int) -> None:
    found = request(port, "/site/page.js")
    assert (found.status, found.headers["content-type"]) == (200, "text/javascript; charset=utf-8")
    assert request(port, "/site/page.js", If_None_Match=found.headers["etag"]).status == 304
    for path in ("../app.py", "%2e%2e/app.py", "/etc/passwd", "vendor", "", "page.js/"):
        assert request(port, f"/site/{path}").status == 404
    for page in ("/", "/models"):
        text = request(port, page).body.decode()
        assert "style=" not in text
        assert "<script>" not in text
        assert "http" not in text


def test_every_library_in_the_browser_has_its_licence() -> None:
    vendored = {each.name for each in (files("lenext.serving") / "site" / "vendor").iterdir()}
    assert {"chart.LICENSE.txt", "chart.umd.min.js", "swagger-ui.LICENSE.txt", "swagger-ui-bundle.js"} <= vendored


BROWSER = """
import pathlib, sys, urllib.request
opened = urllib.request.build_opener(urllib.request.ProxyHandler({})).open(sys.argv[2], timeout=20)
pathlib.Path(sys.argv[1] + ".new").write_bytes(opened.read())
pathlib.Path(sys.argv[1] + ".new").rename(sys.argv[1])
"""


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGINT to send")
def test_the_explorer_opens_without_a_model(tmp_path: Path) -> None:
    """In a browser that does not come back before it has the page, as those in a terminal do not."""
    (tmp_path / "browser.py").write_text(BROWSER)
    environment = {**os.environ, "BROWSER": f"{sys.executable} {tmp_path}/browser.py {tmp_path}/page %s"}
    command = [sys.executable, "-m", "lenext", "explore"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment)
    assert process.stderr is not None
    try:
        address = process.stderr.readline().partition(";")[0]
        assert address.startswith("http://127.0.0.1:")
        connection = HTTPConnection(address.removeprefix("http://").removesuffix("/models"), timeout=20)
        connection.request("GET", "/models")
        page = connection.getresponse().read()
        assert b"Architectures" in page
        connection.close()
        deadline = time.monotonic() + 20
        while not (tmp_path / "page").exists():
            assert time.monotonic() < deadline
            time.sleep(0.02)
        assert (tmp_path / "page").read_bytes() == page
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 130
    finally:
        process.kill()
        process.wait()
        process.stderr.close()
