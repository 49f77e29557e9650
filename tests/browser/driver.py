"""Driving Debian's Chromium by Playwright: where it is, how it is started, signing in."""

from __future__ import annotations

import os
import shutil

from playwright.sync_api import Browser, Page, Playwright

from tests.browser.fake_api import PASSWORD


def chromium() -> str | None:
    """Return the path of a Chromium of this machine (``CHROMIUM`` names another), None when there is none."""
    named = os.environ.get("CHROMIUM")
    found = (
        [named]
        if named
        else [shutil.which(name) for name in ("chromium", "chromium-browser", "google-chrome")]
    )
    return next((path for path in found if path and os.path.exists(path)), None)


def launch(playwright: Playwright) -> Browser:
    """Start it without a window; nothing but this machine can be reached by name."""
    return playwright.chromium.launch(
        executable_path=chromium(),
        args=[
            "--no-sandbox",
            "--disable-gpu",
            "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost",
        ],
    )


def sign_in(page: Page, url: str, address: str, password: str = PASSWORD, *, at: str = "/") -> None:
    page.goto(url + at)
    page.get_by_label("E-mail address").fill(address)
    page.get_by_label("Password", exact=True).fill(password)
    page.get_by_role("button", name="Sign in").click()
    page.locator(".shell").wait_for()


def sign_in_customer(page: Page, url: str, link: str = "good") -> None:
    page.goto(f"{url}/portal/acme#token={link}")
    page.locator(".door .head").wait_for()
