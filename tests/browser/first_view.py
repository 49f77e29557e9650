"""How long the first view takes on the local stack, nothing cached: from the address to words on the page.

python -m tests.browser.first_view        the stack that runs (``make run``), else one of its own
"""

from __future__ import annotations

import os
import statistics
import time
from contextlib import nullcontext
from typing import Any

from local.demo import running
from local.settings import PASSWORD, LocalSettings
from playwright.sync_api import Browser, sync_playwright

from tests.browser.driver import launch, sign_in
from tests.local_stack import running_stack

RUNS = 7


def measure(browser: Browser, url: str, ready: str, storage: Any = None) -> dict[str, float]:
    """Milliseconds to the first paint with content and to *ready*, kilobytes sent; one cold visit."""
    context = browser.new_context(viewport={"width": 390, "height": 844})
    page = context.new_page()
    if storage:
        page.add_init_script(f"sessionStorage.setItem('servelo:session', {storage!r})")
    began = time.perf_counter()
    page.goto(url, wait_until="commit")
    page.locator(ready).first.wait_for()
    seconds = time.perf_counter() - began
    painted = page.evaluate("performance.getEntriesByName('first-contentful-paint')[0]?.startTime ?? 0")
    sizes = page.evaluate("performance.getEntriesByType('resource').map(r => r.transferSize)")
    context.close()
    return {"paint": painted, "ready": seconds * 1000, "kilobytes": sum(sizes) / 1000}


def main() -> None:
    settings = LocalSettings.from_env(os.environ)
    with nullcontext() if running(settings) else running_stack() as own, sync_playwright() as playwright:
        url = (own.settings if own else settings).portal_url
        browser = launch(playwright)
        page = browser.new_page()
        sign_in(page, url, "admin@acme.example", PASSWORD)
        storage = page.evaluate("sessionStorage.getItem('servelo:session')")
        for name, path, ready, kept in (
            ("sign-in", "/", "form", None),
            ("tickets, signed in", "/tickets", ".tickets .name, .list-pane .empty", storage),
            ("customers' door", "/portal/acme", "form", None),
        ):
            seen = [measure(browser, url + path, ready, kept) for _ in range(RUNS)]
            middle = {key: statistics.median(each[key] for each in seen) for key in seen[0]}
            print(
                f"{name:20} first words {middle['paint']:5.0f} ms, complete {middle['ready']:5.0f} ms, "
                f"{middle['kilobytes']:4.0f} kB (median of {RUNS}, load {os.getloadavg()[0]:.0f})"
            )
        browser.close()


if __name__ == "__main__":
    main()
