"""The original sender of a mail that somebody forwarded.

Two shapes: the original attached as ``message/rfc822`` (its own From field), or its header block copied into
the text. The block is found by form, not by language: three or more lines in a row that read ``Word: value``,
where the first that holds an address is the author's. Mail programs put From before To in every language.
"""

from __future__ import annotations

import re

from servelo.mail.address import Mailbox
from servelo.mail.inbound_mail import InboundMail

MAX_LINES = 400  # a forward's header block stands near its beginning
MIN_BLOCK_LINES = 3

_LABELLED = re.compile(r"^[\s>*]{0,8}([^\s:：<>@*][^:：<>@]{0,28}?)\s*\*?\s*[:：]\s*\*?\s*(\S.*)?$")
_ADDRESS = re.compile(r"(?:mailto:)?([^\s<>\[\]()\",;:@]{1,64}@[^\s<>\[\]()\",;:@]{1,253})")
_AROUND_NAME = " \t\"'<>[]()*,;"


def original_sender(mail: InboundMail) -> Mailbox | None:
    """Return who wrote the mail that *mail* forwards, None when it forwards none."""
    for attachment in mail.attachments:
        if attachment.content_type == "message/rfc822":
            from servelo.mail.inbound import read_mail

            inner = read_mail(attachment.content)
            if inner.from_ is not None and not inner.from_ambiguous:
                return inner.from_
    return _from_header_block(mail.text)


def _from_header_block(text: str) -> Mailbox | None:
    block: list[str] = []
    for line in text[:100_000].split("\n")[:MAX_LINES]:
        found = _LABELLED.match(line[:600]) if line.strip() else None
        if found:
            block.append(found[2] or "")
            continue
        if line.strip() and block and line[:1].isspace():
            block[-1] += " " + line.strip()  # a folded value
            continue
        if (author := _author(block)) is not None:
            return author
        block = []
    return _author(block)


def _author(block: list[str]) -> Mailbox | None:
    if len(block) < MIN_BLOCK_LINES:
        return None
    for value in block:
        found = _ADDRESS.search(value)
        if found:
            name = value[: found.start()].strip(_AROUND_NAME)
            return Mailbox(name if "@" not in name else "", found[1].rstrip("."))
    return None
