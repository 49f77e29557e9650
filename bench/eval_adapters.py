"""Adaptors for the scoring tools: ``module:function`` that take raw bytes and give what the tools compare.

score_mime.py CORPUS --parser bench.eval_adapters:mime
score_bounces.py CORPUS --parser bench.eval_adapters:bounces
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "layers" / "common"))

from servelo.mail.bounce import read_bounce_bytes
from servelo.mail.inbound import read_mail
from servelo.mail.reply_body import part_reply, part_words


def mime(raw: bytes) -> dict[str, Any]:
    """Return subject, author, words and files of a mail in the words of ``score_mime.py``."""
    mail = read_mail(raw)
    return {
        "subject": mail.subject,
        "from_addr": mail.from_.addr_spec if mail.from_ else mail.author_unqualified,
        "from_name": mail.author_name,
        "text": mail.text,
        "html": mail.html,
        "attachments": [
            {
                "filename": one.original_filename or one.filename,
                "size": one.size_bytes,
                "content_type": one.content_type,
            }
            for one in mail.attachments
        ],
    }


def bounces(raw: bytes) -> list[dict[str, Any]]:
    """Return the failed recipients in the words of ``score_bounces.py``; [] when the mail is no bounce."""
    return [
        {"recipient": one.recipient, "status": one.status, "permanent": one.permanent}
        for one in read_bounce_bytes(raw).recipients
    ]


def html(payload: str, _id: str = "") -> str:
    """Return the sanitised HTML of a mail whose text/html part is *payload* (``run_xss.py``)."""
    return read_mail(
        b"Content-Type: text/html; charset=utf-8\r\n\r\n" + payload.encode("utf-8", "replace")
    ).html


def reply(text: str | None, html: str | None) -> str:
    """Return the new words of a mail with these bodies (``score_quotes.py``), read as the router reads it."""
    parts = [(kind, body) for kind, body in (("plain", text), ("html", html)) if body is not None]
    head = b"From: writer@customer.example\r\nMIME-Version: 1.0\r\n"
    fields = "Content-Type: text/{}; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n"
    written = [fields.format(kind).encode() + body.encode("utf-8", "replace") for kind, body in parts]
    if len(written) == 1:
        return read_mail(head + written[0]).body.new_text
    boundary = b"=_eval_3f1c7a_="
    raw = head + b"Content-Type: multipart/alternative; boundary=" + b'"' + boundary + b'"\r\n\r\n'
    raw += b"".join(b"--" + boundary + b"\r\n" + one + b"\r\n" for one in written)
    return read_mail(raw + b"--" + boundary + b"--\r\n").body.new_text


def quotes(text: str | None, html: str | None) -> str:
    """Return the new words of a reply: for ``score_quotes.py``, whose corpora leave out links' addresses."""
    return part_words(text or "", html or "").new_text


def quotes_as_shown(text: str | None, html: str | None) -> str:
    """Return the new words as the portal shows them, with bullets and addresses of links."""
    return part_reply(text or "", html or "").new_text
