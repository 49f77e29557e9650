"""Reply tokens: what we sign lands, everything else is refused, whatever was done to it."""

import base64
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from servelo.errors import BadReplyToken, ConfigurationError
from servelo.mail import reply_token
from servelo.mail.reply_token import KeyRing, KeyState, SigningKey, TokenRole

RING = KeyRing((SigningKey(1, b"k" * 32),))
OTHER_RING = KeyRing((SigningKey(1, b"o" * 32),))
SLUGS = st.from_regex(r"[a-z0-9]([a-z0-9-]{1,22})[a-z0-9]", fullmatch=True)
NUMBERS = st.integers(1, 2**40 - 1)
CLIENTS = st.binary(min_size=8, max_size=8).map(bytes.hex)
ROLES = st.sampled_from(TokenRole)
CODES = {"token_malformed", "token_key_unknown", "token_forged", "token_key_revoked"}


def refused(token: str, ring: KeyRing = RING) -> str:
    with pytest.raises(BadReplyToken) as caught:
        reply_token.verify(token, ring)
    assert caught.value.code in CODES
    return caught.value.code


@given(SLUGS, NUMBERS, CLIENTS, ROLES)
def test_what_was_signed_is_what_is_read(slug, number, client, role):
    token = reply_token.sign(slug, number, client, role, RING)
    claim = reply_token.verify(token, RING)
    assert (slug, number, client, role, 1) == (
        claim.slug,
        claim.ticket_number,
        claim.client_id,
        claim.role,
        claim.key_id,
    )


@given(SLUGS, NUMBERS, CLIENTS, ROLES)
def test_the_local_part_keeps_to_64_octets_of_safe_signs(slug, number, client, role):
    local = reply_token.local_part(reply_token.sign(slug, number, client, role, RING))
    assert len(local) <= 64
    assert re.fullmatch(r"reply\+[A-Za-z0-9_-]+", local)


def test_the_longest_slug_and_ticket_fit_a_local_part():
    token = reply_token.sign(
        "z" * 24, 2**40 - 1, "f" * 16, TokenRole.TEAM, KeyRing((SigningKey(255, b"k" * 32),))
    )
    assert 64 == len(reply_token.local_part(token))


@given(SLUGS, NUMBERS, CLIENTS, ROLES)
def test_every_single_bit_change_is_refused(slug, number, client, role):
    token = reply_token.sign(slug, number, client, role, RING)
    raw = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4))
    for bit in range(len(raw) * 8):
        changed = bytearray(raw)
        changed[bit // 8] ^= 1 << (bit % 8)
        refused(base64.urlsafe_b64encode(bytes(changed)).rstrip(b"=").decode())


def test_every_change_of_one_character_is_refused():
    token = reply_token.sign("acme", 7, "0011223344556677", TokenRole.CLIENT, RING)
    for position, sign in enumerate(token):
        for other in "AZaz09-_+/=. \0é":
            if other != sign:
                refused(token[:position] + other + token[position + 1 :])


@given(SLUGS, NUMBERS, CLIENTS, ROLES, st.data())
def test_truncated_and_extended_tokens_are_refused(slug, number, client, role, data):
    token = reply_token.sign(slug, number, client, role, RING)
    refused(token[: data.draw(st.integers(0, len(token) - 1))])
    refused(token + data.draw(st.text("ABCabc019-_=", min_size=1, max_size=20)))


@given(st.tuples(SLUGS, NUMBERS, CLIENTS, ROLES), st.tuples(SLUGS, NUMBERS, CLIENTS, ROLES))
def test_another_claim_under_the_same_tag_is_refused(ours, theirs):
    if ours == theirs:
        return
    a, b = reply_token.sign(*ours, RING), reply_token.sign(*theirs, RING)
    raw_a = base64.urlsafe_b64decode(a + "=" * (-len(a) % 4))
    raw_b = base64.urlsafe_b64decode(b + "=" * (-len(b) % 4))
    mixed = raw_b[: -reply_token.TAG_BYTES] + raw_a[-reply_token.TAG_BYTES :]
    refused(base64.urlsafe_b64encode(mixed).rstrip(b"=").decode())


@given(st.text(max_size=80))
def test_any_text_is_refused_without_another_exception(text):
    refused(text)


def test_a_token_of_another_deployment_is_refused():
    token = reply_token.sign("acme", 7, "00" * 8, TokenRole.CLIENT, OTHER_RING)
    assert "token_forged" == refused(token)


def test_an_empty_tag_and_a_tag_of_another_hash_are_refused():
    token = reply_token.sign("acme", 7, "00" * 8, TokenRole.CLIENT, RING)
    raw = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4))
    body = raw[: -reply_token.TAG_BYTES]
    refused(base64.urlsafe_b64encode(body).rstrip(b"=").decode())
    import hashlib

    for digest in (hashlib.sha256(b"k" * 32 + body).digest(), hashlib.sha1(b"k" * 32 + body).digest()):
        refused(base64.urlsafe_b64encode(body + digest[: reply_token.TAG_BYTES]).rstrip(b"=").decode())


def test_old_tokens_verify_after_rotation_and_new_ones_carry_the_new_key():
    old = reply_token.sign("acme", 7, "00" * 8, TokenRole.CLIENT, RING)
    rotated = KeyRing((SigningKey(1, b"k" * 32, KeyState.RETIRED), SigningKey(2, b"n" * 32)))
    assert 1 == reply_token.verify(old, rotated).key_id
    assert (
        2
        == reply_token.verify(
            reply_token.sign("acme", 7, "00" * 8, TokenRole.CLIENT, rotated), rotated
        ).key_id
    )


def test_a_revoked_key_never_verifies():
    token = reply_token.sign("acme", 7, "00" * 8, TokenRole.CLIENT, RING)
    revoked = KeyRing((SigningKey(1, b"k" * 32, KeyState.REVOKED), SigningKey(2, b"n" * 32)))
    assert "token_key_revoked" == refused(token, revoked)
    assert "token_key_unknown" == refused(token, KeyRing((SigningKey(2, b"n" * 32),)))
    assert not reply_token.matches_folded(token.lower(), "acme", 7, "00" * 8, 1, revoked)


@given(SLUGS, NUMBERS, CLIENTS, ROLES, st.sampled_from([str.lower, str.upper, str.swapcase]))
def test_a_token_folded_in_any_way_has_one_look_up_form_and_still_matches(slug, number, client, role, change):
    token = reply_token.sign(slug, number, client, role, RING)
    assert reply_token.fold(token) == reply_token.fold(change(token))
    assert reply_token.matches_folded(change(token), slug, number, client, 1, RING)


@given(SLUGS, NUMBERS, CLIENTS, ROLES, st.integers(0, 57))
def test_a_forged_folded_token_matches_nothing(slug, number, client, role, position):
    token = reply_token.sign(slug, number, client, role, RING).lower()
    position %= len(token)
    forged = token[:position] + ("a" if token[position] != "a" else "b") + token[position + 1 :]
    assert reply_token.fold(token) != reply_token.fold(forged)
    assert not reply_token.matches_folded(forged, slug, number, client, 1, RING)


@pytest.mark.parametrize(
    ("local", "token"),
    [
        ("reply+AbC", "AbC"),
        ("REPLY+AbC", "AbC"),
        ('"reply+AbC"', "AbC"),
        ("reply+AbC.", "AbC"),
        ("reply+AbC+x", "AbC"),
        ("reply+AbC==", "AbC"),
        ("reply+", ""),
        ("reply", None),
        ("acme+AbC", None),
    ],
)
def test_the_token_is_found_in_the_local_part(local, token):
    assert token == reply_token.token_of(local)


def test_the_secret_of_a_new_stack_is_key_one_and_survives_being_written_back():
    ring = reply_token.ring_from_secret('{"initial": "' + "x" * 64 + '", "keys": []}')
    again = reply_token.ring_from_secret(reply_token.ring_keys_to_secret(ring.keys))
    assert ring == again
    assert 1 == ring.signing_key.id


@pytest.mark.parametrize(
    "value",
    [
        "",
        "null",
        "[]",
        "{}",
        '{"keys": [{"id": 1}]}',
        '{"keys": [{"id": 1, "secret": "eA=="}]}',
        '{"keys": [{"id": 0, "secret": "' + "eHh4" * 11 + '"}]}',
    ],
)
def test_a_malformed_secret_is_a_configuration_error_that_does_not_quote_it(value):
    with pytest.raises(ConfigurationError) as caught:
        reply_token.ring_from_secret(value)
    assert "eA==" not in str(caught.value)


def test_no_active_key_is_a_configuration_error():
    ring = KeyRing((SigningKey(1, b"k" * 32, KeyState.RETIRED),))
    with pytest.raises(ConfigurationError):
        reply_token.sign("acme", 1, "00" * 8, TokenRole.CLIENT, ring)
