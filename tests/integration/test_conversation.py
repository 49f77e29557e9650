"""The main job: a mail becomes a ticket, and both sides hold a conversation from their own inboxes."""

from servelo.domain.inbound_record import Outcome
from tests.world import World, mail, reply


def test_a_mail_becomes_a_ticket_a_client_a_notification_and_a_confirmation(world: World):
    (outcome,) = world.receive(mail(), "acme@serveloapp.com")
    assert outcome.outcome is Outcome.TICKET_CREATED
    assert outcome.ticket_number == 1
    ticket = world.store.ticket("acme", 1)
    assert ticket.subject == "The printer is on fire"
    client = world.store.client("acme", ticket.client_id)
    assert (client.name, client.email) == ("Ada Lovelace", "ada@customer.example")
    assert [o.state for o in world.send_all()] == ["accepted", "accepted"]
    (notification,) = world.mailbox.to("admin@acme.example")
    (confirmation,) = world.mailbox.to("ada@customer.example")
    assert "Please help." in notification.get_body(("plain",)).get_content()
    assert "[#1]" in confirmation["Subject"]
    assert "1" in confirmation.get_body(("plain",)).get_content()
    for sent in (notification, confirmation):
        assert str(sent["Reply-To"]).startswith("reply+")


def test_a_conversation_of_many_turns(world: World):
    world.receive(mail(), "acme@serveloapp.com")
    world.send_all()
    for turn in range(3):
        notification = world.mailbox.to("admin@acme.example")[-1]
        raw, to = reply(notification, from_="Acme Admin <admin@acme.example>", text=f"Team turn {turn}.")
        (outcome,) = world.receive(raw, to)
        assert outcome.outcome is Outcome.COMMENT_TEAM
        world.send_all()
        update = world.mailbox.to("ada@customer.example")[-1]
        assert f"Team turn {turn}." in update.get_body(("plain",)).get_content()
        raw, to = reply(update, from_="Ada Lovelace <ada@customer.example>", text=f"Customer turn {turn}.")
        (outcome,) = world.receive(raw, to)
        assert outcome.outcome is Outcome.COMMENT_CLIENT
        world.send_all()
    comments, _ = world.store.conversation("acme", 1)
    assert [c.text.strip() for c in comments] == [
        "Please help.",
        "Team turn 0.",
        "Customer turn 0.",
        "Team turn 1.",
        "Customer turn 1.",
        "Team turn 2.",
        "Customer turn 2.",
    ]
    subjects = {str(m["Subject"]) for m in world.mailbox.mails}
    assert subjects == {"[#1] The printer is on fire"}


def test_the_same_notification_twice_is_one_ticket_and_one_mail_each(world: World):
    deliveries = world.deliveries(mail(), "acme@serveloapp.com")
    world.router.route(deliveries)
    (again,) = world.router.route(deliveries)
    assert again.repeated
    world.send_all()
    assert len(world.mailbox.mails) == 2
    assert world.store.ticket("acme", 2) is None


def test_a_job_that_comes_twice_is_one_mail(world: World):
    (outcome,) = world.receive(mail(), "acme@serveloapp.com")
    world.send_all()
    for job_id in outcome.jobs:
        world.deliverer.deliver("acme", job_id)
    assert len(world.mailbox.mails) == 2


def test_two_tenants_never_cross(world: World):
    world.tenant("globex")
    world.receive(mail(subject="for acme"), "acme@serveloapp.com")
    world.receive(mail(subject="for globex"), "globex@serveloapp.com")
    world.send_all()
    assert [m["Subject"] for m in world.mailbox.to("admin@acme.example")] == ["[#1] for acme"]
    assert [m["Subject"] for m in world.mailbox.to("admin@globex.example")] == ["[#1] for globex"]
    assert world.store.ticket("acme", 2) is None


def test_an_unknown_slug_is_recorded_and_creates_nothing(world: World):
    (outcome,) = world.receive(mail(), "nobody-here@serveloapp.com", verdicts={"dmarc": "FAIL"})
    assert outcome.outcome is Outcome.UNKNOWN_SLUG
    assert outcome.jobs == ()
    record = world.store.inbound("-", outcome.delivery_id)
    assert record.outcome is Outcome.UNKNOWN_SLUG
    assert record.reasons


def test_support_reaches_the_operator_with_the_original_attached(world: World):
    (outcome,) = world.receive(mail(), "support@serveloapp.com")
    assert outcome.outcome is Outcome.OPERATOR_FORWARDED
    world.send_all()
    (forward,) = world.mailbox.to("operator@ops.example")
    assert forward["Reply-To"] == "ada@customer.example"
    assert "notify@serveloapp.com" in forward["From"]
    types = [part.get_content_type() for part in forward.walk()]
    assert "message/rfc822" in types


def test_a_folded_token_still_lands_and_a_forged_folded_one_does_not(world: World):
    world.receive(mail(), "acme@serveloapp.com")
    world.send_all()
    raw, to = reply(world.mailbox.to("ada@customer.example")[0], from_="ada@customer.example", text="Folded.")
    (outcome,) = world.receive(raw, to.lower())
    assert outcome.outcome is Outcome.COMMENT_CLIENT
    local, _, domain = to.lower().partition("@")
    forged = local[:-1] + ("a" if local[-1] != "a" else "b")
    (outcome,) = world.receive(raw, f"{forged}@{domain}")
    assert outcome.outcome in (Outcome.TOKEN_FORGED, Outcome.TOKEN_MALFORMED, Outcome.TOKEN_KEY_UNKNOWN)


def test_a_reference_to_the_id_that_ses_gave_is_enough(world: World):
    world.receive(mail(), "acme@serveloapp.com")
    world.send_all()
    sent = world.mailbox.to("ada@customer.example")[0]
    raw = mail(subject="no tag", text="By reference.", headers={"In-Reply-To": str(sent["Message-ID"])})
    (outcome,) = world.receive(raw, "acme@serveloapp.com")
    assert outcome.outcome is Outcome.COMMENT_CLIENT
    assert outcome.ticket_number == 1


def test_a_mail_to_the_ticket_and_the_tenant_at_once_is_one_comment(world: World):
    world.receive(mail(), "acme@serveloapp.com")
    world.send_all()
    raw, to = reply(world.mailbox.to("ada@customer.example")[0], from_="ada@customer.example", text="Both.")
    first, second = world.receive(raw, "acme@serveloapp.com", to)
    assert (first.outcome, second.outcome) == (Outcome.COMMENT_CLIENT, Outcome.DUPLICATE)
    assert world.store.ticket("acme", 2) is None
