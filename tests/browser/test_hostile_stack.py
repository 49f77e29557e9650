"""The XSS corpus in the real portal: each payload a real mail, through SMTP, router and API into Chromium.

Each payload is, all at once, the HTML and the text of a mail, its subject, its sender's name and the name of
its file, and an internal note on the ticket that comes of it. Every ticket is seen in the list and opened,
everything folded is unfolded, and everything is hovered, focused and clicked, inside the mail's frame too.
Counted are scripts that ran, requests to other origins, navigations, windows and forms: all must be 0.

A sample has a mail for each payload. With ``SERVELO_PROOF`` the whole corpus follows, 25 payloads a mail, and
again in the opposite order: what one payload swallows stands before it then. ``test_hostile_mail.py`` shows
each of the corpus by itself.
"""

from __future__ import annotations

import os
import smtplib
import threading
import time
import unicodedata
import urllib.parse
from collections.abc import Iterator
from typing import Any

import pytest
from local.demo import Demo
from local.settings import HOST, PASSWORD, LocalSettings
from playwright.sync_api import Browser, Page

from tests.browser.driver import sign_in
from tests.browser.hostile import OWN, Counter, corpus, go_to, hostile_mail, unfold

pytestmark = pytest.mark.stack

SENDERS = 3
TOGETHER = 25
# What the local AWS could not hand over at once comes again when its queue shows it again, after 12 minutes.
PATIENCE_SECONDS = 900 if os.environ.get("SERVELO_PROOF") else 120


@pytest.fixture(scope="module")
def payloads() -> list[list[str]]:
    """What the mails hold, each its own."""
    proof = os.environ.get("SERVELO_PROOF")
    single = [[each] for each in OWN + corpus(12, most=12 if proof else 200)]
    if not proof:
        return single
    every = corpus(0)
    groups = [every[at : at + TOGETHER] for at in range(0, len(every), TOGETHER)]
    return single + groups + [each[::-1] for each in groups]


@pytest.fixture
def tickets(settings: LocalSettings, payloads: list[list[str]]) -> Iterator[dict[int, list[str]]]:
    """Number of the ticket to the payloads that it was made of; nobody is told of them by mail."""
    demo = Demo(settings)
    token = demo.sign_in("admin@acme.example")

    def api(method: str, path: str, body: object = None) -> Any:
        return demo.call(method, path, token=token, body=body)

    def tell(notify: bool) -> None:
        for email in members:
            api("PATCH", f"/api/members/{urllib.parse.quote(email)}", {"notify": notify})

    members = [each["email"] for each in api("GET", "/api/members")["items"] if each["notify"]]
    tell(False)
    run = f"{time.time_ns():x}"
    addresses = {f"x{index}.{run}@hostile.example": payload for index, payload in enumerate(payloads)}
    work = list(addresses.items())

    def send() -> None:
        with smtplib.SMTP(HOST, settings.smtp_port, timeout=60) as smtp:
            while True:
                try:
                    address, payload = work.pop()
                except IndexError:
                    return
                mail = hostile_mail(payload, address)
                smtp.send_message(mail, from_addr=address, to_addrs=[f"acme@{settings.mail_domain}"])

    threads = [threading.Thread(target=send) for _ in range(SENDERS)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    found: dict[int, list[str]] = {}
    still = time.monotonic()
    while len(found) < len(payloads):
        before = len(found)
        cursor = ""
        while True:
            page = api("GET", f"/api/tickets?limit=100{cursor}")
            mine = [t for t in page["items"] if t["requester"]["email"] in addresses]
            fresh = {
                t["number"]: addresses[t["requester"]["email"]] for t in mine if t["number"] not in found
            }
            found |= fresh
            cursor = f"&cursor={urllib.parse.quote(page['next_cursor'] or '')}"
            if not page["next_cursor"] or (not fresh and len(found) > before):
                break
        if len(found) > before:
            still = time.monotonic()
        missing = len(payloads) - len(found)
        assert time.monotonic() - still < PATIENCE_SECONDS, f"{missing} mails made no ticket"
        time.sleep(0.5)
    for number, several in found.items():
        note = {"text": as_note(several), "visibility": "internal"}
        api("POST", f"/api/tickets/{number}/comments", note)
    yield found
    tell(True)


def as_note(several: list[str]) -> str:
    """What the API takes of *several*: no control characters."""
    kept = (c for c in "\n\n".join(several) if c in "\n\t" or unicodedata.category(c) not in ("Cc", "Cs"))
    return "".join(kept).strip() or "x"


def test_nothing_of_a_sample_runs_loads_moves_or_is_sent_in_the_real_system(
    browser: Browser, settings: LocalSettings, tickets: dict[int, list[str]]
) -> None:
    context = browser.new_context(viewport={"width": 1280, "height": 800})
    context.set_default_timeout(60_000)
    page = context.new_page()
    sign_in(page, settings.portal_url, "admin@acme.example", PASSWORD)
    counter = Counter(page, settings.portal_url)
    page.goto(settings.portal_url + "/tickets")
    page.locator(".tickets a[data-number]").first.wait_for()
    for number, payload in tickets.items():
        counter.at = payload
        look_at(page, counter, number)
    counter.at = "list"
    rows = page.locator(".tickets a[data-number]")
    while page.get_by_role("button", name="Show more").count():
        before = rows.count()
        page.get_by_role("button", name="Show more").click()
        page.wait_for_function(
            "count => document.querySelectorAll('.tickets a[data-number]').length > count", arg=before
        )
    counter.touch(".tickets *")
    shown = set(rows.evaluate_all("all => all.map(a => +a.dataset.number)"))
    context.close()
    seen = {each for several in tickets.values() for each in several}
    print(f"{len(tickets)} mails with {len(seen)} payloads opened in the portal: {counter.counts()}")
    assert set(tickets) <= shown
    assert [] == counter.hits


def look_at(page: Page, counter: Counter, number: int) -> None:
    """Open a ticket, unfold and touch everything on it."""
    go_to(page, f"/tickets/{number}")
    page.locator(".talk-top", has_text=f"#{number}").wait_for()
    page.locator(".talk article.internal").first.wait_for()
    unfold(page)
    if page.get_by_text("Original mail as it was laid out").count():
        page.locator("article iframe").first.wait_for(state="attached")
        counter.touch_frames()
    counter.touch()
