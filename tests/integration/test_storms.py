"""Programs that answer programs, people who use us to write to others: bounded mails, a ticket, no storm."""

import os
from collections.abc import Callable, Mapping
from email.message import EmailMessage

import pytest

from servelo.domain.inbound_record import Outcome
from servelo.services import budgets
from servelo.services.budgets import ANSWERS_PER_TICKET_AN_HOUR, UPDATES_PER_FOLLOWER_AN_HOUR
from servelo.services.replay import Replay
from tests.world import World, mail, reply

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


# ---- what a sender, a domain or a flood may cause ------------------------------------------------


def mails_to_others(world: World) -> int:
    return sum(recipient.endswith("@other.example") for recipient in world.mailbox.recipients)


def relay(world: World, sender: str, mails: int, people: int) -> None:
    """*sender* names new people on each ticket and writes to them once."""
    for turn in range(mails):
        cc = ", ".join(f"p{turn}.{i}.{sender.partition('@')[0]}@other.example" for i in range(people))
        (opened,) = world.receive(
            mail(from_=sender, subject=f"{sender} {turn}", text=str(turn), headers={"Cc": cc}), ACME
        )
        tag = f"[#{opened.ticket_number}]"
        world.receive(mail(from_=sender, subject=tag, text=f"buy {sender} {turn}"), ACME)


def test_one_sender_reaches_a_bounded_number_of_people(world: World):
    """The bound on each victim does not help where every mail has new ones."""
    relay(world, "eve@evil.example", 6, 14)
    world.send_all()
    assert 4 * 14 == mails_to_others(world)
    words = [c for n in range(1, 7) for c in world.store.conversation("acme", n)[0]]
    assert 12 == len(words)
    kept = [c for c in words if any("Not mailed to 14" in warning for warning in c.warnings)]
    assert 2 == len(kept)
    record = world.store.inbound("acme", kept[0].inbound_id)
    assert ("are there mails left for this hour or day", "no") == (
        record.reasons[-1].question,
        record.reasons[-1].answer,
    )
    assert "updates to others by this sender's words, 60 an hour" == record.reasons[-1].value
    world.clock.turn(hours=1)
    relay(world, "eve@evil.example", 1, 5)
    world.send_all()
    assert 4 * 14 + 5 == mails_to_others(world)


def test_one_domain_reaches_a_bounded_number_of_people(world: World, monkeypatch: pytest.MonkeyPatch):
    """Who owns a domain has as many addresses and subdomains as they like."""
    monkeypatch.setattr(budgets, "RELAYED_PER_DOMAIN_AN_HOUR", 20)
    for index in range(6):
        relay(world, f"eve{index}@s{index}.evil.example", 1, 6)
    relay(world, "ada@customer.example", 1, 6)
    world.send_all()
    assert 18 + 6 == mails_to_others(world)
    # Strangers share gmail.com: what one of them does is not held against the others.
    for index in range(4):
        relay(world, f"g{index}@gmail.com", 1, 6)
    world.send_all()
    assert 18 + 6 + 24 == mails_to_others(world)


def to_admin(world: World) -> list[str]:
    return [str(each["Subject"]) for each in world.mailbox.to("admin@acme.example")]


@pytest.mark.parametrize("verdicts", [None, UNPROVEN], ids=["verified", "forged"])
def test_a_flood_of_one_sender_tells_the_team_that_more_waits(
    world: World, verdicts: dict | None, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(budgets, "TOLD_PER_SENDER_AN_HOUR", 5)
    for index in range(9):
        world.receive(mail(subject=f"flood {index}"), ACME, verdicts=verdicts)
    (other,) = world.receive(mail(from_="bob@customer.example", subject="an honest question"), ACME)
    assert 10 == other.ticket_number
    world.send_all()
    subjects = to_admin(world)
    assert 5 == sum("flood" in subject for subject in subjects)
    assert 1 == sum("an honest question" in subject for subject in subjects)
    assert 1 == sum("More mail is waiting" in subject for subject in subjects)
    assert 7 == len(subjects)
    # Nothing is lost: every ticket is there and unread, and says why no mail came.
    tickets = world.store.tickets("acme", limit=100)[0]
    assert 10 == sum(ticket.unread for ticket in tickets)
    silent = world.store.conversation("acme", 9)[0][0]
    assert any("The team was not told" in warning for warning in silent.warnings)
    reasons = world.store.inbound("acme", silent.inbound_id).reasons
    assert "mails of one sender that the team is told of, 40 an hour" in reasons[-1].value
    world.clock.turn(hours=1)
    world.receive(mail(subject="an hour later"), ACME, verdicts=verdicts)
    world.send_all()
    assert 8 == len(to_admin(world))


def test_a_flood_of_many_senders_is_bounded_for_the_team(world: World, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(budgets, "TOLD_PER_TENANT_SHARD_AN_HOUR", 1)
    for index in range(16):
        world.receive(
            mail(from_=f"x{index}@forged{index}.example", subject=f"{index}"), ACME, verdicts=UNPROVEN
        )
    world.send_all()
    subjects = to_admin(world)
    assert len(subjects) <= budgets.SHARDS + 1
    assert 1 == sum("More mail is waiting" in subject for subject in subjects)
    assert 16 == len(world.store.tickets("acme", limit=100)[0])


def test_forged_mails_in_a_customers_name_do_not_hide_the_customers_own(
    world: World, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(budgets, "TOLD_PER_SENDER_AN_HOUR", 2)
    for index in range(4):
        world.receive(mail(subject=f"forged {index}"), ACME, verdicts=UNPROVEN)
    world.receive(mail(subject="my own question"), ACME)
    world.send_all()
    assert 1 == sum("my own question" in subject for subject in to_admin(world))


def test_words_on_many_tickets_are_bounded_for_the_team_too(world: World, monkeypatch: pytest.MonkeyPatch):
    """Each ticket has its own bound; a sender may have many tickets."""
    monkeypatch.setattr(budgets, "TOLD_PER_SENDER_AN_HOUR", 7)
    for number in range(1, 4):
        world.receive(mail(subject=f"t{number}"), ACME)
        for turn in range(3):
            world.receive(mail(subject=f"[#{number}]", text=f"{number} {turn}"), ACME)
    world.send_all()
    assert 7 + 1 == len(to_admin(world))
    assert 12 == sum(t.comment_count for t in world.store.tickets("acme")[0])


def test_mail_for_the_operator_is_bounded_and_waits_to_be_replayed(
    world: World, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(budgets, "FORWARDS_PER_SENDER_AN_HOUR", 4)
    outcomes = [
        world.receive(mail(text=str(i)), "abuse@serveloapp.com", verdicts=UNPROVEN)[0].outcome
        for i in range(7)
    ]
    assert [Outcome.OPERATOR_FORWARDED] * 4 + [Outcome.OPERATOR_WAITING] * 3 == outcomes
    (other,) = world.receive(mail(from_="bob@customer.example"), "legal@serveloapp.com")
    assert other.outcome is Outcome.OPERATOR_FORWARDED
    world.send_all()
    sent = world.mailbox.to("operator@ops.example")
    assert 5 + 1 == len(sent)
    assert 1 == sum("More mail is waiting" in str(each["Subject"]) for each in sent)
    replay = Replay(router=world.router, store=world.store, raw_mails=world.raw_mails, clock=world.clock)
    assert not any(each.changed for each in replay.replay_range("-", None, failed_only=True))
    world.clock.turn(hours=1)
    done = replay.replay_range("-", None, failed_only=True)
    assert ["operator_forwarded"] * 3 == [each.after for each in done]
    before = world.items()
    assert not any(each.changed for each in replay.replay_range("-", None))
    assert before == world.items()
    world.send_all()
    assert 5 + 1 + 3 == len(world.mailbox.to("operator@ops.example"))


def test_a_strangers_words_do_not_use_up_the_mails_of_the_teams_answer(world: World):
    world.receive(mail(), ACME)
    world.send_all()
    to = str(world.mailbox.to("ada@customer.example")[-1]["Reply-To"])
    for turn in range(ANSWERS_PER_TICKET_AN_HOUR + 1):
        junk = mail(from_="nobody@forged.example", to=to, subject="x", text=f"junk {turn}")
        (held,) = world.receive(junk, to, verdicts=UNPROVEN)
        assert held.outcome is Outcome.COMMENT_HELD
    assert () == held.jobs
    told = world.mailbox.to("admin@acme.example")[-1]
    (answered,) = world.receive(*reply(told, from_="admin@acme.example", text="Here is the answer"))
    assert (Outcome.COMMENT_TEAM, 1) == (answered.outcome, len(answered.jobs))
