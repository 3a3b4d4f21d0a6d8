"""The page in a real Chromium: a served aggregator with the demo's city, and somebody signed in."""

import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from playwright.sync_api import Browser, ConsoleMessage, Page, sync_playwright

from aggregator.cli import main

ROOT = Path(__file__).parents[2]
CITY = ROOT / "deploy" / "demo" / "city.toml"
PASSWORD = "seven herons on the gate"
SOFTWARE_GL = ("--use-angle=swiftshader", "--enable-unsafe-swiftshader", "--ignore-gpu-blocklist", "--no-sandbox")
WAIT_MS = 30_000
STOP_S = 30


@dataclass
class Site:
    """A running aggregator: where its page is, and its configuration."""

    address: str
    link: str  # of the first admin
    config: Path


@dataclass
class Shown:
    """One window and what went wrong in it."""

    page: Page
    address: str
    errors: list[str] = field(default_factory=list)

    def hear(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self.errors.append(f"{message.type}: {message.text}")

    def view(self, name: str) -> None:
        """By click, as people do."""
        self.page.click(f'#head nav a[href="/{name}"]')
        self.page.wait_for_selector(".chart[data-ready]" if not name else "#main h1", timeout=WAIT_MS)


@contextmanager
def site(folder: Path, city: Path = CITY, change: tuple[str, str] = ("", "")) -> Iterator[Site]:
    """`change`: what is written instead of what in its configuration."""
    config = folder / "a" / "aggregator.toml"
    assert main(["init", str(folder / "a")]) == 0
    text = config.read_text().replace(":7443", ":0").replace(":7444", ":0").replace(":7480", ":0")
    text = text.replace(*change, 1) if change[0] else text
    config.write_text(text.replace('# file = "city.toml"', f'file = "{city}"'))
    words = [sys.executable, "-m", "aggregator.cli", "serve", str(config)]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, cwd=ROOT) as process:
        assert process.stdout is not None
        try:
            told = [process.stdout.readline() for _ in range(3)]
            link = re.search(r"http\S+/welcome#\S+", "".join(told))
            assert link, told
            yield Site(link[0].partition("/welcome")[0], link[0], config)
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(STOP_S)


@contextmanager
def chromium() -> Iterator[Browser]:
    program = shutil.which("chromium") or shutil.which("chromium-browser")
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=program, args=list(SOFTWARE_GL))
        try:
            yield browser
        finally:
            browser.close()


def enter(browser: Browser, site: Site, **window: object) -> Shown:
    """Come in as the first admin, by the link that the server printed."""
    page = browser.new_context(viewport={"width": 1440, "height": 900}, **window).new_page()  # type: ignore[arg-type]
    shown = Shown(page, site.address)
    page.on("console", shown.hear)
    page.on("pageerror", lambda error: shown.errors.append(str(error)))
    page.goto(site.link)
    page.fill("[name=name]", "ada")
    page.fill("[name=password]", PASSWORD)
    page.fill("[name=again]", PASSWORD)
    page.click("button.main")
    page.wait_for_selector(".chart[data-ready]", timeout=WAIT_MS)
    return shown
