"""Invitations and links to choose a new password: mails of our own, so that they go out like every other."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from datetime import timedelta

from servelo.domain.outbound import MailKind
from servelo.domain.tenant import Member, Tenant
from servelo.domain.ticket import Participant
from servelo.mail.address import identity
from servelo.mail.reply_token import KeyRing
from servelo.records import dataclass
from servelo.services.compose import Composer
from servelo.services.passwords import Passwords
from servelo.services.ports import Change, Clock
from servelo.services.post import Post
from servelo.services.sessions import INVITATION_LIFE, RESET_LIFE, Sessions


@dataclass(frozen=True, slots=True)
class Invitations:
    """Mails links with which a person chooses a password."""

    post: Post
    sessions: Sessions
    passwords: Passwords
    ring: Callable[[], KeyRing]
    clock: Clock
    mail_domain: str

    def invite(self, tenant: Tenant, member: Member, invited_by: str, origin: str) -> None:
        """Mail *member* a link that is good for seven days."""
        from servelo.mail import outbound

        link, expires = self._link(tenant.slug, member.email, f"{origin}/welcome", INVITATION_LIFE)
        content: dict[str, object] = {
            "link": link,
            "inviter_name": invited_by,
            "role": member.role.value,
            "email": member.email,
            "expires": expires,
        }
        self._send(
            tenant,
            tenant.slug,
            MailKind.INVITATION,
            Participant(member.email, member.name),
            content,
            outbound.subject_for(MailKind.INVITATION, tenant, content),
        )

    def mail_reset(self, tenant: Tenant | None, slug: str, email: str, name: str, origin: str) -> None:
        """Mail *email* a link that is good for one hour."""
        link, _ = self._link(slug, email, f"{origin}/reset", RESET_LIFE)
        from servelo.mail.phrases import language

        spoken = language(tenant.locale if tenant else "")
        self._send(
            tenant,
            slug,
            MailKind.MESSAGE,
            Participant(email, name),
            {"text": spoken.phrase("reset_text"), "link": link},
            spoken.phrase("reset_title"),
        )

    def _link(self, slug: str, email: str, page: str, life: timedelta) -> tuple[str, str]:
        who = identity(email)
        issued_at = self.passwords.link_moment(slug, who)
        token, expires_at = self.sessions.make_password_link(slug, who, life, issued_at)
        return f"{page}#token={token}", expires_at.isoformat()

    def _send(
        self,
        tenant: Tenant | None,
        slug: str,
        kind: MailKind,
        to: Participant,
        content: dict[str, object],
        subject: str,
    ) -> None:
        job = Composer(self.mail_domain, "", self.ring()).plain(
            tenant,
            slug,
            kind,
            to,
            content,
            subject=subject,
            cause=hashlib.sha256(str(content["link"]).encode()).hexdigest(),
            now=self.clock.now(),
            automatic=True,
        )
        self.post.commit(Change(slug=slug, jobs=(job,)))
