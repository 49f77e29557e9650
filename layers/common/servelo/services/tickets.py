"""Tickets: what people do to them in the portal. Mail does the same through ``route_inbound``.

Every event is one transaction: the comment, what it changes on the ticket, and the mails it promises. Where
somebody was faster, the ticket is read again; what a person saw and edited is never overwritten silently.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any

from servelo.domain import ids
from servelo.domain.client import Client
from servelo.domain.outbound import OutboundJob
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
from servelo.errors import Conflict, Forbidden, InvalidInput, NotFound, StoreUnavailable, TooMany
from servelo.mail.address import identity, split_addr_spec
from servelo.mail.reply_token import KeyRing
from servelo.records import dataclass, field, replace
from servelo.services import budgets
from servelo.services.compose import Composer
from servelo.services.files import Files
from servelo.services.ports import Change, ChangeRefused, Clock, TicketPatch
from servelo.services.post import Post
from servelo.services.search import Search

TRIES = 5
HOUR = 3600
SAID_AN_HOUR = 20  # by one customer in the portal: each mails the team and every other participant
PREVIEW_CHARACTERS = 160
MAX_MERGED_PAGES = 40  # of 50 comments; a longer conversation is merged without its oldest words
# ``route_inbound`` says this of a mail whose sender was not proven.
UNVERIFIED = "The sender could not be verified."

Uploads = Sequence[Mapping[str, str]]


@dataclass(frozen=True, slots=True)
class Detail:
    """A ticket, a page of its comments, and the mails of each comment by its id."""

    ticket: Ticket
    comments: list[Comment]
    cursor: str
    jobs: Mapping[str, tuple[OutboundJob, ...]] = field(default_factory=dict)
    seen_by: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Tickets:
    """*store* is a ``DynamoStore``; *ring* is asked each time, so that rotation shows."""

    store: Any
    post: Post
    files: Files
    search: Search
    ring: Callable[[], KeyRing]
    clock: Clock
    mail_domain: str

    # ---- reading -------------------------------------------------------------------------------------

    def page(
        self,
        slug: str,
        *,
        status: TicketStatus | None,
        assignee: str,
        words: str,
        limit: int,
        after: str,
    ) -> tuple[list[Ticket], str]:
        """Return a page of tickets and the cursor of the next. What does not fit all filters is left out."""
        if words:
            found, cursor = self.search.find(slug, words, limit=limit, after=after)
        else:
            found, cursor = self.store.tickets(
                slug,
                status=status,
                assignee=identity(assignee) if assignee else "",
                limit=limit,
                after=after,
            )
        wanted = identity(assignee) if assignee else ""
        return [
            t
            for t in found
            if (status is None or t.status is status) and (not wanted or identity(t.assignee) == wanted)
        ], cursor

    def get(self, slug: str, number: int) -> Ticket:
        """Return a ticket. Raises NotFound."""
        ticket: Ticket | None = self.store.ticket(slug, number)
        if ticket is None:
            raise NotFound("there is no such ticket")
        return ticket

    def detail(self, tenant: Tenant, number: int, *, limit: int = 50, after: str = "") -> Detail:
        """Return a ticket with a page of its conversation and what became of each mail. Raises NotFound."""
        ticket = self.get(tenant.slug, number)
        comments, cursor = self.store.conversation(tenant.slug, number, limit, after)
        wanted = [job_id for comment in comments for job_id in comment.job_ids]
        jobs = {job.id: job for job in self.store.jobs_by_id(tenant.slug, wanted)} if wanted else {}
        by_comment = {c.id: tuple(jobs[j] for j in c.job_ids if j in jobs) for c in comments}
        return Detail(ticket, comments, cursor, by_comment, seen_by(ticket))

    def comment(self, slug: str, number: int, comment_id: str) -> Comment:
        """Return a comment. Raises NotFound."""
        comment: Comment | None = self.store.comment(slug, number, comment_id)
        if comment is None:
            raise NotFound("there is no such comment")
        return comment

    def raw(self, slug: str, number: int, comment_id: str) -> dict[str, Any]:
        """Return where the original mail of a comment may be fetched. Raises NotFound."""
        comment = self.comment(slug, number, comment_id)
        if not comment.raw_key:
            raise NotFound("this comment came by no mail")
        return self.files.raw_mail(comment.raw_key, f"ticket-{number}-{comment_id}.eml", 0)

    def attachment(
        self, slug: str, number: int, attachment_id: str, *, public_only: bool, mine: str = ""
    ) -> dict[str, Any]:
        """Return where an attachment may be fetched.

        With *public_only* only files of public comments and of those that *mine* (an identity) wrote.

        Raises:
            NotFound: no such file, or not for this caller.
        """
        comment_id, _, file_id = attachment_id.partition("-")
        comment = self.comment(slug, number, comment_id)
        if public_only and not visible_to_customer(comment, mine):
            raise NotFound("there is no such file")
        stored = next((f for f in comment.files if f.id == file_id), None)
        if stored is None:
            raise NotFound("there is no such file")
        return self.files.download(stored)

    # ---- opening -------------------------------------------------------------------------------------

    def open_by_team(
        self,
        tenant: Tenant,
        author: Participant,
        requester: Participant,
        *,
        subject: str,
        text: str,
        uploads: Uploads,
        origin: str,
    ) -> Ticket:
        """Open a ticket for *requester*; the team's words are mailed to them.

        Raises:
            InvalidInput: the requester is a member, or an address of ours.
        """
        self._check_outside(tenant, requester.email)
        return self._open(
            tenant,
            requester,
            subject=subject,
            text=text,
            author=author,
            role=AuthorRole.TEAM,
            uploads=uploads,
            owner=author.email,
            origin=origin,
        )

    def _count_words(self, slug: str, client: Participant) -> None:
        """Count what a customer says in the portal: it mails other people, as a mail of theirs does.

        Raises:
            TooMany: more than 20 an hour.
        """
        now = self.clock.now()
        who = hashlib.sha256(identity(client.email).encode()).hexdigest()[:24]
        if not self.store.count(slug, f"said#{who}#{int(now.timestamp()) // HOUR}", SAID_AN_HOUR, HOUR, now):
            raise TooMany("That is more than 20 messages in one hour. Write one of them by e-mail, or wait.")

    def open_by_client(
        self,
        tenant: Tenant,
        requester: Participant,
        *,
        subject: str,
        text: str,
        uploads: Uploads,
        origin: str,
    ) -> Ticket:
        """Open a ticket in a customer's name: the team is told, the customer gets the confirmation.

        Raises:
            Forbidden: ``new_tickets_off``.
        """
        self._count_words(tenant.slug, requester)
        if not tenant.new_tickets_in_portal:
            raise Forbidden("write to us by mail to open a new ticket", code="new_tickets_off")
        return self._open(
            tenant,
            requester,
            subject=subject,
            text=text,
            author=requester,
            role=AuthorRole.CLIENT,
            uploads=uploads,
            owner=ids.client_id(tenant.slug, identity(requester.email)),
            origin=origin,
        )

    def _open(
        self,
        tenant: Tenant,
        requester: Participant,
        *,
        subject: str,
        text: str,
        author: Participant,
        role: AuthorRole,
        uploads: Uploads,
        owner: str,
        origin: str,
    ) -> Ticket:
        slug, now = tenant.slug, self.clock.now()
        files = self.files.take_over(slug, owner, uploads)
        client_id = ids.client_id(slug, identity(requester.email))
        client: Client | None = self.store.client(slug, client_id)
        number = self.store.next_ticket_number(slug)
        composer = self._composer(origin)
        person = Participant(
            client.email if client else requester.email,
            requester.name or (client.name if client else ""),
        )
        ticket = Ticket(
            slug=slug,
            number=number,
            subject=subject,
            client_id=client_id,
            participants=(person,),
            status=TicketStatus.OPEN if role is AuthorRole.CLIENT else TicketStatus.PENDING,
            created_at=now,
            updated_at=now,
            assignee=author.email if role is AuthorRole.TEAM else "",
            comment_count=1,
            unread=role is AuthorRole.CLIENT,
            preview=_preview(text),
        )
        comment = self._comment(ticket, author, role, text, Visibility.PUBLIC, files)
        if role is AuthorRole.CLIENT:
            jobs = composer.for_new_ticket(
                tenant, ticket, comment, confirm=True, verified=True, cause=comment.id
            )
        else:
            jobs = composer.for_team_comment(tenant, self._reachable(ticket), comment, cause=comment.id)
        change = Change(
            slug=slug,
            ticket=replace(ticket, folded_key_ids=composer.folded_key_ids(ticket)),
            comments=(comment,),
            client=None if client else Client(client_id, slug, person.email, person.name, now, proven=True),
            jobs=jobs,
            folded=composer.folded(ticket),
        )
        try:
            self.post.commit(change)
        except ChangeRefused as refused:
            if refused.parts != {"client"}:
                raise StoreUnavailable("the ticket could not be written; try again") from refused
            self.post.commit(replace(change, client=None))  # the client was made a moment ago
        self.files.forget(slug, owner, uploads)
        return ticket

    # ---- saying something ------------------------------------------------------------------------------

    def comment_by_team(
        self,
        tenant: Tenant,
        author: Participant,
        number: int,
        *,
        text: str,
        internal: bool,
        uploads: Uploads,
        status: TicketStatus | None,
        seen_comments: int | None,
        origin: str,
    ) -> tuple[Comment, tuple[OutboundJob, ...]]:
        """Write a public answer, mailed to requester and followers, or an internal note.

        Raises:
            NotFound: no such ticket.
            Conflict: ``conversation_moved``; ``ticket_merged``.
        """

        def mails(composer: Composer, ticket: Ticket, comment: Comment) -> tuple[OutboundJob, ...]:
            return () if internal else composer.for_team_comment(tenant, ticket, comment, cause=comment.id)

        return self._say(
            tenant,
            number,
            author,
            AuthorRole.TEAM,
            text=text,
            visibility=Visibility.INTERNAL if internal else Visibility.PUBLIC,
            uploads=uploads,
            owner=author.email,
            status=lambda ticket: status,
            unread=False,
            mails=mails,
            seen_comments=seen_comments,
            origin=origin,
        )

    def comment_by_client(
        self,
        tenant: Tenant,
        author: Participant,
        number: int,
        *,
        text: str,
        uploads: Uploads,
        close: bool,
        origin: str,
    ) -> tuple[Comment, tuple[OutboundJob, ...]]:
        """Write a participant's answer: the team and the other participants are mailed.

        The ticket opens again, or closes with *close*. Raises NotFound, Conflict (``ticket_merged``).
        """
        self._count_words(tenant.slug, author)

        def mails(composer: Composer, ticket: Ticket, comment: Comment) -> tuple[OutboundJob, ...]:
            if ticket.status is TicketStatus.SPAM:
                return ()
            return composer.for_client_comment(tenant, ticket, comment, verified=True, cause=comment.id)

        def status(ticket: Ticket) -> TicketStatus | None:
            if close:
                return TicketStatus.CLOSED
            return TicketStatus.OPEN if ticket.status is not TicketStatus.SPAM else None

        return self._say(
            tenant,
            number,
            author,
            AuthorRole.CLIENT,
            text=text,
            visibility=Visibility.PUBLIC,
            uploads=uploads,
            owner=ids.client_id(tenant.slug, identity(author.email)),
            status=status,
            unread=True,
            mails=mails,
            seen_comments=None,
            origin=origin,
        )

    def _say(
        self,
        tenant: Tenant,
        number: int,
        author: Participant,
        role: AuthorRole,
        *,
        text: str,
        visibility: Visibility,
        uploads: Uploads,
        owner: str,
        status: Callable[[Ticket], TicketStatus | None],
        unread: bool,
        mails: Callable[[Composer, Ticket, Comment], tuple[OutboundJob, ...]],
        seen_comments: int | None,
        origin: str,
    ) -> tuple[Comment, tuple[OutboundJob, ...]]:
        slug = tenant.slug
        ticket = self.get(slug, number)
        files = self.files.take_over(slug, owner, uploads)
        composer = self._composer(origin)
        used_up: set[str] = set()
        for _ in range(TRIES):
            if ticket.status is TicketStatus.MERGED:
                raise Conflict(
                    f"this ticket was merged into #{ticket.merged_into}; write there", code="ticket_merged"
                )
            if seen_comments is not None and ticket.comment_count > seen_comments:
                raise Conflict(
                    "somebody wrote on this ticket meanwhile; read it, then send again",
                    code="conversation_moved",
                )
            comment = self._comment(ticket, author, role, text, visibility, files)
            wanted = status(ticket)
            jobs = mails(composer, self._reachable(ticket), comment)
            fitted = budgets.Fitted(jobs)
            if role is AuthorRole.CLIENT:
                fitted = budgets.fit(
                    composer,
                    tenant,
                    jobs,
                    sender=identity(author.email),
                    proven=True,
                    by_team=False,
                    now=comment.created_at,
                    used_up=used_up,
                )
                jobs = fitted.jobs
                comment = replace(comment, warnings=fitted.warnings)
            folded = composer.folded(ticket) if jobs else ()
            change = Change(
                slug=slug,
                patch=TicketPatch(
                    slug=slug,
                    number=number,
                    updated_at=comment.created_at,
                    status=wanted if wanted is not ticket.status else None,
                    unread=unread,
                    comments=1,
                    folded_key_ids=composer.folded_key_ids(ticket) if folded else None,
                    preview=_preview(text),
                ),
                comments=(comment,),
                jobs=jobs,
                folded=folded,
                caps=fitted.caps,
                seen_status=ticket.status,
            )
            try:
                self.post.commit(change)
            except ChangeRefused as refused:
                used_up |= {part[4:] for part in refused.parts if part.startswith("cap:")}
                ticket = self.get(slug, number)  # its status changed: decide again
                continue
            self.files.forget(slug, owner, uploads)
            return replace(comment, job_ids=tuple(job.id for job in jobs)), jobs
        raise Conflict("this ticket keeps changing; try again")

    def accept(
        self, tenant: Tenant, number: int, comment_id: str, origin: str
    ) -> tuple[Comment, tuple[OutboundJob, ...]]:
        """Publish a comment that waited: it goes out as if its author had been verified.

        Raises:
            NotFound: no such comment.
            Conflict: ``accepted_already``, or it needs no acceptance; ``ticket_merged``; ``ticket_spam``.
        """
        for _ in range(TRIES):
            with suppress(_Moved):
                return self._accept(tenant, number, comment_id, origin)
        raise Conflict("this ticket keeps changing; try again")

    def _accept(
        self, tenant: Tenant, number: int, comment_id: str, origin: str
    ) -> tuple[Comment, tuple[OutboundJob, ...]]:
        slug = tenant.slug
        ticket = self.get(slug, number)
        held = self.comment(slug, number, comment_id)
        already = Conflict("this comment was accepted already", code="accepted_already")
        if not held.needs_accept:
            raise already
        # Nothing on a spam ticket mails anybody, and a merged one has handed its words on.
        self._check_movable(ticket)
        by_team = tenant.member(identity(held.author_email)) is not None
        released = replace(
            held,
            author_role=AuthorRole.TEAM if by_team else AuthorRole.CLIENT,
            visibility=Visibility.PUBLIC,
            needs_accept=False,
        )
        composer = self._composer(origin)
        now = self.clock.now()
        # The team has seen it; only the other side is told. The mails' ids and times are of this moment.
        shown = replace(released, created_at=now)
        jobs = tuple(composer.updates(tenant, self._reachable(ticket), shown, cause=f"accept#{held.id}"))
        folded = composer.folded(ticket) if jobs else ()
        waits = ticket.status in (TicketStatus.CLOSED, TicketStatus.PENDING)
        ids_of_mails = ticket.message_ids
        if held.message_id and held.message_id not in ids_of_mails:
            ids_of_mails = _merged_ids(ids_of_mails, (held.message_id,), last=True)
        patch = TicketPatch(
            slug=slug,
            number=number,
            updated_at=now,
            waiting=-1,
            status=TicketStatus.OPEN if waits and not by_team else None,
            message_ids=ids_of_mails if ids_of_mails != ticket.message_ids else None,
            folded_key_ids=composer.folded_key_ids(ticket) if folded else None,
            preview=_preview(held.text),
        )
        change = Change(
            slug=slug,
            patch=patch,
            released=released,
            jobs=jobs,
            folded=folded,
            seen_status=ticket.status,
        )
        try:
            self.post.commit(change)
        except ChangeRefused as refused:
            raise (already if "released" in refused.parts else _Moved) from refused
        return replace(released, job_ids=(*held.job_ids, *(j.id for j in jobs))), jobs

    # ---- changing --------------------------------------------------------------------------------------

    def change(self, tenant: Tenant, number: int, changes: Mapping[str, Any], version: int | None) -> Ticket:
        """Change ``status``, ``assignee``, ``subject`` or ``unread``.

        Raises:
            NotFound: no such ticket.
            InvalidInput: the assignee is no member.
            Conflict: edited since *version*; ``ticket_merged``; ``ticket_spam`` (use not_spam).
        """
        ticket = self.get(tenant.slug, number)
        if version is not None and version != ticket.version:
            raise Conflict("somebody else changed this ticket meanwhile; load it again")
        if not changes:
            return ticket
        if set(changes) == {"unread"}:
            if not changes["unread"]:
                self.store.mark_read(tenant.slug, number)
                return replace(ticket, unread=False)
            return self._edit(replace(ticket, unread=True))
        wanted: dict[str, Any] = dict(changes)
        if wanted.get("assignee"):
            member = tenant.member(identity(wanted["assignee"]))
            if member is None:
                raise InvalidInput("Choose a member of the team.", field="assignee", code="not_a_member")
            wanted["assignee"] = member.email
        now = self.clock.now()
        if "status" in wanted:
            self._check_movable(ticket)
            status = TicketStatus(wanted["status"])
            wanted["status"] = status
            if status is not TicketStatus.CLOSED:
                wanted["closed_at"] = None
            elif ticket.status is not TicketStatus.CLOSED:
                wanted["closed_at"] = now
        return self._edit(replace(ticket, updated_at=now, **wanted))

    def mark_read(self, slug: str, number: int) -> None:
        """Take the unread mark off. Raises NotFound."""
        self.get(slug, number)
        self.store.mark_read(slug, number)

    def spam(self, tenant: Tenant, number: int, *, block: bool) -> Ticket:
        """Put a ticket into spam; with *block* its requester's mail goes no further from now on."""
        ticket = self.get(tenant.slug, number)
        if ticket.status is TicketStatus.MERGED:
            self._check_movable(ticket)
        if ticket.status is not TicketStatus.SPAM:
            ticket = self._edit(replace(ticket, status=TicketStatus.SPAM, unread=False, closed_at=None))
        if block:
            client: Client | None = self.store.client(tenant.slug, ticket.client_id)
            if client is not None and not client.blocked:
                self.store.put_client(replace(client, blocked=True))
        return ticket

    def change_requester(self, tenant: Tenant, number: int, requester: Participant) -> Ticket:
        """Make *requester* the one the ticket is for; who it was before is no participant any more.

        Raises:
            NotFound: no such ticket.
            InvalidInput: the requester is a member, or an address of ours.
            Conflict: somebody else edited the ticket at this moment.
        """
        self._check_outside(tenant, requester.email)
        slug = tenant.slug
        ticket = self.get(slug, number)
        self._check_movable(ticket)
        who = identity(requester.email)
        client_id = ids.client_id(slug, who)
        client: Client | None = self.store.client(slug, client_id)
        if client is None:
            client = Client(client_id, slug, requester.email, requester.name, self.clock.now(), proven=True)
            try:
                self.store.put_client(client, create=True)
            except Conflict:
                client = self.store.client(slug, client_id) or client
        person = Participant(client.email, requester.name or client.name)
        followers = tuple(p for p in ticket.participants[1:] if identity(p.email) != who)
        # The folded look-ups name the old requester; the next mail writes new ones.
        changed = replace(ticket, client_id=client_id, participants=(person, *followers), folded_key_ids=())
        edited: Ticket = self.store.edit_ticket(changed, seen_version=ticket.version, people=True)
        return edited

    def merge(self, tenant: Tenant, author: Participant, number: int, into: int) -> Ticket:
        """Merge ticket *number* into ticket *into*; doing it again finishes what was interrupted.

        The conversation is copied, people who wrote there follow the other ticket, a note tells the team.

        Raises:
            NotFound: one of them is missing.
            InvalidInput: both are the same, or the other is merged or spam itself.
            Conflict: the ticket goes on in a third one, or somebody edited it at this moment.
        """
        slug = tenant.slug
        source, target = self.get(slug, number), self.get(slug, into)
        if number == into:
            raise InvalidInput("Choose another ticket.", field="into", code="same_ticket")
        if target.status in (TicketStatus.MERGED, TicketStatus.SPAM):
            raise InvalidInput(
                "That ticket is merged or spam itself; choose another.", field="into", code="ticket_ended"
            )
        if source.status is TicketStatus.MERGED and source.merged_into != into:
            raise Conflict(f"it was merged into #{source.merged_into} already", code="ticket_merged")
        now = self.clock.now()
        if source.status is not TicketStatus.MERGED:
            source = self._edit(
                replace(source, status=TicketStatus.MERGED, merged_into=into, unread=False, updated_at=now)
            )
        copied = self._copy_conversation(slug, number, into)
        for _ in range(TRIES):
            if self._join(slug, author, source, target, copied, now):
                return self.get(slug, into)
            target = self.get(slug, into)
        raise Conflict("this ticket keeps changing; try again")

    def _join(
        self, slug: str, author: Participant, source: Ticket, target: Ticket, copied: int, now: datetime
    ) -> bool:
        """Let the people and ids of *source* join *target*; False when somebody changed it meanwhile."""
        present = {identity(p.email) for p in target.participants}
        joined = [p for p in source.participants if identity(p.email) not in present]
        # A transaction has an end (``MAX_FOLLOWERS``), so a ticket's people have one too.
        room = max(0, MAX_FOLLOWERS + 1 - len(target.participants))
        joined, left = joined[:room], joined[room:]
        people = (*target.participants, *joined)
        said = f"Ticket #{source.number} ({source.subject}) was merged into this one."
        if left:
            said += " No room was left for " + ", ".join(p.email for p in left) + "."
        note = replace(
            self._comment(
                target,
                author,
                AuthorRole.SYSTEM,
                said,
                Visibility.INTERNAL,
                (),
            ),
            # One note for one merge, however often it is repeated.
            id=ids.sortable_id(source.updated_at.timestamp(), f"merge{source.number:05d}".encode()[-10:]),
        )
        patch = TicketPatch(
            slug=slug,
            number=target.number,
            updated_at=now,
            comments=copied + 1,
            waiting=source.waiting,
            participants=people if joined else None,
            message_ids=_merged_ids(target.message_ids, source.message_ids),
        )
        change = Change(
            slug=slug,
            patch=patch,
            comments=(note,),
            seen_people=target.people_version if joined else None,
        )
        try:
            self.post.commit(change)
        except ChangeRefused as refused:
            return "comment" in refused.parts  # the note is there: an earlier call finished
        return True

    def _copy_conversation(self, slug: str, number: int, into: int) -> int:
        copied, after = 0, ""
        for _ in range(MAX_MERGED_PAGES):
            comments, after = self.store.conversation(slug, number, 50, after)
            self.store.copy_comments([replace(c, number=into) for c in comments])
            copied += len(comments)
            if not after:
                break
        return copied

    # ---- inside ----------------------------------------------------------------------------------------

    def _composer(self, origin: str) -> Composer:
        return Composer(self.mail_domain, origin, self.ring())

    def _comment(
        self,
        ticket: Ticket,
        author: Participant,
        role: AuthorRole,
        text: str,
        visibility: Visibility,
        files: tuple[StoredFile, ...],
    ) -> Comment:
        # Ids order the conversation: one that is written later must not sort before what is there.
        now = max(self.clock.now(), ticket.created_at + timedelta(milliseconds=1))
        return Comment(
            slug=ticket.slug,
            number=ticket.number,
            id=ids.sortable_id(now.timestamp()),
            author_role=role,
            author_email=author.email,
            author_name=author.name,
            visibility=visibility,
            text=text,
            created_at=now,
            files=files,
        )

    def _reachable(self, ticket: Ticket) -> Ticket:
        """Mark participants whose address is on the suppression list; one read."""
        suppressed = self.store.suppressed(
            ticket.slug, [identity(p.email) for p in ticket.participants if p.email]
        )
        people = tuple(
            replace(p, undeliverable=True) if not p.email or identity(p.email) in suppressed else p
            for p in ticket.participants
        )
        return replace(ticket, participants=people)

    def _edit(self, ticket: Ticket) -> Ticket:
        edited: Ticket = self.store.edit_ticket(ticket, seen_version=ticket.version)
        return edited

    def _check_movable(self, ticket: Ticket) -> None:
        if ticket.status is TicketStatus.MERGED:
            raise Conflict(f"this ticket was merged into #{ticket.merged_into}", code="ticket_merged")
        if ticket.status is TicketStatus.SPAM:
            raise Conflict("choose Not spam first", code="ticket_spam")

    def _check_outside(self, tenant: Tenant, email: str) -> None:
        if tenant.member(identity(email)) is not None:
            raise InvalidInput(
                "This is a member of the team; choose a client's address.",
                field="email",
                code="address_of_member",
            )
        if split_addr_spec(identity(email))[1] == self.mail_domain:
            raise InvalidInput(
                "This is an address of ours; choose a client's address.",
                field="email",
                code="address_is_ours",
            )


def visible_to_customer(comment: Comment, mine: str) -> bool:
    """Tell whether the customer whose identity is *mine* may see *comment*."""
    if comment.visibility is Visibility.PUBLIC:
        return True
    own = identity(comment.author_email) == mine and comment.author_role is not AuthorRole.TEAM
    # Held words are unproven: they are shown to the address that they claim to come from, and to nobody else.
    return comment.visibility is Visibility.HELD and own


def seen_by(ticket: Ticket) -> tuple[str, ...]:
    """Return who is mailed a public answer, as shown."""
    return tuple(
        f"{p.name} <{p.email}>" if p.name else p.email
        for p in ticket.participants
        if p.email and not p.undeliverable
    )


class _Moved(Exception):
    """The ticket changed between reading and writing: look again."""


def _merged_ids(target: tuple[str, ...], source: tuple[str, ...], *, last: bool = False) -> tuple[str, ...]:
    joined = (*target, *source) if last else (*target[:1], *source, *target[1:])
    merged = tuple(dict.fromkeys(joined))
    return merged if len(merged) <= 30 else (merged[0], *merged[-29:])


def _preview(text: str) -> str:
    return " ".join(text.split())[:PREVIEW_CHARACTERS]
