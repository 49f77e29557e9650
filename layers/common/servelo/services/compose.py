"""Compose: which mails an event makes necessary, and everything each of them carries.

One job is one mail to one recipient. Jobs go into the same transaction as the event itself; nothing here
writes or sends. Who is told what:

    new ticket              team: notification        requester: confirmation (where the caller allows it)
    words of a client       team: notification        other participants: ticket update
    words of the team       requester and followers: ticket update
    held or unverified      team: notification that says so; nobody else
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from servelo.domain import ids
from servelo.domain.outbound import MailKind, OutboundJob
from servelo.domain.tenant import Tenant
from servelo.domain.ticket import Comment, Participant, StoredFile, Ticket
from servelo.mail import outbound, reply_token, thread
from servelo.mail.address import identity
from servelo.mail.reply_token import KeyRing, TokenRole
from servelo.records import dataclass, replace
from servelo.services import sessions
from servelo.services.ports import FoldedToken

MAX_TEXT_CHARACTERS = 60_000  # a mail above this says where the rest is; the item limit is 400 kB
MAX_ATTACHED_BYTES = 7_000_000  # base64 makes 9.5 MB of it: below the 10 MB where SES begins to throttle
# Every mail of an event repeats the list of files, and all of them are one transaction of at most 4 MB.
MAX_ATTACHED_FILES = 20
MAX_LISTED_FILES = 40
# The outbox is queued at once; the sweep looks after what is still waiting when this has passed.
SWEEP_AFTER = timedelta(seconds=120)


@dataclass(frozen=True, slots=True)
class Composer:
    """Makes jobs. *portal_url* is the portal's origin, ``""`` when there is none."""

    mail_domain: str
    portal_url: str
    ring: KeyRing

    # ---- addresses -------------------------------------------------------------------------------

    def reply_address(self, ticket: Ticket, role: TokenRole) -> str:
        """Return the address at which answers of *role* land on *ticket*."""
        token = reply_token.sign(ticket.slug, ticket.number, ticket.client_id, role, self.ring)
        return f"{reply_token.local_part(token)}@{self.mail_domain}"

    def folded(self, ticket: Ticket) -> tuple[FoldedToken, ...]:
        """Return the look-up items that *ticket* still lacks for the key that signs now."""
        key_id = self.ring.signing_key.id
        if key_id in ticket.folded_key_ids:
            return ()
        return tuple(
            FoldedToken(
                reply_token.fold(
                    reply_token.sign(ticket.slug, ticket.number, ticket.client_id, role, self.ring)
                ),
                ticket.slug,
                ticket.number,
                ticket.client_id,
                int(role),
                key_id,
            )
            for role in TokenRole
        )

    def folded_key_ids(self, ticket: Ticket) -> tuple[int, ...]:
        """Return the ticket's ``folded_key_ids`` once ``folded`` has been written."""
        return tuple(sorted({*ticket.folded_key_ids, self.ring.signing_key.id}))

    def root_message_id(self, slug: str, number: int) -> str:
        """Return the id that every mail of the ticket refers to, whatever SES makes of the others'."""
        return f"ticket-{number}.{slug}@{self.mail_domain}"

    # ---- what an event makes necessary --------------------------------------------------------------

    def for_new_ticket(
        self, tenant: Tenant, ticket: Ticket, comment: Comment, *, confirm: bool, verified: bool, cause: str
    ) -> tuple[OutboundJob, ...]:
        """Return the team's notifications and, with *confirm*, the requester's confirmation."""
        jobs = list(self.notifications(tenant, ticket, comment, event="new", verified=verified, cause=cause))
        if confirm:
            jobs.append(self.confirmation(tenant, ticket, comment, echo=verified, cause=cause))
        return tuple(jobs)

    def for_client_comment(
        self, tenant: Tenant, ticket: Ticket, comment: Comment, *, verified: bool, cause: str
    ) -> tuple[OutboundJob, ...]:
        """Return the team's notifications and updates for the other participants."""
        jobs = list(
            self.notifications(tenant, ticket, comment, event="reply", verified=verified, cause=cause)
        )
        jobs += self.updates(tenant, ticket, comment, cause=cause)
        return tuple(jobs)

    def for_held_comment(
        self, tenant: Tenant, ticket: Ticket, comment: Comment, *, cause: str
    ) -> tuple[OutboundJob, ...]:
        """Return the team's notifications of words that wait for one click."""
        return self.notifications(tenant, ticket, comment, event="held", verified=False, cause=cause)

    def for_team_comment(
        self, tenant: Tenant, ticket: Ticket, comment: Comment, *, cause: str
    ) -> tuple[OutboundJob, ...]:
        """Return updates for the requester and the followers."""
        return tuple(self.updates(tenant, ticket, comment, cause=cause))

    # ---- single mails ---------------------------------------------------------------------------------

    def confirmation(
        self, tenant: Tenant, ticket: Ticket, comment: Comment, *, echo: bool, cause: str
    ) -> OutboundJob:
        """Return the requester's confirmation. *echo* False keeps all words of the mail out of it."""
        content: dict[str, object] = {
            "number": ticket.number,
            "subject": ticket.subject if echo else "",
            "echo": echo,
            "portal_link": self._portal_link(tenant, ticket),
        }
        if echo:
            content["text"] = comment.text[:2000]
        job = self._job(
            tenant,
            ticket,
            comment,
            MailKind.CONFIRMATION,
            ticket.requester,
            role=TokenRole.CLIENT,
            from_name=tenant.name,
            content=content,
            cause=cause,
        )
        return replace(job, subject=outbound.subject_for(MailKind.CONFIRMATION, tenant, content))

    def notifications(
        self,
        tenant: Tenant,
        ticket: Ticket,
        comment: Comment,
        *,
        event: str,
        verified: bool,
        cause: str,
    ) -> tuple[OutboundJob, ...]:
        """Return one notification for each team member who is told, but not for the verified author."""
        shown, truncated = _shown(comment.text)
        told = {identity(m.email): m for m in tenant.notified(comment.created_at)}
        if ticket.assignee and (assignee := tenant.member(identity(ticket.assignee))):
            told.setdefault(identity(assignee.email), assignee)
        if event != "new" and verified:
            # Who wrote it knows it. A new ticket is told in any case: an admin who tries the address out, or
            # a mail that forges one, must not go unseen.
            told.pop(identity(comment.author_email), None)
        requester = ticket.requester
        followers = [p for p in ticket.participants[1:] if not p.undeliverable]
        sees = ", ".join(_person(p) for p in (requester, *followers))
        attached, files = self._files(comment)
        content = {
            **files,
            "event": event,
            "number": ticket.number,
            "subject": ticket.subject,
            "client_name": comment.author_name,
            "client_email": comment.author_email,
            "text": shown,
            "truncated": truncated,
            "unverified": not verified,
            "who_sees": sees,
            "portal_link": f"{self.portal_url}/tickets/{ticket.number}" if self.portal_url else "",
        }
        author = comment.author_name or comment.author_email.partition("@")[0]
        return tuple(
            replace(
                self._job(
                    tenant,
                    ticket,
                    comment,
                    MailKind.NOTIFICATION,
                    Participant(member.email, member.name),
                    role=TokenRole.TEAM,
                    from_name=outbound.from_name(author, tenant),
                    content=content,
                    cause=cause,
                ),
                files=attached,
            )
            for member in told.values()
        )

    def updates(
        self, tenant: Tenant, ticket: Ticket, comment: Comment, *, cause: str
    ) -> Iterable[OutboundJob]:
        """Yield one update for each participant who did not write it and can be reached."""
        shown, truncated = _shown(comment.text)
        attached, files = self._files(comment)
        author = comment.author_name or tenant.name
        written_by = identity(comment.author_email)
        for person in ticket.participants:
            if identity(person.email) == written_by or person.undeliverable:
                continue
            content = {
                **files,
                "number": ticket.number,
                "author_name": author,
                "text": shown,
                "truncated": truncated,
                "who_sees": tenant.name,
                "portal_link": self._portal_link(tenant, ticket),
            }
            job = self._job(
                tenant,
                ticket,
                comment,
                MailKind.TICKET_UPDATE,
                person,
                role=TokenRole.CLIENT,
                from_name=outbound.from_name(author, tenant),
                content=content,
                cause=cause,
            )
            yield replace(job, files=attached)

    def explanation(
        self,
        tenant: Tenant | None,
        slug: str,
        recipient: str,
        reason: str,
        address: str,
        *,
        cause: str,
        now: datetime,
    ) -> OutboundJob:
        """Return the mail that tells a sender why nothing came of theirs. It holds none of their words."""
        job_id = _job_id(now, cause, MailKind.EXPLANATION, recipient)
        return OutboundJob(
            id=job_id,
            slug=slug,
            kind=MailKind.EXPLANATION,
            recipient=recipient,
            subject="",
            message_id=self._message_id(job_id, slug),
            created_at=now,
            due_at=now + SWEEP_AFTER,
            from_name=tenant.name if tenant else "",
            content={"reason": reason, "address": address},
            automatic=True,
            mail_version=tenant.mail_version if tenant else 0,
        )

    def plain(
        self,
        tenant: Tenant | None,
        slug: str,
        kind: MailKind,
        recipient: Participant,
        content: dict[str, object],
        *,
        subject: str = "",
        cause: str,
        now: datetime,
        files: tuple[StoredFile, ...] = (),
        automatic: bool = False,
        reply_to: str = "",
        raw_key: str = "",
    ) -> OutboundJob:
        """Return a mail that belongs to no ticket: invoice, quote, message, invitation, link, forward."""
        job_id = _job_id(now, cause, kind, recipient.email)
        return OutboundJob(
            id=job_id,
            slug=slug,
            kind=kind,
            recipient=recipient.email,
            recipient_name=recipient.name,
            subject=subject,
            message_id=self._message_id(job_id, slug),
            created_at=now,
            due_at=now + SWEEP_AFTER,
            from_name=tenant.name if tenant else "",
            reply_to=reply_to,
            content=content,
            files=files,
            raw_key=raw_key,
            automatic=automatic,
            mail_version=tenant.mail_version if tenant else 0,
        )

    def more_waiting(self, tenant: Tenant, until: datetime, now: datetime) -> tuple[OutboundJob, ...]:
        """Return the mail that stands for all notifications that the team does not get until *until*."""
        text = (
            "More mail comes in than you are told of one by one within an hour. Until "
            f"{until:%H:%M} UTC, further mails make their tickets and comments without a notification. "
            "Nothing is lost: they wait unread in the portal."
        )
        content: dict[str, object] = {"text": text}
        if self.portal_url:
            content["link"] = f"{self.portal_url}/tickets"
        return tuple(
            self.plain(
                tenant,
                tenant.slug,
                MailKind.MESSAGE,
                Participant(member.email, member.name),
                dict(content),
                subject="More mail is waiting in your help desk",
                cause=f"more#{until.isoformat()}",
                now=now,
                automatic=True,
            )
            for member in tenant.notified(now)
        )

    def _job(
        self,
        tenant: Tenant,
        ticket: Ticket,
        comment: Comment,
        kind: MailKind,
        to: Participant,
        *,
        role: TokenRole,
        from_name: str,
        content: dict[str, object],
        cause: str,
    ) -> OutboundJob:
        root = self.root_message_id(ticket.slug, ticket.number)
        # Oldest first. The root is in every mail, so that mails whose own ids SES replaced still meet.
        references = thread.trim_references((root, *ticket.message_ids))
        job_id = _job_id(comment.created_at, cause or comment.id, kind, to.email)
        return OutboundJob(
            id=job_id,
            slug=ticket.slug,
            kind=kind,
            recipient=to.email,
            recipient_name=to.name,
            subject=thread.with_tag(ticket.subject, ticket.number),
            message_id=self._message_id(job_id, ticket.slug),
            created_at=comment.created_at,
            due_at=comment.created_at + SWEEP_AFTER,
            from_name=from_name,
            reply_to=self.reply_address(ticket, role),
            in_reply_to=references[-1] if references else "",
            references=references,
            content=content,
            automatic=kind in (MailKind.CONFIRMATION, MailKind.NOTIFICATION),
            ticket_number=ticket.number,
            comment_id=comment.id,
            mail_version=tenant.mail_version,
        )

    def _message_id(self, job_id: str, slug: str) -> str:
        return thread.message_id_for(job_id, slug, self.mail_domain, self.ring.signing_key.secret)

    def _files(self, comment: Comment) -> tuple[tuple[StoredFile, ...], dict[str, object]]:
        """Return the files that travel along, and what the template shows of all: links to the others."""
        travel, stay = _parted(comment.files)
        stay = stay[: MAX_LISTED_FILES - len(travel)]
        links = [sessions.file_link(self.portal_url, each, comment.created_at, self.ring) for each in stay]
        return travel, {
            "files": [each.filename for each in (*travel, *stay)],
            "file_sizes": [each.size_bytes for each in (*travel, *stay)],
            "file_links": [*[""] * len(travel), *links],
        }

    def _portal_link(self, tenant: Tenant, ticket: Ticket) -> str:
        if not self.portal_url or not tenant.customer_portal:
            return ""
        return f"{self.portal_url}/portal/{ticket.slug}/tickets/{ticket.number}"


def _job_id(now: datetime, cause: str, kind: MailKind, recipient: str) -> str:
    """The same event, kind and recipient give the same id: a repeated transaction promises no second mail."""
    entropy = hashlib.sha256(f"{cause}\0{kind.value}\0{identity(recipient)}".encode()).digest()[:10]
    return ids.sortable_id(now.timestamp(), entropy)


def _shown(text: str) -> tuple[str, bool]:
    return text[:MAX_TEXT_CHARACTERS], len(text) > MAX_TEXT_CHARACTERS


def _person(participant: Participant) -> str:
    return f"{participant.name} <{participant.email}>" if participant.name else participant.email


def _parted(files: Sequence[StoredFile]) -> tuple[tuple[StoredFile, ...], tuple[StoredFile, ...]]:
    """Return the files that travel with a mail, the first ones up to the limit, and the others."""
    room = MAX_ATTACHED_BYTES
    travel: list[StoredFile] = []
    stay: list[StoredFile] = []
    for each in files:
        # What runs when opened is not handed on: mail servers refuse the whole mail for it.
        if each.size_bytes <= room and not each.dangerous and len(travel) < MAX_ATTACHED_FILES:
            travel.append(each)
            room -= each.size_bytes
        else:
            stay.append(each)
    return tuple(travel), tuple(stay)
