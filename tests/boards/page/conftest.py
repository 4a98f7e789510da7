"""A browser, and the page of a small grid in it."""

from __future__ import annotations

import pytest
from page_cases import chromium, small_reports

from mil_bench.boards.page.build import write_page


@pytest.fixture(scope="session")
def browser():
    with chromium() as found:
        yield found


@pytest.fixture(scope="session")
def reports(tmp_path_factory):
    """The board of a small grid."""
    return small_reports(tmp_path_factory.mktemp("page"))


@pytest.fixture(scope="session")
def made(reports, tmp_path_factory):
    """Reports of a small grid and the page of them."""
    return reports, write_page(reports, tmp_path_factory.mktemp("out"))


@pytest.fixture
def opened(browser):
    """Open a page at a state; afterwards nothing was said on the console, nothing asked for."""
    said, asked, pages = [], [], []

    def _opened(path, state="", **context):
        page = browser.new_page(accept_downloads=True, **context)
        page.set_default_timeout(10_000)
        page.on("console", lambda message: said.append(message.text))
        page.on("pageerror", lambda error: said.append(str(error)))
        page.on("request", lambda request: asked.append(request.url))
        page.goto(f"{path.as_uri()}#{state}")
        pages.append(page)
        return page

    yield _opened
    for page in pages:
        page.close()
    assert said == []
    assert all(url.split("#")[0].endswith(".html") for url in asked)
    assert all(url.startswith("file:") for url in asked)
