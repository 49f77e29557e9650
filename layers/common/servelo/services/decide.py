"""Who is speaking, and what follows: the truth table of inbound mail, in the order in which it is asked.

``decide`` is a pure function of ``Facts``: no clock, no store, no exception. ``docs/routing.md`` holds the
same table in words, and a test walks every cell of it.

    way in         sender                     verified  outcome           seen by   mailed to
    -------------  -------------------------  --------  ----------------  --------  --------------------------
    client token   requester, participant     yes, no   comment_client    everyone  team, other participants
    client token   requester, participant     suspect   comment_held      team      team
    client token   anybody else               any       comment_held      team      team
    team token     current member             yes       comment_team      everyone  requester, participants
    team token     current member             no        note_unverified   team      member: explanation
    team token     anybody else               yes       note_unverified   team      sender: explanation; team
    team token     anybody else               no        note_unverified   team      team
    reference      participant                yes, no   comment_client    everyone  team, other participants
    reference      participant                suspect   comment_held      team      team
    reference      current member             yes       comment_team      everyone  requester, participants
    subject tag    participant                yes       comment_client    everyone  team, other participants
    none of these  current member, forwards   yes       ticket_forwarded  everyone  team
    none of these  anybody                    any       ticket_created    everyone  team; sender if verified

*suspect* is a mail of which the domain in From itself says that it is not theirs (DMARC FAIL): who holds a
reply address or knows a Message-ID does not speak in another's name against the word of that domain.
A confirmation goes only to a verified sender who is a person, within budget, and not on the suppression list.
A program's words (RFC 3834) never publish, reopen, confirm or notify on a ticket that exists.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum

from servelo.domain.inbound_record import Outcome, Reason
from servelo.records import dataclass, field


class WayIn(StrEnum):
    """How the mail names what it belongs to."""

    OPERATOR = "operator"
    CLIENT_TOKEN = "client_token"
    TEAM_TOKEN = "team_token"
    BAD_TOKEN = "bad_token"
    SLUG = "slug"
    RESERVED = "reserved"


class Sender(StrEnum):
    """Who From is to the tenant and the ticket at this moment."""

    MISSING = "missing"
    AMBIGUOUS = "ambiguous"
    PARTICIPANT = "participant"
    MEMBER = "member"
    OTHER = "other"


class Thread(StrEnum):
    """What proves that the mail goes on with a ticket, without a token."""

    NONE = "none"
    REFERENCE = "reference"
    SUBJECT_TAG = "subject_tag"


class TicketAge(StrEnum):
    """The state of the ticket that the mail would go on with."""

    NONE = "none"
    OPEN = "open"
    CLOSED_RECENTLY = "closed_recently"
    CLOSED_LONG_AGO = "closed_long_ago"
    SPAM = "spam"


class Action(StrEnum):
    """What is written."""

    NEW_TICKET = "new_ticket"
    COMMENT = "comment"
    RECORD_ONLY = "record_only"
    FORWARD_TO_OPERATOR = "forward_to_operator"
    APPLY_BOUNCE = "apply_bounce"
    QUARANTINE = "quarantine"


@dataclass(frozen=True, slots=True)
class Facts:
    """Everything that the decision looks at.

    Attributes:
        token_code: why the token was refused, ``""`` when it was not.
        tenant_known, tenant_suspended: about the tenant that the envelope or the token names.
        ticket: of the token, or of the thread.
        client_matches: the token's client is the ticket's requester.
        verified: DMARC PASS, or SPF/DKIM pass aligned with From.
        suspect: not verified, and DMARC says FAIL or could not be asked (``mail.authentic``).
        own_mail: our stamp, or an address of ours as sender.
        duplicate: the tenant has this Message-ID from this sender already.
        forwards: a member's mail holds a forwarded mail of somebody else.
        budget: the counters allow another automatic answer; or another forward to the operator.
    """

    way_in: WayIn
    sender: Sender = Sender.OTHER
    thread: Thread = Thread.NONE
    ticket: TicketAge = TicketAge.NONE
    token_code: str = ""
    tenant_known: bool = True
    tenant_suspended: bool = False
    client_matches: bool = True
    verified: bool = True
    suspect: bool = False
    own_mail: bool = False
    duplicate: bool = False
    bounce: bool = False
    bounce_matches: bool = False
    automatic: bool = False
    withhold_answer: bool = False
    signals: tuple[str, ...] = ()
    spam: bool = False
    virus: bool = False
    blocked: bool = False
    forwards: bool = False
    suppressed: bool = False
    budget: bool = True


@dataclass(frozen=True, slots=True)
class Decision:
    """What is to happen, and the questions that led to it, in order.

    Attributes:
        author: ``client``, ``team``, ``unverified`` (a value of ``domain.ticket.AuthorRole``).
        visibility: ``public``, ``internal`` or ``held`` (``domain.ticket.Visibility``).
        notify: the team is told. ``publish``: the other side is mailed. ``confirm``: the sender is.
        explain: reason of the explaining mail, ``""`` for none; at most once a day a sender and reason.
        reopen: a closed ticket opens again. ``link``: a new ticket that goes on from the closed one.
    """

    outcome: Outcome
    action: Action
    reasons: tuple[Reason, ...] = field(default=())
    author: str = ""
    visibility: str = ""
    notify: bool = False
    publish: bool = False
    confirm: bool = False
    explain: str = ""
    reopen: bool = False
    link: bool = False


Ask = Callable[[str, object, str], None]
End = Callable[..., Decision]

_TOKEN_OUTCOMES = {
    "token_malformed": Outcome.TOKEN_MALFORMED,
    "token_key_unknown": Outcome.TOKEN_KEY_UNKNOWN,
    "token_key_revoked": Outcome.TOKEN_KEY_REVOKED,
    "token_forged": Outcome.TOKEN_FORGED,
}


def decide(facts: Facts) -> Decision:
    """Return what is to be done with a mail of which *facts* are known."""
    asked: list[Reason] = []

    def ask(question: str, value: object, answer: str) -> None:
        shown = str(value).lower() if isinstance(value, bool) else str(value)
        asked.append(Reason(question, shown, answer))

    def end(outcome: Outcome, action: Action = Action.RECORD_ONLY, **more: object) -> Decision:
        return Decision(outcome, action, tuple(asked), **more)  # type: ignore[arg-type]

    # May the sender be told what went wrong? Never where the mail is not proven to be theirs (backscatter).
    may_explain = (
        facts.verified
        and facts.budget
        and not (facts.automatic or facts.withhold_answer or facts.bounce or facts.own_mail or facts.spam)
        and facts.sender not in (Sender.MISSING, Sender.AMBIGUOUS)
        and not facts.suppressed
    )

    def explained(reason: str) -> str:
        ask("may the sender be told", may_explain, reason if may_explain else "no answer is sent")
        return reason if may_explain else ""

    ask("which address was written to", facts.way_in.value, "the envelope recipient decides")

    if facts.way_in is WayIn.OPERATOR:
        if facts.virus or facts.spam:
            ask("what did the scan say", "virus" if facts.virus else "spam", "not forwarded")
            return end(Outcome.OPERATOR_STOPPED)
        if facts.own_mail:
            ask("is it our own mail", True, "a loop: not forwarded")
            return end(Outcome.LOOP)
        if not facts.budget:
            ask(
                "are there forwards left for this hour",
                False,
                "kept; the operator is told that mail waits",
            )
            return end(Outcome.OPERATOR_WAITING, notify=True)
        return end(Outcome.OPERATOR_FORWARDED, Action.FORWARD_TO_OPERATOR)

    if facts.own_mail:
        ask("is it our own mail", True, "a loop: stopped before any look-up")
        return end(Outcome.LOOP)

    if facts.way_in is WayIn.RESERVED:
        ask("does anybody read that address", False, "no")
        return end(Outcome.NO_MAILBOX, explain=explained("unknown_recipient"))

    if facts.way_in is WayIn.BAD_TOKEN:
        outcome = _TOKEN_OUTCOMES.get(facts.token_code, Outcome.TOKEN_MALFORMED)
        ask("is the reply token ours", facts.token_code, "refused")
        return end(outcome, explain=explained("token_invalid"))

    by_token = facts.way_in in (WayIn.CLIENT_TOKEN, WayIn.TEAM_TOKEN)
    if not facts.tenant_known:
        ask("does the tenant exist", False, "no")
        if by_token:
            return end(Outcome.TOKEN_TENANT_GONE)
        return end(Outcome.UNKNOWN_SLUG, explain=explained("unknown_slug"))
    if facts.tenant_suspended:
        ask("is the tenant suspended", True, "recorded, nothing is made of it")
        return end(Outcome.TENANT_SUSPENDED, explain=explained("tenant_suspended"))

    if facts.virus:
        ask("what did the virus scan say", "FAIL", "nothing is extracted, the team is told")
        return end(Outcome.QUARANTINED_VIRUS, Action.QUARANTINE, notify=True)

    if facts.bounce:
        ask("is it a bounce", True, "of a mail of ours" if facts.bounce_matches else "of no mail of ours")
        if facts.bounce_matches:
            return end(Outcome.BOUNCE_RECORDED, Action.APPLY_BOUNCE)
        return end(Outcome.BOUNCE_UNMATCHED)

    if facts.duplicate:
        ask("has this Message-ID come from this sender before", True, "nothing new")
        return end(Outcome.DUPLICATE)

    if facts.blocked:
        ask("is the sender blocked", True, "recorded, goes no further")
        return end(Outcome.SENDER_BLOCKED)

    if by_token and (facts.ticket is TicketAge.NONE or not facts.client_matches):
        ask("does the token's ticket exist", False, "no")
        return end(Outcome.TOKEN_TICKET_GONE, explain=explained("token_invalid"))

    if by_token:
        ask("who is the sender", facts.sender.value, "compared with participants and members now")
        ask("is the sender verified", facts.verified, "by DMARC, or by SPF or DKIM aligned with From")
        if facts.suspect:
            ask("does the sender's domain deny the mail", True, "DMARC says FAIL, or could not be asked")
    if facts.way_in is WayIn.TEAM_TOKEN:
        return _team_token(facts, ask, end, explained)
    if facts.way_in is WayIn.CLIENT_TOKEN:
        return _client_words(facts, ask, end, held=facts.sender is not Sender.PARTICIPANT or facts.suspect)

    if facts.sender in (Sender.MISSING, Sender.AMBIGUOUS):
        ask("who is the sender", facts.sender.value, "nobody's rights are given to it")
    if facts.thread is not Thread.NONE:
        ask("what does it go on with", facts.thread.value, "a ticket of this tenant")
        ask("who is the sender", facts.sender.value, "compared with participants and members now")
        if facts.suspect:
            ask("does the sender's domain deny the mail", True, "DMARC says FAIL, or could not be asked")
        if facts.sender is Sender.PARTICIPANT and (facts.thread is Thread.REFERENCE or facts.verified):
            return _client_words(facts, ask, end, held=facts.suspect)
        if facts.sender is Sender.MEMBER and facts.verified and facts.thread is Thread.REFERENCE:
            return _team_words(facts, ask, end)
        ask("may this sender go on with it", False, "a new ticket")
    return _new_ticket(facts, ask, end)


def _team_token(facts: Facts, ask: Ask, end: End, explained: Callable[[str], str]) -> Decision:
    if facts.automatic:
        return _machine(facts, ask, end)
    if facts.sender is Sender.MEMBER and facts.verified:
        return _team_words(facts, ask, end)
    known_member = facts.sender is Sender.MEMBER
    ask("may it be published", False, "kept as an unverified internal note")
    # A member whose mail did not verify is told at the address that the tenant itself gave us.
    if known_member:
        silent = facts.withhold_answer or not facts.budget or facts.suppressed or facts.spam
        reason = "" if silent else "team_unverified"
        ask("is the member told", not silent, "once a day" if reason else "no answer is sent")
    else:
        reason = explained("not_a_member")
    return end(
        Outcome.NOTE_UNVERIFIED,
        Action.COMMENT,
        author="unverified",
        visibility="internal",
        notify=not known_member and not facts.spam,
        explain=reason,
    )


def _team_words(facts: Facts, ask: Ask, end: End) -> Decision:
    if facts.automatic:
        return _machine(facts, ask, end)
    return end(
        Outcome.COMMENT_TEAM,
        Action.COMMENT,
        author="team",
        visibility="public",
        publish=facts.ticket is not TicketAge.SPAM,
    )


def _machine(facts: Facts, ask: Ask, end: End) -> Decision:
    ask("did a program write it", ", ".join(facts.signals) or "yes", "kept on the ticket, nobody is told")
    author = "client" if facts.sender is Sender.PARTICIPANT and not facts.suspect else "unverified"
    return end(Outcome.MACHINE_RECORDED, Action.COMMENT, author=author, visibility="internal")


def _client_words(facts: Facts, ask: Ask, end: End, *, held: bool) -> Decision:
    if facts.automatic:
        return _machine(facts, ask, end)
    if facts.spam:
        ask("what did the spam scan say", "FAIL", "held, nobody is told")
        return end(Outcome.COMMENT_HELD, Action.COMMENT, author="unverified", visibility="held")
    if facts.ticket is TicketAge.CLOSED_LONG_AGO and not held:
        ask("how long has the ticket been closed", "longer than the tenant allows", "a new, linked ticket")
        return _new_ticket(facts, ask, end, link=True)
    quiet = facts.ticket is TicketAge.SPAM
    reopen = facts.ticket is TicketAge.CLOSED_RECENTLY and not held
    if reopen:
        ask("is the ticket closed", True, "opened again")
    if held:
        ask("may it be shown to the other side", False, "held until a team member accepts it")
        return end(
            Outcome.COMMENT_HELD, Action.COMMENT, author="unverified", visibility="held", notify=not quiet
        )
    return end(
        Outcome.COMMENT_CLIENT,
        Action.COMMENT,
        author="client",
        visibility="public",
        notify=not quiet,
        publish=not quiet,
        reopen=reopen,
    )


def _new_ticket(facts: Facts, ask: Ask, end: End, *, link: bool = False) -> Decision:
    if facts.spam:
        ask("what did the spam scan say", "FAIL", "a ticket in the spam state, nobody is told")
        return end(Outcome.TICKET_SPAM, Action.NEW_TICKET, author="client", visibility="public", link=link)
    if facts.forwards and facts.sender is Sender.MEMBER and facts.verified:
        ask("did a member forward it", True, "the ticket is the original sender's")
        return end(
            Outcome.TICKET_FORWARDED_BY_MEMBER,
            Action.NEW_TICKET,
            author="client",
            visibility="public",
            notify=True,
        )
    ask("is the sender verified", facts.verified, "confirmed" if facts.verified else "not confirmed by mail")
    if facts.automatic or facts.withhold_answer:
        ask("did a program write it", ", ".join(facts.signals), "no automatic answer")
    if not facts.budget:
        ask("is the budget for automatic answers left", False, "no automatic answer")
    if facts.suppressed:
        ask("is the address suppressed", True, "no automatic answer")
    confirm = (
        facts.verified
        and facts.budget
        and not (facts.automatic or facts.withhold_answer or facts.suppressed)
        and facts.sender in (Sender.OTHER, Sender.PARTICIPANT, Sender.MEMBER)
    )
    return end(
        Outcome.TICKET_CREATED,
        Action.NEW_TICKET,
        author="client" if facts.verified else "unverified",
        visibility="public",
        notify=True,
        confirm=confirm,
        link=link,
    )
