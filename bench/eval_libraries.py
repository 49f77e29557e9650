"""The libraries that we measure ourselves against, as the scoring tools call them: the obvious use of each.

Quotes: ``function(text, html)``, one of the two may be None; the answer is text, or ``("html", markup)``. A
library that knows no HTML gets it rendered to text by the tools' own renderer, with ``>`` before quotes.
"""

from __future__ import annotations

import json
import select
import subprocess
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
NODE_FOLDER = ROOT / ".local" / "eval" / "node"
CRISP_LIMIT_SECONDS = 10  # it hangs on a mail of the corpus; a mail that is not parted in time is kept whole
LANGUAGES = ["en", "de", "cs", "da", "es", "fr", "it", "ja", "ko", "nl", "pl", "sv", "zh"]


def _text(text: str | None, html: str | None) -> str:
    from textutil import render  # of the scoring tools

    return text if text is not None else render(html, quote_prefix=True)


def mail_parser_reply(text: str | None, html: str | None) -> str:
    from mailparser_reply import EmailReplyParser

    return EmailReplyParser(languages=LANGUAGES).parse_reply(text=_text(text, html)) or ""


def quotequail(text: str | None, html: str | None) -> Any:
    import quotequail as library

    if text is not None:
        return "\n".join(
            piece for shown, piece in library.quote(text, limit=10**6, quote_intro_line=True) if shown
        )
    pieces = library.quote_html(html, limit=10**6, quote_intro_line=True)
    return ("html", "".join(piece for shown, piece in pieces if shown))


def unquotemail(text: str | None, html: str | None) -> Any:
    from unquotemail import Unquote

    if text is not None:
        return Unquote(None, text).get_text()
    return ("html", Unquote(html, None).get_html())


def email_reply_parser(text: str | None, html: str | None) -> str:
    from email_reply_parser import EmailReplyParser

    return EmailReplyParser.parse_reply(_text(text, html)) or ""


def crisp(text: str | None, html: str | None) -> str:
    """Ask crisp-oss/email-reply-parser, a program for Node that is kept running.

    Raises:
        TimeoutError: no answer within 10 seconds.
    """
    global _crisp
    if _crisp is None:
        command = ["node", str(ROOT / "bench" / "eval_crisp.mjs")]
        _crisp = subprocess.Popen(
            command, cwd=NODE_FOLDER, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
    assert _crisp.stdin is not None
    assert _crisp.stdout is not None
    _crisp.stdin.write(json.dumps({"text": _text(text, html)}) + "\n")
    _crisp.stdin.flush()
    ready, _, _ = select.select([_crisp.stdout], [], [], CRISP_LIMIT_SECONDS)
    if not ready:
        _crisp.kill()
        _crisp.wait()
        _crisp = None
        raise TimeoutError(f"no answer in {CRISP_LIMIT_SECONDS} s")
    return str(json.loads(_crisp.stdout.readline())["text"])


_crisp: subprocess.Popen[str] | None = None


def whole_mail(text: str | None, html: str | None) -> Any:
    """Keep everything: the floor for exactness, the ceiling for losing nothing."""
    return text if text is not None else ("html", html)
