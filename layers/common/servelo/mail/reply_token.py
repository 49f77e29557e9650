"""Reply tokens: the signed local part that ties a reply to its ticket.

Shape     ``reply+TOKEN``; TOKEN is base64url (RFC 4648 5) without padding of body and tag.
Body      key id (1 byte), format and role (3 bits) and slug length (5 bits) in 1 byte, the slug in base 37,
          ticket number (5 bytes, big-endian), client id (8 bytes). Every field has a fixed or a stated
          length, so no two claims share a body.
Tag       HMAC-SHA-256 over a domain-separating label and the body, left 96 bits (RFC 2104, section 5).
Length    at most 43 bytes, 58 characters: with ``reply+`` 64 octets, the bound of a local part
          (RFC 5321 4.5.3.1.1), for every slug of up to 24 characters and every ticket number.
Keys      a ring; the newest active key signs, every key that is not revoked verifies, the key id tells which.
Case      some mail systems fold the case of local parts. A folded token cannot be decoded; ``fold`` gives
          the form under which the ticket keeps a look-up item, so that only tokens we made are found.
Not for   proving who writes: anybody who was forwarded the mail holds the token.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Sequence
from enum import IntEnum, StrEnum

from servelo.domain.ids import CLIENT_ID_BYTES, MAX_SLUG_LENGTH, MAX_TICKET_NUMBER
from servelo.errors import BadReplyToken, ConfigurationError
from servelo.mail.address import MAX_LOCAL_PART_OCTETS
from servelo.patterns import pattern
from servelo.records import dataclass

PREFIX = "reply"
TAG_BYTES = 12
_NUMBER_BYTES = 5
_FORMAT = 1
_LABEL = b"servelo reply token 1\0"
_ALPHABET = "0abcdefghijklmnopqrstuvwxyz-123456789"
# The alphabet's first sign is the digit zero; a packed slug carries its length, so leading zeros survive.
_BASE = len(_ALPHABET)
_VALUES = {sign: value for value, sign in enumerate(_ALPHABET)}
_TOKEN = pattern(r"[A-Za-z0-9_-]{20,58}")


class TokenRole(IntEnum):
    """Whose answers the token carries."""

    CLIENT = 0
    TEAM = 1


class KeyState(StrEnum):
    """``active`` signs and verifies, ``retired`` only verifies, ``revoked`` does neither."""

    ACTIVE = "active"
    RETIRED = "retired"
    REVOKED = "revoked"


@dataclass(frozen=True, slots=True)
class SigningKey:
    """``id`` 1 to 255, never used twice; ``secret`` at least 32 bytes."""

    id: int
    secret: bytes
    state: KeyState = KeyState.ACTIVE

    def __repr__(self) -> str:
        return f"SigningKey(id={self.id}, state={self.state.value})"


# What is refused without a key gets a tag of this one, so that every refusal does the same work.
_NO_KEY = SigningKey(255, bytes(32))


@dataclass(frozen=True, slots=True)
class KeyRing:
    """The keys of a deployment, in any order."""

    keys: tuple[SigningKey, ...]

    def __post_init__(self) -> None:
        ids = [key.id for key in self.keys]
        if len(set(ids)) != len(ids) or any(not 1 <= i <= 255 for i in ids):
            raise ConfigurationError("the key ring needs distinct key ids from 1 to 255")
        if any(len(key.secret) < 32 for key in self.keys):
            raise ConfigurationError("every key of the key ring needs at least 32 bytes")

    @property
    def signing_key(self) -> SigningKey:
        """The newest active key. Raises ConfigurationError when there is none."""
        active = [key for key in self.keys if key.state is KeyState.ACTIVE]
        if not active:
            raise ConfigurationError("the key ring holds no active key")
        return max(active, key=lambda key: key.id)

    def find(self, key_id: int) -> SigningKey | None:
        return next((key for key in self.keys if key.id == key_id), None)


@dataclass(frozen=True, slots=True)
class ReplyClaim:
    """What a verified token says. ``client_id`` is 16 hex digits (``domain.ids.client_id``)."""

    slug: str
    ticket_number: int
    client_id: str
    role: TokenRole
    key_id: int


def sign(slug: str, ticket_number: int, client_id: str, role: TokenRole, ring: KeyRing) -> str:
    """Return the token for answers of *role* on a ticket, signed with the ring's newest active key.

    *slug* obeys ``ids.check_slug``; *ticket_number* lies in 1 to 2**40 - 1; *client_id* is 16 hex digits.

    Raises:
        ValueError: an argument is out of its range.
        ConfigurationError: no active key.
    """
    if not 1 <= ticket_number <= MAX_TICKET_NUMBER:
        raise ValueError("ticket number out of range")
    if not 1 <= len(slug) <= MAX_SLUG_LENGTH:
        raise ValueError("slug length out of range")
    client = bytes.fromhex(client_id)
    if len(client) != CLIENT_ID_BYTES:
        raise ValueError("client id is not 16 hex digits")
    key = ring.signing_key
    body = bytes([key.id, (_FORMAT << 6) | (role << 5) | len(slug)])
    body += _pack(slug) + ticket_number.to_bytes(_NUMBER_BYTES, "big") + client
    return base64.urlsafe_b64encode(body + _tag(key, body)).rstrip(b"=").decode("ascii")


def verify(token: str, ring: KeyRing) -> ReplyClaim:
    """Return what *token* says, if a key of *ring* that is not revoked signed exactly this.

    Raises:
        BadReplyToken: with code ``token_malformed`` (another shape), ``token_key_unknown``,
            ``token_key_revoked`` or ``token_forged`` (the tag does not match). Each costs one tag.
    """
    try:
        raw = _decode(token)
    except BadReplyToken:
        _tag(_NO_KEY, token.encode("utf-8", "replace")[:MAX_LOCAL_PART_OCTETS])
        raise
    key_id, head = raw[0], raw[1]
    length = head & 31
    body_length = 2 + _packed_length(length) + _NUMBER_BYTES + CLIENT_ID_BYTES
    if head >> 6 != _FORMAT or not 1 <= length <= MAX_SLUG_LENGTH or len(raw) != body_length + TAG_BYTES:
        _tag(_NO_KEY, raw)
        raise BadReplyToken("not the shape of a reply token", code="token_malformed")
    body, tag = raw[:body_length], raw[body_length:]
    key = ring.find(key_id)
    expected = _tag(key or _NO_KEY, body)
    matches = hmac.compare_digest(tag, expected)
    if key is None:
        raise BadReplyToken("no key of this deployment has that id", code="token_key_unknown")
    if not matches:
        raise BadReplyToken("the signature does not match", code="token_forged")
    if key.state is KeyState.REVOKED:
        raise BadReplyToken("the key that signed it was revoked", code="token_key_revoked")
    packed = _packed_length(length)
    slug = _unpack(body[2 : 2 + packed], length)
    number = int.from_bytes(body[2 + packed : 2 + packed + _NUMBER_BYTES], "big")
    if number == 0:
        raise BadReplyToken("not the shape of a reply token", code="token_malformed")
    return ReplyClaim(slug, number, body[-CLIENT_ID_BYTES:].hex(), TokenRole((head >> 5) & 1), key_id)


def local_part(token: str) -> str:
    """Return ``reply+TOKEN``, which fits a local part for every token that ``sign`` makes."""
    part = f"{PREFIX}+{token}"
    if len(part) > MAX_LOCAL_PART_OCTETS:
        raise ValueError("token too long for a local part")
    return part


def token_of(local: str) -> str | None:
    """Return the token in the local part *local*, or None when it is no reply address.

    Quotes around the local part, a trailing dot and a further ``+detail`` are taken off (T5).
    """
    local = local.strip().strip('"').rstrip(".")
    prefix, plus, rest = local.partition("+")
    if prefix.lower() != PREFIX or not plus:
        return None
    return rest.partition("+")[0].rstrip("=")


def fold(token: str) -> str:
    """Return the look-up form of *token*, the same whatever case it arrived in: 32 hex digits."""
    return hashlib.sha256(b"servelo folded token\0" + token.lower().encode("utf-8", "replace")).hexdigest()[
        :32
    ]


def matches_folded(
    token: str, slug: str, ticket_number: int, client_id: str, key_id: int, ring: KeyRing
) -> bool:
    """Tell whether the folded *token* is, but for case, one that key *key_id* signs for that ticket.

    The look-up item names ticket and key; the token is made again and compared, so a look-up item alone
    proves nothing and a revoked key is refused here too.
    """
    key = ring.find(key_id)
    known = key is not None and key.state is not KeyState.REVOKED
    alone = KeyRing((SigningKey(key.id, key.secret) if key else _NO_KEY,))
    made = [sign(slug, ticket_number, client_id, role, alone) for role in TokenRole]
    same = [hmac.compare_digest(each.lower().encode(), token.lower().encode()) for each in made]
    return known and any(same)


def ring_from_secret(value: str) -> KeyRing:
    """Read the key ring secret: ``{"initial": "<random>", "keys": [{"id", "secret" (base64), "state"}]}``.

    ``initial`` is what Secrets Manager generated with the stack: it is key 1 unless ``keys`` lists one.

    Raises:
        ConfigurationError: not that shape, or no key in it.
    """
    import json

    try:
        data = json.loads(value)
        keys = [
            SigningKey(
                int(k["id"]), base64.b64decode(k["secret"], validate=True), KeyState(k.get("state", "active"))
            )
            for k in data.get("keys", [])
        ]
        if data.get("initial") and all(key.id != 1 for key in keys):
            keys.append(SigningKey(1, hashlib.sha256(b"servelo key 1\0" + data["initial"].encode()).digest()))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        # The message must not quote the secret, so the cause is cut off.
        raise ConfigurationError(f"the key ring secret is malformed ({type(error).__name__})") from None
    if not keys:
        raise ConfigurationError("the key ring secret holds no key")
    return KeyRing(tuple(sorted(keys, key=lambda key: key.id)))


def ring_keys_to_secret(ring: Sequence[SigningKey]) -> str:
    """Return the secret's text for *ring*; the inverse of ``ring_from_secret``."""
    import json

    return json.dumps(
        {
            "keys": [
                {"id": k.id, "secret": base64.b64encode(k.secret).decode("ascii"), "state": k.state.value}
                for k in ring
            ]
        }
    )


def _decode(token: str) -> bytes:
    if not _TOKEN.fullmatch(token):
        raise BadReplyToken("not the shape of a reply token", code="token_malformed")
    try:
        raw = base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        raise BadReplyToken("not the shape of a reply token", code="token_malformed") from None
    # base64 leaves up to four bits unused at the end; only the one canonical spelling is ours.
    if base64.urlsafe_b64encode(raw).rstrip(b"=").decode("ascii") != token or len(raw) < 2:
        raise BadReplyToken("not the shape of a reply token", code="token_malformed")
    return raw


def _tag(key: SigningKey, body: bytes) -> bytes:
    return hmac.digest(key.secret, _LABEL + body, "sha256")[:TAG_BYTES]


def _packed_length(slug_length: int) -> int:
    bits: int = (_BASE**slug_length - 1).bit_length()
    return (bits + 7) // 8


def _pack(slug: str) -> bytes:
    value = 0
    for sign_ in slug:
        if sign_ not in _VALUES:
            raise ValueError("slug holds a character that slugs never have")
        value = value * _BASE + _VALUES[sign_]
    return value.to_bytes(_packed_length(len(slug)), "big")


def _unpack(packed: bytes, length: int) -> str:
    value = int.from_bytes(packed, "big")
    signs = []
    for _ in range(length):
        value, digit = divmod(value, _BASE)
        signs.append(_ALPHABET[digit])
    if value:
        raise BadReplyToken("not the shape of a reply token", code="token_malformed")
    return "".join(reversed(signs))


def _assert_longest_fits() -> None:
    longest = 2 + _packed_length(MAX_SLUG_LENGTH) + _NUMBER_BYTES + CLIENT_ID_BYTES + TAG_BYTES
    if len(PREFIX) + 1 + -(-longest * 4 // 3) > MAX_LOCAL_PART_OCTETS:
        raise AssertionError("a reply token of the longest slug does not fit a local part")


_assert_longest_fits()
