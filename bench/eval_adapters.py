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


def mime(raw: bytes) -> dict[str, Any]:
    """Return subject, author, words and files of a mail in the words of ``score_mime.py``."""
    mail = read_mail(raw)
    return {
        "subject": mail.subject,
        "from_addr": mail.from_.addr_spec if mail.from_ else "",
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
