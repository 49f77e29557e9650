"""Signed tokens of our own: customers' links and sessions, and links to choose a password.

Shape   base64url without padding of: key id (1 byte), end of life (5 bytes, seconds since 1970), the claims
        as JSON, and the left 128 bits of an HMAC-SHA-256 tag.
Label   the tag covers the purpose, so that a link is no session and neither is a reply token (whose keys
        these are). Rotation and revocation follow the reply tokens' ring.
Shown   in the fragment of a link or in a header, never in a path or query: those are logged.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from servelo.domain.ticket import StoredFile
from servelo.errors import Unauthorized
from servelo.mail.reply_token import KeyRing, KeyState, SigningKey
from servelo.records import dataclass
from servelo.services.ports import Clock

TAG_BYTES = 16
LINK_LIFE = timedelta(days=7)
INVITATION_LIFE = timedelta(days=7)
RESET_LIFE = timedelta(hours=1)
FILE_LIFE = timedelta(days=14)


class Purpose(StrEnum):
    """What a token is good for."""

    LINK = "magic link"
    SESSION = "customer session"
    PASSWORD = "choose a password"
    FILE = "file link"


def sign(purpose: Purpose, claims: Mapping[str, str], expires_at: datetime, ring: KeyRing) -> str:
    """Return a token that says *claims* until *expires_at*, signed with the ring's newest active key."""
    key = ring.signing_key
    body = bytes([key.id]) + int(expires_at.timestamp()).to_bytes(5, "big")
    body += json.dumps(dict(claims), ensure_ascii=False, separators=(",", ":")).encode("utf-8")
    return base64.urlsafe_b64encode(body + _tag(key, purpose, body)).rstrip(b"=").decode("ascii")


def read(purpose: Purpose, token: str, ring: KeyRing, now: datetime) -> tuple[dict[str, str], datetime]:
    """Return the claims of *token* and its end of life.

    Raises:
        Unauthorized: not ours, another purpose, over, or its key is revoked: always the same words.
    """
    refused = Unauthorized("this link or session is over; ask for a new one", code="session_over")
    try:
        raw = base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        raise refused from None
    # base64 leaves up to four bits unused at the end; only the one canonical spelling is ours.
    if base64.urlsafe_b64encode(raw).rstrip(b"=") != token.encode("utf-8", "replace"):
        raise refused
    body, tag = raw[:-TAG_BYTES], raw[-TAG_BYTES:]
    key = ring.find(body[0]) if len(body) > 6 else None
    # The tag is computed for an unknown key too, so that all refusals take the same time.
    matches = hmac.compare_digest(tag, _tag(key or SigningKey(255, b"\0" * 32), purpose, body))
    if key is None or not matches or key.state is KeyState.REVOKED:
        raise refused
    expires_at = datetime.fromtimestamp(int.from_bytes(body[1:6], "big"), UTC)
    if now >= expires_at:
        raise refused
    return json.loads(body[6:]), expires_at


def _tag(key: SigningKey, purpose: Purpose, body: bytes) -> bytes:
    label = f"servelo {purpose.value} 1\0".encode()
    return hmac.digest(key.secret, label + body, "sha256")[:TAG_BYTES]


def file_link(portal_url: str, file: StoredFile, now: datetime, ring: KeyRing) -> str:
    """Return the address at which *file* can be fetched for 14 days, ``""`` where there is no portal.

    The token stands in the fragment, which no server and no log sees; the page there trades it for a
    download that lives for minutes.
    """
    if not portal_url:
        return ""
    claims = {"key": file.object_key, "name": file.filename, "size": str(file.size_bytes)}
    return f"{portal_url}/file#token={sign(Purpose.FILE, claims, now + FILE_LIFE, ring)}"


@dataclass(frozen=True, slots=True)
class Sessions:
    """Makes and reads the tokens. *ring* is asked each time, so that rotation and revocation show."""

    ring: Callable[[], KeyRing]
    clock: Clock

    def make_link(self, slug: str, client_id: str) -> tuple[str, datetime]:
        """Return the token of a customer's link and its end of life."""
        expires_at = self.clock.now() + LINK_LIFE
        return sign(Purpose.LINK, {"slug": slug, "client": client_id}, expires_at, self.ring()), expires_at

    def open_link(self, token: str) -> tuple[str, datetime, dict[str, str]]:
        """Return (session, its end of life, claims) for a link's token; both end together.

        Raises:
            Unauthorized: ``link_over``.
        """
        try:
            claims, expires_at = read(Purpose.LINK, token, self.ring(), self.clock.now())
        except Unauthorized as error:
            raise Unauthorized("this link is over; ask for a new one", code="link_over") from error
        return sign(Purpose.SESSION, claims, expires_at, self.ring()), expires_at, claims

    def read_session(self, token: str) -> dict[str, str]:
        """Return ``slug`` and ``client`` of a customer's session. Raises Unauthorized."""
        return read(Purpose.SESSION, token, self.ring(), self.clock.now())[0]

    def make_password_link(
        self, slug: str, email: str, life: timedelta, issued_at: datetime
    ) -> tuple[str, datetime]:
        """Return the token with which *email* may choose a password, and its end of life."""
        expires_at = issued_at + life
        claims = {"slug": slug, "email": email, "at": issued_at.isoformat()}
        return sign(Purpose.PASSWORD, claims, expires_at, self.ring()), expires_at

    def read_file_link(self, token: str) -> StoredFile:
        """Return the file that a link of ``file_link`` names. Raises Unauthorized with ``link_over``."""
        try:
            claims = read(Purpose.FILE, token, self.ring(), self.clock.now())[0]
        except Unauthorized as error:
            raise Unauthorized(
                "this link is over; answer the mail and ask for the file", code="link_over"
            ) from error
        return StoredFile(
            "link", claims["key"], claims["name"], "application/octet-stream", int(claims["size"])
        )

    def read_password_link(self, token: str) -> tuple[str, str, datetime]:
        """Return slug, address and when the link was made. Raises Unauthorized with ``link_over``."""
        try:
            claims, expires_at = read(Purpose.PASSWORD, token, self.ring(), self.clock.now())
        except Unauthorized as error:
            raise Unauthorized("this link is over; ask for a new one", code="link_over") from error
        # Links of before the moment was written into them count as the oldest that can be good still.
        made = claims.get("at")
        issued_at = datetime.fromisoformat(made) if made else expires_at - INVITATION_LIFE
        return claims["slug"], claims["email"], issued_at
