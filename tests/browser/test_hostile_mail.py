"""Payloads as HTML mail, subject, sender name, file name and quoted text, opened in the real pages.

Nothing may run, load, move or be sent. Reader and sanitiser are the real ones, the API is a double, so that
the whole corpus can be shown within a proof. ``test_hostile_stack.py`` sends a sample through the real one.
"""

from __future__ import annotations

import os

import pytest
from playwright.sync_api import Browser

from servelo.mail.inbound import read_mail
from tests.browser.driver import sign_in
from tests.browser.fake_api import FakeApi
from tests.browser.hostile import OWN, Counter, corpus, go_to, hostile_mail, unfold

CHUNK, BATCH = 100, 20


def test_nothing_in_a_mail_runs_loads_moves_or_is_sent(browser: Browser) -> None:
    payloads = corpus(60)[int(os.environ.get("SERVELO_XSS_FROM") or 0) :] + OWN
    total = dict.fromkeys(("script", "external", "navigation", "popup", "form"), 0)
    seen, frames, bad = 0, 0, []
    for start in range(0, len(payloads), CHUNK):
        chunk = payloads[start : start + CHUNK]
        with FakeApi() as api:
            counter, framed = look_at(browser, api, chunk)
        seen, frames, bad = seen + len(chunk), frames + framed, bad + counter.hits
        for kind, count in counter.counts().items():
            total[kind] += count
        print(f"{seen} of {len(payloads)} payloads opened, {frames} of them framed: {total}", flush=True)
    assert [] == bad


def look_at(browser: Browser, api: FakeApi, payloads: list[str]) -> tuple[Counter, int]:
    """Show each payload in the list, as a subject, and as a comment among others, which must stay whole."""
    context = browser.new_context(viewport={"width": 1280, "height": 800})
    context.set_default_timeout(60_000)
    page = context.new_page()
    sign_in(page, api.url, "ada@acme.example")
    counter = Counter(page, api.url)
    subjects = {api.desk.ticket_named(p, p): p for p in payloads}
    batches = {
        api.desk.ticket_from_mails(
            [
                (p, read_mail(hostile_mail(p, f"x{number}@xss.example").as_bytes()))
                for number, p in enumerate(batch)
            ]
        ): batch
        for batch in (payloads[at : at + BATCH] for at in range(0, len(payloads), BATCH))
    }
    counter.at = "list"
    page.goto(api.url + "/tickets")
    page.locator(f"[data-number='{max(batches)}']").wait_for()
    counter.touch(".tickets *")
    for number, payload in subjects.items():
        counter.at = payload
        go_to(page, f"/tickets/{number}")
        page.get_by_text(f"#{number}", exact=True).last.wait_for()
        counter.touch("h1, .people *")
    framed = 0
    for number, batch in batches.items():
        counter.at = batch
        go_to(page, f"/tickets/{number}")
        page.get_by_text(f"#{number}", exact=True).last.wait_for()
        page.locator(".talk article").nth(len(batch) - 1).wait_for()
        unfold(page)
        comments = api.desk.tickets[number]["comments"]
        expected = sum(1 for comment in comments if comment["html"])
        page.wait_for_function("n => document.querySelectorAll('article iframe').length === n", arg=expected)
        framed += counter.touch_frames()
        counter.touch()
        assert len(batch) == page.locator(".talk-body > article").count()
    context.close()
    return counter, framed


@pytest.mark.parametrize("payload", OWN)
def test_the_frame_holds_without_the_sanitiser(browser: Browser, api: FakeApi, payload: str) -> None:
    context = browser.new_context()
    page = context.new_page()
    sign_in(page, api.url, "ada@acme.example")
    counter = Counter(page, api.url)
    mail = read_mail(hostile_mail(payload, "x@xss.example").as_bytes())
    number = api.desk.ticket_from_mails([(payload, mail)])
    api.desk.tickets[number]["comments"][0]["html"] = payload
    page.goto(f"{api.url}/tickets/{number}")
    page.get_by_text("Original mail as it was laid out").click()
    frame = page.locator("iframe").element_handle().content_frame()
    assert frame is not None
    frame.wait_for_load_state()
    context.close()
    assert [] == counter.hits


def test_the_counter_counts_what_a_page_without_walls_lets_through(browser: Browser, api: FakeApi) -> None:
    context = browser.new_context()
    page = context.new_page()
    counter = Counter(page, api.url)
    page.route(
        "**/tickets/raw", lambda route: route.fulfill(body="<article></article>", content_type="text/html")
    )
    page.goto(f"{api.url}/tickets/raw")
    page.evaluate(
        """() => document.querySelector("article").innerHTML = `<img src=x onerror=alert(1)>
          <img src="http://evil.example/p.gif"><b onmouseover="prompt(1)">x</b><i onclick="confirm(1)">y</i>
          <iframe srcdoc="<form><input name=password></form>"></iframe>`"""
    )
    page.wait_for_function("document.images[0].complete")
    counter.touch()
    counter.touch_frames()
    page.evaluate("location.href = '/portal/acme'")
    page.wait_for_url("**/portal/acme")
    context.close()
    assert {"script": 3, "external": 1, "navigation": 1, "popup": 0, "form": 1} == counter.counts()
