"""Explain: how a raw mail is understood, as one JSON object or as a page to read.

The same code as the router's (``servelo.mail.inbound``), with no AWS at all. The shape of the object is a
contract that other programs read; keys may be added, never renamed.
"""

from __future__ import annotations

from typing import Any

from servelo.mail.inbound import read_mail
from servelo.mail.inbound_mail import Attachment


def explain(raw: bytes, file: str) -> dict[str, Any]:
    """Return what is understood of the mail *raw*, as plain data; *file* is passed through. Never raises.

    ``from.address`` and the addresses of ``to`` are addr-specs as written (``from.address`` may lack a domain
    where the mail has none); ``filename`` is the name as the
    sender wrote it, ``saved_as`` the cleaned one; ``text`` is the whole readable text, ``reply_text`` the new
    part of it; ``html`` is sanitised; ``date`` is ISO 8601 or None.
    """
    mail = read_mail(raw)
    return {
        "file": file,
        "message_id": mail.message_id,
        "subject": mail.subject,
        "from": {
            "name": mail.author_name,
            "address": mail.from_.addr_spec if mail.from_ else mail.author_unqualified,
        },
        "from_ambiguous": mail.from_ambiguous,
        "to": [mailbox.addr_spec for mailbox in mail.to],
        "cc": [mailbox.addr_spec for mailbox in mail.cc],
        "reply_to": [mailbox.addr_spec for mailbox in mail.reply_to],
        "date": mail.date.isoformat() if mail.date else None,
        "in_reply_to": list(mail.in_reply_to),
        "references": list(mail.references),
        "text": mail.text,
        "reply_text": mail.body.new_text,
        "quoted_text": mail.body.quoted_text,
        "signature": mail.body.signature,
        "html": mail.html,
        "attachments": [_attachment(one) for one in mail.attachments],
        "machine": {
            "automatic": mail.machine.automatic,
            "withhold_answer": mail.machine.withhold_answer,
            "signals": list(mail.machine.signals),
        },
        "bounce": [
            {
                "recipient": one.recipient,
                "action": one.action,
                "status": one.status,
                "permanent": one.permanent,
                "diagnostic": one.diagnostic,
            }
            for one in mail.bounce.recipients
        ],
        "original_message_ids": list(mail.bounce.original_message_ids),
        "warnings": list(mail.warnings),
        "size_bytes": mail.size_bytes,
    }


def _attachment(one: Attachment) -> dict[str, Any]:
    return {
        "filename": one.original_filename or one.filename,
        "saved_as": one.filename,
        "content_type": one.content_type,
        "sniffed_type": one.sniffed_type,
        "size_bytes": one.size_bytes,
        "inline": one.inline,
        "content_id": one.content_id,
        "dangerous": one.dangerous,
    }


def page(told: dict[str, Any]) -> str:
    """Return the object of :func:`explain` as text for a person."""
    sender = told["from"]
    lines = [
        f"file         {told['file']}",
        f"subject      {told['subject'] or '(none)'}",
        f"from         {sender['name']} <{sender['address']}>"
        + (" (uncertain)" if told["from_ambiguous"] else ""),
        f"to           {', '.join(told['to']) or '(nobody)'}",
        f"date         {told['date'] or '(none)'}",
        f"message id   {told['message_id']}",
        f"machine      {_machine(told['machine'])}",
    ]
    lines += [
        f"bounce       {one['recipient']}: {one['action']} {one['status']} "
        f"{ {True: 'for good', False: 'for now', None: 'for how long is not known'}[one['permanent']] }"
        for one in told["bounce"]
    ]
    lines += [
        f"attachment   {one['saved_as']} ({one['content_type']}, {one['size_bytes']:,} bytes"
        f"{', inline' if one['inline'] else ''}{', DANGEROUS' if one['dangerous'] else ''})"
        for one in told["attachments"]
    ]
    lines += [f"warning      {sentence}" for sentence in told["warnings"]]
    for title, key in (("new words", "reply_text"), ("quoted", "quoted_text"), ("signature", "signature")):
        if told[key].strip():
            lines += ["", f"--- {title} " + "-" * (70 - len(title)), told[key].rstrip()]
    return "\n".join(lines)


def _machine(machine: dict[str, Any]) -> str:
    if not machine["signals"]:
        return "no"
    kind = "yes" if machine["automatic"] else "no, but our automatic answer is withheld"
    return f"{kind} ({', '.join(machine['signals'])})"
