"""Pictures of every page: phone and desktop, light and dark, into ./shots. Look at them before a release.

python -m tests.browser.shots [folder] [word in the name ...]
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

from tests.browser.driver import launch, sign_in, sign_in_customer
from tests.browser.fake_api import FakeApi

SIZES = {"phone": (390, 844), "desktop": (1280, 800)}


def _smtp_failed(page: Page) -> None:
    page.get_by_role("button", name="Set Up").click()
    page.get_by_label("Provider").select_option("gmail")
    page.get_by_label("Username").fill("support@acme.example")
    page.get_by_label("Password").fill("wrong")
    page.get_by_role("button", name="Send Test").click()
    page.locator("[data-stage]").wait_for()


def _why(page: Page) -> None:
    page.get_by_role("button", name="About this mail").first.click()
    page.get_by_role("button", name="Why it is here").click()
    page.locator(".reasons").wait_for()


def _original(page: Page) -> None:
    page.get_by_text("Original mail as it was laid out").first.click()
    # A frame out of sight is not laid out.
    page.locator("iframe").scroll_into_view_if_needed()
    page.frame_locator("iframe").locator("body *").first.wait_for()


def _factor(page: Page) -> None:
    page.get_by_role("button", name="Set up an authenticator").click()
    page.locator("dialog .qr").wait_for()


def _nothing(page: Page) -> None:
    """The page as it opens."""


# name, who, path, what to wait for, what to do first
PAGES: list[tuple[str, str, str, str, Callable[[Page], None]]] = [
    ("signin", "", "/", "form", _nothing),
    ("list", "ada@acme.example", "/tickets", ".tickets .name", _nothing),
    ("ticket", "ada@acme.example", "/tickets/42", ".write", _nothing),
    ("original", "ada@acme.example", "/tickets/42", ".write", _original),
    ("why", "ada@acme.example", "/tickets/42", ".write", _why),
    ("general", "ada@acme.example", "/settings", "form", _nothing),
    ("inbound-address", "ada@acme.example", "/settings/inbound-address", ".copy", _nothing),
    ("smtp", "ada@acme.example", "/settings/outbound", ".card", _nothing),
    ("smtp-failed", "ada@acme.example", "/settings/outbound", ".card", _smtp_failed),
    ("preview", "ada@acme.example", "/settings/templates", "iframe", _nothing),
    ("members", "ada@acme.example", "/settings/members", ".rows", _nothing),
    ("blocked", "ada@acme.example", "/settings/blocked", ".empty", _nothing),
    ("suppressions", "ada@acme.example", "/settings/suppressions", ".rows", _nothing),
    ("received", "ada@acme.example", "/settings/received", ".rows", _nothing),
    ("sent", "ada@acme.example", "/settings/sent", ".rows", _nothing),
    ("account", "ada@acme.example", "/settings/account", ".card", _nothing),
    ("second-factor", "ada@acme.example", "/settings/account", ".card", _factor),
    ("operator", "op@servelo.example", "/operator", ".rows", _nothing),
    ("failed", "op@servelo.example", "/operator/failed", ".rows", _nothing),
    ("operator-inbox", "op@servelo.example", "/operator/inbox", "form", _nothing),
    ("queues", "op@servelo.example", "/operator/queues", ".rows", _nothing),
    ("door", "", "/portal/acme", "form", _nothing),
    ("customer-list", "customer", "/portal/acme", ".tickets", _nothing),
    ("customer-ticket", "customer", "/portal/acme/tickets/42", ".comment", _nothing),
    ("customer-new", "customer", "/portal/acme/new", "form", _nothing),
]


def main(folder: Path, words: list[str]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    with FakeApi() as api, sync_playwright() as playwright:
        browser = launch(playwright)
        for size, (width, height) in SIZES.items():
            for scheme in ("light", "dark"):
                for who in sorted({p[1] for p in PAGES}):
                    context = browser.new_context(
                        viewport={"width": width, "height": height},
                        color_scheme=scheme,
                        has_touch=size == "phone",
                        is_mobile=size == "phone",
                        device_scale_factor=1,
                    )
                    page = context.new_page()
                    if who == "customer":
                        sign_in_customer(page, api.url)
                    elif who:
                        sign_in(page, api.url, who)
                    for name, _, path, ready, act in (p for p in PAGES if p[1] == who):
                        if words and not any(word in f"{name}-{size}-{scheme}" for word in words):
                            continue
                        page.goto(api.url + path)
                        page.locator(ready).first.wait_for()
                        act(page)
                        page.wait_for_load_state("networkidle")
                        page.screenshot(path=folder / f"{name}-{size}-{scheme}.png")
                    context.close()
        browser.close()


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "shots"), sys.argv[2:])
