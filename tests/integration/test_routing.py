"""What becomes of mails that nobody expects: forged, malformed, hostile, repeated, to several addresses."""

import json
from dataclasses import replace
from datetime import timedelta

import pytest

from servelo.domain.inbound_record import Outcome
from servelo.domain.outbound import MailKind
from servelo.domain.tenant import Member, Role, SmtpAccount
from servelo.domain.ticket import TicketStatus, Visibility
from servelo.mail import reply_token
from servelo.mail.reply_token import KeyRing, KeyState, SigningKey
from servelo.services.route_inbound import MAX_FOLLOWERS
from tests.world import Mailbox, World, mail, reply

ACME = "acme@serveloapp.com"
ADA = "Ada Lovelace <ada@customer.example>"
UNPROVEN = {"spf": "FAIL", "dkim": "FAIL", "dmarc": "FAIL"}


def ticket_one(world: World) -> tuple[str, str]:
    """Make ticket 1 of Ada; return the reply addresses of customer and team."""
    world.receive(mail(), ACME)
    world.send_all()
    confirmation = world.mailbox.to("ada@customer.example")[0]
    notification = world.mailbox.to("admin@acme.example")[0]
    return str(confirmation["Reply-To"]), str(notification["Reply-To"])


def recipients(world: World) -> list[str]:
    """Deliver what is queued; return who got mail of it."""
    before = len(world.mailbox.recipients)
    world.send_all()
    return sorted(world.mailbox.recipients[before:])


def comments(world: World, number: int = 1) -> list:
    return world.store.conversation("acme", number)[0]


def closed(world: World, number: int = 1, days_ago: int = 0) -> None:
    ticket = world.store.ticket("acme", number)
    at = world.clock.now() - timedelta(days=days_ago)
    changed = replace(ticket, status=TicketStatus.CLOSED, closed_at=at, updated_at=at)
    world.store.edit_ticket(changed, seen_version=ticket.version)


# ---- mails that are no mails ---------------------------------------------------------------------

BAD = {
    "empty": b"",
    "no body": b"From: ada@customer.example\r\nSubject: x\r\nMessage-ID: <nobody@a>\r\n\r\n",
    "no header": b"just some words\r\n",
    "no sender": b"Subject: x\r\n\r\nhello\r\n",
    "no Message-ID": b"From: ada@customer.example\r\n\r\nhello\r\n",
    "two From": b"From: ada@customer.example\r\nFrom: eve@evil.example\r\n\r\nhello\r\n",
    "a NUL": b"From: ada@customer.example\r\nSubject: a\0b\r\n\r\nhel\0lo\r\n",
    "8-bit headers": "From: Jörg <ada@customer.example>\r\nSubject: Größe\r\n\r\nGrüße\r\n".encode("latin-1"),
    "only bytes": bytes(range(256)) * 20,
    "a long address": b"From: <" + b"a" * 3000 + b"@customer.example>\r\n\r\nhello\r\n",
    "a long Message-ID": b"From: ada@customer.example\r\nMessage-ID: <"
    + b"m" * 9000
    + b"@a>\r\n\r\nhello\r\n",
    "long addresses in Cc": b"From: ada@customer.example\r\nCc: "
    + b"c" * 3000
    + b"@b.example\r\n\r\nhello\r\n",
    "group": b"From: undisclosed-recipients:;\r\n\r\nhello\r\n",
    "nested": b"From: ada@customer.example\r\n"
    + b"".join(b"Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n" % (i, i) for i in range(200)),
    "unopened boundary": b"From: ada@customer.example\r\n"
    b"Content-Type: multipart/mixed; boundary=x\r\n\r\nhello\r\n",
    "unknown charset": b"From: ada@customer.example\r\nContent-Type: text/plain; charset=tlh\r\n\r\nhi\r\n",
    "lone surrogate": b"From: ada@customer.example\r\nSubject: =?utf-16?b?2AA=?=\r\n\r\nhello\r\n",
}


@pytest.mark.parametrize("case", BAD)
def test_any_bytes_make_a_ticket(world: World, case: str):
    (outcome,) = world.receive(BAD[case], ACME)
    assert outcome.outcome is Outcome.TICKET_CREATED
    (comment,) = comments(world)
    assert comment.raw_key
    assert "admin@acme.example" in recipients(world)


@pytest.mark.parametrize("case", ["empty", "no sender", "two From", "group", "a long address"])
def test_who_cannot_be_named_gets_no_mail_and_no_rights(world: World, case: str):
    to, _ = ticket_one(world)
    world.receive(BAD[case], ACME)
    assert ["admin@acme.example"] == recipients(world)
    (outcome,) = world.receive(BAD[case] + b"\r\nonce more\r\n", to)
    assert outcome.outcome is Outcome.COMMENT_HELD
    assert comments(world)[-1].visibility is Visibility.HELD


def test_a_raw_mail_that_is_missing_is_recorded_and_not_tried_for_ever(world: World):
    deliveries = world.deliveries(mail(), ACME)
    world.s3.delete_object(Bucket="mail", Key=deliveries[0].object_key)
    (outcome,) = world.router.route(deliveries)
    assert outcome.outcome is Outcome.RAW_MISSING
    assert world.store.inbound("-", outcome.delivery_id).outcome is Outcome.RAW_MISSING


def test_500_attachments_with_long_names_fit_the_table(world: World):
    part = '--x\r\nContent-Disposition: attachment; filename="{}{}.txt"\r\n\r\n{}\r\n'
    parts = "".join(part.format("字" * 140, i, i) for i in range(480))
    raw = (
        f"From: {ADA}\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=x\r\n\r\n"
        f"--x\r\nContent-Type: text/plain\r\n\r\nsee files\r\n{parts}--x--\r\n"
    ).encode()
    (outcome,) = world.receive(raw, ACME)
    assert outcome.outcome is Outcome.TICKET_CREATED
    (comment,) = comments(world)
    assert comment.files
    assert any("only in the original mail" in warning for warning in comment.warnings)
    notification = world.store.job("acme", outcome.jobs[0])
    assert len(notification.files) <= 20


def test_a_long_text_for_many_people_fits_one_transaction(world: World):
    """35 mails that repeat 60,000 characters which compression does not shorten."""
    import random

    tenant = world.store.tenant("acme")
    members = tuple(Member(f"m{i}@acme.example", "", Role.ADMIN) for i in range(60))
    world.store.put_tenant(replace(tenant, members=members))
    cc = ", ".join(f"p{i}@customer.example" for i in range(60))
    world.receive(mail(headers={"Cc": cc}), ACME)
    ticket = world.store.ticket("acme", 1)
    assert MAX_FOLLOWERS + 1 == len(ticket.participants)
    draw = random.Random(7)
    text = "".join(chr(draw.randrange(0x4E00, 0x9FFF)) for _ in range(60_000))
    lines = "\n".join(text[i : i + 70] for i in range(0, len(text), 70))
    reference = f"ticket-1.acme@serveloapp.com {mail_id(world)}"
    (outcome,) = world.receive(
        mail(text=lines, headers={"References": f"<{reference.replace(' ', '> <')}>"}), ACME
    )
    assert outcome.outcome is Outcome.COMMENT_CLIENT
    assert MAX_FOLLOWERS + 15 == len(outcome.jobs)
    sizes = [len(world.store.job("acme", job).content["text"]) for job in outcome.jobs]
    assert max(sizes) < 60_000


def test_the_most_that_one_mail_can_cause_fits_one_transaction(world: World):
    """A customer who is introduced by it, as many followers as may be, a large team and an assignee."""
    tenant = world.store.tenant("acme")
    members = tuple(Member(f"m{i}@acme.example", "", Role.ADMIN) for i in range(60))
    world.store.put_tenant(replace(tenant, members=members))
    world.receive(mail(from_="Nasty Name <ADA@customer.example>"), ACME, verdicts=UNPROVEN)
    ticket = world.store.ticket("acme", 1)
    world.store.edit_ticket(replace(ticket, assignee="m59@acme.example"), seen_version=ticket.version)
    # A new key signs, so that the folded look-ups are written too.
    world.ring = KeyRing((replace(world.ring.keys[0], state=KeyState.RETIRED), SigningKey(2, b"n" * 32)))
    to = world.composer().reply_address(ticket, reply_token.TokenRole.CLIENT)
    cc = ", ".join(f"p{i}@customer.example" for i in range(60))
    (outcome,) = world.receive(mail(text="all at once", headers={"Cc": cc}), to)
    assert outcome.outcome is Outcome.COMMENT_CLIENT
    assert 16 + MAX_FOLLOWERS == len(outcome.jobs)


def mail_id(world: World) -> str:
    return comments(world)[0].message_id


def test_a_poison_record_fails_alone_and_the_batch_goes_on(world: World, monkeypatch: pytest.MonkeyPatch):
    from functions.inbound_router import app

    from servelo import bootstrap

    monkeypatch.setattr(bootstrap, "router", lambda: world.router)
    monkeypatch.setattr(bootstrap, "flood_queue", lambda: None)
    records = []
    for index in range(10):
        raw = mail(subject=f"mail {index}")
        (delivery,) = world.deliveries(raw, ACME)
        body = {
            "notificationType": "Received",
            "mail": {
                "timestamp": "2026-11-23T12:00:00.000Z",
                "source": "ada@customer.example",
                "messageId": delivery.ses_message_id,
                "destination": ["support@acme.example"],
                "headersTruncated": False,
                "headers": [],
                "commonHeaders": {},
            },
            "receipt": {
                "timestamp": "2026-11-23T12:00:01.000Z",
                "processingTimeMillis": 400,
                "recipients": [ACME],
                **{f"{v}Verdict": {"status": "PASS"} for v in ("spam", "virus", "spf", "dkim", "dmarc")},
                "action": {"type": "S3", "bucketName": "mail", "objectKey": delivery.object_key},
            },
        }
        if index == 4:
            del body["receipt"]["action"]
        records.append(
            {
                "messageId": f"sqs-{index}",
                "receiptHandle": "handle",
                "body": json.dumps(body),
                "attributes": {"ApproximateReceiveCount": "1"},
                "messageAttributes": {},
                "eventSource": "aws:sqs",
                "eventSourceARN": "arn:aws:sqs:eu-west-1:123456789012:inbound",
                "awsRegion": "eu-west-1",
            }
        )
    context = type("Context", (), {"function_name": "r", "memory_limit_in_mb": 1, "aws_request_id": "1"})()
    context.invoked_function_arn = "arn:aws:lambda:eu-west-1:123456789012:function:r"
    answer = app.lambda_handler({"Records": records}, context)
    assert [{"itemIdentifier": "sqs-4"}] == answer["batchItemFailures"]
    assert world.store.ticket("acme", 9) is not None
    assert world.store.ticket("acme", 10) is None


# ---- tokens (T1 to T5) ---------------------------------------------------------------------------

REFUSED = {
    Outcome.TOKEN_MALFORMED,
    Outcome.TOKEN_KEY_UNKNOWN,
    Outcome.TOKEN_FORGED,
    Outcome.TOKEN_KEY_REVOKED,
    Outcome.TOKEN_TICKET_GONE,
    Outcome.TOKEN_TENANT_GONE,
}


def test_no_changed_token_is_taken(world: World):
    to, _ = ticket_one(world)
    world.tenant("globex")
    local, _, domain = to.partition("@")
    token = local[len("reply+") :]
    changed = [token[:-n] for n in range(1, len(token), 4)]
    changed += [token + "A", token + token, "A" + token, "", "=" * 40, token.swapcase()]
    changed += [
        token[:i] + ("A" if token[i] != "A" else "B") + token[i + 1 :] for i in range(0, len(token), 3)
    ]
    other = KeyRing((SigningKey(1, b"2" * 32),))
    ticket = world.store.ticket("acme", 1)
    changed.append(reply_token.sign("acme", 1, ticket.client_id, reply_token.TokenRole.TEAM, other))
    before = world.store.ticket("acme", 1)
    for each in changed:
        (outcome,) = world.receive(
            mail(message_id=f"{hash(each)}@x", text=each), f"reply+{each}@{domain}", verdicts=UNPROVEN
        )
        # Changed case alone is what mail systems do: such a token still lands (and waits: DMARC says FAIL).
        expected = {Outcome.COMMENT_HELD} if each.lower() == token.lower() else REFUSED
        assert outcome.outcome in expected, each
    after = world.store.ticket("acme", 1)
    assert (before.participants, before.status) == (after.participants, after.status)
    assert set() == {"ada@customer.example"} & set(recipients(world))


def test_each_failure_of_a_token_has_its_own_code(world: World):
    to, team = ticket_one(world)
    local, _, domain = to.partition("@")
    token = local[len("reply+") :]
    ticket = world.store.ticket("acme", 1)
    client = reply_token.TokenRole.CLIENT

    def signed(slug: str, number: int, ring: KeyRing) -> str:
        return reply_token.sign(slug, number, ticket.client_id, client, ring)

    old = world.ring.keys[0]
    flipped = token[:8] + ("A" if token[8] != "A" else "B") + token[9:]
    gone = signed("acme", 99, world.ring)
    world.ring = KeyRing((replace(old, state=KeyState.REVOKED), SigningKey(2, b"n" * 32)))
    revoked = world.receive(mail(text="revoked"), to)[0].outcome
    world.ring = KeyRing((old,))
    cases = {
        "of another deployment, with a key id that we do not have": (
            signed("acme", 1, KeyRing((SigningKey(9, b"2" * 32),))),
            Outcome.TOKEN_KEY_UNKNOWN,
        ),
        "of another deployment, with a key id like ours": (
            signed("acme", 1, KeyRing((SigningKey(1, b"2" * 32),))),
            Outcome.TOKEN_FORGED,
        ),
        "truncated": (token[:-3], Outcome.TOKEN_MALFORMED),
        "a letter changed": (flipped, Outcome.TOKEN_FORGED),
        "nothing at all": ("", Outcome.TOKEN_MALFORMED),
        "of a tenant that is gone": (signed("globex", 1, world.ring), Outcome.TOKEN_TENANT_GONE),
        "of a ticket that is gone": (gone, Outcome.TOKEN_TICKET_GONE),
        "folded": (token.lower(), Outcome.COMMENT_CLIENT),
        "padded": (f"{token}==", Outcome.COMMENT_CLIENT),
    }
    found = {
        name: world.receive(mail(text=name), f"reply+{each}@{domain}")[0].outcome
        for name, (each, _) in cases.items()
    }
    assert {name: expected for name, (_, expected) in cases.items()} == found
    assert Outcome.TOKEN_KEY_REVOKED is revoked
    tenant = world.store.tenant("acme")
    world.store.put_tenant(replace(tenant, members=tenant.members[1:]))
    (removed,) = world.receive(mail(from_="admin@acme.example", text="removed"), team)
    assert Outcome.NOTE_UNVERIFIED is removed.outcome
    world.tenant("globex")
    (replayed,) = world.receive(mail(text="at the other"), to)
    assert (Outcome.COMMENT_CLIENT, "acme") == (replayed.outcome, replayed.slug)


@pytest.mark.parametrize(
    ("expected", "number", "who"),
    [
        (Outcome.TOKEN_TICKET_GONE, 1, "bob@customer.example"),
        (Outcome.TOKEN_TICKET_GONE, 7, "ada@customer.example"),
        (Outcome.COMMENT_CLIENT, 1, "ada@customer.example"),
    ],
)
def test_a_token_is_bound_to_its_ticket_and_its_client(
    world: World, expected: Outcome, number: int, who: str
):
    from servelo.domain import ids

    ticket_one(world)
    token = reply_token.sign(
        "acme", number, ids.client_id("acme", who), reply_token.TokenRole.CLIENT, world.ring
    )
    (outcome,) = world.receive(
        mail(from_=who, text="again"), f"{reply_token.local_part(token)}@serveloapp.com"
    )
    assert expected is outcome.outcome


def test_a_rotated_key_is_still_answered_and_a_revoked_one_is_not(world: World):
    to, _ = ticket_one(world)
    old = world.ring.keys[0]
    new = SigningKey(2, b"n" * 32)
    world.ring = KeyRing((replace(old, state=KeyState.RETIRED), new))
    (outcome,) = world.receive(mail(text="by the old key"), to)
    assert outcome.outcome is Outcome.COMMENT_CLIENT
    (folded,) = world.receive(mail(text="folded"), to.lower())
    assert folded.outcome is Outcome.COMMENT_CLIENT
    world.ring = KeyRing((replace(old, state=KeyState.REVOKED), new))
    for address in (to, to.lower()):
        (outcome,) = world.receive(mail(text=f"revoked {address}"), address)
        assert outcome.outcome in (
            Outcome.TOKEN_KEY_REVOKED,
            Outcome.TOKEN_FORGED,
            Outcome.TOKEN_MALFORMED,
            Outcome.TOKEN_KEY_UNKNOWN,
        )
    (outcome,) = world.receive(mail(text="exact, revoked"), to)
    assert outcome.outcome is Outcome.TOKEN_KEY_REVOKED


def test_a_strangers_mail_with_a_leaked_token_waits_and_gives_no_rights(world: World):
    to, _ = ticket_one(world)
    (outcome,) = world.receive(
        mail(from_="eve@evil.example", text="I am Eve", headers={"Cc": "mallory@evil.example"}), to
    )
    assert outcome.outcome is Outcome.COMMENT_HELD
    assert ["admin@acme.example"] == recipients(world)
    ticket = world.store.ticket("acme", 1)
    assert ["ada@customer.example"] == [p.email for p in ticket.participants]


def test_the_recipient_of_the_envelope_wins_over_tokens_in_headers(world: World):
    first, _ = ticket_one(world)
    world.receive(mail(from_="bob@customer.example", subject="other"), ACME)
    world.send_all()
    second = str(world.mailbox.to("bob@customer.example")[0]["Reply-To"])
    raw = mail(text="which?", to=second, headers={"Cc": second})
    (outcome,) = world.receive(raw, first)
    assert 1 == outcome.ticket_number


@pytest.mark.parametrize("form", ["{}+more@{}", "{}.@{}", '"{}"@{}', "{}@{}.", "{}==@{}"])
def test_other_spellings_of_a_reply_address_land_too(world: World, form: str):
    to, _ = ticket_one(world)
    local, _, domain = to.partition("@")
    (outcome,) = world.receive(mail(text="spelled"), form.format(local, domain))
    assert outcome.outcome is Outcome.COMMENT_CLIENT


def test_a_token_of_another_deployment_tenant_or_a_removed_member(world: World):
    _, team = ticket_one(world)
    tenant = world.store.tenant("acme")
    world.store.put_tenant(replace(tenant, members=tenant.members[1:]))
    (outcome,) = world.receive(mail(from_="admin@acme.example", text="I was a member"), team)
    assert outcome.outcome is Outcome.NOTE_UNVERIFIED
    assert "ada@customer.example" not in recipients(world)
    token = reply_token.sign("globex", 1, "00" * 8, reply_token.TokenRole.TEAM, world.ring)
    (outcome,) = world.receive(mail(text="gone tenant"), f"reply+{token}@serveloapp.com")
    assert outcome.outcome is Outcome.TOKEN_TENANT_GONE


# ---- senders (A1 to A8) --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("from_", "by_ada"),
    [
        ('"ada@customer.example" <bob@b.org>', False),
        ("ada@customer.example <bob@b.org>", False),
        ("ada@customer.example, bob@b.org", False),
        ("=?utf-8?q?ada=40customer.example=3E?= <bob@good.example>", False),
        ("=?utf-8?q?ada=40customer.example?=", False),
        ("(ada@customer.example) bob@b.org", False),
        ("ada@\u0441ustomer.example", False),
        ("ada+x@customer.example", False),
        ("ADA@Customer.EXAMPLE", True),
        ('"Ada" <ada@customer.example> (at work)', True),
    ],
)
def test_only_adas_own_address_speaks_as_ada(world: World, from_: str, by_ada: bool):
    to, _ = ticket_one(world)
    raw = mail(from_="PLACE", text="who am I").replace(b"PLACE", from_.encode())
    (outcome,) = world.receive(raw, to)
    assert (Outcome.COMMENT_CLIENT if by_ada else Outcome.COMMENT_HELD) is outcome.outcome


def test_a_forged_member_is_a_stranger(world: World):
    _, team = ticket_one(world)
    (outcome,) = world.receive(mail(from_="admin@acme.example", text="pay me"), team, verdicts=UNPROVEN)
    assert outcome.outcome is Outcome.NOTE_UNVERIFIED
    (outcome,) = world.receive(mail(from_="tech@acme.example", text="pay me too"), ACME, verdicts=UNPROVEN)
    assert outcome.outcome is Outcome.TICKET_CREATED
    world.send_all()
    assert 1 == len(world.mailbox.to("ada@customer.example"))
    kinds = [job.kind for job in world.store.jobs("acme")[0] if job.recipient == "admin@acme.example"]
    assert 1 == kinds.count(MailKind.EXPLANATION)


# SES's words for what can come of the checks, and what they make of Ada's answer.
CHECKS = {
    "DMARC fails": (UNPROVEN, "", Outcome.COMMENT_HELD),
    "DMARC fails though DKIM passes": ({"dmarc": "FAIL", "spf": "FAIL"}, "", Outcome.COMMENT_HELD),
    "nothing could be asked": (
        {"dmarc": "PROCESSING_FAILED", "spf": "PROCESSING_FAILED", "dkim": "PROCESSING_FAILED"},
        "ada@customer.example",
        Outcome.COMMENT_HELD,
    ),
    "DMARC could not be asked, SPF is aligned": (
        {"dmarc": "PROCESSING_FAILED", "dkim": "GRAY"},
        "ada@customer.example",
        Outcome.COMMENT_CLIENT,
    ),
    "a domain without DMARC, SPF, DKIM": (
        {"dmarc": "GRAY", "spf": "GRAY", "dkim": "GRAY"},
        "ada@customer.example",
        Outcome.COMMENT_CLIENT,
    ),
    "a domain without DMARC, SPF fails or soft-fails": (
        {"dmarc": "GRAY", "spf": "FAIL", "dkim": "GRAY"},
        "ada@customer.example",
        Outcome.COMMENT_CLIENT,
    ),
    "forwarded: SPF is broken, DKIM survives": (
        {"dmarc": "PASS", "spf": "FAIL"},
        "list-bounces@list.example",
        Outcome.COMMENT_CLIENT,
    ),
    "the scans are switched off": (
        {"dmarc": "DISABLED", "spf": "DISABLED", "dkim": "DISABLED"},
        "ada@customer.example",
        Outcome.COMMENT_CLIENT,
    ),
}


@pytest.mark.parametrize("way", ["reply address", "Message-ID"])
@pytest.mark.parametrize("case", CHECKS)
def test_whose_domain_denies_the_mail_speaks_for_nobody(world: World, case: str, way: str):
    """Who holds Ada's reply address, or has seen a Message-ID, and forges her From."""
    verdicts, envelope_sender, expected = CHECKS[case]
    world.receive(mail(headers={"Cc": "bob@customer.example"}), ACME)
    world.send_all()
    sent = world.mailbox.to("ada@customer.example")[0]
    closed(world)
    raw = mail(text="wire it to me", headers={"In-Reply-To": str(sent["Message-ID"])})
    to = str(sent["Reply-To"]) if way == "reply address" else ACME
    (outcome,) = world.receive(raw, to, verdicts=verdicts, envelope_sender=envelope_sender)
    assert expected is outcome.outcome
    held = expected is Outcome.COMMENT_HELD
    told = ["admin@acme.example"] if held else ["admin@acme.example", "bob@customer.example"]
    assert told == recipients(world)
    status = world.store.ticket("acme", 1).status
    assert (TicketStatus.CLOSED if held else TicketStatus.OPEN) is status
    comment = comments(world)[-1]
    assert held is comment.needs_accept
    denied = any("DMARC" in warning for warning in comment.warnings)
    assert (verdicts["dmarc"] == "FAIL") is denied
    asked = [r.question for r in world.store.inbound("acme", outcome.delivery_id).reasons]
    assert held is ("does the sender's domain deny the mail" in asked)


def test_a_denied_auto_reply_is_not_taken_as_the_customers(world: World):
    to, _ = ticket_one(world)
    world.receive(mail(text="away", headers={"Auto-Submitted": "auto-replied"}), to, verdicts=UNPROVEN)
    assert "unverified" == comments(world)[-1].author_role.value


# ---- names and spellings -------------------------------------------------------------------------

NASTY = "Nasty Name <ADA@customer.example>"


def adas_client(world: World) -> tuple[str, str, bool]:
    client = world.store.client("acme", world.store.ticket("acme", 1).client_id)
    return client.email, client.name, client.proven


@pytest.mark.parametrize("first", ["forged", "real"])
@pytest.mark.parametrize("display", ["Ada Lovelace ", ""])
def test_a_clients_name_and_spelling_are_a_verified_mails(world: World, first: str, display: str):
    real = f"{display}<ada@customer.example>"
    order = [(NASTY, UNPROVEN), (real, None)]
    for index, (from_, verdicts) in enumerate(order if first == "forged" else reversed(order)):
        world.receive(mail(from_=from_, subject=f"{index}"), ACME, verdicts=verdicts)
    assert ("ada@customer.example", display.strip(), True) == adas_client(world)
    world.receive(mail(from_=NASTY, subject="later"), ACME, verdicts=UNPROVEN)
    assert ("ada@customer.example", display.strip(), True) == adas_client(world)
    requester = world.store.ticket("acme", 3).requester
    assert ("ada@customer.example", display.strip()) == (requester.email, requester.name)


def test_a_verified_answer_corrects_the_name_on_the_ticket_too(world: World):
    world.receive(mail(from_=NASTY), ACME, verdicts=UNPROVEN)
    assert ("ADA@customer.example", "Nasty Name", False) == adas_client(world)
    to = world.composer().reply_address(world.store.ticket("acme", 1), reply_token.TokenRole.CLIENT)
    world.receive(mail(text="It is me."), to)
    assert ("ada@customer.example", "Ada Lovelace", True) == adas_client(world)
    requester = world.store.ticket("acme", 1).requester
    assert ("ada@customer.example", "Ada Lovelace") == (requester.email, requester.name)


def test_no_mail_changes_a_name_that_the_team_or_a_verified_mail_gave(world: World):
    world.receive(mail(), ACME)
    world.receive(mail(from_="Countess <Ada@customer.example>", subject="other"), ACME)
    assert ("ada@customer.example", "Ada Lovelace", True) == adas_client(world)
    assert 2 == len(world.store.tickets("acme")[0])


def test_two_verified_mails_that_introduce_a_client_at_once_both_arrive(
    world: World, monkeypatch: pytest.MonkeyPatch
):
    world.receive(mail(from_=NASTY), ACME, verdicts=UNPROVEN)
    other = world.deliveries(mail(subject="second"), ACME)
    between(world, monkeypatch, lambda: world.router.route(other))
    (outcome,) = world.receive(mail(subject="third"), ACME)
    assert outcome.outcome is Outcome.TICKET_CREATED
    assert ("ada@customer.example", "Ada Lovelace", True) == adas_client(world)


@pytest.mark.parametrize("domain", ["m\u00fcller.example", "xn--mller-kva.example", "M\u00dcLLER.example"])
def test_a_member_at_an_internationalised_domain_is_a_member(world: World, domain: str):
    tenant = world.store.tenant("acme")
    member = Member("Eva@m\u00fcller.example", "Eva", Role.ADMIN)
    world.store.put_tenant(replace(tenant, members=(*tenant.members, member)))
    _, team = ticket_one(world)
    (outcome,) = world.receive(mail(from_=f"eva@{domain}", text="an answer"), team)
    assert outcome.outcome is Outcome.COMMENT_TEAM


def test_letters_that_only_fold_to_adas_are_somebody_else(world: World):
    world.receive(mail(from_="strasse.mark@customer.example"), ACME)
    world.send_all()
    to = str(world.mailbox.to("strasse.mark@customer.example")[0]["Reply-To"])
    for index, local in enumerate(("stra\u00dfe.mark", "strasse.mar\u212a", "\u017ftrasse.mark")):
        (outcome,) = world.receive(mail(from_=f"{local}@customer.example", text=str(index)), to)
        assert outcome.outcome is Outcome.COMMENT_HELD


def test_a_plus_address_is_a_client_of_its_own(world: World):
    ticket_one(world)
    world.receive(mail(from_="ada+shop@customer.example", subject="other"), ACME)
    first, second = world.store.ticket("acme", 1), world.store.ticket("acme", 2)
    assert first.client_id != second.client_id


# ---- followers, Reply-To (H7) --------------------------------------------------------------------


def test_people_in_cc_follow_and_ours_robots_and_the_team_never_do(world: World):
    cc = (
        "bob@customer.example, tech@acme.example, other@acme.example, acme@serveloapp.com, "
        "reply+x@serveloapp.com, noreply@shop.example, mailer-daemon@customer.example, "
        "operator@ops.example, Ada <ada@customer.example>"
    )
    world.receive(mail(headers={"Cc": cc}), ACME)
    ticket = world.store.ticket("acme", 1)
    assert ["ada@customer.example", "bob@customer.example"] == [p.email for p in ticket.participants]
    assert ["ada@customer.example", "admin@acme.example"] == recipients(world)
    update = world.mailbox.to("admin@acme.example")[0]
    raw, to = reply(update, from_="admin@acme.example", text="To both.")
    world.receive(raw, to)
    assert ["ada@customer.example", "bob@customer.example"] == recipients(world)
    raw, to = reply(
        world.mailbox.to("bob@customer.example")[0], from_="bob@customer.example", text="Bob here."
    )
    (outcome,) = world.receive(raw, to)
    assert outcome.outcome is Outcome.COMMENT_CLIENT


def test_an_unverified_mail_adds_nobody(world: World):
    world.receive(
        mail(headers={"Cc": "bob@customer.example", "Reply-To": "eve@evil.example"}), ACME, verdicts=UNPROVEN
    )
    assert 1 == len(world.store.ticket("acme", 1).participants)


@pytest.mark.parametrize(
    "reply_to",
    [
        "reply+abcdefgh@serveloapp.com",
        "globex@serveloapp.com",
        ", ".join(f"v{i}@victim.example" for i in range(50)),
    ],
)
def test_reply_to_never_leads_to_us_or_to_a_crowd(world: World, reply_to: str):
    world.receive(mail(headers={"Reply-To": reply_to}), ACME)
    ticket = world.store.ticket("acme", 1)
    assert ["ada@customer.example"] == [p.email for p in ticket.participants]
    assert any("Reply-To" in w for w in comments(world)[0].warnings)


# ---- threads -------------------------------------------------------------------------------------


def test_a_subject_tag_counts_for_a_verified_participant_only(world: World):
    ticket_one(world)
    outcomes = [
        world.receive(mail(subject="Re: [#1] fire", text=f"{i}", from_=who), ACME, verdicts=verdicts)[
            0
        ].ticket_number
        for i, (who, verdicts) in enumerate(
            [(ADA, None), (ADA, UNPROVEN), ("eve@evil.example", None), ("admin@acme.example", None)]
        )
    ]
    assert [1, 2, 3, 4] == outcomes


def test_any_known_id_in_the_references_is_enough(world: World):
    """Of mails that we sent (also by the id that SES gave them) and that we received, wherever it stands."""
    world.receive(mail(message_id="first@mua"), ACME)
    world.send_all()
    by_ses = str(world.mailbox.to("ada@customer.example")[0]["Message-ID"])
    ours = f"<{world.store.jobs('acme')[0][0].message_id}>"
    for index, known in enumerate(("<first@mua>", by_ses, ours)):
        strangers = [f"<{index}.{n}@unknown.example>" for n in range(12)]
        for place in (0, 6, 12):
            references = " ".join([*strangers[:place], known, *strangers[place:]])
            raw = mail(subject="no tag", text=f"{known} {place}", headers={"References": references})
            assert 1 == world.receive(raw, ACME)[0].ticket_number, (known, place)
    (outcome,) = world.receive(mail(subject="no tag", text="x", headers={"References": "<no@known>"}), ACME)
    assert 2 == outcome.ticket_number


def test_a_reference_of_another_tenant_means_nothing(world: World):
    world.tenant("globex")
    ticket_one(world)
    sent = world.mailbox.to("ada@customer.example")[0]
    (outcome,) = world.receive(
        mail(text="over there", headers={"In-Reply-To": str(sent["Message-ID"])}), "globex@serveloapp.com"
    )
    assert outcome.outcome is Outcome.TICKET_CREATED
    assert 1 == len(comments(world))


def test_a_reply_reopens_and_after_the_days_opens_a_linked_ticket(world: World):
    to, _ = ticket_one(world)
    closed(world, days_ago=3)
    (outcome,) = world.receive(mail(text="still burning"), to)
    assert outcome.outcome is Outcome.COMMENT_CLIENT
    assert world.store.ticket("acme", 1).status is TicketStatus.OPEN
    closed(world, days_ago=31)
    (outcome,) = world.receive(mail(text="burning again"), to)
    assert (Outcome.TICKET_CREATED, 2) == (outcome.outcome, outcome.ticket_number)
    assert 1 == world.store.ticket("acme", 2).linked_number
    assert world.store.ticket("acme", 1).status is TicketStatus.CLOSED


def test_a_vacation_responder_neither_reopens_nor_tells_anybody(world: World):
    to, team = ticket_one(world)
    closed(world)
    before = world.store.ticket("acme", 1)
    for who, address in ((ADA, to), ("admin@acme.example", team)):
        (outcome,) = world.receive(
            mail(from_=who, text=f"away {who}", headers={"Auto-Submitted": "auto-replied"}), address
        )
        assert outcome.outcome is Outcome.MACHINE_RECORDED
    after = world.store.ticket("acme", 1)
    assert (before.status, before.updated_at, before.unread) == (after.status, after.updated_at, after.unread)
    assert [] == recipients(world)


def test_mail_to_a_merged_ticket_goes_on_with_the_other(world: World):
    to, team = ticket_one(world)
    world.receive(mail(subject="second", text="other"), ACME)
    first = world.store.ticket("acme", 1)
    merged = replace(first, status=TicketStatus.MERGED, merged_into=2)
    world.store.edit_ticket(merged, seen_version=first.version)
    (outcome,) = world.receive(mail(text="after the merge"), to)
    assert 2 == outcome.ticket_number
    (outcome,) = world.receive(mail(from_="admin@acme.example", text="team after the merge"), team)
    assert (Outcome.COMMENT_TEAM, 2) == (outcome.outcome, outcome.ticket_number)


def test_a_members_answer_lands_after_the_requester_was_corrected(world: World):
    from servelo.domain import ids
    from servelo.domain.ticket import Participant

    _, team = ticket_one(world)
    ticket = world.store.ticket("acme", 1)
    corrected = replace(
        ticket,
        client_id=ids.client_id("acme", "bob@customer.example"),
        participants=(Participant("bob@customer.example", "Bob"),),
        folded_key_ids=(),
    )
    world.store.edit_ticket(corrected, seen_version=ticket.version, people=True)
    world.send_all()
    (outcome,) = world.receive(mail(from_="admin@acme.example", text="Hello Bob"), team)
    assert outcome.outcome is Outcome.COMMENT_TEAM
    assert ["bob@customer.example"] == recipients(world)


# ---- forwards by members -------------------------------------------------------------------------

FORWARDS = {
    "gmail": (
        "---------- Forwarded message ---------\n"
        "From: Carla Customer <carla@customer.example>\n"
        "Date: Mon, Nov 23, 2026 at 1:00 PM\n"
        "Subject: Kaputt\n"
        "To: <support@acme.example>\n"
        "\n"
        "It broke."
    ),
    "outlook de": (
        "________________________________\n"
        "Von: Carla Customer <carla@customer.example>\n"
        "Gesendet: Montag, 23. November 2026 13:00\n"
        "An: support@acme.example <support@acme.example>\n"
        "Betreff: Kaputt\n"
        "\n"
        "Es ging kaputt."
    ),
    "outlook fr": (
        "De : Carla Customer <carla@customer.example>\n"
        "Envoyé : lundi 23 novembre 2026 13:00\n"
        "À : support@acme.example\n"
        "Objet : Cassé\n"
        "\n"
        "C'est cassé."
    ),
    "apple es": (
        "Inicio del mensaje reenviado:\n"
        "\n"
        "> De: Carla Customer <carla@customer.example>\n"
        "> Asunto: Roto\n"
        "> Fecha: 23 de noviembre de 2026\n"
        "> Para: support@acme.example\n"
        ">\n"
        "> Se rompió."
    ),
    "japanese": (
        "-------- 転送メッセージ --------\n"
        "差出人： Carla Customer <carla@customer.example>\n"
        "日付： 2026年11月23日\n"
        "件名： 故障\n"
        "宛先： support@acme.example\n"
        "\n"
        "壊れました。"
    ),
    "thunderbird pl": (
        "-------- Przekazana wiadomość --------\n"
        "Temat: Zepsute\n"
        "Data: Mon, 23 Nov 2026\n"
        "Nadawca: Carla Customer <carla@customer.example>\n"
        "Adresat: support@acme.example\n"
        "\n"
        "Zepsute."
    ),
    "russian": (
        "-------- Пересылаемое сообщение --------\n"
        "От: Carla Customer <carla@customer.example>\n"
        "Кому: support@acme.example\n"
        "Тема: Сломалось\n"
        "\n"
        "Сломалось."
    ),
}


@pytest.mark.parametrize("program", FORWARDS)
def test_a_members_forward_is_the_customers_ticket(world: World, program: str):
    (outcome,) = world.receive(
        mail(from_="tech@acme.example", subject="Fwd: Kaputt", text=f"fyi\n\n{FORWARDS[program]}\n"), ACME
    )
    assert outcome.outcome is Outcome.TICKET_FORWARDED_BY_MEMBER
    requester = world.store.ticket("acme", 1).requester
    assert ("carla@customer.example", "Carla Customer") == (requester.email, requester.name)
    assert ["admin@acme.example"] == recipients(world)


def test_an_attached_original_tells_its_sender(world: World):
    inner = mail(from_="Carla Customer <carla@customer.example>", subject="inner").decode()
    raw = (
        "From: tech@acme.example\r\nSubject: Fwd\r\nMIME-Version: 1.0\r\n"
        "Content-Type: multipart/mixed; boundary=x\r\n\r\n--x\r\n\r\nsee below\r\n"
        f"--x\r\nContent-Type: message/rfc822\r\n\r\n{inner}\r\n--x--\r\n"
    ).encode()
    (outcome,) = world.receive(raw, ACME)
    assert outcome.outcome is Outcome.TICKET_FORWARDED_BY_MEMBER
    assert "carla@customer.example" == world.store.ticket("acme", 1).requester.email


@pytest.mark.parametrize(("who", "verdicts"), [("tech@acme.example", UNPROVEN), ("eve@evil.example", None)])
def test_a_forward_counts_for_verified_members_only(world: World, who: str, verdicts: dict | None):
    (outcome,) = world.receive(mail(from_=who, text=FORWARDS["gmail"]), ACME, verdicts=verdicts)
    assert outcome.outcome is Outcome.TICKET_CREATED
    assert who == world.store.ticket("acme", 1).requester.email
    assert "carla@customer.example" not in recipients(world)


def test_a_members_own_signature_is_no_forward(world: World):
    text = "We need paper.\n\nTel: 1234\nFax: 5678\nMail: tech@acme.example\nWeb: acme.example\n"
    (outcome,) = world.receive(mail(from_="tech@acme.example", text=text), ACME)
    assert outcome.outcome is Outcome.TICKET_CREATED


# ---- spam, virus, blocked, suspended, operator ---------------------------------------------------


def test_a_virus_is_put_aside_unopened(world: World):
    raw = mail(text="open me", headers={"Cc": "bob@customer.example"})
    (outcome,) = world.receive(raw, ACME, verdicts={"virus": "FAIL"})
    assert outcome.outcome is Outcome.QUARANTINED_VIRUS
    assert world.store.ticket("acme", 1) is None
    assert "Contents" not in world.s3.list_objects_v2(Bucket="files")
    assert ["admin@acme.example"] == recipients(world)
    assert "open me" not in world.mailbox.mails[-1].as_string()
    for index in range(8):
        world.receive(mail(text=f"virus {index}"), ACME, verdicts={"virus": "FAIL"})
    assert 4 == len(recipients(world))


def test_spam_makes_a_quiet_ticket(world: World):
    (outcome,) = world.receive(mail(), ACME, verdicts={"spam": "FAIL"})
    assert outcome.outcome is Outcome.TICKET_SPAM
    assert world.store.ticket("acme", 1).status is TicketStatus.SPAM
    assert [] == recipients(world)


def test_a_blocked_sender_goes_no_further(world: World):
    to, _ = ticket_one(world)
    ticket = world.store.ticket("acme", 1)
    client = world.store.client("acme", ticket.client_id)
    world.store.put_client(replace(client, blocked=True))
    for address in (ACME, to):
        (outcome,) = world.receive(mail(text=f"hello {address}"), address)
        assert outcome.outcome is Outcome.SENDER_BLOCKED
    assert 1 == len(comments(world))
    assert [] == recipients(world)


def test_a_suspended_tenant_gets_nothing_and_the_sender_is_told_once_a_day(world: World):
    tenant = world.store.tenant("acme")
    world.store.put_tenant(replace(tenant, suspended=True))
    for index in range(3):
        (outcome,) = world.receive(mail(text=str(index)), ACME)
        assert outcome.outcome is Outcome.TENANT_SUSPENDED
    assert world.store.ticket("acme", 1) is None
    job = world.store.jobs("acme")[0]
    assert [MailKind.EXPLANATION] == [each.kind for each in job]


@pytest.mark.parametrize("mailbox", ["support", "legal", "postmaster", "abuse", "Support", "legal+x"])
def test_operator_mail_is_a_new_mail_with_the_original_attached(world: World, mailbox: str):
    raw = mail(subject="question", headers={"X-Odd": "kept"})
    (outcome,) = world.receive(raw, f"{mailbox}@serveloapp.com", verdicts=UNPROVEN)
    assert outcome.outcome is Outcome.OPERATOR_FORWARDED
    world.send_all()
    (forward,) = world.mailbox.to("operator@ops.example")
    assert "ada@customer.example" not in str(forward["From"])
    (attached,) = [p for p in forward.walk() if p.get_content_type() == "message/rfc822"]
    assert "kept" == attached.get_payload(0)["X-Odd"]


def test_operator_mail_that_is_spam_a_virus_or_a_loop_stops(world: World):
    stamped = mail(headers={"X-Servelo-Stamp": "1"})
    found = [
        world.receive(mail(text="1"), "support@serveloapp.com", verdicts={"spam": "FAIL"})[0].outcome,
        world.receive(mail(text="2"), "abuse@serveloapp.com", verdicts={"virus": "FAIL"})[0].outcome,
        world.receive(stamped, "support@serveloapp.com")[0].outcome,
        world.receive(mail(from_="notify@serveloapp.com"), "support@serveloapp.com")[0].outcome,
    ]
    assert [Outcome.OPERATOR_STOPPED, Outcome.OPERATOR_STOPPED, Outcome.LOOP, Outcome.LOOP] == found
    assert [] == recipients(world)


def with_account(world: World) -> None:
    """Let Acme's mail go out from support@acme.example, the address that its forward rule is for."""
    tenant = world.store.tenant("acme")
    smtp = SmtpAccount(
        "smtp.acme.example", 587, "support@acme.example", "acme:x", from_email="support@acme.example"
    )
    world.store.put_tenant(tenant.with_smtp(smtp))


def test_our_own_mail_ends_as_a_loop_also_from_the_tenants_own_address(world: World):
    with_account(world)
    for index, from_ in enumerate(("notify@serveloapp.com", "globex@serveloapp.com", "support@acme.example")):
        stamp = {"X-Servelo-Stamp": "1"} if from_.startswith("support") else {}
        (outcome,) = world.receive(mail(from_=from_, text=str(index), headers=stamp), ACME)
        assert outcome.outcome is Outcome.LOOP
    assert world.store.ticket("acme", 1) is None


def test_a_form_that_writes_from_the_tenants_own_address_is_a_ticket_and_no_loop(world: World):
    """Web forms and lists do so, and name the customer in Reply-To; before, all of them ended as loops."""
    with_account(world)
    form = mail(
        from_="Shop <support@acme.example>", subject="Contact", headers={"Reply-To": "ada@customer.example"}
    )
    (outcome,) = world.receive(form, ACME)
    assert outcome.outcome is Outcome.TICKET_CREATED
    account = world.accounts.setdefault("acme", Mailbox(name="smtp", replaces_ids=False))
    world.send_all()
    assert ["admin@acme.example"] == account.recipients + world.mailbox.recipients
    (notification,) = account.mails + world.mailbox.mails
    raw, team = reply(notification, from_="admin@acme.example", text="Hello Ada")
    world.receive(raw, team)
    world.send_all()
    assert ["admin@acme.example", "ada@customer.example"] == account.recipients
    # A person at the shared mailbox who is no member: kept for the team, not lost.
    (outcome,) = world.receive(mail(from_="support@acme.example", text="from the shop"), team)
    assert outcome.outcome is Outcome.NOTE_UNVERIFIED
    world.send_all()
    assert "support@acme.example" not in account.recipients


# ---- several addresses, repetitions --------------------------------------------------------------


def test_two_departments_get_a_ticket_each_and_one_department_one(world: World):
    world.tenant("globex")
    found = world.receive(
        mail(), ACME, "acme+sales@serveloapp.com", "ACME@serveloapp.com", "globex@serveloapp.com"
    )
    assert sorted(
        [(Outcome.TICKET_CREATED, False)] * 2 + [(Outcome.DUPLICATE, False), (Outcome.TICKET_CREATED, True)]
    ) == sorted((each.outcome, each.repeated) for each in found)
    assert world.store.ticket("acme", 2) is None
    assert world.store.ticket("globex", 1) is not None


def test_one_mail_to_two_reply_addresses_is_said_on_both_tickets_once(world: World):
    first, _ = ticket_one(world)
    world.receive(mail(subject="second", text="other"), ACME)
    second = world.composer().reply_address(world.store.ticket("acme", 2), reply_token.TokenRole.CLIENT)
    raw = mail(text="about both")
    found = world.receive(raw, first, second, ACME)
    assert [(Outcome.COMMENT_CLIENT, 1), (Outcome.COMMENT_CLIENT, 2), (Outcome.DUPLICATE, 0)] == [
        (each.outcome, each.ticket_number) for each in found
    ]
    again = world.receive(raw, first, second)
    assert [Outcome.DUPLICATE, Outcome.DUPLICATE] == [each.outcome for each in again]


def test_bcc_and_forward_rules_are_told_by_the_envelope(world: World):
    (outcome,) = world.receive(mail(to="somebody@else.example"), ACME)
    assert outcome.outcome is Outcome.TICKET_CREATED


def test_the_same_mail_by_two_ways_is_one_ticket(world: World):
    raw = mail()
    (first,) = world.receive(raw, ACME)
    (second,) = world.receive(raw, ACME)
    (third,) = world.receive(raw, ACME, verdicts=UNPROVEN)
    assert [Outcome.TICKET_CREATED, Outcome.DUPLICATE, Outcome.DUPLICATE] == [
        first.outcome,
        second.outcome,
        third.outcome,
    ]


def test_a_reused_message_id_swallows_nobodys_mail(world: World):
    ids_ = "the-same@id.example"
    world.receive(mail(message_id=ids_, text="one"), ACME)
    (outcome,) = world.receive(mail(message_id=ids_, from_="bob@customer.example", text="two"), ACME)
    assert (Outcome.TICKET_CREATED, 2) == (outcome.outcome, outcome.ticket_number)
    (outcome,) = world.receive(mail(message_id=ids_, from_="cleo@customer.example", text="three"), ACME)
    assert 3 == outcome.ticket_number


def test_a_forged_mail_that_came_first_does_not_swallow_the_real_one(world: World):
    ids_ = "seen@id.example"
    world.receive(mail(message_id=ids_, text="forged"), ACME, verdicts=UNPROVEN)
    (outcome,) = world.receive(mail(message_id=ids_, text="real"), ACME)
    assert outcome.outcome is Outcome.COMMENT_CLIENT
    assert ["forged", "real"] == [c.text.strip() for c in comments(world)]


def test_a_mail_of_ours_that_somebody_copies_with_its_id_is_no_duplicate(world: World):
    ticket_one(world)
    job = world.store.jobs("acme")[0][0]
    (outcome,) = world.receive(
        mail(message_id=job.message_id, from_="eve@evil.example", text="copied id"), ACME
    )
    assert outcome.outcome is Outcome.TICKET_CREATED


# ---- no backscatter (H9) -------------------------------------------------------------------------


@pytest.mark.parametrize(
    "address",
    [
        "nobody-here@serveloapp.com",
        "reply+AAAAAAAAAAAAAAAAAAAAAAAAAAAA@serveloapp.com",
        "webmaster@serveloapp.com",
    ],
)
def test_a_rejection_goes_to_verified_people_only_once_a_day(world: World, address: str):
    unverified = [world.receive(mail(text=f"u{i}"), address, verdicts=UNPROVEN)[0].jobs for i in range(2)]
    machine = world.receive(mail(text="m", headers={"Auto-Submitted": "auto-generated"}), address)[0].jobs
    assert [(), ()] == unverified
    assert () == machine
    verified = [len(world.receive(mail(text=f"v{i}"), address)[0].jobs) for i in range(3)]
    assert [1, 0, 0] == verified
    assert ["ada@customer.example"] == recipients(world)
    sent = world.mailbox.mails[-1]
    assert str(sent["Auto-Submitted"]).startswith("auto-")
    assert "v0" not in sent.get_body(("plain",)).get_content().split()


# ---- somebody is faster --------------------------------------------------------------------------


def between(world: World, monkeypatch: pytest.MonkeyPatch, act) -> None:
    """Let *act* happen once, after the router has read and before it writes."""
    commit = world.store.commit
    done = []

    def late(change):
        if not done:
            done.append(True)
            act()
        commit(change)

    monkeypatch.setattr(world.store, "commit", late)


def test_a_ticket_that_is_closed_meanwhile_opens_again(world: World, monkeypatch: pytest.MonkeyPatch):
    to, _ = ticket_one(world)
    between(world, monkeypatch, lambda: closed(world))
    (outcome,) = world.receive(mail(text="wait"), to)
    assert outcome.outcome is Outcome.COMMENT_CLIENT
    assert world.store.ticket("acme", 1).status is TicketStatus.OPEN
    assert 2 == len(comments(world))


def test_two_mails_that_add_people_at_once_both_do(world: World, monkeypatch: pytest.MonkeyPatch):
    to, _ = ticket_one(world)
    other = world.deliveries(mail(text="with bob", headers={"Cc": "bob@customer.example"}), to)
    between(world, monkeypatch, lambda: world.router.route(other))
    world.receive(mail(text="with cleo", headers={"Cc": "cleo@customer.example"}), to)
    people = [p.email for p in world.store.ticket("acme", 1).participants]
    assert ["ada@customer.example", "bob@customer.example", "cleo@customer.example"] == people
    assert 3 == world.store.ticket("acme", 1).comment_count


def test_an_explanation_survives_a_conflict(world: World, monkeypatch: pytest.MonkeyPatch):
    _, team = ticket_one(world)
    between(world, monkeypatch, lambda: closed(world))
    world.receive(mail(from_="admin@acme.example", text="unproven"), team, verdicts=UNPROVEN)
    kinds = [job.kind for job in world.store.jobs("acme")[0]]
    assert 1 == kinds.count(MailKind.EXPLANATION)


def test_the_same_delivery_at_two_routers_at_once_is_one_ticket(
    world: World, monkeypatch: pytest.MonkeyPatch
):
    deliveries = world.deliveries(mail(), ACME)
    between(world, monkeypatch, lambda: world.router.route(deliveries))
    (outcome,) = world.router.route(deliveries)
    assert outcome.repeated
    assert 1 == len(world.store.tickets("acme")[0])
    assert ["ada@customer.example", "admin@acme.example"] == recipients(world)


def test_a_new_sender_at_two_routers_at_once_is_one_client(world: World, monkeypatch: pytest.MonkeyPatch):
    other = world.deliveries(mail(text="first"), ACME)
    between(world, monkeypatch, lambda: world.router.route(other))
    (outcome,) = world.receive(mail(text="second"), ACME)
    assert outcome.outcome is Outcome.TICKET_CREATED
    assert 1 == len(world.store.clients("acme")[0])
