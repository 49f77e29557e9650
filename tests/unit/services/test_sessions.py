"""Signed tokens: only what we signed, for its purpose, until its end."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from servelo.domain.ids import client_id
from servelo.errors import Unauthorized
from servelo.mail import reply_token
from servelo.mail.reply_token import KeyRing, KeyState, SigningKey, TokenRole
from servelo.services.sessions import Purpose, read, sign

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
RING = KeyRing((SigningKey(1, b"1" * 32), SigningKey(2, b"2" * 32)))
CLAIMS = {"slug": "acme", "client": "0123456789abcdef"}
TOKEN = sign(Purpose.SESSION, CLAIMS, NOW + timedelta(days=7), RING)


def refused(purpose: Purpose, token: str, ring: KeyRing = RING, now: datetime = NOW) -> bool:
    try:
        read(purpose, token, ring, now)
    except Unauthorized as error:
        return error.code == "session_over"
    return False


def test_what_was_signed_is_read() -> None:
    assert (CLAIMS, NOW + timedelta(days=7)) == read(Purpose.SESSION, TOKEN, RING, NOW)


def test_it_ends_on_time() -> None:
    assert not refused(Purpose.SESSION, TOKEN, now=NOW + timedelta(days=7, seconds=-1))
    assert refused(Purpose.SESSION, TOKEN, now=NOW + timedelta(days=7))


def test_one_purpose_is_not_another() -> None:
    for purpose in set(Purpose) - {Purpose.SESSION}:
        assert refused(purpose, TOKEN)


@pytest.mark.parametrize("position", range(len(TOKEN)))
def test_one_changed_sign_is_refused(position: int) -> None:
    for sign_ in "A_z0":
        changed = TOKEN[:position] + sign_ + TOKEN[position + 1 :]
        if changed != TOKEN:
            assert refused(Purpose.SESSION, changed)


@pytest.mark.parametrize("slug", ["acme", "acme2", "acme22"])
def test_the_same_octets_spelled_another_way_are_refused(slug: str) -> None:
    """base64's last sign may hold bits that mean nothing: of all its spellings one is ours."""
    token = sign(Purpose.LINK, {"slug": slug}, NOW + timedelta(days=7), RING)
    signs = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    taken = [each for each in signs if not refused(Purpose.LINK, token[:-1] + each)]
    assert [token[-1]] == taken


@given(st.text(max_size=200))
def test_rubbish_is_refused_and_never_an_exception(text: str) -> None:
    assert refused(Purpose.SESSION, text)


def test_a_reply_token_is_none_of_them() -> None:
    token = reply_token.sign("acme", 1, client_id("acme", "ada@x.example"), TokenRole.CLIENT, RING)
    for purpose in Purpose:
        assert refused(purpose, token)


def test_rotation_keeps_and_revocation_ends() -> None:
    retired = KeyRing((SigningKey(2, b"2" * 32, KeyState.RETIRED), SigningKey(3, b"3" * 32)))
    revoked = KeyRing((SigningKey(2, b"2" * 32, KeyState.REVOKED), SigningKey(3, b"3" * 32)))
    other = KeyRing((SigningKey(2, b"x" * 32),))
    assert not refused(Purpose.SESSION, TOKEN, retired)
    assert refused(Purpose.SESSION, TOKEN, revoked)
    assert refused(Purpose.SESSION, TOKEN, other)
    assert refused(Purpose.SESSION, TOKEN, KeyRing((SigningKey(9, b"2" * 32),)))
