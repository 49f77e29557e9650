"""The truth table of inbound mail, every cell of it, and what must hold whatever the facts are.

``TABLE`` is the table of ``docs/routing.md``, word for word; the first row that fits a mail decides.
"""

import itertools
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from servelo.domain.inbound_record import REMEDIES, REPLAYABLE, Outcome
from servelo.services.decide import Action, Decision, Facts, Sender, Thread, TicketAge, WayIn, decide

DOCS = Path(__file__).resolve().parents[3] / "docs"

TABLE = """
| way in       | goes on with | sender      | verified | mail    | ticket          | outcome           | author     | seen by  | told                       | besides |
| ------------ | ------------ | ----------- | -------- | ------- | --------------- | ----------------- | ---------- | -------- | -------------------------- | ------- |
| client token | any          | any         | yes      | person  | none            | token_ticket_gone | -          | -        | sender: token_invalid      | -       |
| client token | any          | any         | any      | any     | none            | token_ticket_gone | -          | -        | nobody                     | -       |
| team token   | any          | any         | yes      | person  | none            | token_ticket_gone | -          | -        | sender: token_invalid      | -       |
| team token   | any          | any         | any      | any     | none            | token_ticket_gone | -          | -        | nobody                     | -       |
| team token   | any          | participant | suspect  | program | any             | machine_recorded  | unverified | internal | nobody                     | -       |
| team token   | any          | participant | any      | program | any             | machine_recorded  | client     | internal | nobody                     | -       |
| team token   | any          | any         | any      | program | any             | machine_recorded  | unverified | internal | nobody                     | -       |
| team token   | any          | member      | yes      | any     | spam            | comment_team      | team       | public   | nobody                     | -       |
| team token   | any          | member      | yes      | any     | any             | comment_team      | team       | public   | others                     | -       |
| team token   | any          | member      | no       | person  | any             | note_unverified   | unverified | internal | sender: team_unverified    | -       |
| team token   | any          | member      | no       | spam    | any             | note_unverified   | unverified | internal | nobody                     | -       |
| team token   | any          | any         | yes      | person  | any             | note_unverified   | unverified | internal | team, sender: not_a_member | -       |
| team token   | any          | any         | no       | person  | any             | note_unverified   | unverified | internal | team                       | -       |
| team token   | any          | any         | any      | spam    | any             | note_unverified   | unverified | internal | nobody                     | -       |
| client token | any          | participant | suspect  | program | any             | machine_recorded  | unverified | internal | nobody                     | -       |
| client token | any          | participant | any      | program | any             | machine_recorded  | client     | internal | nobody                     | -       |
| client token | any          | any         | any      | program | any             | machine_recorded  | unverified | internal | nobody                     | -       |
| client token | any          | any         | any      | spam    | any             | comment_held      | unverified | held     | nobody                     | -       |
| client token | any          | participant | suspect  | person  | spam            | comment_held      | unverified | held     | nobody                     | -       |
| client token | any          | participant | suspect  | person  | any             | comment_held      | unverified | held     | team                       | -       |
| client token | any          | participant | yes      | person  | closed long ago | ticket_created    | client     | public   | team, confirmation         | linked  |
| client token | any          | participant | no       | person  | closed long ago | ticket_created    | unverified | public   | team                       | linked  |
| client token | any          | participant | any      | person  | closed recently | comment_client    | client     | public   | team, others               | reopens |
| client token | any          | participant | any      | person  | spam            | comment_client    | client     | public   | nobody                     | -       |
| client token | any          | participant | any      | person  | any             | comment_client    | client     | public   | team, others               | -       |
| client token | any          | any         | any      | person  | spam            | comment_held      | unverified | held     | nobody                     | -       |
| client token | any          | any         | any      | person  | any             | comment_held      | unverified | held     | team                       | -       |
| slug         | reference    | participant | suspect  | program | any             | machine_recorded  | unverified | internal | nobody                     | -       |
| slug         | reference    | participant | any      | program | any             | machine_recorded  | client     | internal | nobody                     | -       |
| slug         | reference    | participant | any      | spam    | any             | comment_held      | unverified | held     | nobody                     | -       |
| slug         | reference    | participant | suspect  | person  | spam            | comment_held      | unverified | held     | nobody                     | -       |
| slug         | reference    | participant | suspect  | person  | any             | comment_held      | unverified | held     | team                       | -       |
| slug         | reference    | participant | yes      | person  | closed long ago | ticket_created    | client     | public   | team, confirmation         | linked  |
| slug         | reference    | participant | no       | person  | closed long ago | ticket_created    | unverified | public   | team                       | linked  |
| slug         | reference    | participant | any      | person  | closed recently | comment_client    | client     | public   | team, others               | reopens |
| slug         | reference    | participant | any      | person  | spam            | comment_client    | client     | public   | nobody                     | -       |
| slug         | reference    | participant | any      | person  | any             | comment_client    | client     | public   | team, others               | -       |
| slug         | subject tag  | participant | yes      | program | any             | machine_recorded  | client     | internal | nobody                     | -       |
| slug         | subject tag  | participant | yes      | spam    | any             | comment_held      | unverified | held     | nobody                     | -       |
| slug         | subject tag  | participant | yes      | person  | closed long ago | ticket_created    | client     | public   | team, confirmation         | linked  |
| slug         | subject tag  | participant | yes      | person  | closed recently | comment_client    | client     | public   | team, others               | reopens |
| slug         | subject tag  | participant | yes      | person  | spam            | comment_client    | client     | public   | nobody                     | -       |
| slug         | subject tag  | participant | yes      | person  | any             | comment_client    | client     | public   | team, others               | -       |
| slug         | reference    | member      | yes      | program | any             | machine_recorded  | unverified | internal | nobody                     | -       |
| slug         | reference    | member      | yes      | any     | spam            | comment_team      | team       | public   | nobody                     | -       |
| slug         | reference    | member      | yes      | any     | any             | comment_team      | team       | public   | others                     | -       |
| slug         | any          | any         | any      | spam    | any             | ticket_spam       | client     | public   | nobody                     | -       |
| slug         | any          | any         | yes      | program | any             | ticket_created    | client     | public   | team                       | -       |
| slug         | any          | nobody      | yes      | person  | any             | ticket_created    | client     | public   | team                       | -       |
| slug         | any          | any         | yes      | person  | any             | ticket_created    | client     | public   | team, confirmation         | -       |
| slug         | any          | any         | no       | any     | any             | ticket_created    | unverified | public   | team                       | -       |
"""  # noqa: E501 - a table

BEFORE = """
| first question that is answered with yes                | outcome                                                             | told                       |
| ------------------------------------------------------- | ------------------------------------------------------------------- | -------------------------- |
| support@, legal@, postmaster@, abuse@: a virus, or spam | operator_stopped                                                    | nobody                     |
| support@ …: our own mail                                | loop                                                                | nobody                     |
| support@ …: more than is forwarded in an hour           | operator_waiting                                                    | the operator, once an hour |
| support@ …                                              | operator_forwarded                                                  | the operator               |
| is it our own mail                                      | loop                                                                | nobody                     |
| is it a reserved name that nobody reads                 | no_mailbox                                                          | sender: unknown_recipient  |
| is the reply token not ours                             | token_malformed, token_key_unknown, token_key_revoked, token_forged | sender: token_invalid      |
| is the token's tenant gone                              | token_tenant_gone                                                   | nobody                     |
| does no tenant have that name                           | unknown_slug                                                        | sender: unknown_slug       |
| is the tenant suspended                                 | tenant_suspended                                                    | sender: tenant_suspended   |
| did the scan find a virus                               | quarantined_virus                                                   | team                       |
| is it a bounce of a mail of ours                        | bounce_recorded                                                     | nobody                     |
| is it another bounce                                    | bounce_unmatched                                                    | nobody                     |
| has this mail come before                               | duplicate                                                           | nobody                     |
| is the sender blocked                                   | sender_blocked                                                      | nobody                     |
"""  # noqa: E501 - a table

WAYS = {"client token": WayIn.CLIENT_TOKEN, "team token": WayIn.TEAM_TOKEN, "slug": WayIn.SLUG}
SENDERS = {
    "participant": (Sender.PARTICIPANT,),
    "member": (Sender.MEMBER,),
    "nobody": (Sender.MISSING, Sender.AMBIGUOUS),
    "any": tuple(Sender),
}
# Another sender than participant and member; what is said of "any" after them is said of these.
MAILS = {
    "person": (False, False),
    "program": (True, False),
    "spam": (False, True),
    "spam program": (True, True),
}


@dataclass(frozen=True)
class Row:
    way: str
    thread: str
    sender: str
    verified: str
    mail: str
    ticket: str
    outcome: str
    author: str
    seen_by: str
    told: str
    besides: str

    def fits(
        self, way: WayIn, thread: Thread, sender: Sender, verified: str, mail: str, age: TicketAge
    ) -> bool:
        return (
            WAYS[self.way] is way
            and self.thread in ("any", thread.value.replace("_", " "))
            and sender in SENDERS[self.sender]
            and self.verified in ("any", verified, "yes" if verified == "yes" else "no")
            and (self.mail == "any" or self.mail in self._names(way, thread, sender, verified, mail, age))
            and self.ticket in ("any", age.value.replace("_", " "))
        )

    @staticmethod
    def _names(*cell: object) -> tuple[str, ...]:
        """Spam that a program wrote is a program's mail on a ticket, and spam when it would open one."""
        mail = str(cell[4])
        return ("program", "spam") if mail == "spam program" else (mail,)


def rows() -> list[Row]:
    lines = [line for line in TABLE.strip().splitlines()[2:] if line]
    return [Row(*(cell.strip() for cell in line.strip("|").split("|"))) for line in lines]


def cells() -> Iterator[tuple[WayIn, Thread, Sender, str, str, TicketAge]]:
    for way, sender, verified, mail, age in itertools.product(
        WAYS.values(), Sender, ("yes", "no", "suspect"), MAILS, TicketAge
    ):
        if way is not WayIn.SLUG:
            yield way, Thread.NONE, sender, verified, mail, age
            continue
        threads = (Thread.NONE,) if age is TicketAge.NONE else (Thread.REFERENCE, Thread.SUBJECT_TAG)
        for thread in threads:
            # Without a ticket nobody is its participant.
            if age is not TicketAge.NONE or sender is not Sender.PARTICIPANT:
                yield way, thread, sender, verified, mail, age


def told(decision: Decision) -> str:
    names = ["team"] if decision.notify else []
    names += ["others"] if decision.publish else []
    names += ["confirmation"] if decision.confirm else []
    names += [f"sender: {decision.explain}"] if decision.explain else []
    return ", ".join(names) or "nobody"


def test_every_cell_is_decided_as_the_table_says():
    used = set()
    for cell in cells():
        way, thread, sender, verified, mail, age = cell
        automatic, spam = MAILS[mail]
        decision = decide(
            Facts(
                way,
                sender,
                thread,
                age,
                verified=verified == "yes",
                suspect=verified == "suspect",
                automatic=automatic,
                spam=spam,
                withhold_answer=automatic,
            )
        )
        index, row = next((i, row) for i, row in enumerate(rows()) if row.fits(*cell))
        used.add(index)
        besides = "linked" if decision.link else "reopens" if decision.reopen else "-"
        expected = (row.outcome, row.author, row.seen_by, row.told, row.besides)
        unproven = sender in (Sender.MISSING, Sender.AMBIGUOUS)
        if unproven and "sender:" in row.told:
            # Who cannot be named cannot be told.
            expected = (*expected[:3], row.told.partition("sender:")[0].rstrip(", ") or "nobody", row.besides)
        found = (
            decision.outcome.value,
            decision.author or "-",
            decision.visibility or "-",
            told(decision),
            besides,
        )
        assert expected == found, (cell, row)
    assert used == set(range(len(rows()))), "a row that no mail ever meets"


def test_the_documentation_holds_the_same_tables():
    text = (DOCS / "routing.md").read_text(encoding="utf-8")
    assert TABLE.strip() in text
    assert BEFORE.strip() in text


@pytest.mark.parametrize(
    ("expected", "explain", "facts"),
    [
        ("operator_stopped", "", Facts(WayIn.OPERATOR, virus=True)),
        ("operator_stopped", "", Facts(WayIn.OPERATOR, spam=True)),
        ("loop", "", Facts(WayIn.OPERATOR, own_mail=True)),
        ("operator_forwarded", "", Facts(WayIn.OPERATOR, automatic=True, verified=False)),
        ("operator_waiting", "", Facts(WayIn.OPERATOR, budget=False)),
        ("operator_stopped", "", Facts(WayIn.OPERATOR, budget=False, spam=True)),
        ("loop", "", Facts(WayIn.SLUG, own_mail=True, tenant_known=False, virus=True)),
        ("no_mailbox", "unknown_recipient", Facts(WayIn.RESERVED)),
        ("no_mailbox", "", Facts(WayIn.RESERVED, verified=False)),
        ("token_malformed", "token_invalid", Facts(WayIn.BAD_TOKEN, token_code="token_malformed")),
        ("token_key_unknown", "token_invalid", Facts(WayIn.BAD_TOKEN, token_code="token_key_unknown")),
        ("token_key_revoked", "token_invalid", Facts(WayIn.BAD_TOKEN, token_code="token_key_revoked")),
        ("token_forged", "token_invalid", Facts(WayIn.BAD_TOKEN, token_code="token_forged")),
        ("token_forged", "", Facts(WayIn.BAD_TOKEN, token_code="token_forged", verified=False)),
        ("token_tenant_gone", "", Facts(WayIn.CLIENT_TOKEN, tenant_known=False)),
        ("unknown_slug", "unknown_slug", Facts(WayIn.SLUG, tenant_known=False, virus=True)),
        ("unknown_slug", "", Facts(WayIn.SLUG, tenant_known=False, spam=True)),
        ("tenant_suspended", "tenant_suspended", Facts(WayIn.TEAM_TOKEN, tenant_suspended=True)),
        ("quarantined_virus", "", Facts(WayIn.SLUG, virus=True, duplicate=True, blocked=True, bounce=True)),
        ("bounce_recorded", "", Facts(WayIn.CLIENT_TOKEN, bounce=True, bounce_matches=True, automatic=True)),
        ("bounce_unmatched", "", Facts(WayIn.SLUG, bounce=True, automatic=True, duplicate=True)),
        ("duplicate", "", Facts(WayIn.SLUG, duplicate=True, blocked=True)),
        ("sender_blocked", "", Facts(WayIn.TEAM_TOKEN, Sender.MEMBER, ticket=TicketAge.OPEN, blocked=True)),
        (
            "token_ticket_gone",
            "token_invalid",
            Facts(WayIn.CLIENT_TOKEN, ticket=TicketAge.OPEN, client_matches=False),
        ),
        ("ticket_forwarded_by_member", "", Facts(WayIn.SLUG, Sender.MEMBER, forwards=True)),
        ("ticket_created", "", Facts(WayIn.SLUG, Sender.MEMBER, forwards=True, verified=False)),
        ("ticket_created", "", Facts(WayIn.SLUG, Sender.OTHER, forwards=True)),
    ],
)
def test_what_is_asked_before_the_table(expected: str, explain: str, facts: Facts):
    decision = decide(facts)
    assert (expected, explain) == (decision.outcome.value, decision.explain)
    assert decision.reasons


FLAGS = (
    "tenant_known tenant_suspended client_matches verified suspect own_mail duplicate bounce bounce_matches "
    "automatic withhold_answer spam virus blocked forwards suppressed budget"
).split()


def all_facts() -> Iterator[Facts]:
    """Every 13th of the 59 million combinations in the long version (``make proof``), else every 997th.

    The steps are primes, so that each value meets each other one.
    """
    step = 13 if os.environ.get("SERVELO_PROOF") else 997
    product = itertools.product(WayIn, Sender, Thread, TicketAge, *((True, False),) * len(FLAGS))
    for way, sender, thread, age, *flags in itertools.islice(product, 0, None, step):
        yield Facts(way, sender, thread, age, **dict(zip(FLAGS, flags, strict=True)))


def broken(facts: Facts, decision: Decision) -> list[str]:
    """Return what *decision* breaks of the promises, nothing if it is sound."""
    human = not (facts.automatic or facts.withhold_answer)
    token = facts.way_in in (WayIn.CLIENT_TOKEN, WayIn.TEAM_TOKEN)
    published = decision.publish or decision.visibility == "public"
    told_sender = decision.confirm or decision.explain
    rights = (
        (facts.way_in is WayIn.CLIENT_TOKEN and facts.sender is Sender.PARTICIPANT and not facts.suspect)
        or (facts.way_in is WayIn.TEAM_TOKEN and facts.sender is Sender.MEMBER and facts.verified)
        or (facts.thread is Thread.REFERENCE and facts.sender is Sender.PARTICIPANT and not facts.suspect)
        or (facts.thread is Thread.REFERENCE and facts.sender is Sender.MEMBER and facts.verified)
        or (facts.thread is Thread.SUBJECT_TAG and facts.sender is Sender.PARTICIPANT and facts.verified)
    )
    comment = decision.action is Action.COMMENT
    promises = {
        "words on a ticket are published by right only": not (comment and published) or rights,
        "nothing of another side is mailed but by right": not decision.publish or rights,
        "a suspect mail is taken as nobody's words on a ticket": not (facts.suspect and comment)
        or facts.verified
        or decision.author == "unverified",
        "the team speaks by a verified member only": decision.author != "team"
        or (facts.sender is Sender.MEMBER and facts.verified),
        "a program publishes nothing on a ticket": not (facts.automatic and comment)
        or (decision.visibility == "internal" and not decision.notify),
        "a program is never answered": human or not told_sender,
        "confirmed is who is verified, within budget, not suppressed": not decision.confirm
        or (facts.verified and facts.budget and not facts.suppressed and not facts.spam),
        "explained is who is verified, or a member at the tenant's own address": not decision.explain
        or facts.verified
        or (facts.sender is Sender.MEMBER and decision.explain == "team_unverified"),
        "nobody is told who cannot be named": not told_sender
        or facts.sender not in (Sender.MISSING, Sender.AMBIGUOUS),
        "a suppressed address gets no answer": not facts.suppressed or not told_sender,
        "spam tells nobody": not facts.spam
        or decision.outcome in (Outcome.COMMENT_TEAM, Outcome.TICKET_SPAM, Outcome.QUARANTINED_VIRUS)
        or not (decision.notify or decision.publish or told_sender),
        "a virus is never opened": not facts.virus
        or decision.action in (Action.QUARANTINE, Action.RECORD_ONLY),
        "own mail is a loop, or stopped before": not facts.own_mail
        or decision.outcome in (Outcome.LOOP, Outcome.OPERATOR_STOPPED),
        "a tenant that is gone or suspended gets nothing": facts.way_in is WayIn.OPERATOR
        or (facts.tenant_known and not facts.tenant_suspended)
        or decision.action is Action.RECORD_ONLY,
        "a blocked sender makes nothing": not facts.blocked
        or facts.way_in is WayIn.OPERATOR
        or decision.action in (Action.RECORD_ONLY, Action.QUARANTINE, Action.APPLY_BOUNCE),
        "a bounce makes no ticket and no comment": not facts.bounce
        or facts.way_in is WayIn.OPERATOR
        or decision.action in (Action.RECORD_ONLY, Action.QUARANTINE, Action.APPLY_BOUNCE),
        "only a comment by right reopens": not decision.reopen
        or (facts.ticket is TicketAge.CLOSED_RECENTLY and rights and not facts.automatic),
        "a bad token is of no ticket": facts.way_in is not WayIn.BAD_TOKEN
        or decision.action is Action.RECORD_ONLY,
        "a token of a ticket that is gone makes nothing": not token
        or facts.ticket is not TicketAge.NONE
        or decision.action in (Action.RECORD_ONLY, Action.QUARANTINE, Action.APPLY_BOUNCE),
        "what may be decided anew made nothing": decision.outcome not in REPLAYABLE
        or decision.action is Action.RECORD_ONLY,
        "every decision has its reasons": bool(decision.reasons),
    }
    return [promise for promise, kept in promises.items() if not kept]


def test_the_promises_hold_for_all_facts():
    cases = 0
    for facts in all_facts():
        decision = decide(facts)
        assert [] == broken(facts, decision), facts
        cases += 1
    assert cases > 50_000


def test_the_promises_can_be_broken():
    """The check itself is checked: a decision that gives too much is found out."""
    facts = Facts(WayIn.CLIENT_TOKEN, Sender.OTHER, ticket=TicketAge.OPEN, verified=False)
    generous = Decision(
        Outcome.COMMENT_CLIENT,
        Action.COMMENT,
        (),
        "client",
        "public",
        publish=True,
        confirm=True,
        explain="x",
    )
    assert 5 == len(broken(facts, generous))


def test_every_outcome_has_a_remedy_and_stands_in_the_documentation():
    text = (DOCS / "outcomes.md").read_text(encoding="utf-8")
    lines = [line for line in text.splitlines() if line.startswith("| `")]
    expected = [
        f"| `{outcome.value}` | {'yes' if outcome in REPLAYABLE else 'no'} | {REMEDIES[outcome]} |"
        for outcome in Outcome
    ]
    assert expected == lines
