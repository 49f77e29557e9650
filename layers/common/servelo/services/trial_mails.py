"""What a Send Test's copy shows when it arrives at an address of ours.

Send Test goes to the admin, whose mailbox we cannot read. The same mail therefore has a second envelope
recipient, ``{slug}+test-{id}@{mail domain}``. It comes back the way of all mail, through the receiver's
checks: its headers show whether From was rewritten and what SPF, DKIM and DMARC found. That takes longer
than the API may; so the answer of Send Test holds the id, and the page asks for what came of it.

    expected  Send Test is about to hand the mail over         waiting
    arrived   the router met the mail                          arrived, with an ``Alignment``
    (nothing) a day later, or an id that was never given out   NotFound
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any

from servelo.domain.smtp import SmtpLogin
from servelo.errors import NotFound
from servelo.patterns import pattern
from servelo.records import dataclass
from servelo.services.ports import Clock

WAITING = "waiting"
ARRIVED = "arrived"
_DETAIL = pattern(r"\+test-([0-9a-z]{10,40})\Z")


def copy_address(slug: str, test_id: str, mail_domain: str) -> str:
    """Return where the copy of a test mail goes; within the 64 octets of a local part."""
    return f"{slug}+test-{test_id}@{mail_domain}"


def id_of(local_part: str) -> str:
    """Return the id in the local part of a copy's address, ``""`` for every other address."""
    found = _DETAIL.search(local_part.lower())
    return found[1] if found else ""


@dataclass(frozen=True, slots=True)
class TrialMails:
    """Copies of test mails on their way. *store* is a ``DynamoStore``."""

    store: Any
    clock: Clock

    def expect(self, slug: str, test_id: str, login: SmtpLogin) -> None:
        """Remember what the copy is to be compared with; kept for a day. No password is among it."""
        wanted = {"state": WAITING, "from_email": login.from_email, "provider": login.provider}
        self.store.once_end(slug, _key(test_id), "", json.dumps(wanted), self.clock.now())

    def arrived(self, slug: str, test_id: str, headers: Sequence[tuple[str, str]], now: datetime) -> None:
        """Note what *headers* show. Nothing happens for an id that is not waited for: anybody can write one.

        Raises:
            StoreUnavailable: the record must come again.
        """
        kept = self.store.once_answer(slug, _key(test_id))
        if not kept:
            return
        wanted = json.loads(kept)
        if wanted["state"] != WAITING:
            return
        # Imported here: no other mail that the router meets needs the settings form's words.
        from servelo.services import smtp_settings

        login = SmtpLogin("", 0, "", "", wanted["from_email"], provider=wanted["provider"])
        found = asdict(smtp_settings.check_alignment(headers, login))
        self.store.once_end(slug, _key(test_id), "", json.dumps({**wanted, "state": ARRIVED, **found}), now)

    def result(self, slug: str, test_id: str) -> dict[str, Any]:
        """Return ``{state, code, summary, remedy, from_rewritten, aligned}`` of a copy.

        Raises:
            NotFound: no such test, or one of more than a day ago.
        """
        kept = self.store.once_answer(slug, _key(test_id))
        if not kept:
            raise NotFound("there is no such test")
        found = json.loads(kept)
        return {
            "state": found["state"],
            "code": found.get("code", ""),
            "summary": found.get("summary", ""),
            "remedy": found.get("remedy", ""),
            "from_rewritten": found.get("from_rewritten", False),
            "aligned": found.get("aligned"),
        }


def _key(test_id: str) -> str:
    return f"test-mail#{test_id}"
