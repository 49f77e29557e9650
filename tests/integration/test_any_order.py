"""Any sequence of duplicated, reordered and replayed deliveries ends as the plain sequence does.

An answer never comes before the mail that it answers was sent; everything else may come in any order, and
twice. Compared is everything that people see: tickets by subject with status, people and words; clients; what
came of each mail; which mails are promised and sent to whom. Not compared, because they follow the order of
arrival: ticket numbers, ids, times, the preview and the order of the references.
"""

import os
from collections import Counter
from functools import cache

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from servelo.domain.ticket import Ticket
from servelo.mail.reply_token import TokenRole
from servelo.services.replay import Replay
from servelo.services.route_inbound import Delivery
from tests.world import World, mail, new_world

EXAMPLES = 150 if os.environ.get("SERVELO_PROOF") else 4
ACME = "acme@serveloapp.com"
UNPROVEN = {"spf": "FAIL", "dkim": "FAIL", "dmarc": "FAIL"}
SUBJECTS = ("the printer", "the door")
ANSWERS = ("customer", "reference", "follower", "team", "forged team", "stranger", "vacation", "spam")
Event = tuple[str, str]  # subject, what


class Play:
    """One world that events are delivered to; each event is one delivery, however often it comes."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.deliveries: dict[Event, list[Delivery]] = {}

    def ticket(self, subject: str) -> Ticket | None:
        return next((t for t in self.world.store.tickets("acme")[0] if t.subject == subject), None)

    def arrives(self, event: Event) -> bool:
        """Deliver *event*; False when the mail that it answers is not there yet."""
        subject, what = event
        ticket = self.ticket(subject)
        if what != "new" and ticket is None:
            return False
        if event not in self.deliveries:
            self.deliveries[event] = self.made(subject, what, ticket)
        self.world.router.route(self.deliveries[event])
        return True

    def made(self, subject: str, what: str, ticket: Ticket | None) -> list[Delivery]:
        customer = f"ada@{subject.split()[1]}.example"
        words = {
            "subject": subject,
            "text": f"{what} about {subject}",
            "message_id": f"{what}.{subject.split()[1]}@mua",
        }
        if ticket is None:
            cc = {"Cc": f"bob@{subject.split()[1]}.example"}
            return self.world.deliveries(
                mail(from_=customer, headers=cc, **words), ACME, "acme+x@serveloapp.com"
            )
        composer = self.world.composer()
        client = composer.reply_address(ticket, TokenRole.CLIENT)
        team = composer.reply_address(ticket, TokenRole.TEAM)
        reference = {"References": f"<{ticket.message_ids[0]}>"}
        vacation = {"Auto-Submitted": "auto-replied"}
        from_, to, headers, verdicts = {
            "customer": (customer, (client, ACME), {}, {}),
            "reference": (customer, (ACME,), reference, {}),
            "follower": (f"bob@{subject.split()[1]}.example", (client,), {}, {}),
            "team": ("admin@acme.example", (team,), {}, {}),
            "forged team": ("tech@acme.example", (team,), {}, UNPROVEN),
            "stranger": ("eve@evil.example", (client,), {}, {}),
            "vacation": (customer, (client,), vacation, {}),
            "spam": (customer, (client,), {}, {"spam": "FAIL"}),
        }[what]
        return self.world.deliveries(mail(from_=from_, headers=headers, **words), *to, verdicts=verdicts)

    def seen(self) -> dict[str, object]:
        """What people see in the end."""
        world = self.world
        world.send_all()
        tickets = {}
        names = {}
        for ticket in world.store.tickets("acme")[0]:
            names[ticket.number] = ticket.subject
            comments = world.store.conversation("acme", ticket.number)[0]
            tickets[ticket.subject] = (
                ticket.status,
                ticket.unread,
                tuple(p.email for p in ticket.participants),
                ticket.comment_count,
                sorted((c.author_role, c.author_email, c.visibility, c.text.strip()) for c in comments),
            )
        return {
            "tickets": tickets,
            "clients": sorted((c.email, c.name) for c in world.store.clients("acme")[0]),
            "outcomes": sorted(
                (r.message_id, r.envelope_recipient[:10], r.outcome)
                for r in world.store.inbound_list("acme", 500)[0]
            ),
            "promised": Counter(
                (
                    job.kind,
                    job.recipient,
                    names.get(job.ticket_number, ""),
                    str(job.content.get("text", "")).strip(),
                    job.state,
                )
                for job in world.store.jobs("acme", 500)[0]
            ),
            "sent": Counter(
                (recipient, str(sent["Subject"]).partition("] ")[2], sent.get_content_type())
                for recipient, sent in zip(world.mailbox.recipients, world.mailbox.mails, strict=True)
            ),
        }


@cache
def plain(events: tuple[Event, ...]) -> dict[str, object]:
    with new_world() as world:
        world.tenant("acme")
        play = Play(world)
        for event in events:
            assert play.arrives(event)
        return play.seen()


@st.composite
def conversations(draw: st.DrawFn) -> tuple[tuple[Event, ...], list[Event]]:
    """A conversation in its plain order, and one way in which SQS might bring it."""
    events: list[Event] = [(subject, "new") for subject in SUBJECTS]
    for subject in SUBJECTS:
        chosen = draw(st.sets(st.sampled_from(ANSWERS), min_size=1, max_size=4))
        events += [(subject, what) for what in ANSWERS if what in chosen]
    copies = [event for event in events for _ in range(draw(st.integers(1, 2)))]
    return tuple(events), draw(st.permutations(copies))


@settings(
    max_examples=EXAMPLES,
    deadline=None,
    derandomize=not os.environ.get("SERVELO_PROOF"),
    database=None,
    phases=(Phase.generate,),  # shrinking would take minutes of moto
    suppress_health_check=list(HealthCheck),
)
@given(conversations())
def test_any_order_ends_as_the_plain_order(case: tuple[tuple[Event, ...], list[Event]]):
    events, arrivals = case
    expected = plain(events)
    with new_world() as world:
        world.tenant("acme")
        play = Play(world)
        waiting = list(arrivals)
        while waiting:
            # What cannot be there yet comes later.
            waiting = [event for event in waiting if not play.arrives(event)]
        replay = Replay(router=world.router, store=world.store, raw_mails=world.raw_mails, clock=world.clock)
        for slug in ("acme", "-"):
            assert not any(each.changed for each in replay.replay_range(slug, None))
        assert expected == play.seen()
        for job in world.store.jobs("acme", 500)[0]:
            world.deliverer.deliver("acme", job.id)
        world.sweeper.sweep()
        assert expected == play.seen()


def test_the_plain_order_says_what_it_should():
    """The comparison above compares something: every kind of answer shows in what people see."""
    events = [(s, "new") for s in SUBJECTS] + [(s, a) for s in SUBJECTS for a in ANSWERS]
    found = plain(tuple(events))
    assert set(SUBJECTS) == set(found["tickets"])
    for status, _, people, count, words in found["tickets"].values():
        assert ("open", 2, 9, 9) == (status, len(people), count, len(words))
    assert 2 * (2 + len(ANSWERS) + 1) == len(found["outcomes"])
    assert 2 < len(found["sent"])
