"""Settings: General, and the tenant's own SMTP account.

A new account is saved only after Send Test succeeded with exactly its values: a keyed fingerprint of them,
password included, is kept for an hour. It says nothing about the password to whoever reads the table.
"""

from __future__ import annotations

import hmac
import json
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any

from servelo.domain import ids
from servelo.domain.outbound import MailKind
from servelo.domain.smtp import SmtpLogin, SmtpProbe
from servelo.domain.tenant import SmtpAccount, Tenant
from servelo.errors import AccountRefused, Conflict, InvalidInput, NotFound, TooMany
from servelo.mail.reply_token import KeyRing
from servelo.records import dataclass, replace
from servelo.services import smtp_settings
from servelo.services.ports import Clock, PasswordVault
from servelo.services.tenant_changes import change_tenant, refuse_own
from servelo.services.trial_mails import TrialMails, copy_address

TEST_COUNTS_FOR = timedelta(hours=1)
TESTS_AN_HOUR = 10
HOUR = 3600
_TESTED = "smtp-test"


@dataclass(frozen=True, slots=True)
class TenantSettings:
    """*store* is a ``DynamoStore``; *probe* makes the connection of a Send Test."""

    store: Any
    vault: PasswordVault
    probe: Callable[[], SmtpProbe]
    ring: Callable[[], KeyRing]
    clock: Clock
    mail_domain: str
    allow_loopback: bool = False

    # ---- general -------------------------------------------------------------------------------------

    def get(self, slug: str) -> tuple[Tenant, int]:
        """Return the tenant and its highest ticket number so far. Raises NotFound."""
        tenant: Tenant | None = self.store.tenant(slug)
        if tenant is None:
            raise NotFound("there is no such tenant")
        return tenant, self.store.highest_ticket_number(slug)

    def save(self, slug: str, changes: Mapping[str, Any], version: int | None) -> tuple[Tenant, int]:
        """Change settings.

        Raises:
            InvalidInput: the next ticket number is used already.
            Conflict: changed since *version*.
        """
        values = dict(changes)
        refuse_own(values.get("notify_email", ""), self.mail_domain, "notify_email")
        number = values.pop("next_ticket_number", None)
        highest = self.store.highest_ticket_number(slug)
        if number is not None and number <= highest:
            raise InvalidInput(
                f"Use {highest + 1} or higher: numbers are never used twice.",
                field="next_ticket_number",
                code="number_used",
            )

        def edit(tenant: Tenant) -> Tenant:
            changed = replace(tenant, **values)
            return tenant if changed == tenant else replace(changed, mail_version=tenant.mail_version + 1)

        change_tenant(self.store, slug, edit, version)
        if number is not None and number > highest + 1:
            self.store.raise_ticket_counter(slug, number)
        return self.get(slug)

    def preview(self, tenant: Tenant, kind: MailKind) -> dict[str, str]:
        """Return a mail of *kind* as the tenant would send it, with made-up content."""
        from servelo.mail import outbound

        subject, text, html = outbound.preview(kind, tenant)
        return {"kind": kind.value, "subject": subject, "text": text, "html": html}

    # ---- SMTP ----------------------------------------------------------------------------------------

    def providers(self) -> tuple[smtp_settings.Provider, ...]:
        """Return the presets."""
        return smtp_settings.PROVIDERS

    def test_smtp(
        self, tenant: Tenant, form: Mapping[str, Any], *, recipient: str, recipient_name: str
    ) -> tuple[smtp_settings.TestReport, str]:
        """Send a test mail to *recipient* through *form*, or through what is saved when it is empty.

        Returns the report, and the id by which ``test_arrival`` tells how the mail arrived: ``""`` when the
        server did not take the copy that shows it.

        Raises:
            InvalidInput: a field is wrong, or nothing is saved yet.
            TooMany: more than ten in an hour.
        """
        login = self._login(tenant, form)
        now = self.clock.now()
        name = f"smtp-test#{int(now.timestamp()) // HOUR}"
        if not self.store.count(tenant.slug, name, TESTS_AN_HOUR, HOUR, now):
            raise TooMany("ten tests in an hour are enough; wait a little")
        test_id = ids.sortable_id(now.timestamp())
        self._trials().expect(tenant.slug, test_id, login)
        report = smtp_settings.run_send_test(
            login,
            tenant=tenant,
            recipient=recipient,
            recipient_name=recipient_name,
            probe=self.probe(),
            mail_domain=self.mail_domain,
            job_id=test_id,
            now=now,
            copy_to=copy_address(tenant.slug, test_id, self.mail_domain),
        )
        if report.ok:
            kept = json.dumps({"fingerprint": self._fingerprint(tenant.slug, login), "at": now.isoformat()})
            self.store.once_end(tenant.slug, _TESTED, "", kept, now)
        return report, test_id if report.copied else ""

    def test_arrival(self, slug: str, test_id: str) -> dict[str, Any]:
        """Return how a test mail arrived at an address of ours. Raises NotFound."""
        return self._trials().result(slug, test_id)

    def _trials(self) -> TrialMails:
        return TrialMails(self.store, self.clock)

    def save_smtp(self, slug: str, form: Mapping[str, Any]) -> SmtpAccount:
        """Save the account; the next mail uses it.

        Raises:
            InvalidInput: a field is wrong.
            Conflict: ``test_first``.
        """
        tenant, _ = self.get(slug)
        login = self._login(tenant, form)
        saved = tenant.smtp
        tested_at = self._tested_at(slug, login)
        if tested_at is None and saved is not None and self._same_way(saved, login, form):
            tested_at = saved.tested_at or self.clock.now()
            encrypted = saved.encrypted_password
        elif tested_at is None:
            raise Conflict(
                "choose Send Test first: it has not succeeded with these values", code="test_first"
            )
        else:
            encrypted = self.vault.encrypt(slug, login.password)
        account = SmtpAccount(
            host=login.host,
            port=login.port,
            username=login.username,
            encrypted_password=encrypted,
            from_email=login.from_email,
            from_name=login.from_name,
            provider=login.provider,
            tested_at=tested_at,
        )
        change_tenant(self.store, slug, lambda seen: seen.with_smtp(account))
        return account

    def drop_smtp(self, slug: str) -> None:
        """Disconnect: mail goes out from the shared address. Nothing else changes."""
        change_tenant(self.store, slug, lambda seen: seen.with_smtp(None) if seen.smtp else seen)

    def _login(self, tenant: Tenant, form: Mapping[str, Any]) -> SmtpLogin:
        values = {key: value for key, value in form.items() if value is not None}
        saved = tenant.smtp
        if not values:
            if saved is None:
                raise InvalidInput("Fill in the form first: nothing is saved yet.", field="host")
            values = {
                "provider": saved.provider,
                "host": saved.host,
                "port": saved.port,
                "username": saved.username,
                "from_name": saved.from_name,
                "from_email": saved.from_email,
            }
        password = None
        # A saved password is only ever sent where it was sent before: with another host or login the form
        # must bring its own, or an admin could have it sent to a server of their own.
        if saved is not None and not values.get("password"):
            bare = smtp_settings.validate(
                {**values, "password": "unknown"}, allow_loopback=self.allow_loopback
            )
            if (bare.host, bare.port, bare.username) == (saved.host, saved.port, saved.username):
                try:
                    password = self.vault.decrypt(tenant.slug, saved.encrypted_password)
                except AccountRefused as error:
                    raise InvalidInput(error.detail, field="password", code=error.code) from error
        return smtp_settings.validate(values, password=password, allow_loopback=self.allow_loopback)

    def _same_way(self, saved: SmtpAccount, login: SmtpLogin, form: Mapping[str, Any]) -> bool:
        return not form.get("password") and (
            saved.host,
            saved.port,
            saved.username,
            saved.from_email,
        ) == (login.host, login.port, login.username, login.from_email)

    def _tested_at(self, slug: str, login: SmtpLogin) -> datetime | None:
        kept = self.store.once_answer(slug, _TESTED)
        if not kept:
            return None
        found = json.loads(kept)
        at = datetime.fromisoformat(found["at"])
        same = hmac.compare_digest(found["fingerprint"], self._fingerprint(slug, login))
        return at if same and self.clock.now() - at <= TEST_COUNTS_FOR else None

    def _fingerprint(self, slug: str, login: SmtpLogin) -> str:
        values = [slug, login.host, login.port, login.username, login.password, login.from_email]
        message = b"servelo smtp test 1\0" + json.dumps(values).encode()
        return hmac.digest(self.ring().signing_key.secret, message, "sha256").hex()
