"""A browser, a double of the API, and pages that fail a test when anything is refused or thrown in them."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from local.demo import running
from local.settings import LocalSettings
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

from tests.browser.driver import chromium, launch, sign_in
from tests.browser.fake_api import FakeApi
from tests.local_stack import running_stack


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    if chromium() is None:
        pytest.fail("No Chromium was found. Install it (apt install chromium) or name one in CHROMIUM.")
    with sync_playwright() as playwright:
        started = launch(playwright)
        yield started
        started.close()


@pytest.fixture
def api() -> Iterator[FakeApi]:
    with FakeApi() as running:
        yield running


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    made = browser.new_context(viewport={"width": 1280, "height": 800})
    made.set_default_timeout(8000)
    yield made
    made.close()


@pytest.fixture
def page(context: BrowserContext) -> Iterator[Page]:
    """A page; what its scripts throw and what its CSP refuses fails the test."""
    opened = context.new_page()
    complaints: list[str] = []
    opened.on("pageerror", lambda error: complaints.append(str(error)))
    opened.on(
        "console",
        lambda said: complaints.append(said.text) if "Content Security Policy" in said.text else None,
    )
    yield opened
    assert complaints == []


@pytest.fixture
def admin(page: Page, api: FakeApi) -> Page:
    sign_in(page, api.url, "ada@acme.example")
    return page


@pytest.fixture(scope="session")
def settings() -> Iterator[LocalSettings]:
    """The whole local stack. ``SERVELO_HTTP_PORT`` and its like name one that runs already (``make run``)."""
    named = LocalSettings.from_env(os.environ)
    if "SERVELO_HTTP_PORT" in os.environ and running(named):
        yield named
        return
    with running_stack() as stack:
        yield stack.settings
