"""The original sender of a mail that somebody forwarded.

Two shapes: the original attached as ``message/rfc822`` (its own From field), or its header block copied into
the text: three or more lines in a row that read ``Word: value``. That it is one is told by the fields' names
in the languages of ``quotes.lexicon``, and in any other by a line of dashes above it or by the subject that
it shares with the mail. Without a known name for From, the first address is the author's: programs put From
before To.
"""

from __future__ import annotations

from servelo.mail.address import Mailbox
from servelo.mail.inbound_mail import InboundMail
from servelo.mail.quotes import header_block
from servelo.patterns import pattern

MAX_LINES = 400  # a forward's header block stands near its beginning
MIN_BLOCK_LINES = 3

_LABELLED = pattern(r"^[\s>*]{0,8}([^\s:：<>@*][^:：<>@]{0,28}?)\s*+\*?+\s*+[:：]\s*+\*?+\s*+(\S.*)?$")
_ADDRESS = pattern(r"(?:mailto:)?([^\s<>\[\]()\",;:@]{1,64}@[^\s<>\[\]()\",;:@]{1,253})")
_SEPARATOR = pattern(r"[-_=*─—]{5,}")
_AROUND_NAME = " \t\"'<>[]()*,;"


def original_sender(mail: InboundMail) -> Mailbox | None:
    """Return who wrote the mail that *mail* forwards, None when it forwards none."""
    for attachment in mail.attachments:
        if attachment.content_type == "message/rfc822":
            from servelo.mail.inbound import read_mail

            inner = read_mail(attachment.content)
            return None if inner.from_ambiguous else inner.from_
    return _from_header_block(mail.text, mail.subject)


def _from_header_block(text: str, subject: str) -> Mailbox | None:
    block: list[tuple[str, str]] = []  # each line as written, and its value with folded lines joined
    separated = False
    for line in (*text[:100_000].split("\n")[:MAX_LINES], ""):
        found = _LABELLED.match(line[:600]) if line.strip() else None
        if found:
            block.append((line[:600], found[2] or ""))
            continue
        if line.strip() and block and line[:1].isspace():
            block[-1] = (block[-1][0], f"{block[-1][1]} {line.strip()}")
            continue
        if block and (author := _author(block, subject, separated)) is not None:
            return author
        if block or line.strip():
            separated = bool(_SEPARATOR.search(line))
        block = []
    return None


def _author(block: list[tuple[str, str]], subject: str, separated: bool) -> Mailbox | None:
    if len(block) < MIN_BLOCK_LINES:
        return None
    roles = [(header_block.field(line) or ("", ""))[0] for line, _ in block]
    known = {role for role in roles if role}
    # A form, an order, a signature have lines of this shape too. A header block says so by its fields' names;
    # in a language that we do not know, by the line above it or by the subject that it shares with the mail.
    named = len(known) >= 2 and known & {"from", "subject"}
    shared = any(len(value.strip()) > 3 and _ends_with(subject, value) for _, value in block)
    if not (named or separated or shared):
        return None
    # "From" by name, else the first line that holds an address.
    ordered = sorted(range(len(block)), key=lambda index: (roles[index] != "from", index))
    for index in ordered:
        value = block[index][1]
        found = _ADDRESS.search(value)
        if found:
            name = value[: found.start()].strip(_AROUND_NAME)
            return Mailbox(name if "@" not in name else "", found[1].rstrip("."))
    return None


def _ends_with(subject: str, value: str) -> bool:
    shown, bare = " ".join(subject.split()).casefold(), " ".join(value.split()).casefold()
    return shown.endswith(bare) and shown != bare
