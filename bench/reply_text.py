"""How long the new words of a reply take: ``python -m bench.reply_text``.

Times are of this machine and of this moment, so each stands beside a yardstick from the same run: the time
that parting the same text into lines and stripping each of them takes. CPU time, best of several.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LAYER = ROOT / "layers" / "common"
sys.path.insert(0, str(LAYER))

from servelo.mail.html_text import bare_words  # noqa: E402
from servelo.mail.inbound import read_mail  # noqa: E402 - the layer is put on the path first
from servelo.mail.reply_body import part_reply  # noqa: E402

FIXTURES = ROOT / "tests" / "fixtures" / "replies"
MEGABYTE = 1_000_000

TEXT_BOMBS = {
    "one line of '>'": ">",
    "one line of spaces": " ",
    "empty lines": "\n",
    "'On ' lines": "On \n",
    "one line of 'On '": "On ",
    "'wrote:' lines": "wrote:\n",
    "':' lines": ":\n",
    "header fields": "From: x\n",
    "whole header blocks cut short": "From: x@y.z\nfoo\n",
    "rules": "-----\n",
    "attributions": "On 3 May 2012 at 10:00, bob wrote:\n> x\ny\n",
    "half attributions": "On 3 May 2012 at 10:00, bob is a man of the\n",
    "lead words in a line": "x On Mon 3 " * 180 + ":\n",
    "quoted and not": "> a\nb\n",
    "device lines": "a\n\nSent from my iPhone\n\n",
    "surrogates and NUL": "\ud800\x00",
    "two words a line": "ab cd\n",
}
HTML_BOMBS = {
    "open div": "<div>",
    "open blockquote": "<blockquote>",
    "marked div": '<div class="gmail_quote">',
    "'<'": "<",
    "comments": "<!--",
    "tables": "<table><tr><td>",
    "closing tags": "</div>",
    "an attribute without end": '<div "',
    "markers": "<hr id=zwchr>",
    "paragraphs": "<p>some words: here</p>",
    "open paragraphs": "<p>x",
    "open lists": "<dd>x",
    "quoted lines": "<blockquote>x",
    "marked signatures": "<div class=gmail_signature>x",
    "references cut short": "&x",
    "line breaks": "<br>x",
    "attributions without a moment": "On Monday Ada wrote:<br>",
    "quote marks": "> x<br>",
    "signature rules": "-- <br>",
    "conditional comments": "<!--[if mso]><p>x<![endif]-->",
    "end tags of nothing open": "<div></b>",
    "items in items": "<li><dd>x",
    "words between cells": "<table>x",
    "links": "<a href=x>x",
    "formatting without end": "<font color=red><p>x",
    "tags with many attributes": "<p a b c d e f>",
    "dots in the middle": "·",
    "no-break spaces": "&nbsp;",
    "signs and items": "<<li>",
    "names in bold": "<dd><b>a:",
}


def cpu_seconds(call: Callable[[], object], times: int = 3) -> float:
    best = float("inf")
    for _ in range(times):
        start = time.process_time()
        call()
        best = min(best, time.process_time() - start)
    return best


def yardstick(text: str) -> float:
    return cpu_seconds(lambda: [line.strip() for line in text.split("\n")])


def as_mail(text: str, *, html: bool) -> bytes:
    """Return a mail with *text* as its only part, to be read with all that belongs to it."""
    kind = "html" if html else "plain"
    head = f"From: a@b.example\r\nContent-Type: text/{kind}; charset=utf-8\r\n\r\n"
    return head.encode() + text.encode("utf-8", "replace")


def main() -> None:
    cases = json.loads((FIXTURES / "clients.json").read_text("utf-8"))
    for case in cases:
        part_reply(case["text"], case["html"])
    for kind in ("text", "html"):
        own = [case for case in cases if case[kind]]
        per_mail = []
        for case in own:
            arguments = (case["text"], case["html"])
            per_mail.append(cpu_seconds(lambda a=arguments: [part_reply(*a) for _ in range(20)]) / 20)
        print(
            f"{kind} replies: median {statistics.median(per_mail) * 1e3:.2f} ms, "
            f"slowest {max(per_mail) * 1e3:.2f} ms ({len(own)} mails)"
        )
    print(f"\n{'1 MB of':<34}{'seconds':>8}{'yardsticks':>12}{'whole reader':>14}")
    slowest = 0.0
    for bombs, as_html in ((TEXT_BOMBS, False), (HTML_BOMBS, True)):
        for name, piece in bombs.items():
            text = piece * (MEGABYTE // len(piece))
            arguments = ("", text) if as_html else (text, "")
            seconds = cpu_seconds(lambda a=arguments: part_reply(*a), 1)
            raw = as_mail(text, html=as_html)
            bare_words.cache_clear()  # what part_reply has read is not to help read_mail
            whole = cpu_seconds(lambda mail=raw: read_mail(mail), 1)
            slowest = max(slowest, seconds, whole)
            ratio = seconds / max(yardstick(text), 1e-4)
            print(f"{name:<34}{seconds:>8.2f}{ratio:>12.0f}{whole:>12.2f} s")
    print(f"slowest {slowest:.2f} s")
    program = (
        "import time; import servelo.mail.inbound_mail; t = time.process_time(); "
        "import servelo.mail.reply_body; print(time.process_time() - t)"
    )
    imports = [
        float(subprocess.check_output([sys.executable, "-c", program], cwd=LAYER, text=True))
        for _ in range(5)
    ]
    print(f"import, with inbound_mail already there: {min(imports) * 1e3:.0f} ms")


if __name__ == "__main__":
    main()
