"""Take the README's pictures of a demo that runs, two or three minutes after its start.

make demo                                            it prints the page's link, good once
python deploy/demo/screens.py LINK deploy/screens    map, decisions, what-if and record as WebP
"""

import io
import shutil
import sys
from pathlib import Path

from PIL import Image  # comes with matplotlib
from playwright.sync_api import Page, sync_playwright

PASSWORD = "seven herons on the gate"  # noqa: S105  of a demo
SOFTWARE_GL = ["--use-angle=swiftshader", "--enable-unsafe-swiftshader", "--no-sandbox"]
WAIT_MS = 90_000
SETTLE_MS = 2_000  # a frame after the last number


def main(link: str, folder: Path) -> None:
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=shutil.which("chromium"), args=SOFTWARE_GL)
        page = browser.new_context(viewport={"width": 1280, "height": 800}, color_scheme="light").new_page()
        page.set_default_timeout(WAIT_MS)
        page.goto(link)
        page.fill("[name=password]", PASSWORD)
        page.fill("[name=again]", PASSWORD)
        page.click("button.main")
        page.wait_for_selector(".chart[data-ready]")
        base = link.partition("/welcome")[0]
        page.goto(f"{base}/?asset=quay-load")
        page.wait_for_selector(".curves .uplot")
        keep(page, folder / "map.webp")
        page.goto(f"{base}/decisions")
        page.wait_for_selector("article")
        keep(page, folder / "decisions.webp")
        page.goto(f"{base}/scenarios")
        page.click("form button.main")
        page.click("button:has-text('Compare') >> nth=0")
        page.wait_for_selector("section.card h2")
        keep(page, folder / "what-if.webp")
        page.goto(f"{base}/ledger")
        page.click("button:has-text('Verify') >> nth=4")
        page.wait_for_selector("section.card h2")
        keep(page, folder / "record.webp")
        browser.close()


def keep(page: Page, file: Path) -> None:
    page.wait_for_timeout(SETTLE_MS)
    Image.open(io.BytesIO(page.screenshot())).save(file, quality=82, method=6)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
