"""Reply addresses that are refused: each has its own code, all cost the same work and bring the same answer.

Time is not asserted. What takes time is counted: requests to AWS by operation, tags and look-up digests
computed, mails promised. Whoever guesses addresses learns from none of them how close a guess was.
"""

import base64
from collections import Counter
from collections.abc import Callable

import pytest

from servelo.mail import reply_token
from servelo.mail.reply_token import KeyRing, KeyState, SigningKey, TokenRole, sign
from tests.integration.test_costs import Meter
from tests.world import MAIL_DOMAIN, World, mail

CLIENT = "00112233445566aa"
OURS = SigningKey(1, b"1" * 32)
REVOKED = SigningKey(2, b"2" * 32, KeyState.REVOKED)
ROLE = TokenRole.CLIENT


def made(key: SigningKey = OURS) -> str:
    return sign("acme", 1, CLIENT, ROLE, KeyRing((SigningKey(key.id, key.secret),)))


def flipped(bit: int) -> str:
    raw = bytearray(base64.urlsafe_b64decode(made() + "=" * (-len(made()) % 4)))
    raw[bit // 8] ^= 1 << bit % 8
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def with_unused_bits() -> str:
    """The same bytes spelled another way: base64 leaves bits unused when a group is not full."""
    token = sign("acme2", 1, CLIENT, ROLE, KeyRing((OURS,)))
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    assert len(token) % 4, "this slug leaves no unused bits"
    return token[:-1] + alphabet[alphabet.index(token[-1]) ^ 1]


REFUSED: dict[str, tuple[str, Callable[[], str]]] = {
    "empty": ("token_malformed", lambda: ""),
    "words": ("token_malformed", lambda: "please-help-me-with-my-order"),
    "not base64": ("token_malformed", lambda: made()[:-1] + "!"),
    "letters beyond ASCII": ("token_malformed", lambda: made()[:-1] + "é"),
    "truncated": ("token_malformed", lambda: made()[:-7]),
    "extended": ("token_malformed", lambda: made() + "AAAA"),
    "too long": ("token_malformed", lambda: "A" * 400),
    "another format": ("token_malformed", lambda: flipped(8 + 7)),
    "spelled another way": ("token_malformed", with_unused_bits),
    "a bit of the ticket": ("token_forged", lambda: flipped(8 * 8)),
    "a bit of the tag": ("token_forged", lambda: flipped(8 * 25)),
    "folded": ("token_malformed", lambda: made().lower()),
    "another deployment": ("token_forged", lambda: made(SigningKey(1, b"x" * 32))),
    "an expired key": ("token_key_unknown", lambda: made(SigningKey(9, b"9" * 32))),
    "a revoked key": ("token_key_revoked", lambda: made(REVOKED)),
}


@pytest.fixture
def guarded(world: World) -> World:
    world.ring = KeyRing((OURS, REVOKED))
    return world


Work = tuple[str, str, Counter[str]]


def work(world: World, patch: pytest.MonkeyPatch, token: str) -> Work:
    """Let a mail to the reply address arrive; return its outcome, the answer, and the work done, counted."""
    done: Counter[str] = Counter()

    def counted(name: str) -> Callable[..., object]:
        real = getattr(reply_token, name)

        def call(*args: object) -> object:
            done[name] += 1
            return real(*args)

        return call

    sender = f"guesser{len(world.mailbox.mails)}@guess.example"
    deliveries = world.deliveries(mail(from_=sender), f"reply+{token}@{MAIL_DOMAIN}")
    with patch.context() as counting, Meter() as meter:
        for name in ("_tag", "fold"):
            counting.setattr(reply_token, name, counted(name))
        (outcome,) = world.router.route(deliveries)
    world.send_all()
    (answer,) = world.mailbox.to(sender)
    words = answer.get_body(("plain",)).get_content().replace(sender, "")  # type: ignore[union-attr]
    return outcome.outcome.value, f"{answer['Subject']}\n{words}", done + meter.requests


def test_every_refusal_has_its_code_and_costs_the_same_work(guarded: World, monkeypatch: pytest.MonkeyPatch):
    seen = {name: work(guarded, monkeypatch, token()) for name, (_, token) in REFUSED.items()}
    assert {name: code for name, (code, _) in REFUSED.items()} == {
        n: code for n, (code, _, _) in seen.items()
    }
    answers = {answer for _, answer, _ in seen.values()}
    assert 1 == len(answers), "the answers tell the refusals apart"
    efforts = {name: dict(done) for name, (_, _, done) in seen.items()}
    first = efforts["empty"]
    assert first["_tag"] == first["fold"] == 1
    assert {} == {name: done for name, done in efforts.items() if done != first}


def test_a_look_up_form_costs_the_same_with_and_without_its_key(monkeypatch: pytest.MonkeyPatch):
    """Who finds a ticket's look-up item with a folded token learns nothing about the key from the time."""
    tags: list[SigningKey] = []
    real = reply_token._tag

    def counted(key: SigningKey, body: bytes) -> bytes:
        tags.append(key)
        return real(key, body)

    monkeypatch.setattr(reply_token, "_tag", counted)
    token = made().lower()
    efforts = []
    for key_id in (OURS.id, REVOKED.id, 9):
        tags.clear()
        matches = reply_token.matches_folded(token, "acme", 1, CLIENT, key_id, KeyRing((OURS, REVOKED)))
        assert (key_id == OURS.id) == matches
        efforts.append(len(tags))
    assert [2, 2, 2] == efforts
