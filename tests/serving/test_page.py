"""The pages in a browser: what a person does there works, by mouse and by keyboard, and nothing leaves the server."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from browsing import Visit, brought, new_visit, started_browser
from model_server import served
from pictures import class_folder, png
from playwright.sync_api import Browser, Page, expect

import lenext
from lenext.data.digits import open_digits
from lenext.data.opening import open_source
from lenext.serving.architectures import architecture, architectures

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    yield from started_browser()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Class folders of stripes, and two digits."""
    folder = tmp_path_factory.mktemp("page")
    class_folder(folder / "stripes")
    for number in (3, 8):
        pixels = np.asarray(open_digits().splits["all"].items[number]).squeeze()
        (folder / f"digit {number}.png").write_bytes(png(pixels))
    (folder / "words.png").write_text("no image")
    return folder


@pytest.fixture(scope="module")
def wrong(folder: Path) -> Path:
    return folder / "wrong"


@pytest.fixture(scope="module")
def base(browser: Browser, digits_file: Path, folder: Path, wrong: Path) -> Iterator[str]:
    """The address of a server of two models: one that knows digits, and one that has a class map and knows little."""
    run = lenext.train(folder / "stripes", "resnet20_cifar", epochs=1, out=folder / "run", seed=1).run
    with served({"digits": lenext.load(digits_file), "stripes": lenext.load(run)}, wrong=wrong) as port:
        yield f"http://127.0.0.1:{port}"


@pytest.fixture
def visit(browser: Browser, base: str) -> Iterator[Visit]:
    """A new visitor, who asks nothing of anybody else and to whom the browser reports no error."""
    context = browser.new_context(viewport={"width": 1280, "height": 900}, locale="en-GB")
    visit = new_visit(context, base)
    yield visit
    context.close()
    assert not [url for url in visit.asked if not url.startswith((base, "blob:", "data:"))]
    assert not visit.complaints


def labels(page: Page) -> list[str]:
    return page.locator(".card .scores li:first-child b").all_inner_texts()


def test_images_are_answered_and_remembered(visit: Visit, folder: Path, digits_file: Path) -> None:
    images = [folder / "digit 3.png", folder / "digit 8.png"]
    expected = lenext.load(digits_file).predict(images, top=5)
    page = visit.open()
    assert page.locator("#facts").inner_text().startswith("lenet5, 10 classes, 28×28 pixels; onnxruntime, float32;")
    visit.answered(*images)
    assert page.locator(".alert").all_inner_texts() == []
    assert page.locator("#status").inner_text() == "2 of 2 images answered."
    assert page.locator(".card h3").all_inner_texts() == ["digit 3.png", "digit 8.png"]
    for card, each in zip(page.locator(".card").all(), expected, strict=True):
        rows = card.locator(".scores li")
        assert rows.locator("b").all_inner_texts() == [one["label"] for one in each["predictions"]]
        best = each["predictions"][0]["probability"]
        track, bar = rows.first.locator(".track").bounding_box(), rows.first.locator(".track i").bounding_box()
        assert track is not None
        assert bar is not None
        assert bar["width"] / track["width"] == pytest.approx(best, abs=0.01)
        assert card.locator(".note").count() == (best < 0.6)
    page.reload()
    line = page.locator("#history li")
    expect(line).to_have_count(2)
    assert "digit 8.png" in page.locator("#history").inner_text()
    page.get_by_role("button", name="Clear").click()
    expect(line).to_have_count(0)


@pytest.mark.parametrize("event", ["drop", "paste"])
def test_images_can_be_dropped_and_pasted(visit: Visit, folder: Path, event: str) -> None:
    page = visit.open()
    brought(page, event, folder / "digit 3.png")
    page.get_by_text("1 of 1 image answered.").wait_for()
    assert labels(page) == ["3"]


def test_heat_shows_what_speaks_for_a_class(visit: Visit, folder: Path) -> None:
    page = visit.open()
    page.get_by_label("Model").select_option("stripes")
    visit.answered(folder / "stripes" / "upright" / "000.png")
    page.get_by_label("Heat map: what speaks for").select_option("lying")
    canvas = page.get_by_role("img", name="Heat map: what in the image speaks for lying")
    canvas.wait_for()
    shown, frame = canvas.bounding_box(), page.locator(".frame").bounding_box()
    assert shown == frame  # the network sees the whole of a square image
    drawn = canvas.evaluate("each => [...each.getContext('2d').getImageData(0, 0, each.width, each.height).data]")
    alpha = np.asarray(drawn).reshape(-1, 4)[:, 3]
    assert alpha.max() == pytest.approx(0.85 * 255, abs=2)  # the brightest place, 1, and the darkest, 0
    assert alpha.min() < 60
    page.get_by_label("Heat map: what speaks for").select_option("off")
    expect(canvas).to_have_count(0)


def test_a_guess_is_called_one(browser: Browser, digits_file: Path, folder: Path) -> None:
    with served({"digits": lenext.load(digits_file)}, low_confidence=1.0) as port:
        context = browser.new_context()
        visit = new_visit(context, f"http://127.0.0.1:{port}")
        page = visit.open()
        visit.answered(folder / "digit 3.png")
        assert page.locator(".note").inner_text().startswith("Not sure. The best answer has")
        assert "below 100 % take it as a guess" in page.locator(".note").inner_text()
        assert "not sure" in page.locator("#history").inner_text()
        assert page.get_by_role("button", name="This is wrong").count() == 0  # no folder was named
        context.close()


def test_a_wrong_answer_is_kept_under_its_right_class(visit: Visit, folder: Path, wrong: Path) -> None:
    page = visit.open()
    visit.answered(folder / "digit 3.png")
    page.get_by_role("button", name="This is wrong").click()
    field = page.get_by_label("What is it?")
    expect(field).to_be_focused()
    field.fill("a squiggle")
    expect(page.get_by_role("button", name="Keep")).to_have_accessible_description("digit 3.png")
    page.get_by_role("button", name="Keep").dblclick()
    told = page.get_by_role("status").filter(has_text="Kept as wrong/a squiggle/")
    told.wait_for()
    expect(told).to_be_focused()
    (kept,) = (wrong / "a squiggle").iterdir()
    assert kept.read_bytes() == (folder / "digit 3.png").read_bytes()
    assert open_source(wrong).splits  # a folder that can be trained on
    assert f"kept as wrong/a squiggle/{kept.name}" in page.locator("#history").inner_text()


def test_what_is_no_image_is_told_beside_what_is(visit: Visit, folder: Path) -> None:
    page = visit.open()
    visit.answered(folder / "words.png", folder / "digit 3.png")
    assert page.locator("#status").inner_text() == "1 of 2 images answered. 1 could not be."
    assert "words.png" in page.locator(".card .alert").inner_text()
    assert labels(page) == ["3"]
    assert len(visit.complaints) == 1  # the browser notes the status 422
    visit.complaints.clear()


def discs(page: Page) -> list[str]:
    """Return the names of the models in the chart."""
    script = "Chart.getChart('chart').data.datasets.flatMap((set) => set.data.map(({ row }) => row.name))"
    found: list[str] = page.evaluate(script)
    return found


def test_the_chart_shows_every_published_error_and_filters(visit: Visit) -> None:
    page = visit.open("/models")
    known = [each for each in architectures() if any(e["dataset"] == "ImageNet" and e["top1"] for e in each["errors"])]
    assert set(discs(page)) == {each["name"] for each in known}
    page.get_by_label("Family").select_option("vgg")
    assert set(discs(page)) == {each["name"] for each in known if each["family"] == "vgg"}
    page.get_by_label("Name holds").fill("16")
    assert sorted(discs(page)) == ["vgg16", "vgg16_bn", "vgg16_c"]
    page.get_by_label("one crop only").check()
    assert sorted(discs(page)) == ["vgg16", "vgg16_bn"]
    assert page.locator("#shown").inner_text().startswith(f"2 of {len(architectures())} models are in the chart")
    page.get_by_label("one crop only").uncheck()
    page.get_by_label("Name holds").fill("")
    page.get_by_label("Family").select_option("")
    page.get_by_label("From").select_option("2018")
    page.get_by_label("To").select_option("2019")
    years = {each["name"]: each["year"] for each in known}
    assert set(discs(page)) == {name for name, year in years.items() if 2018 <= year <= 2019}
    page.get_by_text("The same as a table").click()
    assert page.get_by_role("row").filter(has_text="efficientnet_b0").inner_text().split()[1:4] == [
        "efficientnet",
        "2019",
        "5.29",
    ]


def test_hovering_over_a_disc_tells_its_facts_and_a_click_shows_its_stages(visit: Visit) -> None:
    page = visit.open("/models")
    page.get_by_label("Name holds").fill("alexnet_2012")
    place = page.evaluate("(({ x, y }) => [x, y])(Chart.getChart('chart').getDatasetMeta(0).data[0])")
    canvas = page.locator("#chart")
    canvas.hover(position={"x": place[0], "y": place[1]})
    shown = page.evaluate("(({ title, body }) => [...title, ...body[0].lines])(Chart.getChart('chart').tooltip)")
    assert shown == [
        "alexnet_2012", "alexnet, 2012", "error: top-1 40.7 %, top-5 18.2 %", "ImageNet, ten views",
        "parameters: 61.0 M", "multiply-adds: 724 M", "input: 3×224×224",
    ]  # fmt: skip
    canvas.click(position={"x": place[0], "y": place[1]})
    page.get_by_role("heading", name="alexnet_2012").wait_for()
    assert "first=alexnet_2012" in page.url
    expect(page.get_by_role("heading", name="Stage by stage")).to_be_in_viewport()


def test_two_architectures_stand_side_by_side_at_a_size(visit: Visit) -> None:
    page = visit.open("/models?first=resnet50&second=vgg16")
    expect(page.locator("#pair > section")).to_have_count(2)
    left, right = (each.bounding_box() for each in page.locator("#pair > section").all())
    assert left is not None
    assert right is not None
    assert left["y"] == right["y"]
    assert left["x"] + left["width"] <= right["x"]
    own = architecture("resnet50")
    stages = page.get_by_role("group", name="Stages of resnet50").get_by_role("img")
    assert stages.count() == 1 + len(own["stages"])
    stages.nth(2).hover()
    assert page.locator(".tip:visible").inner_text().split("\n")[:3] == ["stage 1", "output", "256×56×56"]
    assert page.locator(".before").count() == 0
    page.get_by_label("Image side").fill("320")
    page.get_by_text("×2.04 of 4.09 G").wait_for()
    expect(page.get_by_role("status").last).to_have_text("resnet50 at 320 and vgg16 at 320 are shown.")
    assert page.locator(".before").count() == 1 + len(own["stages"]) + 1 + len(architecture("vgg16")["stages"])
    page.get_by_label("Image side").fill("16")
    page.get_by_text("image side 16 < 32, the smallest for vgg16").wait_for()
    expect(page.get_by_role("group", name="Stages of resnet50")).to_be_visible()
    page.get_by_role("button", name="Its own size").click()
    page.get_by_text("4,089,184,256").first.wait_for()
    assert any("422" in each for each in visit.complaints)  # the browser notes the status
    visit.complaints.clear()


def test_the_keyboard_is_enough_to_tell_a_wrong_answer(visit: Visit, folder: Path, wrong: Path) -> None:
    page = visit.open()
    with page.expect_file_chooser() as chooser:
        for _ in range(9):
            page.keyboard.press("Tab")
            if page.evaluate("document.activeElement.id") == "files":
                break
        page.keyboard.press("Enter")
    chooser.value.set_files(folder / "digit 8.png")
    page.get_by_text("1 of 1 image answered.").wait_for()
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "This is wrong"
    page.keyboard.press("Enter")
    page.keyboard.type("by hand")
    page.keyboard.press("Enter")
    expect(page.get_by_role("status").filter(has_text="Kept as wrong/by hand/")).to_be_focused()
    assert len(list((wrong / "by hand").iterdir())) == 1


def test_the_keyboard_is_enough_to_explore(visit: Visit) -> None:
    page = visit.open("/models")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to the architectures"
    page.get_by_text("The same as a table").focus()
    page.keyboard.press("Enter")
    page.get_by_role("button", name="beside lenet5", exact=True).focus()
    page.keyboard.press("Enter")
    page.get_by_role("heading", name="lenet5").wait_for()
    expect(page.get_by_role("status").last).to_have_text("resnet50 at 224 and lenet5 at 28 are shown.")
    expect(page.get_by_role("heading", name="Stage by stage")).to_be_focused()
    stage = page.get_by_role("group", name="Stages of lenet5").get_by_role("img").nth(1)
    stage.focus()
    assert "6×28×28" in page.locator(".tip:visible").inner_text()
    assert "output 6×28×28" in (stage.get_attribute("aria-label") or "")
    page.keyboard.press("Escape")
    expect(page.locator(".tip:visible")).to_have_count(0)
    expect(stage).to_be_focused()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_keeps_people_out(visit: Visit, folder: Path, scheme: str) -> None:
    page = visit.page
    page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
    visit.open()
    dark = page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(21, 25, 29)"
    assert dark == (scheme == "dark")
    page.get_by_label("Model").select_option("stripes")
    visit.answered(folder / "stripes" / "upright" / "000.png", folder / "digit 3.png")
    page.get_by_role("button", name="This is wrong").first.click()
    page.get_by_label("Heat map: what speaks for").first.select_option("upright")
    page.locator("canvas").wait_for()
    assert not visit.grave_findings()
    visit.open("/models?second=lenet5&size=64")
    page.locator("details").first.evaluate("each => { each.open = true; }")
    assert not visit.grave_findings()


def test_the_pages_fit_a_narrow_screen(visit: Visit, folder: Path) -> None:
    page = visit.page
    page.set_viewport_size({"width": 400, "height": 800})
    for path in ("/", "/models?second=inception_v4"):
        visit.open(path)
        if path == "/":
            visit.answered(folder / "digit 3.png")
        assert page.evaluate("document.documentElement.scrollWidth") == 400


def test_the_interface_is_shown_from_files_of_the_server(visit: Visit) -> None:
    page = visit.open("/docs")
    page.get_by_text("/v1/models/{name}/predict").first.wait_for()
    page.get_by_text("What each stage of an architecture gives and costs").wait_for()


def test_a_browser_is_led_in_by_the_token(browser: Browser, digits_file: Path, folder: Path) -> None:
    token = "a token that is long enough"
    with served({"digits": lenext.load(digits_file)}, token=token) as port:
        context = browser.new_context()
        visit = new_visit(context, f"http://127.0.0.1:{port}")
        page = visit.open(f"/?token={token.replace(' ', '+')}")
        assert "token" not in page.url
        visit.answered(folder / "digit 3.png")
        assert labels(page) == ["3"]
        visit.open("/models").get_by_role("heading", name="resnet50").wait_for()
        assert not visit.complaints
        context.close()


def test_without_a_model_the_page_says_what_to_do(browser: Browser) -> None:
    with served({}) as port:
        context = browser.new_context()
        visit = new_visit(context, f"http://127.0.0.1:{port}")
        assert "lenext serve RUN" in visit.open().locator("#lead").inner_text()
        assert visit.page.locator("#drop").is_hidden()
        assert re.match(r"\d+ networks", visit.open("/models").locator("#lead").inner_text())
        context.close()
