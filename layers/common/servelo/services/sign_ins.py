"""Sign-ins of team and operator: password, second factor, forgotten password.

Tries are counted before Cognito is asked: in a quarter of an hour ten of one address from one source, so that
a stranger locks nobody out, and a hundred of one address from all sources. Refusals are alike.
"""

from __future__ import annotations

import hashlib
import ipaddress
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any
from urllib.parse import quote

from servelo.domain.tenant import Tenant
from servelo.errors import Conflict, InvalidInput, TooMany, Unauthorized
from servelo.mail.address import identity
from servelo.records import dataclass
from servelo.services.invitations import Invitations
from servelo.services.passwords import Passwords
from servelo.services.ports import Clock
from servelo.services.sessions import Sessions

OPERATOR_SLUG = "-"
QUARTER, HOUR = 900, 3600
TRIES_OF_A_SOURCE = 10
TRIES_OF_AN_ADDRESS = 100
RESETS_AN_HOUR = 3


@dataclass(frozen=True, slots=True)
class SignIns:
    """*identities* is the ``CognitoIdentity``; *claims_of* reads a token that Cognito gave a moment ago."""

    store: Any
    identities: Any
    sessions: Sessions
    invitations: Invitations
    passwords: Passwords
    clock: Clock
    claims_of: Callable[[str], dict[str, Any]]

    def login(self, email: str, password: str, source: str) -> dict[str, Any]:
        """Return tokens or a challenge. Raises Unauthorized (``wrong_credentials``), TooMany.

        *source* is the caller's IP address, as the gateway saw it.
        """
        with self._counted("login", email, source):
            found = self.identities.login(identity(email), password)
        return self._session(found)

    def answer_challenge(
        self, email: str, challenge: str, session: str, *, code: str, new_password: str, source: str
    ) -> dict[str, Any]:
        """Return tokens. Raises InvalidInput (``wrong_code``), Unauthorized, TooMany."""
        if challenge == "SOFTWARE_TOKEN_MFA" and not code:
            raise InvalidInput("Type the six digits that your app shows.", field="code")
        if challenge == "NEW_PASSWORD_REQUIRED" and not new_password:
            raise InvalidInput("Choose a password of at least 12 characters.", field="new_password")
        with self._counted("code", email, source):
            found = self.identities.answer_challenge(
                identity(email), challenge, session, code=code, new_password=new_password
            )
        return self._session(found)

    def refresh(self, refresh_token: str) -> dict[str, Any]:
        """Return new tokens. Raises Unauthorized."""
        return self._session(self.identities.refresh(refresh_token))

    def forgot(self, email: str, origin: str) -> None:
        """Mail a link to choose a new password, if *email* has a sign-in; three an hour, in silence."""
        who = identity(email)
        if not self._within("reset", who, RESETS_AN_HOUR, HOUR):
            return
        account = self.identities.account(who)
        if account is None or not account.slug:
            return
        tenant: Tenant | None = None
        name = ""
        if account.slug != OPERATOR_SLUG:
            tenant = self.store.tenant(account.slug)
            member = tenant.member(who) if tenant else None
            if tenant is None or member is None:
                return
            name = member.name
        self.invitations.mail_reset(tenant, account.slug, who, name, origin)

    def reset(self, token: str, password: str) -> None:
        """Set the password with the token of a mailed link; all links made before are over then.

        Raises:
            Unauthorized: ``link_over``.
            InvalidInput: ``password_refused`` by the pool's policy; the link stays good.
        """
        slug, who, issued_at = self.sessions.read_password_link(token)
        over = Unauthorized("this link is over; ask for a new one", code="link_over")
        account = self.identities.account(who)
        if account is None or account.slug != slug:
            raise over
        claim = self.passwords.claim(slug, who, issued_at)
        if claim is None:
            raise over
        try:
            self.identities.set_password(who, password)
        except BaseException:
            self.passwords.give_back(claim)
            raise
        self.identities.sign_out_everywhere(who)

    def begin_totp(self, access_token: str) -> dict[str, Any]:
        """Return a new secret and its address for a QR code (the Key Uri Format of authenticator apps).

        Raises:
            Conflict: ``totp_on``: a new app may not take the place of the old one without a code of the old.
        """
        email, enabled = self.identities.totp_state(access_token)
        if enabled:
            raise Conflict("turn the second factor off first, with a code of your app", code="totp_on")
        secret = self.identities.begin_totp(access_token)
        label = f"Servelo:{quote(email, safe='@')}"
        return {"secret": secret, "uri": f"otpauth://totp/{label}?secret={secret}&issuer=Servelo"}

    def end_totp(self, access_token: str, password: str, code: str, source: str) -> None:
        """Ask for no code any more, if *password* and *code* would sign the person in now.

        Raises:
            Unauthorized: the access token is over.
            InvalidInput: ``wrong_credentials`` (``password``) or ``wrong_code``.
            TooMany
        """
        email, enabled = self.identities.totp_state(access_token)
        if not enabled:
            return
        who = identity(email)
        try:
            with self._counted("login", who, source):
                asked = self.identities.login(who, password)
        except Unauthorized:
            # 401 would say that the session is over.
            raise InvalidInput("The password is wrong.", field="password", code="wrong_credentials") from None
        if asked.challenge:
            with self._counted("code", who, source):
                asked = self.identities.answer_challenge(who, asked.challenge, asked.session, code=code)
        self.identities.end_totp(access_token)
        self.identities.logout(asked.refresh_token)

    def _session(self, found: Any) -> dict[str, Any]:
        if found.challenge:
            return {"challenge": found.challenge, "session": found.session}
        claims = self.claims_of(found.id_token)
        slug = str(claims.get("custom:tenant", ""))
        email = str(claims.get("email", ""))
        role, name = str(claims.get("custom:role", "")), str(claims.get("name", ""))
        if slug != OPERATOR_SLUG:
            tenant: Tenant | None = self.store.tenant(slug) if slug else None
            member = tenant.member(identity(email)) if tenant else None
            if member is None:
                raise Unauthorized("the address or the password is wrong", code="wrong_credentials")
            role, name = member.role.value, member.name
        return {
            "id_token": found.id_token,
            "access_token": found.access_token,
            "refresh_token": found.refresh_token,
            "expires_in": found.expires_seconds,
            "user": {"email": email, "name": name, "role": role, "tenant": slug},
        }

    @contextmanager
    def _counted(self, what: str, email: str, source: str) -> Iterator[None]:
        """Count a try before it is made, so that many at once count too; one that succeeds is taken back."""
        who = identity(email)
        counters = (
            (f"{what}-from", f"{who}\0{_network(source)}", TRIES_OF_A_SOURCE),
            (what, who, TRIES_OF_AN_ADDRESS),
        )
        now = self.clock.now()
        for name, of, limit in counters:
            if not self.store.count(OPERATOR_SLUG, _window(name, of, QUARTER, now), limit, QUARTER, now):
                raise TooMany("too many tries for this address; wait a quarter of an hour")
        yield
        for name, of, _ in counters:
            self.store.uncount(OPERATOR_SLUG, _window(name, of, QUARTER, now))

    def _within(self, what: str, who: str, limit: int, window: int) -> bool:
        now = self.clock.now()
        # Before sign-in there is no tenant: the counters stand under the operator's scope.
        within: bool = self.store.count(OPERATOR_SLUG, _window(what, who, window, now), limit, window, now)
        return within


def _window(what: str, who: str, seconds: int, now: datetime) -> str:
    digest = hashlib.sha256(who.encode("utf-8", "replace")).hexdigest()[:24]
    return f"{what}#{digest}#{int(now.timestamp()) // seconds}"


def _network(source: str) -> str:
    """Return what one subscriber has: an IPv4 address, of IPv6 the first 64 bits."""
    try:
        address = ipaddress.ip_address(source)
    except ValueError:
        return source
    if address.version == 4:
        return str(address)
    return str(ipaddress.ip_network((int(address) >> 64 << 64, 64)))
