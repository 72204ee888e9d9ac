"""Take the pictures of docs/serving.md: the page with two photographs answered, and the explorer with two networks.

python docs/draw_pages.py ../shared/data    # needs Chromium
"""

from __future__ import annotations

import shutil
import sys
import threading
from pathlib import Path
from tempfile import TemporaryDirectory

from PIL import Image
from playwright.sync_api import Browser, Page, sync_playwright

import lenext
from lenext.serving.serve import listening, make_server

IMAGES = Path(__file__).parent / "images"
WEIGHTS = "weights/mobilenet_v2-imagenet1k-torchvision.safetensors"
PHOTOS = {"macaw.jpg": "n01818515_macaw", "wolfhound.jpg": "n02090721_Irish_wolfhound"}


def opened(browser: Browser, address: str) -> Page:
    """Return a page in a window of the usual width."""
    page = browser.new_page(viewport={"width": 1280, "height": 900}, locale="en-GB")
    page.goto(address)
    page.wait_for_load_state("networkidle")
    return page


def take(page: Page, name: str) -> None:
    """Write a picture of the whole page, in as few colours as show it."""
    path = IMAGES / name
    page.screenshot(path=path, full_page=True)
    Image.open(path).convert("RGB").quantize(256).save(path, optimize=True)
    print(f"{path}: {path.stat().st_size:,} bytes")


def draw(base: str, photos: list[Path]) -> None:
    """Take both pictures of the server at `base`."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        page = opened(browser, base)
        page.set_input_files("#files", photos)
        page.get_by_text(f"of {len(photos)} images answered").wait_for()
        page.get_by_label("Heat map: what speaks for").first.select_option(index=1)
        page.locator("canvas").wait_for()
        take(page, "page.png")
        take(opened(browser, f"{base}/models?first=resnet50&second=convnext_tiny"), "explorer.png")
        browser.close()


def main(data: Path) -> None:
    """Serve MobileNetV2, and take the pictures."""
    made, ready = listening("127.0.0.1", 0, None), threading.Event()
    model = lenext.load("mobilenet_v2", weights=data / WEIGHTS)
    with TemporaryDirectory() as folder:
        photos = [Path(folder) / name for name in PHOTOS]
        for photo, name in zip(photos, PHOTOS.values(), strict=True):
            shutil.copy(data / "imagenet_sample" / name.partition("_")[0] / f"{name}.JPEG", photo)
        server = make_server({"mobilenet_v2": model}, wrong=Path(folder) / "wrong", ready=ready.set)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [made]})
        thread.start()
        ready.wait()
        try:
            draw(f"http://127.0.0.1:{made.getsockname()[1]}", photos)
        finally:
            server.should_exit = True
            thread.join()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
