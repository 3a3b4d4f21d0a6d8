"""The page of residents in Chromium: chosen squares, late; nothing of it for who does not publish."""

from collections.abc import Iterator

import httpx
import pytest
from playwright.sync_api import Browser

from tests.page.shown import Shown, Site, chromium, enter, site
from tests.page.test_page import barriers

pytestmark = [pytest.mark.system("chromium"), pytest.mark.xdist_group("page")]
PUBLIC = 'public = ["environment/pm25"]\npublic_delay_s = 0.0\n# certificate'


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as one:
        yield one


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with site(tmp_path_factory.mktemp("public"), change=("# certificate", PUBLIC)) as one:
        yield one


def test_residents_see_squares_and_nothing_else(browser: Browser, place: Site) -> None:
    shown = enter(browser, place)  # the city has begun by then
    shown.page.context.clear_cookies()
    told = httpx.get(f"{place.address}/api/v1/public/city").json()
    assert {(one["domain"], one["quantity"]) for one in told["layers"]} <= {("environment", "pm25")}
    assert not {"asset", "point", "gateway", "sd"} & set(str(told).replace("'", " ").split())
    assert httpx.get(f"{place.address}/api/v1/city").status_code == 401
    page = Shown(shown.page, place.address)
    page.page.goto(f"{place.address}/public")
    page.page.wait_for_selector("#main h1")
    assert not barriers(page)
    assert not shown.errors
    shown.page.context.close()
