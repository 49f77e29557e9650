"""Route: one receipt in; tickets, comments, bounces, forwards or a recorded rejection out, mails promised.

For each envelope recipient: gather the facts (one read), decide (``decide``, pure), write everything that
follows in one transaction, then queue the promised mails. A condition that no longer holds when the
transaction is written (somebody was faster) means: gather and decide again. The delivery's record is part of
the transaction, so a repeated notification finds it and ends there.
"""

from __future__ import annotations

import contextlib
import hashlib
import re
import zlib
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from servelo.domain import ids
from servelo.domain.client import Client
from servelo.domain.inbound_record import REPLAYABLE, InboundRecord, Outcome, Reason
from servelo.domain.outbound import MailKind, OutboundJob
from servelo.domain.tenant import Tenant
from servelo.domain.ticket import (
    MAX_FOLLOWERS,
    AuthorRole,
    Comment,
    Participant,
    StoredFile,
    Ticket,
    TicketStatus,
    Visibility,
)
from servelo.errors import BadReplyToken, NotFound, StoreUnavailable
from servelo.mail import automatic, forwarded, reply_token, thread
from servelo.mail.address import MAX_ADDR_SPEC_OCTETS, Mailbox, identity, split_addr_spec
from servelo.mail.authentic import is_suspect, is_verified
from servelo.mail.inbound import read_mail
from servelo.mail.inbound_mail import Attachment, InboundMail
from servelo.mail.reply_token import KeyRing, ReplyClaim, TokenRole
from servelo.patterns import pattern
from servelo.records import dataclass, field, replace
from servelo.services import budgets, trial_mails
from servelo.services.compose import Composer
from servelo.services.decide import Action, Decision, Facts, Sender, Thread, TicketAge, WayIn, decide
from servelo.services.ports import (
    Asked,
    Cap,
    Change,
    ChangeRefused,
    Clock,
    FileStore,
    JobQueue,
    Known,
    RawMailStore,
    TicketPatch,
)

NO_TENANT = "-"
MAX_REFERENCES_LOOKED_UP = 40
MAX_STORED_MESSAGE_IDS = 30
DECISION_TRIES = 12

# A stored comment must fit an item of 400 kB with room for the rest of it.
MAX_LONG_TEXT_BYTES = 250_000
MAX_FILE_LIST_BYTES = 60_000
# All items of a transaction together may have 4 MB; mails of one event repeat its text.
MAX_JOBS_BYTES = 2_500_000
PREVIEW_CHARACTERS = 160

_ROOT_ID = pattern(r"ticket-([1-9][0-9]{0,12})\.([a-z0-9-]{3,24})", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class RouteOutcome:
    """What became of one delivery; what the handler logs. Holds no address and no text."""

    outcome: Outcome
    slug: str
    delivery_id: str
    ticket_number: int = 0
    comment_id: str = ""
    jobs: tuple[str, ...] = ()
    repeated: bool = False
    seconds_since_receipt: float = 0.0


@dataclass(frozen=True, slots=True)
class Delivery:
    """One mail to one of our addresses, as the receipt says it."""

    ses_message_id: str
    object_key: str
    envelope_recipient: str
    envelope_sender: str
    received_at: datetime
    verdicts: Mapping[str, str]

    @property
    def id(self) -> str:
        """The same delivery always has the same id, and ids sort by time of receipt."""
        entropy = hashlib.sha256(
            f"{self.ses_message_id}\0{self.envelope_recipient.lower()}".encode()
        ).digest()
        return ids.sortable_id(self.received_at.timestamp(), entropy[:10])


@dataclass(slots=True)
class _Work:
    """One delivery on its way through; what was found out so far."""

    delivery: Delivery
    mail: InboundMail
    raw_size: int
    now: datetime
    way_in: WayIn
    slug: str = NO_TENANT
    token_role: TokenRole | None = None
    claim: ReplyClaim | None = None
    token_code: str = ""
    verified: bool = False
    sender: str = ""
    own_mail: bool = False
    complained_of: OutboundJob | None = None
    trial_id: str = ""  # of a Send Test whose copy this is
    number: int = 0  # allocated once, kept over the tries
    files: tuple[StoredFile, ...] | None = None
    replaces: InboundRecord | None = None
    drop_message_id: bool = False
    used_up: set[str] = field(
        default_factory=set
    )  # caps that were refused: a storm, a loop, or enough for today
    tried: bool = False  # a commit of ours was refused, or its answer was lost
    known: Known = field(default_factory=Known)
    ticket: Ticket | None = None
    thread: Thread = Thread.NONE
    requester: Mailbox | None = None


class Router:
    """Routes inbound mail. All collaborators are ports; *ring* is asked each time, so that rotation shows."""

    def __init__(
        self,
        *,
        store: Any,
        raw_mails: RawMailStore,
        files: FileStore,
        queue: JobQueue,
        ring: Callable[[], KeyRing],
        clock: Clock,
        mail_domain: str,
        portal_url: str,
        operator_inbox: str,
        shared_sender: str,
        feedback: Callable[[str, InboundMail, datetime], bool] | None = None,
        trial: Callable[[str, str, Sequence[tuple[str, str]], datetime], None] | None = None,
    ) -> None:
        self._store = store
        self._raw_mails = raw_mails
        self._files = files
        self._queue = queue
        self._ring = ring
        self._clock = clock
        self._domain = mail_domain
        self._portal_url = portal_url
        self._operator_inbox = operator_inbox
        self._shared_sender = identity(shared_sender)
        self._feedback = feedback
        self._trial = trial

    # ---- the way of a mail -----------------------------------------------------------------------

    def route(self, deliveries: Sequence[Delivery]) -> list[RouteOutcome]:
        """Route the *deliveries* of one mail: the raw mail is fetched and read once.

        Reply addresses come first, so that a mail to a ticket and to its tenant at once is a comment, and
        the second delivery a duplicate of it.

        Raises:
            StoreUnavailable: the record must come again; what was written stays written once.
        """
        outcomes = []
        raw: bytes | None = None
        mail: InboundMail | None = None
        missing = False
        for delivery in sorted(deliveries, key=lambda d: not _is_reply(d.envelope_recipient)):
            if raw is None and not missing:
                try:
                    raw = self._raw_mails.get(delivery.object_key)
                    mail = read_mail(raw)
                except NotFound:
                    missing = True
            if mail is None or raw is None:
                outcomes.append(self._record_missing(delivery))
            else:
                outcomes.append(self.route_one(delivery, mail, len(raw)))
        return outcomes

    def route_one(
        self,
        delivery: Delivery,
        mail: InboundMail,
        raw_size: int,
        *,
        replaces: InboundRecord | None = None,
    ) -> RouteOutcome:
        """Route one delivery of a mail that was read already. *replaces* is the record to decide anew."""
        work = self._begin(delivery, mail, raw_size)
        work.replaces = replaces
        if work.trial_id and self._trial is not None:
            self._trial(work.slug, work.trial_id, mail.headers, work.now)
        for _ in range(DECISION_TRIES):
            facts = self._gather(work)
            record = work.known.record
            if record is not None and not (replaces and record.replays == replaces.replays):
                return self._repeated(work, record)
            decision = decide(facts)
            try:
                return self._apply(work, facts, decision)
            except ChangeRefused as refused:
                # Somebody was faster: look again. What looking alone does not show is kept here.
                work.tried = True
                work.used_up |= {part[4:] for part in refused.parts if part.startswith("cap:")}
        raise StoreUnavailable("the delivery kept changing under our hands")

    def preview(self, delivery: Delivery, mail: InboundMail, raw_size: int) -> Decision:
        """Return what would be decided now, and write nothing (``replay --dry-run``)."""
        work = self._begin(delivery, mail, raw_size)
        return decide(self._gather(work))

    def admit(self, slug: str, number: int) -> bool:
        """Let a spam ticket's mail in as if it came now: the team is told, the sender where that is allowed.

        False when the ticket is not in spam (any more): twice is once.

        Raises:
            NotFound: no such tenant or ticket.
        """
        now = self._clock.now()
        without_confirmation = False
        for _ in range(DECISION_TRIES):
            tenant, ticket = self._store.tenant(slug), self._store.ticket(slug, number)
            if tenant is None or ticket is None:
                raise NotFound("there is no such ticket")
            if ticket.status is not TicketStatus.SPAM:
                return False
            change = self._admission(tenant, ticket, now, without_confirmation)
            try:
                self._store.commit(change)
            except ChangeRefused as refused:
                without_confirmation = any(part.startswith("cap:") for part in refused.parts)
                continue
            self._queue_jobs(change.jobs)
            return True
        raise StoreUnavailable("the ticket kept changing under our hands")

    def _admission(self, tenant: Tenant, ticket: Ticket, now: datetime, without_confirmation: bool) -> Change:
        composer = Composer(self._domain, self._portal_url, self._ring())
        comments, _ = self._store.conversation(tenant.slug, ticket.number, 1)
        jobs: tuple[OutboundJob, ...] = ()
        caps: tuple[Cap, ...] = ()
        if comments:
            work, decision = self._as_if_no_spam(tenant.slug, comments[0])
            confirm = decision is not None and decision.confirm and not without_confirmation
            jobs = composer.for_new_ticket(
                tenant,
                replace(ticket, participants=self.reachable(tenant.slug, ticket.participants)),
                replace(comments[0], created_at=now),
                confirm=confirm,
                verified=work is not None and work.verified,
                cause=f"admitted#{comments[0].id}",
            )
            caps = self._caps(work) if work is not None and confirm else ()
        folded = composer.folded(ticket) if jobs else ()
        return Change(
            slug=tenant.slug,
            patch=TicketPatch(
                slug=tenant.slug,
                number=ticket.number,
                updated_at=now,
                status=TicketStatus.OPEN,
                unread=True,
                folded_key_ids=composer.folded_key_ids(ticket) if folded else None,
            ),
            jobs=jobs,
            folded=folded,
            caps=caps,
            seen_status=TicketStatus.SPAM,
        )

    def _as_if_no_spam(self, slug: str, comment: Comment) -> tuple[_Work | None, Decision | None]:
        """Decide on the mail that made a spam ticket as on one that opens a ticket now."""
        record = self._store.inbound(slug, comment.inbound_id) if comment.inbound_id else None
        if record is None:
            return None, None
        try:
            raw = self._raw_mails.get(record.object_key)
        except NotFound:
            return None, None
        delivery = Delivery(
            record.ses_message_id,
            record.object_key,
            f"{slug}@{self._domain}",
            record.envelope_sender,
            record.received_at,
            {**record.verdicts, "spam": "PASS"},
        )
        work = self._begin(delivery, read_mail(raw), len(raw))
        facts = replace(
            self._gather(work),
            thread=Thread.NONE,
            ticket=TicketAge.NONE,
            duplicate=False,
            blocked=False,
            forwards=False,
            bounce=False,
        )
        return work, decide(facts)

    # ---- facts ----------------------------------------------------------------------------------------

    def _begin(self, delivery: Delivery, mail: InboundMail, raw_size: int) -> _Work:
        local, domain = split_addr_spec(delivery.envelope_recipient.strip())
        if mail.from_ is not None and not _fits(mail.from_):
            mail = replace(mail, from_=None, warnings=(*mail.warnings, "The sender's address is too long."))
        work = _Work(delivery, mail, raw_size, self._clock.now(), WayIn.RESERVED)
        if mail.from_ is not None:
            work.sender = mail.from_.identity
            work.verified = not mail.from_ambiguous and is_verified(
                delivery.verdicts, delivery.envelope_sender, mail.from_.addr_spec, mail.headers
            )
        work.own_mail = self._is_own_mail(work)
        if domain.rstrip(".").lower() != self._domain:
            return work
        token = reply_token.token_of(local)
        base = local.strip('"').partition("+")[0].rstrip(".").lower()
        if token is not None:
            self._read_token(work, token)
        elif base in ids.OPERATOR_MAILBOXES:
            work.way_in = WayIn.OPERATOR
        elif base in ids.RESERVED_SLUGS:
            work.way_in = WayIn.RESERVED
        else:
            work.way_in = WayIn.SLUG
            valid = ids.MIN_SLUG_LENGTH <= len(base) <= ids.MAX_SLUG_LENGTH
            work.slug = base if valid and ids.SLUG_PATTERN.fullmatch(base) else NO_TENANT
            work.trial_id = trial_mails.id_of(local) if work.slug != NO_TENANT else ""
            # A provider may have taken our stamp off: what goes to such an address never makes a ticket.
            work.own_mail = work.own_mail or bool(work.trial_id)
        return work

    def _read_token(self, work: _Work, token: str) -> None:
        ring = self._ring()
        claim: ReplyClaim | None
        try:
            claim = reply_token.verify(token, ring)
        except BadReplyToken as error:
            work.token_code = error.code
            claim = self._unfold(token, ring)
        if claim is None:
            work.way_in = WayIn.BAD_TOKEN
            return
        work.claim = claim
        work.slug = claim.slug
        work.token_role = claim.role
        work.way_in = WayIn.TEAM_TOKEN if claim.role is TokenRole.TEAM else WayIn.CLIENT_TOKEN

    def _unfold(self, token: str, ring: KeyRing) -> ReplyClaim | None:
        """A token whose case was folded on the way is found by the look-up that its ticket keeps."""
        found = self._store.folded(reply_token.fold(token))
        if found is None or not reply_token.matches_folded(
            token, found.slug, found.number, found.client_id, found.key_id, ring
        ):
            return None
        return ReplyClaim(found.slug, found.number, found.client_id, TokenRole(found.role), found.key_id)

    def _is_own_mail(self, work: _Work) -> bool:
        if "own_stamp" in work.mail.machine.signals:
            return True
        local, domain = split_addr_spec(work.sender)
        return bool(local) and (domain == self._domain or work.sender == self._shared_sender)

    def _gather(self, work: _Work) -> Facts:
        mail, slug = work.mail, work.slug
        references: tuple[str, ...] = ()
        if work.way_in is WayIn.SLUG:
            references = thread.candidate_ids(mail.in_reply_to, mail.references)[:MAX_REFERENCES_LOOKED_UP]
        wanted_number = work.claim.ticket_number if work.claim else self._tagged_number(work, references)
        work.known = self._store.known(
            Asked(
                slug=slug,
                sender=work.sender,
                message_id=mail.message_id if slug != NO_TENANT else "",
                reference_ids=references if slug != NO_TENANT else (),
                ticket_number=wanted_number,
                delivery_id=work.delivery.id,
                caps=tuple(cap.name for cap in self._caps(work)),
            )
        )
        if work.known.tenant is None and slug != NO_TENANT:
            # Recorded where the operator looks, not under a name that somebody may take later.
            work.slug = NO_TENANT
            return self._gather(work)
        known = work.known
        tenant = known.tenant
        # A Message-ID leads to one ticket; a mail that comes with a known one all the same keeps no alias.
        work.drop_message_id = known.own_message is not None
        work.ticket, work.thread = self._thread(work, references, wanted_number)
        client_matches = True
        if work.claim and work.ticket:
            # A member who corrected the requester answers the notification that they have. On a ticket that
            # another was merged into, the claim must name one of its people: else the answer goes astray.
            corrected = work.token_role is TokenRole.TEAM and work.ticket.number == work.claim.ticket_number
            client_matches = (
                corrected
                or work.ticket.client_id == work.claim.client_id
                or _was_requester(work.ticket, work.claim.client_id, slug)
            )
        from_tenant = self._is_tenant_sender(work, tenant)
        # A complaint that proves nothing is a mail like any other: somebody may want to read it.
        work.complained_of = self._complained_job(work)
        bounce = bool(mail.bounce) or work.complained_of is not None
        forwards = False
        work.requester = mail.from_
        if (
            work.way_in is WayIn.SLUG
            and tenant is not None
            and work.verified
            and tenant.member(work.sender) is not None
            and work.thread is Thread.NONE
        ):
            original = forwarded.original_sender(mail)
            if (
                original is not None
                and _fits(original)
                and not self._is_ours(original.identity, tenant)
                and tenant.member(original.identity) is None
            ):
                forwards, work.requester = True, original
        return Facts(
            way_in=work.way_in,
            sender=self._sender(work, tenant),
            thread=work.thread,
            ticket=self._age(work.ticket, tenant, work.now),
            token_code=work.token_code,
            tenant_known=tenant is not None,
            tenant_suspended=tenant is not None and tenant.suspended,
            client_matches=client_matches,
            verified=work.verified,
            suspect=is_suspect(work.delivery.verdicts, work.verified),
            own_mail=work.own_mail,
            duplicate=self._is_duplicate(work),
            bounce=bounce,
            bounce_matches=work.complained_of is not None or (bounce and self._bounce_matches(work)),
            automatic=mail.machine.automatic,
            withhold_answer=mail.machine.withhold_answer or from_tenant,
            signals=(*mail.machine.signals, "own_address") if from_tenant else mail.machine.signals,
            spam=work.delivery.verdicts.get("spam") == "FAIL",
            virus=work.delivery.verdicts.get("virus") == "FAIL",
            blocked=known.client is not None and known.client.blocked,
            forwards=forwards,
            suppressed=known.suppressed,
            budget=all(known.caps.get(cap.name, 0) < cap.limit for cap in self._caps(work)),
        )

    def _is_duplicate(self, work: _Work) -> bool:
        """The tenant has this mail: its Message-ID, from this sender, no less proven than this one.

        Who saw an id may send a mail with it in another's name first; that must not swallow the real one.
        """
        own = work.known.own_message
        if own is None or not own.received:
            return False
        if work.claim and work.ticket and own.number not in (work.claim.ticket_number, work.ticket.number):
            # One mail to the reply addresses of two tickets belongs to both, once each.
            return work.mail.message_id in work.ticket.message_ids and own.sender == work.sender
        return own.sender == work.sender or (own.sender == _signature(work) and not work.verified)

    def _tagged_number(self, work: _Work, references: Sequence[str]) -> int:
        """The ticket that a subject tag or our root id names: both can be guessed, so both are hints."""
        if work.way_in is not WayIn.SLUG:
            return 0
        for reference in references:
            local, domain = split_addr_spec(reference)
            found = _ROOT_ID.fullmatch(local)
            if found and domain.lower() == self._domain and found[2].lower() == work.slug:
                return int(found[1])
        return thread.find_tag(work.mail.subject) or 0

    def _thread(
        self, work: _Work, references: Sequence[str], wanted_number: int
    ) -> tuple[Ticket | None, Thread]:
        known = work.known
        if work.claim:
            return self._merged(work, known.ticket), Thread.NONE
        for reference in references:
            message = known.references.get(reference)
            if message is None or not message.number:
                continue
            ticket = (
                known.ticket
                if known.ticket and known.ticket.number == message.number
                else self._store.ticket(work.slug, message.number)
            )
            if ticket is not None:
                return self._merged(work, ticket), Thread.REFERENCE
        own = known.own_message
        if (
            own is not None
            and own.received
            and own.number
            and own.sender == f"?{work.sender}"
            and work.verified
        ):
            # The same mail came before by a way that proved nothing: the proven one goes on with its ticket.
            return self._merged(work, self._store.ticket(work.slug, own.number)), Thread.REFERENCE
        if wanted_number and known.ticket is not None:
            return self._merged(work, known.ticket), Thread.SUBJECT_TAG
        return None, Thread.NONE

    def _merged(self, work: _Work, ticket: Ticket | None) -> Ticket | None:
        """Mail to a ticket that was merged goes on with the one it was merged into."""
        for _ in range(5):
            if ticket is None or ticket.status is not TicketStatus.MERGED or not ticket.merged_into:
                return ticket
            ticket = self._store.ticket(work.slug, ticket.merged_into)
        return ticket

    def _sender(self, work: _Work, tenant: Tenant | None) -> Sender:
        if work.mail.from_ is None:
            return Sender.MISSING
        if work.mail.from_ambiguous:
            return Sender.AMBIGUOUS
        participant = work.ticket is not None and any(
            identity(p.email) == work.sender for p in work.ticket.participants if p.email
        )
        member = tenant is not None and tenant.member(work.sender) is not None
        # A member may be the requester too (a ticket of their own): the token's role says as whom they speak.
        if work.way_in is WayIn.TEAM_TOKEN:
            return Sender.MEMBER if member else Sender.PARTICIPANT if participant else Sender.OTHER
        return Sender.PARTICIPANT if participant else Sender.MEMBER if member else Sender.OTHER

    @staticmethod
    def _age(ticket: Ticket | None, tenant: Tenant | None, now: datetime) -> TicketAge:
        if ticket is None:
            return TicketAge.NONE
        if ticket.status is TicketStatus.SPAM:
            return TicketAge.SPAM
        if ticket.status is not TicketStatus.CLOSED:
            return TicketAge.OPEN
        days = tenant.reopen_days if tenant else 30
        closed_at = ticket.closed_at or ticket.updated_at
        return (
            TicketAge.CLOSED_RECENTLY
            if now - closed_at <= timedelta(days=days)
            else TicketAge.CLOSED_LONG_AGO
        )

    def _is_tenant_sender(self, work: _Work, tenant: Tenant | None) -> bool:
        """The address that the tenant's own mail goes out from, unless a member writes with it.

        Mail that we sent from it carries our stamp. What does not is a form on the tenant's web site, a list
        that writes its own address into From, or a person at the shared mailbox: a ticket, and no answer.
        """
        if tenant is None or tenant.smtp is None or not work.sender:
            return False
        return work.sender == identity(tenant.smtp.from_email) and tenant.member(work.sender) is None

    def _is_ours(self, address: str, tenant: Tenant) -> bool:
        domain = split_addr_spec(address)[1]
        team = {split_addr_spec(identity(m.email))[1] for m in tenant.members} - budgets.SHARED_PROVIDERS
        own = identity(tenant.smtp.from_email) if tenant.smtp else ""
        return domain == self._domain or domain in team or address == own

    def _caps(self, work: _Work) -> tuple[Cap, ...]:
        """The counters that an automatic answer to this sender uses, or a forward to the operator."""
        if work.way_in is WayIn.OPERATOR:
            return budgets.forwards(work.sender, work.verified, work.now)
        if not work.sender or (work.slug == NO_TENANT and work.way_in is not WayIn.BAD_TOKEN):
            return ()
        return budgets.confirmations(work.sender, work.now)

    def _bounce_matches(self, work: _Work) -> bool:
        return self._feedback is not None and self._bounced_job(work) is not None

    def _bounced_job(self, work: _Work) -> OutboundJob | None:
        bounce = work.mail.bounce
        named = [each for r in bounce.recipients for each in (r.recipient, r.original_recipient)]
        return self._reported_job(work, bounce.original_message_ids, named)

    def _complained_job(self, work: _Work) -> OutboundJob | None:
        """The mail of ours that a person called spam, if the report proves that it has seen it."""
        complaint = work.mail.complaint
        if self._feedback is None or not complaint.by_a_person:
            return None
        return self._reported_job(work, complaint.original_message_ids, complaint.recipients)

    def _reported_job(
        self, work: _Work, message_ids: Sequence[str], recipients: Sequence[str]
    ) -> OutboundJob | None:
        """The mail that has one of *message_ids* and, where the report names any, one of *recipients*."""
        for message_id in message_ids[:20]:
            own = thread.own_job(message_id, self._domain)
            found = (own[1], own[0]) if own else self._store.sent_job(message_id)
            if not found:
                continue
            slug, job_id = found
            if work.slug not in (NO_TENANT, slug):
                continue  # a report at one tenant's address says nothing of another tenant's mail
            job: OutboundJob | None = self._store.job(slug, job_id)
            if own and job is not None and job.message_id.lower() != message_id.lower():
                continue  # a job's id can be worked out; its Message-ID knows only who has seen the mail
            named = {identity(each) for each in recipients if each}
            if job is not None and (identity(job.recipient) in named or not named):
                return job
        return None

    # ---- what follows -----------------------------------------------------------------------------------

    def _apply(self, work: _Work, facts: Facts, decision: Decision) -> RouteOutcome:
        tenant = work.known.tenant
        composer = Composer(self._domain, self._portal_url, self._ring())
        change = Change(slug=work.slug)
        if work.complained_of is not None and work.way_in is WayIn.OPERATOR and self._feedback:
            # The operator reads it as well, or is told that more of them wait.
            self._feedback(f"{work.complained_of.slug}/{work.complained_of.id}", work.mail, work.now)
        if decision.action is Action.NEW_TICKET and tenant:
            change = self._new_ticket(work, decision, tenant, composer)
        elif decision.action is Action.COMMENT and tenant and work.ticket:
            change = self._comment(work, decision, tenant, work.ticket, composer)
        elif decision.action is Action.FORWARD_TO_OPERATOR:
            change = replace(change, jobs=(self._operator_forward(work, composer),), caps=self._caps(work))
        elif decision.outcome is Outcome.OPERATOR_WAITING:
            cap = budgets.operator_notice(work.now)
            if cap.name not in work.used_up:
                change = replace(change, jobs=(self._operator_notice(work, composer),), caps=(cap,))
        elif decision.action is Action.QUARANTINE and tenant:
            cap = budgets.virus_notice(work.now)
            if cap.name not in work.used_up:
                jobs = self._quarantine_notices(work, tenant, composer)
                change = replace(change, jobs=jobs, caps=(cap,))
        elif decision.action is Action.APPLY_BOUNCE and self._feedback:
            job = work.complained_of or self._bounced_job(work)
            if job is not None:
                self._feedback(f"{job.slug}/{job.id}", work.mail, work.now)
        if decision.explain:
            change = self._explain(work, decision, tenant, composer, change)
        change = replace(change, jobs=_shortened(change.jobs))
        if work.used_up:
            used = Reason("are there mails left for this hour or day", budgets.words(work.used_up), "no")
            decision = replace(decision, reasons=(*decision.reasons, used))
        record = self._record(work, decision, change)
        self._store.commit(replace(change, record=record, replaces_record=work.replaces))
        self._queue_jobs(change.jobs)
        return RouteOutcome(
            decision.outcome,
            work.slug,
            work.delivery.id,
            record.ticket_number,
            record.comment_id,
            record.job_ids,
            seconds_since_receipt=(work.now - work.delivery.received_at).total_seconds(),
        )

    def _new_ticket(self, work: _Work, decision: Decision, tenant: Tenant, composer: Composer) -> Change:
        mail, slug, now = work.mail, work.slug, work.now
        if not work.number:
            work.number = self._store.next_ticket_number(slug)
        author = work.requester or Mailbox("Unknown sender", "")
        known_client = work.known.client if author is mail.from_ else None
        client_id = ids.client_id(slug, author.identity or "nobody")
        client = _introduced(work) if author is mail.from_ else None
        if (
            known_client is None
            and author.addr_spec
            and (author is mail.from_ or self._store.client(slug, client_id) is None)
        ):
            proven = author is mail.from_ and work.verified
            client = Client(client_id, slug, author.addr_spec, author.display_name, now, proven=proven)
        address, name = _called(work, author, known_client)
        requester = Participant(
            address,
            name,
            undeliverable=not author.addr_spec
            or work.known.suppressed
            or (author is mail.from_ and self._is_tenant_sender(work, tenant)),
        )
        participants = (requester, *self._followers(work, tenant, {author.identity}))
        comment = self._make_comment(work, decision, work.number, author)
        ticket = Ticket(
            slug=slug,
            number=work.number,
            subject=mail.subject or "(no subject)",
            client_id=client_id,
            participants=participants,
            status=TicketStatus.SPAM if decision.outcome is Outcome.TICKET_SPAM else TicketStatus.OPEN,
            created_at=now,
            updated_at=now,
            comment_count=1,
            message_ids=(mail.message_id,),
            folded_key_ids=(),
            linked_number=work.ticket.number if decision.link and work.ticket else 0,
            preview=_preview(comment.text),
        )
        jobs: tuple[OutboundJob, ...] = ()
        if decision.notify:
            jobs = composer.for_new_ticket(
                tenant,
                ticket,
                comment,
                confirm=decision.confirm,
                verified=work.verified,
                cause=work.delivery.id,
            )
        fitted = self._fitted(work, decision, tenant, composer, jobs)
        return Change(
            slug=slug,
            ticket=replace(ticket, folded_key_ids=composer.folded_key_ids(ticket)),
            comments=(replace(comment, warnings=(*comment.warnings, *fitted.warnings)),),
            client=client,
            seen_client=known_client.version if client and known_client else None,
            own_message_id="" if work.drop_message_id else mail.message_id,
            sender=_signature(work),
            jobs=fitted.jobs,
            folded=composer.folded(ticket),
            caps=(*fitted.caps, *(self._caps(work) if decision.confirm else ())),
        )

    def _fitted(
        self,
        work: _Work,
        decision: Decision,
        tenant: Tenant,
        composer: Composer,
        jobs: tuple[OutboundJob, ...],
        number: int = 0,
        held: bool = False,
    ) -> budgets.Fitted:
        return budgets.fit(
            composer,
            tenant,
            jobs,
            sender=work.sender,
            proven=work.verified,
            by_team=decision.author == "team",
            now=work.now,
            number=number,
            held=held,
            used_up=work.used_up,
        )

    def _comment(
        self, work: _Work, decision: Decision, tenant: Tenant, ticket: Ticket, composer: Composer
    ) -> Change:
        mail, now = work.mail, work.now
        author = mail.from_ or Mailbox("Unknown sender", "")
        comment = self._make_comment(work, decision, ticket.number, author)
        participants = ticket.participants
        if decision.outcome is Outcome.COMMENT_CLIENT:
            present = {identity(p.email) for p in participants}
            most = max(len(participants), MAX_FOLLOWERS + 1)
            participants = (*participants, *self._followers(work, tenant, present))[:most]
        message_ids = (*ticket.message_ids, mail.message_id)
        if len(message_ids) > MAX_STORED_MESSAGE_IDS:
            message_ids = (message_ids[0], *message_ids[-MAX_STORED_MESSAGE_IDS + 1 :])
        client = None
        if decision.outcome is Outcome.COMMENT_CLIENT and (client := _introduced(work)):
            participants = tuple(
                replace(p, email=client.email, name=client.name) if identity(p.email) == work.sender else p
                for p in participants
            )
        fitted = budgets.Fitted()
        if decision.notify or decision.publish:
            jobs = self._jobs_for_comment(work, decision, tenant, ticket, participants, comment, composer)
            fitted = self._fitted(work, decision, tenant, composer, jobs, ticket.number, comment.needs_accept)
            comment = replace(comment, warnings=(*comment.warnings, *fitted.warnings))
        status = TicketStatus.OPEN if decision.reopen else None
        if (
            status is None
            and decision.outcome is Outcome.COMMENT_CLIENT
            and ticket.status is TicketStatus.PENDING
        ):
            status = TicketStatus.OPEN
        human = not comment.automatic
        patch = TicketPatch(
            slug=work.slug,
            number=ticket.number,
            updated_at=now if human else None,
            status=status,
            unread=True if human and decision.author != "team" else None,
            comments=1,
            waiting=int(comment.needs_accept),
            participants=participants if participants != ticket.participants else None,
            message_ids=message_ids if comment.visibility is Visibility.PUBLIC else None,
            folded_key_ids=composer.folded_key_ids(ticket) if composer.folded(ticket) else None,
            preview=_preview(comment.text) if human and comment.text else None,
        )
        return Change(
            slug=work.slug,
            patch=patch,
            comments=(comment,),
            client=client,
            seen_client=work.known.client.version if client and work.known.client else None,
            own_message_id="" if work.drop_message_id else mail.message_id,
            sender=_signature(work),
            jobs=fitted.jobs,
            folded=composer.folded(ticket),
            caps=fitted.caps,
            # Closed, merged or called spam at this moment: then another decision is due.
            seen_status=ticket.status,
            seen_people=ticket.people_version,
        )

    def _jobs_for_comment(
        self,
        work: _Work,
        decision: Decision,
        tenant: Tenant,
        ticket: Ticket,
        participants: tuple[Participant, ...],
        comment: Comment,
        composer: Composer,
    ) -> tuple[OutboundJob, ...]:
        reachable = self.reachable(work.slug, participants)
        seen = replace(
            ticket, participants=reachable, message_ids=(*ticket.message_ids, work.mail.message_id)
        )
        cause = work.delivery.id
        if decision.outcome in (Outcome.COMMENT_HELD, Outcome.NOTE_UNVERIFIED):
            return composer.for_held_comment(tenant, seen, comment, cause=cause)
        if decision.author == "team":
            return composer.for_team_comment(tenant, seen, comment, cause=cause)
        return composer.for_client_comment(tenant, seen, comment, verified=work.verified, cause=cause)

    def reachable(self, slug: str, participants: tuple[Participant, ...]) -> tuple[Participant, ...]:
        """Mark participants whose address is on the suppression list; one read."""
        suppressed = self._store.suppressed(slug, [identity(p.email) for p in participants if p.email])
        return tuple(
            replace(p, undeliverable=True) if not p.email or identity(p.email) in suppressed else p
            for p in participants
        )

    def _followers(self, work: _Work, tenant: Tenant, present: set[str]) -> tuple[Participant, ...]:
        """People in Cc of a verified mail join; our own, the team's and robots' addresses never do."""
        if not work.verified or work.mail.machine.automatic:
            return ()
        found: dict[str, Participant] = {}
        candidates = list(work.mail.cc)
        # A form mailer writes From itself and names the person in Reply-To: that person may follow.
        if len(work.mail.reply_to) == 1:
            candidates.append(work.mail.reply_to[0])
        for box in candidates:
            who = box.identity
            local, domain = split_addr_spec(who)
            if (
                not domain
                or not _fits(box)
                or who in present
                or who in found
                or tenant.member(who) is not None
                or self._is_ours(who, tenant)
                or automatic.is_robot(local)
                or who == identity(self._operator_inbox)
            ):
                continue
            found[who] = Participant(box.addr_spec, box.display_name)
        return tuple(found.values())[:MAX_FOLLOWERS]

    def _make_comment(self, work: _Work, decision: Decision, number: int, author: Mailbox) -> Comment:
        mail, body = work.mail, work.mail.body
        if work.files is None:
            work.files = self._store_files(work)
        warnings = list(mail.warnings)
        if len(work.files) < len(mail.attachments):
            left = len(mail.attachments) - len(work.files)
            warnings.append(f"{left} of {len(mail.attachments)} attachments are only in the original mail.")
        reply_to = [b for b in mail.reply_to if b.identity != author.identity]
        if reply_to:
            warnings.append(
                f"Answers are asked to go to {reply_to[0].addr_spec} (Reply-To), not to the sender."
            )
        if decision.author == "unverified" or not work.verified:
            warnings.append("The sender could not be verified.")
        if work.delivery.verdicts.get("dmarc") == "FAIL":
            warnings.append("The sender's domain says that this mail is not from it (DMARC).")
        new_ticket = decision.action is Action.NEW_TICKET
        forwarded_in = decision.outcome is Outcome.TICKET_FORWARDED_BY_MEMBER
        text = mail.text if forwarded_in or (new_ticket and not body.new_text) else body.new_text
        stripped = bool(body.quoted_text or body.signature)
        comment = Comment(
            slug=work.slug,
            number=number,
            id=work.delivery.id,
            author_role=AuthorRole(decision.author or "unverified"),
            author_email=author.addr_spec,
            author_name=author.display_name,
            visibility=Visibility(decision.visibility or "internal"),
            text=text,
            created_at=work.now,
            html=mail.html,
            quoted_text="" if forwarded_in else body.quoted_text,
            signature="" if forwarded_in else body.signature,
            full_text=mail.text if stripped and not forwarded_in else "",
            files=work.files,
            raw_key=work.delivery.object_key,
            message_id=mail.message_id,
            inbound_id=work.delivery.id,
            warnings=tuple(dict.fromkeys(warnings)),
            needs_accept=decision.visibility == "held" or decision.outcome is Outcome.NOTE_UNVERIFIED,
            automatic=mail.machine.automatic,
        )
        return self._fit(comment)

    def _fit(self, comment: Comment) -> Comment:
        """Put texts that no item can hold into the file bucket, whole, as files of the comment."""
        texts = (comment.text, comment.quoted_text, comment.signature, comment.full_text, comment.html)
        if 4 * sum(map(len, texts)) <= MAX_LONG_TEXT_BYTES:
            return comment  # fits in any case, also uncompressed

        def size(text: str) -> int:
            return len(zlib.compress(text.encode("utf-8", "replace"), 1)) if len(text) > 20_000 else len(text)

        room = MAX_LONG_TEXT_BYTES
        files = list(comment.files)
        values: dict[str, Any] = {}
        for name, filename in (
            ("text", "text.txt"),
            ("quoted_text", "quoted.txt"),
            ("signature", "signature.txt"),
            ("full_text", "original.txt"),
            ("html", "original.html"),
        ):
            text = getattr(comment, name)
            needed = size(text)
            if needed <= room:
                room -= needed
                continue
            content = text.encode("utf-8", "replace")
            kind = "text/html" if name == "html" else "text/plain"
            files.append(
                self._store_file(comment.slug, f"long-{name}", filename, kind, content, kind == "text/html")
            )
            # The beginning stays readable in place; 60,000 characters take at most 240,000 bytes.
            values[name] = text[:60_000] if name == "text" and room > 200_000 else ""
        if not values:
            return comment
        note = "Parts of this mail are too long to show here and are attached as files."
        return replace(comment, files=tuple(files), warnings=(*comment.warnings, note), **values)

    def _store_files(self, work: _Work) -> tuple[StoredFile, ...]:
        """Store attachments as long as their list fits the comment; the raw mail holds all of them."""
        stored: list[StoredFile] = []
        room = MAX_FILE_LIST_BYTES
        for index, each in enumerate(work.mail.attachments):
            room -= 300 + 4 * len(each.filename) + len(each.content_id) + len(each.content_type)
            if room < 0:
                break
            stored.append(self._store_attachment(work.slug, index, each))
        return tuple(stored)

    def _store_attachment(self, slug: str, index: int, each: Attachment) -> StoredFile:
        kind = each.sniffed_type or each.content_type
        stored = self._store_file(slug, f"f{index}", each.filename, kind, each.content, each.dangerous)
        return replace(stored, content_id=each.content_id, inline=each.inline)

    def _store_file(
        self, slug: str, file_id: str, filename: str, kind: str, content: bytes, dangerous: bool
    ) -> StoredFile:
        key = f"{slug}/{hashlib.sha256(content).hexdigest()}"
        self._files.put(key, content, content_type="application/octet-stream")
        return StoredFile(file_id, key, filename, kind, len(content), dangerous=dangerous)

    def _operator_forward(self, work: _Work, composer: Composer) -> OutboundJob:
        mail = work.mail
        sender = mail.from_.addr_spec if mail.from_ and not mail.from_ambiguous else ""
        if split_addr_spec(identity(sender))[1] == self._domain:
            sender = ""
        subject = (
            f"[{work.delivery.envelope_recipient.partition('@')[0].lower()}] {mail.subject or '(no subject)'}"
        )
        return composer.plain(
            None,
            NO_TENANT,
            MailKind.OPERATOR_FORWARD,
            # What the operator set in the portal comes before the template's parameter.
            Participant(self._store.operator_inbox()[0] or self._operator_inbox),
            {
                "from": f"{mail.from_.display_name} <{mail.from_.addr_spec}>"
                if mail.from_
                else "(no sender)",
                "to": work.delivery.envelope_recipient,
                "subject": mail.subject,
                "text": mail.text[:5000],
                "link": f"{self._portal_url}/operator/received/{work.delivery.id}"
                if self._portal_url
                else "",
            },
            subject=subject,
            cause=work.delivery.id,
            now=work.now,
            automatic=True,
            reply_to=sender,
            raw_key=work.delivery.object_key,
        )

    def _operator_notice(self, work: _Work, composer: Composer) -> OutboundJob:
        content: dict[str, object] = {
            "text": "More mail comes to your addresses (support, legal, postmaster, abuse) than is forwarded "
            "within an hour. What is left waits: servelo inbound list shows it, and servelo inbound replay "
            "--failed forwards it."
        }
        if self._portal_url:
            content["link"] = f"{self._portal_url}/operator/received"
        return composer.plain(
            None,
            NO_TENANT,
            MailKind.MESSAGE,
            Participant(self._operator_inbox),
            content,
            subject="More mail is waiting for you",
            cause=work.delivery.id,
            now=work.now,
            automatic=True,
        )

    def _quarantine_notices(self, work: _Work, tenant: Tenant, composer: Composer) -> tuple[OutboundJob, ...]:
        return tuple(
            composer.plain(
                tenant,
                work.slug,
                MailKind.MESSAGE,
                Participant(member.email, member.name),
                {
                    "text": "A mail to your help desk carried a virus. It was put aside unopened; no ticket "
                    "was made of it. You find it in the portal under Settings, Mail received.",
                    "link": f"{self._portal_url}/settings/received" if self._portal_url else "",
                },
                subject="A mail with a virus was put aside",
                cause=work.delivery.id,
                now=work.now,
                automatic=True,
            )
            for member in tenant.notified(work.now)
        )

    def _explain(
        self, work: _Work, decision: Decision, tenant: Tenant | None, composer: Composer, change: Change
    ) -> Change:
        """Tell the sender, at most once a day for this reason."""
        if work.mail.from_ is None:
            return change
        caps = budgets.explanation(work.sender, decision.explain, work.now)
        if any(cap.name in work.used_up for cap in caps):
            return change
        job = composer.explanation(
            tenant,
            work.slug,
            work.mail.from_.addr_spec,
            decision.explain,
            work.delivery.envelope_recipient if work.way_in is not WayIn.BAD_TOKEN else "",
            cause=work.delivery.id,
            now=work.now,
        )
        return replace(change, jobs=(*change.jobs, job), caps=(*change.caps, *caps))

    def _record(self, work: _Work, decision: Decision, change: Change) -> InboundRecord:
        mail, delivery = work.mail, work.delivery
        number = change.ticket.number if change.ticket else change.patch.number if change.patch else 0
        return InboundRecord(
            id=delivery.id,
            slug=work.slug,
            ses_message_id=delivery.ses_message_id,
            object_key=delivery.object_key,
            envelope_recipient=_without_token(delivery.envelope_recipient),
            envelope_sender=delivery.envelope_sender[:320],
            received_at=delivery.received_at,
            outcome=decision.outcome,
            sender=mail.from_.addr_spec if mail.from_ else "",
            subject=mail.subject[:300],
            message_id=mail.message_id,
            size_bytes=work.raw_size,
            verdicts=dict(delivery.verdicts),
            reasons=decision.reasons,
            ticket_number=number,
            comment_id=change.comments[0].id if change.comments else "",
            warnings=mail.warnings,
            job_ids=tuple(job.id for job in change.jobs),
            replays=work.replaces.replays + 1 if work.replaces else 0,
            processed_at=work.now,
        )

    def _repeated(self, work: _Work, record: InboundRecord) -> RouteOutcome:
        if work.tried and record.job_ids:
            # The commit succeeded and its answer was lost: the jobs are promised and not queued yet.
            self._queue_ids(record.slug, record.job_ids)
        return RouteOutcome(
            record.outcome,
            record.slug,
            record.id,
            record.ticket_number,
            record.comment_id,
            record.job_ids,
            repeated=True,
        )

    def _record_missing(self, delivery: Delivery) -> RouteOutcome:
        """The bucket has no such object: recorded where the operator looks, and replayable."""
        now = self._clock.now()
        record = InboundRecord(
            id=delivery.id,
            slug=NO_TENANT,
            ses_message_id=delivery.ses_message_id,
            object_key=delivery.object_key,
            envelope_recipient=_without_token(delivery.envelope_recipient),
            envelope_sender=delivery.envelope_sender[:320],
            received_at=delivery.received_at,
            outcome=Outcome.RAW_MISSING,
            verdicts=dict(delivery.verdicts),
            reasons=(Reason("is the raw mail in the bucket", delivery.object_key, "no"),),
            processed_at=now,
        )
        # Refused when an earlier delivery of the same notification recorded it.
        with contextlib.suppress(ChangeRefused):
            self._store.commit(Change(slug=NO_TENANT, record=record))
        return RouteOutcome(Outcome.RAW_MISSING, NO_TENANT, delivery.id)

    def _queue_jobs(self, jobs: Sequence[OutboundJob]) -> None:
        if jobs:
            self._queue_ids(jobs[0].slug, [job.id for job in jobs])

    def _queue_ids(self, slug: str, job_ids: Sequence[str]) -> None:
        try:
            self._queue.put([(slug, job_id) for job_id in job_ids])
        except StoreUnavailable:
            # The outbox items are written: the sweep queues them within two minutes.
            return


def can_replay(record: InboundRecord) -> bool:
    """Tell whether a replay may decide *record* anew: nothing was made of the mail."""
    return record.outcome in REPLAYABLE


def _is_reply(address: str) -> bool:
    return reply_token.token_of(split_addr_spec(address)[0]) is not None


def _without_token(address: str) -> str:
    """A reply address with its token cut: whoever reads records may not answer in others' names."""
    local, domain = split_addr_spec(address)
    token = reply_token.token_of(local)
    return address if not token else f"reply+{token[:6]}…@{domain}"


def _was_requester(ticket: Ticket, client_id: str, slug: str) -> bool:
    """The token may name somebody who was the requester when it was made and follows the ticket still."""
    return any(ids.client_id(slug, identity(p.email)) == client_id for p in ticket.participants if p.email)


def _signature(work: _Work) -> str:
    """The sender as it is kept with the Message-ID: marked when nothing proved it."""
    return work.sender if work.verified or not work.sender else f"?{work.sender}"


def _introduced(work: _Work) -> Client | None:
    """The sender's client as a verified mail sets it, None when there is nothing to set."""
    client, author = work.known.client, work.mail.from_
    if client is None or author is None or not work.verified:
        return None
    if not client.proven:
        return replace(client, email=author.addr_spec, name=author.display_name, proven=True)
    if not client.name and author.display_name:
        return replace(client, name=author.display_name)
    return None


def _called(work: _Work, author: Mailbox, client: Client | None) -> tuple[str, str]:
    """The requester's address and name on a new ticket: nothing unproven stands over what is proven."""
    if client is None or not client.proven:
        return author.addr_spec, author.display_name
    return client.email, (author.display_name if work.verified else "") or client.name


def _fits(box: Mailbox) -> bool:
    """Longer addresses cannot be mailed (RFC 5321 4.5.3.1.3) and would burst a key of the table."""
    return len(box.identity.encode("utf-8", "replace")) <= MAX_ADDR_SPEC_OCTETS


def _shortened(jobs: tuple[OutboundJob, ...]) -> tuple[OutboundJob, ...]:
    """Cut the text that many mails repeat, when all of them would not fit one transaction."""
    texts = [job.content.get("text") for job in jobs]
    longest = max((len(text) for text in texts if isinstance(text, str)), default=0)
    # Three bytes a character at the worst, and compression that gains nothing.
    allowed = max(2000, MAX_JOBS_BYTES // (3 * max(1, len(jobs))))
    if longest <= allowed:
        return jobs
    return tuple(
        replace(job, content={**job.content, "text": text[:allowed], "truncated": True})
        if isinstance(text, str) and len(text) > allowed
        else job
        for job, text in zip(jobs, texts, strict=True)
    )


def _preview(text: str) -> str:
    return " ".join(text.split())[:PREVIEW_CHARACTERS]
