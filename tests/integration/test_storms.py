"""Programs that answer programs, people who use us to write to others: bounded mails, a ticket, no storm."""

import os
from collections.abc import Callable, Mapping
from email.message import EmailMessage

import pytest

from servelo.domain.inbound_record import Outcome
from servelo.services.route_inbound import ANSWERS_PER_TICKET_AN_HOUR, UPDATES_PER_FOLLOWER_AN_HOUR
from tests.world import World, mail

ACME = "acme@serveloapp.com"
LONG = bool(os.environ.get("SERVELO_PROOF"))
ROUNDS = 1000
VICTIM = "victim@other.example"
UNPROVEN = {"spf": "FAIL", "dkim": "FAIL", "dmarc": "FAIL"}

# What programs put into their answers: a well-behaved one says what it is (RFC 3834), another says nothing.
POLITE = {"Auto-Submitted": "auto-replied", "Precedence": "bulk"}
SILENT: dict[str, str] = {}


def answer_to(sent: EmailMessage, author: str, headers: Mapping[str, str], turn: int) -> tuple[bytes, str]:
    raw = mail(
        from_=author,
        to=str(sent["Reply-To"]),
        subject=f"Re: {sent['Subject']}",
        text=f"Thank you for your mail. ({turn})",
        headers={"In-Reply-To": str(sent["Message-ID"]), **headers},
    )
    return raw, str(sent["Reply-To"])


def play(world: World, responders: Mapping[str, Mapping[str, str]]) -> int:
    """Let *responders* answer every mail that they get, until all are silent; return the rounds it took."""
    world.receive(mail(), ACME)
    seen = 0
    for turn in range(ROUNDS):
        world.send_all()
        new = list(zip(world.mailbox.mails, world.mailbox.recipients, strict=True))[seen:]
        seen = len(world.mailbox.mails)
        answers = [
            answer_to(sent, recipient, responders[recipient], turn)
            for sent, recipient in new
            if recipient in responders and sent["Reply-To"]
        ]
        if not answers:
            return turn
        for raw, to in answers:
            world.receive(raw, to)
    return ROUNDS


@pytest.mark.parametrize(
    ("customer", "team", "most"),
    [
        (POLITE, POLITE, 2),
        (POLITE, SILENT, 3),
        (SILENT, POLITE, 3),
        (SILENT, SILENT, 2 + ANSWERS_PER_TICKET_AN_HOUR),
    ],
    ids=["both say so", "the customer's says so", "the team's says so", "neither says so"],
)
def test_two_auto_responders_end_with_a_ticket_and_bounded_mails(
    world: World, customer: Mapping[str, str], team: Mapping[str, str], most: int
):
    rounds = play(world, {"ada@customer.example": customer, "admin@acme.example": team})
    assert rounds < ROUNDS, "they never fell silent"
    assert len(world.mailbox.mails) <= most
    assert 1 == len(world.store.tickets("acme")[0])


def test_two_help_desks_that_write_to_each_other_stop(world: World):
    """Each tenant's own address is a customer of the other: our stamp ends it."""
    world.tenant("globex")
    world.receive(mail(from_="ada@customer.example", headers={"Reply-To": "globex@serveloapp.com"}), ACME)
    world.send_all()
    for sent in list(world.mailbox.mails):
        for to in (ACME, "globex@serveloapp.com", str(sent["Reply-To"])):
            (outcome,) = world.receive(sent.as_bytes(), to)
            assert outcome.outcome is Outcome.LOOP
    world.send_all()
    assert 2 == len(world.mailbox.mails)


FORGED: dict[str, Callable[[int], bytes]] = {
    "From": lambda i: mail(from_=f"Victim <{VICTIM}>", text=str(i)),
    "Reply-To": lambda i: mail(from_="eve@evil.example", text=str(i), headers={"Reply-To": VICTIM}),
    "Cc": lambda i: mail(from_="eve@evil.example", text=str(i), headers={"Cc": VICTIM}),
    "Sender": lambda i: mail(from_="eve@evil.example", text=str(i), headers={"Sender": VICTIM}),
    "Return-Path": lambda i: mail(
        from_="eve@evil.example", text=str(i), headers={"Return-Path": f"<{VICTIM}>", "Errors-To": VICTIM}
    ),
    "Disposition-Notification-To": lambda i: mail(
        from_="eve@evil.example", text=str(i), headers={"Disposition-Notification-To": VICTIM}
    ),
}


def test_forged_mails_that_name_one_victim_bring_them_nothing(world: World):
    count = 500 if LONG else 60
    addresses = (
        ACME,
        "nobody-here@serveloapp.com",
        "webmaster@serveloapp.com",
        f"reply+{'A' * 40}@serveloapp.com",
    )
    for index in range(count):
        make = list(FORGED.values())[index % len(FORGED)]
        address = addresses[0] if index % 4 else addresses[index // 4 % len(addresses)]
        world.receive(make(index), address, verdicts=UNPROVEN, envelope_sender=VICTIM)
    world.send_all()
    assert [] == world.mailbox.to(VICTIM)
    assert {"admin@acme.example"} == set(world.mailbox.recipients)
    assert len(world.store.tickets("acme", limit=1000)[0]) <= count


def test_verified_mails_that_name_a_victim_in_cc_are_bounded(world: World):
    """Who owns a domain may name anybody in Cc, open many tickets and write to each again and again."""
    tickets, answers = (20, 40) if LONG else (3, 12)
    for number in range(tickets):
        world.receive(
            mail(from_="eve@evil.example", subject=f"buy {number}", text=str(number), headers={"Cc": VICTIM}),
            ACME,
        )
        for turn in range(answers):
            world.receive(
                mail(from_="eve@evil.example", subject=f"[#{number + 1}]", text=f"buy {number} {turn}"), ACME
            )
    world.send_all()
    assert len(world.mailbox.to(VICTIM)) <= UPDATES_PER_FOLLOWER_AN_HOUR
    assert tickets * (answers + 1) == sum(t.comment_count for t in world.store.tickets("acme")[0])


def test_one_senders_confirmations_are_bounded(world: World):
    for index in range(12):
        world.receive(mail(text=str(index)), ACME)
    world.send_all()
    assert 5 == len(world.mailbox.to("ada@customer.example"))
    assert 12 == len(world.store.tickets("acme")[0])
    world.clock.turn(hours=1)
    world.receive(mail(text="an hour later"), ACME)
    world.send_all()
    assert 6 == len(world.mailbox.to("ada@customer.example"))
