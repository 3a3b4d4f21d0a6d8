"""Every view of the page, by click, in a real Chromium: no error, nothing that shuts people out, both languages."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, ViewportSize, expect

from tests.page.shown import Shown, chromium, enter, site

AXE = Path(__file__).with_name("axe.min.js")  # axe-core 4.14.1, Mozilla Public License 2.0
RULES = "['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa']"
VIEWS = ("", "alarms", "decisions", "scenarios", "fleet", "models", "ledger", "users")
PHONE: ViewportSize = {"width": 390, "height": 844}

pytestmark = [pytest.mark.system("chromium"), pytest.mark.xdist_group("page")]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as one:
        yield one


@pytest.fixture(scope="module")
def shown(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shown]:
    with site(tmp_path_factory.mktemp("page")) as place:
        one = enter(browser, place)
        yield one
        one.page.context.close()


@pytest.fixture(autouse=True)
def wide(shown: Shown) -> Iterator[None]:
    """Each test begins wide, light and in English, and leaves no error behind."""
    shown.page.set_viewport_size({"width": 1440, "height": 900})
    put(shown, "en", "light")
    shown.errors.clear()
    yield
    assert not shown.errors


def put(shown: Shown, language: str, theme: str) -> None:
    shown.page.evaluate(f"localStorage.setItem('language', '{language}'); localStorage.setItem('theme', '{theme}')")
    shown.page.goto(f"{shown.address}/")
    shown.page.wait_for_selector(".chart[data-ready]")


def barriers(shown: Shown) -> list[str]:
    """What the checker finds against WCAG 2.2, level AA."""
    if not shown.page.evaluate("'axe' in window"):
        shown.page.evaluate(AXE.read_text())
    found = shown.page.evaluate(f"axe.run(document, {{runOnly: {RULES}}})")["violations"]
    return [f"{one['id']}: {node['html'][:200]}" for one in found for node in one["nodes"]]


@pytest.mark.parametrize("view", VIEWS)
def test_every_view_by_click(shown: Shown, view: str) -> None:
    shown.view(view)
    assert not barriers(shown)


@pytest.mark.parametrize("view", VIEWS)
def test_on_a_phone_in_the_dark_in_chinese(shown: Shown, view: str) -> None:
    shown.page.set_viewport_size(PHONE)
    put(shown, "zh", "dark")
    shown.view(view)
    width = shown.page.evaluate("document.documentElement.scrollWidth")
    assert width <= PHONE["width"], "nobody has to scroll sideways"
    assert not barriers(shown)


def test_the_checker_finds_what_shuts_people_out(shown: Shown) -> None:
    """Negative control."""
    shown.view("fleet")
    shown.page.evaluate("document.querySelector('#main').innerHTML = '<img src=\"/page/icon.svg\"><button></button>'")
    assert {one.partition(":")[0] for one in barriers(shown)} >= {"image-alt", "button-name"}


def test_an_asset_opens_and_tells_what_is_known(shown: Shown) -> None:
    page = shown.page
    page.click("text=As a table")
    page.click("dialog button:has-text('quay-load')")
    page.wait_for_selector(".panel .big")
    assert "±" in page.inner_text(".panel .big >> nth=0")
    page.wait_for_selector(".curves .uplot")
    assert not barriers(shown)
    assert "asset=quay-load" in page.url
    page.click(".panel button[aria-label=Close]")
    page.wait_for_selector(".panel", state="hidden")


def test_numbers_move_by_themselves(shown: Shown) -> None:
    shown.view("")
    before = shown.page.inner_text("#as-of")
    expect(shown.page.locator("#as-of")).not_to_have_text(before, timeout=30_000)


def test_time_travel_says_that_it_is_then(shown: Shown) -> None:
    shown.view("")
    slider = shown.page.locator(".time input[type=range]")
    slider.fill("120")
    shown.page.wait_for_selector(".then")
    shown.page.click("text=To now")
    shown.page.wait_for_selector(".then", state="detached")


def test_by_keyboard_alone(shown: Shown) -> None:
    page = shown.page
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"


def test_all_stop_asks_why_first(shown: Shown) -> None:
    page = shown.page
    page.click("#head .danger")
    assert page.evaluate("document.activeElement.name") == "why"
    page.fill("dialog [name=why]", "a drill")
    page.click("dialog button.danger")
    expect(page.locator("#said")).to_contain_text("gateways")


def test_what_is_typed_is_never_markup(shown: Shown) -> None:
    shown.view("users")
    shown.page.click("text=New token")
    shown.page.fill("dialog [name=name]", "<img src=x>")
    shown.page.click("dialog button.main")
    shown.page.wait_for_selector(".problem")
    assert shown.page.locator("#main img").count() == 0
    shown.errors.clear()  # the browser tells of the 400 itself
