"""Payloads as HTML mail, subject, sender name, file name and quoted text, opened in the real pages.

Nothing may run, load, move or be sent. The sanitiser is the real one; with ``SERVELO_CORPORA`` (or the
corpora beside the checkout) a seeded sample of the XSS corpus is used besides our own cases;
``SERVELO_XSS_SAMPLE`` says how many, 60 if not set, all of them with ``SERVELO_PROOF``.
"""

from __future__ import annotations

import json
import os
import random
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Frame, Page, Route

from tests.browser.driver import sign_in
from tests.browser.fake_api import FakeApi

OWN = [
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "<svg onload=alert(1)><a href='javascript:alert(1)'>x</a></svg>",
    "<iframe srcdoc='<script>parent.alert(1)</script>'></iframe>",
    "<base href='https://evil.example/'><link rel=stylesheet href=a.css>",
    "<meta http-equiv=refresh content='0;url=https://evil.example/'>",
    "<form action=https://evil.example><input name=password autofocus onfocus=alert(1)></form>",
    "<style>@import 'https://evil.example/a.css';*{background:url(https://evil.example/b)}</style>",
    "<div style='background:url(https://evil.example/c);position:fixed;inset:0'>x</div>",
    "<img src='https://evil.example/p.gif'><img srcset='https://evil.example/q.gif 1x'>",
    "<math><mtext></p><style><img src onerror=alert(1)></style></mtext></math>",
    "</textarea></title></iframe><script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "{{constructor.constructor('alert(1)')()}} ${alert(1)}",
    "<a href='data:text/html,<script>alert(1)</script>'>x</a>",
    "<object data='https://evil.example/x.swf'></object><embed src='https://evil.example/'>",
    "<img name=body><img id=getElementById><form id=cookie>",
    "\u202e<b>txt.exe\u2066",
]
HOOK = """for (const name of ["alert", "confirm", "prompt", "print"]) {
  Object.defineProperty(window, name, {value: () => window.__hit(name), configurable: true});
}"""
POKE = """() => {
  for (const node of document.querySelectorAll("article *")) {
    if (node.closest("button, summary, dialog")) continue;
    for (const type of ["mouseover", "mousemove", "focus", "pointerenter"]) {
      node.dispatchEvent(new MouseEvent(type, {bubbles: true, cancelable: true}));
    }
  }
}"""


def corpus() -> list[str]:
    """Return a seeded sample of the corpus, all of it when asked, nothing when it is not there."""
    folder = Path(
        os.environ.get("SERVELO_CORPORA") or Path(__file__).resolve().parents[3] / "shared" / "corpora"
    )
    file = folder / "xss" / "dev.jsonl"
    if not file.is_file():
        return []
    found = [json.loads(line)["payload"] for line in file.read_text().splitlines()]
    usual = len(found) if os.environ.get("SERVELO_PROOF") else 60
    wanted = int(os.environ.get("SERVELO_XSS_SAMPLE") or usual)
    return random.Random(4).sample(found, min(wanted, len(found)))


class Watched:
    """A page that writes down what it should not do."""

    def __init__(self, page: Page, origin: str) -> None:
        self.page, self.origin, self.hits = page, origin, list[str]()
        page.expose_binding("__hit", lambda _, kind: self.hits.append(f"script: {kind}"))
        page.add_init_script(HOOK)
        page.on("dialog", lambda dialog: (self.hits.append("dialog"), dialog.dismiss()))
        page.on("popup", lambda opened: (self.hits.append("popup"), opened.close()))
        page.route("**/*", self.request)  # what the CSP refuses never comes here
        page.on("framenavigated", self.moved)

    def request(self, route: Route) -> None:
        url = route.request.url
        if url.startswith((self.origin, "data:", "about:", "blob:")):
            route.continue_()
        else:
            self.hits.append(f"external: {url[:80]}")
            route.abort()

    def moved(self, frame: Frame) -> None:
        url = frame.url
        if not url.startswith((self.origin + "/tickets", "about:")):
            self.hits.append(f"navigation: {url[:80]}")


def test_nothing_in_a_mail_runs_loads_moves_or_is_sent(browser: Browser, api: FakeApi) -> None:
    payloads = OWN + corpus()
    context = browser.new_context(viewport={"width": 1280, "height": 800})
    page = context.new_page()
    sign_in(page, api.url, "ada@acme.example")
    watched = Watched(page, api.url)
    numbers = {api.desk.ticket_from_mail(p, p, p, filename=p[:200] or "x"): p for p in payloads}
    bad: dict[str, list[str]] = {}
    page.goto(api.url + "/tickets")
    for number, payload in numbers.items():
        # As the portal's own links do it: without loading the page anew.
        page.evaluate(
            "path => { history.pushState(null, '', path); dispatchEvent(new PopStateEvent('popstate')); }",
            f"/tickets/{number}",
        )
        page.get_by_text(f"#{number}", exact=True).last.wait_for()
        article = page.locator(".talk article").first
        article.wait_for()
        for summary in article.locator("summary").all():
            summary.press("Enter")
        if article.get_by_text("Original mail as it was laid out").count():
            article.locator("iframe").wait_for(state="attached")
            handle = article.locator("iframe").first.element_handle()
            frame = handle.content_frame() if handle else None
            if frame is not None:
                frame.wait_for_load_state()
        page.evaluate(POKE)
        if watched.hits:
            bad[payload] = list(watched.hits)
            watched.hits.clear()
    context.close()
    assert {} == bad


@pytest.mark.parametrize("payload", OWN)
def test_the_frame_holds_without_the_sanitiser(
    browser: Browser, api: FakeApi, monkeypatch: pytest.MonkeyPatch, payload: str
) -> None:
    monkeypatch.setattr("tests.browser.fake_api.sanitise", lambda html: html)
    context = browser.new_context()
    page = context.new_page()
    sign_in(page, api.url, "ada@acme.example")
    watched = Watched(page, api.url)
    number = api.desk.ticket_from_mail("x", payload, "x")
    page.goto(f"{api.url}/tickets/{number}")
    page.get_by_text("Original mail as it was laid out").click()
    frame = page.locator("iframe").element_handle().content_frame()
    assert frame is not None
    frame.wait_for_load_state()
    context.close()
    assert [] == watched.hits
