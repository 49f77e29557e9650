"""Outbound Email (SMTP) settings: presets, the checks of the form, and what Send Test says.

Nothing here opens a connection: an ``SmtpProbe`` is given. Every message names the field to mend and what
to do. Texts are English; ``code`` is stable, for a portal that wants to say it in another language.

The transcript is shown, although attack W5 asks for no banner: it exists only when the host had passed the
address guard, it holds nothing but lines that have the form of SMTP replies, and without it an admin cannot
tell their provider what was said.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import datetime

from servelo.domain.outbound import MailKind, OutboundJob
from servelo.domain.public_host import check_host, check_port
from servelo.domain.smtp import SmtpAttempt, SmtpLogin, SmtpOutcome, SmtpProbe, SmtpStage, envelope_address
from servelo.domain.tenant import Tenant
from servelo.errors import DeliveryFailed, InvalidInput
from servelo.mail import outbound, thread
from servelo.patterns import pattern
from servelo.records import dataclass

DEFAULT_BUDGET_SECONDS = 20.0  # the HTTP API ends a request after 29 s
MAX_USERNAME_CHARACTERS = 254
MAX_PASSWORD_CHARACTERS = 512
MAX_NAME_CHARACTERS = 64

_CONTROLS = pattern(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_NAME_SIGNS = pattern(r'[@<>",;:()\[\]\\]')


@dataclass(frozen=True, slots=True)
class Provider:
    """A preset of the form. ``host`` is empty where the admin must fill it in.

    Attributes:
        username_help, password_help: what belongs in these fields with this provider.
        alias_help: how to send from an address other than the login.
    """

    id: str
    name: str
    host: str
    port: int
    username_help: str
    password_help: str
    alias_help: str
    help_url: str = ""


PROVIDERS = (
    Provider(
        "gmail",
        "Gmail / Google Workspace",
        "smtp.gmail.com",
        587,
        "Your full Gmail address.",
        "An App Password, not your Google password: turn on 2-Step Verification, then make one at "
        "myaccount.google.com/apppasswords. Type its 16 letters without spaces.",
        "In Gmail, open Settings, Accounts, Send mail as, and add the address there.",
        "https://support.google.com/accounts/answer/185833",
    ),
    Provider(
        "microsoft365",
        "Outlook / Microsoft 365",
        "smtp.office365.com",
        587,
        "Your full e-mail address.",
        "The account's password. The administrator must allow Authenticated SMTP for this mailbox; accounts "
        "with security defaults need it switched on first.",
        "In Microsoft 365, give this mailbox the Send As permission for the address.",
        "https://learn.microsoft.com/exchange/clients-and-mobile-in-exchange-online/"
        "authenticated-client-smtp-submission",
    ),
    Provider(
        "yahoo",
        "Yahoo Mail",
        "smtp.mail.yahoo.com",
        587,
        "Your full Yahoo address.",
        "An app password: Account Security, Generate app password.",
        "In Yahoo Mail, open Settings, Mailboxes, and add a Send-only email address.",
        "https://help.yahoo.com/kb/SLN15241.html",
    ),
    Provider(
        "icloud",
        "iCloud Mail",
        "smtp.mail.me.com",
        587,
        "Your full iCloud address (name@icloud.com).",
        "An app-specific password, made at account.apple.com under Sign-In and Security.",
        "In iCloud Mail, add the address as an alias or as a custom domain.",
        "https://support.apple.com/102525",
    ),
    Provider(
        "zoho",
        "Zoho Mail",
        "smtp.zoho.com",
        587,
        "Your full Zoho address.",
        "With two-factor sign-in, an app password from Zoho's security settings; else your password. "
        "Accounts in Europe, India or Australia use smtp.zoho.eu, smtp.zoho.in or smtp.zoho.com.au.",
        "In Zoho Mail, open Settings, Send Mail As, and add the address there.",
        "https://www.zoho.com/mail/help/zoho-smtp.html",
    ),
    Provider(
        "custom",
        "Another provider",
        "",
        587,
        "Usually your full e-mail address.",
        "The password of the mailbox, or an app password where your provider asks for one.",
        "Ask your provider how to send from this address (an alias, or Send mail as).",
    ),
)


def provider(provider_id: str) -> Provider:
    """Return the preset of that id; ``custom`` for one we do not have."""
    return next((each for each in PROVIDERS if each.id == provider_id), PROVIDERS[-1])


def validate(
    form: Mapping[str, object], *, password: str | None = None, allow_loopback: bool = False
) -> SmtpLogin:
    """Return the account of a settings form.

    Fields: ``host``, ``port`` (a number, or digits in a string), ``username``, ``password``, ``from_name``,
    ``from_email``, ``provider``. With a preset, host and port may be left out. *password* is the saved one,
    used when the form brings none, because the form never shows it.

    Raises:
        InvalidInput: the first field that is wrong; ``field`` names it, ``detail`` says what to do.
    """
    preset = _preset(form)
    host = _host(_string(form, "host") or preset.host, allow_loopback)
    port = _port(form.get("port"), preset, allow_loopback)
    username = _one_line(form, "username", MAX_USERNAME_CHARACTERS)
    if not username:
        raise InvalidInput(f"Fill in the username. {preset.username_help}", field="username")
    secret = _password(form, preset, password)
    from_email = _string(form, "from_email").strip()
    if not from_email and "@" in username:
        from_email = username
    if not from_email:
        raise InvalidInput("Fill in the address that your mail is to come from.", field="from_email")
    try:
        envelope_address(from_email)
    except InvalidInput:
        raise InvalidInput(
            "Use one plain address such as support@example.com, without a name or brackets.",
            field="from_email",
        ) from None
    name = _one_line(form, "from_name", MAX_NAME_CHARACTERS)
    if _NAME_SIGNS.search(name):
        raise InvalidInput('Leave out the signs @ < > " , ; : ( ) [ ] \\ in the name.', field="from_name")
    return SmtpLogin(host, port, username, secret, from_email, name, preset.id)


def _preset(form: Mapping[str, object]) -> Provider:
    chosen = _string(form, "provider").strip() or "custom"
    preset = provider(chosen)
    if preset.id != chosen:
        known = ", ".join(each.id for each in PROVIDERS)
        raise InvalidInput(f"Choose one of: {known}.", field="provider")
    return preset


def _host(host: str, allow_loopback: bool) -> str:
    if not host.strip():
        raise InvalidInput("Fill in the host, for example smtp.example.com.", field="host")
    if _CONTROLS.search(host) or len(host) > 255:
        raise InvalidInput("The host may hold no line breaks or controls.", field="host")
    try:
        return check_host(host, allow_loopback=allow_loopback)
    except InvalidInput as error:
        raise InvalidInput(
            "Use the public name of your provider's mail server, for example smtp.example.com. Private and "
            "local addresses cannot be reached from here.",
            code=error.code,
            field="host",
        ) from None


def _port(value: object, preset: Provider, allow_loopback: bool) -> int:
    if value is None or value == "":
        return preset.port
    digits = value.strip() if isinstance(value, str) else value
    if isinstance(digits, str) and digits.isascii() and digits.isdecimal() and len(digits) < 6:
        digits = int(digits)
    if not isinstance(digits, int) or isinstance(digits, bool):
        raise InvalidInput("The port is a number: 587, or 465, or 2525.", field="port")
    try:
        return check_port(digits, any_port=allow_loopback)
    except InvalidInput as error:
        hint = " Port 25 is for servers among themselves." if digits == 25 else ""
        raise InvalidInput(f"Use port 587, or 465, or 2525.{hint}", code=error.code, field="port") from None


def _password(form: Mapping[str, object], preset: Provider, saved: str | None) -> str:
    secret = _string(form, "password") or (saved or "")
    if not secret:
        raise InvalidInput(f"Fill in the password. {preset.password_help}", field="password")
    if len(secret) > MAX_PASSWORD_CHARACTERS or _CONTROLS.search(secret):
        raise InvalidInput(
            f"The password may have no line breaks and at most {MAX_PASSWORD_CHARACTERS} characters.",
            field="password",
        )
    # Google shows App Passwords in four groups; the spaces are not part of them.
    bare = secret.replace(" ", "").replace("\u00a0", "")
    if preset.id == "gmail" and len(bare) == 16 and bare.isascii() and bare.isalpha():
        return bare
    return secret


def _string(form: Mapping[str, object], field: str) -> str:
    value = form.get(field)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise InvalidInput("This field is text.", field=field)
    return value


def _one_line(form: Mapping[str, object], field: str, limit: int) -> str:
    value = _string(form, field)
    if _CONTROLS.search(value):
        raise InvalidInput("Leave out line breaks and other controls.", field=field)
    value = value.strip()
    if len(value) > limit:
        raise InvalidInput(f"Use at most {limit} characters.", field=field)
    return value


# -- Send Test ---------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class TestReport:
    """What Send Test says.

    Attributes:
        stage: the stage that failed, ``done`` when the server took the mail.
        code: stable; see ``docs/sending.md``.
        field: the field of the form to look at, ``""`` when none of them can mend it.
        summary, remedy: one or two sentences each, for the admin.
        transcript: the session's lines, scrubbed.
        copied: the copy by which we see how the mail arrives is on its way.
    """

    __test__ = False  # a name that pytest would collect

    ok: bool
    stage: str
    code: str
    field: str
    summary: str
    remedy: str
    transcript: tuple[str, ...] = ()
    copied: bool = False


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """What a code means to an admin. ``{host}``, ``{port}``, ``{password_help}``… are filled in."""

    field: str
    summary: str
    remedy: str


_TRY_OTHER_PORT = (
    "Check host and port with your provider. If both are right, it may block this port: try {other_port}."
)
_LATER = "Try again in a few minutes. If it stays so, ask your provider."

DIAGNOSES: Mapping[str, Diagnosis] = {
    "accepted": Diagnosis(
        "",
        "The server took the test mail for {recipient}.",
        "Look for it in your inbox, and in the spam folder.",
    ),
    # DNS
    "host_invalid": Diagnosis(
        "host",
        "{host} is not a host name.",
        "Use the name your provider gives, such as smtp.example.com.",
    ),
    "address_not_public": Diagnosis(
        "host",
        "{host} is not a public mail server.",
        "Use your provider's public mail server. Private and local addresses cannot be reached from here.",
    ),
    "port_not_allowed": Diagnosis(
        "port",
        "Port {port} cannot be used.",
        "Use 587, or 465, or 2525.",
    ),
    "dns_not_found": Diagnosis(
        "host",
        "There is no host named {host}.",
        "Check the spelling of the host.",
    ),
    "dns_failed": Diagnosis(
        "host",
        "The host name {host} could not be looked up just now.",
        "Check the spelling of the host; if it is right, try again in a few minutes.",
    ),
    # Connect
    "connect_refused": Diagnosis(
        "port",
        "{host} takes no connection on port {port}.",
        _TRY_OTHER_PORT,
    ),
    "connect_timeout": Diagnosis(
        "port",
        "Connection timeout: {host} did not answer on port {port}.",
        _TRY_OTHER_PORT,
    ),
    "connect_failed": Diagnosis(
        "host",
        "{host} cannot be reached on port {port}.",
        _TRY_OTHER_PORT,
    ),
    "no_greeting": Diagnosis(
        "port",
        "{host} took the connection on port {port} and then said nothing.",
        _TRY_OTHER_PORT,
    ),
    "not_smtp": Diagnosis(
        "port",
        "What answers at {host} port {port} does not speak SMTP.",
        _TRY_OTHER_PORT,
    ),
    "greeting_refused": Diagnosis(
        "host",
        "The server refuses to talk to us.",
        "Ask your provider whether it blocks our network. Its words are in the transcript.",
    ),
    "greeting_temporary": Diagnosis(
        "",
        "The server does not take connections just now.",
        _LATER,
    ),
    # TLS
    "tls_not_offered": Diagnosis(
        "port",
        "{host} offers no encryption (STARTTLS) on port {port}, so the password was not sent.",
        "Try port {other_port}. If your provider has no encrypted port, use another provider.",
    ),
    "tls_temporary": Diagnosis(
        "",
        "The server cannot encrypt just now (TLS not available).",
        _LATER,
    ),
    "tls_certificate": Diagnosis(
        "host",
        "The certificate of {host} is not signed by an authority we trust, so the password was not sent.",
        (
            "Use the host name your provider gives. If it is your own server, install a certificate"
            " of a public authority."
        ),
    ),
    "tls_host_name": Diagnosis(
        "host",
        "The certificate was made for another name than {host}, so the password was not sent.",
        "Use exactly the host name your provider gives, not an alias of yours.",
    ),
    "tls_expired": Diagnosis(
        "host",
        "The certificate of {host} has expired, so the password was not sent.",
        "Ask your provider to renew it.",
    ),
    "tls_timeout": Diagnosis(
        "port",
        "{host} did not finish the encryption handshake in time.",
        _TRY_OTHER_PORT,
    ),
    "tls_failed": Diagnosis(
        "port",
        "No encrypted connection could be made with {host} on port {port}.",
        "Port 465 expects encryption at once, 587 and 2525 after STARTTLS. Try {other_port}.",
    ),
    # Login
    "auth_refused": Diagnosis(
        "password",
        "Authentication failed: the server refused the username or the password.",
        "{password_help} Use the full address as username.",
    ),
    "app_password_needed": Diagnosis(
        "password",
        "The provider wants an App Password instead of your usual one.",
        "{password_help}",
    ),
    "basic_auth_off": Diagnosis(
        "password",
        "The provider has switched off sign-in by password for this mailbox.",
        "Have the administrator allow Authenticated SMTP for this mailbox. {password_help}",
    ),
    "auth_temporary": Diagnosis(
        "",
        "The server could not check the login just now.",
        _LATER + " Too many tries in a short time also give this answer.",
    ),
    "auth_not_offered": Diagnosis(
        "port",
        "The server takes no login by password (PLAIN or LOGIN) on port {port}.",
        "Try port {other_port}, or ask your provider for SMTP with a password.",
    ),
    "auth_required": Diagnosis(
        "username",
        "Invalid login: the server says that we are not signed in.",
        "Use the full address as username. {password_help}",
    ),
    # Sender
    "sender_refused": Diagnosis(
        "from_email",
        "The server does not let this login send from {from_email}.",
        "Use the login's own address as From email, or set up the alias: {alias_help}",
    ),
    "sender_invalid": Diagnosis(
        "from_email",
        "The From email is not one plain address.",
        "Use an address such as support@example.com.",
    ),
    "relay_refused": Diagnosis(
        "username",
        "The server does not send mail to other domains for this login.",
        "Use the provider's submission server (often named smtp) and the full address as username.",
    ),
    "mail_from_temporary": Diagnosis(
        "from_email",
        "The server did not take the From email just now.",
        _LATER,
    ),
    # Recipient
    "recipient_refused": Diagnosis(
        "",
        "The server refused the recipient {recipient}.",
        (
            "The login works. Check the address of your own account, and read the server's words in"
            " the transcript."
        ),
    ),
    "recipient_invalid": Diagnosis(
        "",
        "The recipient is not one plain address.",
        "Check the address of your own account.",
    ),
    "rcpt_temporary": Diagnosis(
        "",
        "The server did not take the recipient just now.",
        _LATER,
    ),
    "sending_quota": Diagnosis(
        "",
        "The provider's sending limit is reached.",
        "Mail waits and is tried again. Ask your provider for a higher limit if this happens often.",
    ),
    # Data
    "too_large": Diagnosis(
        "",
        "The server takes only smaller mails than this.",
        "The login works. Ask your provider for its size limit; large files are sent as links.",
    ),
    "content_refused": Diagnosis(
        "",
        "The server refused the mail itself, as spam or against its rules.",
        "The login works. The server's words are in the transcript; your provider can explain them.",
    ),
    "data_temporary": Diagnosis(
        "",
        "The server did not take the mail just now.",
        _LATER,
    ),
    "smtputf8_not_offered": Diagnosis(
        "",
        "The server cannot send to addresses with letters outside ASCII.",
        "Use a recipient with a plain address, or another provider.",
    ),
    "8bitmime_not_offered": Diagnosis(
        "",
        "The server cannot carry this mail.",
        "Ask your provider for 8BITMIME.",
    ),
    "mail_not_composable": Diagnosis(
        "from_email",
        "The test mail could not be written.",
        "Check From name and From email.",
    ),
    "address_invalid": Diagnosis(
        "from_email",
        "An address holds a sign that is not allowed.",
        "Check the From email.",
    ),
    # Session
    "answer_lost": Diagnosis(
        "",
        "The mail was handed over, but the server never said whether it took it.",
        "Look in your inbox. If the test mail is there, all is well; if not, try again.",
    ),
    "server_closing": Diagnosis(
        "",
        "The server ended the session.",
        _LATER,
    ),
    "connection_lost": Diagnosis(
        "port",
        "The server broke off the connection.",
        _TRY_OTHER_PORT,
    ),
    "server_silent": Diagnosis(
        "port",
        "The server stopped answering.",
        _TRY_OTHER_PORT,
    ),
    "no_time_left": Diagnosis(
        "",
        "The server is too slow: there was no time left to hand the mail over.",
        _LATER,
    ),
    "tenant_busy": Diagnosis(
        "",
        "All connections of this account are in use.",
        _LATER,
    ),
}
_SIGNED_IN_STAGES = (SmtpStage.AUTH, SmtpStage.MAIL_FROM, SmtpStage.RCPT, SmtpStage.DATA)
_UNKNOWN = Diagnosis("", "The test did not succeed.", "The server's words are in the transcript.")


def run_send_test(
    login: SmtpLogin,
    *,
    tenant: Tenant,
    recipient: str,
    recipient_name: str = "",
    probe: SmtpProbe,
    mail_domain: str,
    job_id: str,
    now: datetime,
    budget_seconds: float = DEFAULT_BUDGET_SECONDS,
    copy_to: str = "",
) -> TestReport:
    """Send a test mail to *recipient*, the signed-in admin, by *login*, and say what came of it.

    *copy_to* is an address of ours that gets the same mail (``services.trial_mails``).

    Takes at most about *budget_seconds* and never raises for anything that a server does.
    """
    content: dict[str, object] = {"requested_by": recipient_name or recipient}
    job = OutboundJob(
        id=job_id,
        slug=tenant.slug,
        kind=MailKind.TEST,
        recipient=recipient,
        recipient_name=recipient_name,
        subject=outbound.subject_for(MailKind.TEST, tenant, content),
        message_id=thread.message_id_for(job_id, tenant.slug, mail_domain),
        created_at=now,
        due_at=now,
        from_name=login.from_name or outbound.from_name("", tenant),
        content=content,
        automatic=True,
    )
    try:
        message = outbound.build(
            job, tenant, mail_domain=mail_domain, sender_address=login.from_email, file_contents={}, now=now
        )
    except DeliveryFailed as error:
        return diagnose(
            SmtpAttempt(SmtpOutcome.FAILED, SmtpStage.MAIL_FROM, error.code), login, recipient=recipient
        )
    attempt = probe(
        login,
        message,
        envelope_sender=login.from_email,
        recipient=recipient,
        budget_seconds=budget_seconds,
        **({"copy_to": copy_to} if copy_to else {}),
    )
    return diagnose(attempt, login, recipient=recipient)


def diagnose(attempt: SmtpAttempt, login: SmtpLogin, *, recipient: str) -> TestReport:
    """Return what *attempt* means for the admin who typed *login*."""
    preset = provider(login.provider)
    found = DIAGNOSES.get(attempt.code, _UNKNOWN)
    values = {
        "host": login.host,
        "port": login.port,
        "other_port": 465 if login.port != 465 else 587,
        "from_email": login.from_email,
        "recipient": recipient,
        "password_help": preset.password_help,
        "alias_help": preset.alias_help,
    }
    field, summary, remedy = found.field, found.summary, found.remedy
    if attempt.code == "auth_refused" and "@" not in login.username:
        # The seed's "Invalid login": the commonest mistake is a bare user name.
        field, remedy = "username", "Use the full address as username. {password_help}"
    if attempt.code in ("connection_lost", "server_silent") and attempt.stage in _SIGNED_IN_STAGES:
        # It speaks SMTP on this port, so host and port are right.
        field, remedy = "", _LATER
    return TestReport(
        ok=attempt.outcome is SmtpOutcome.ACCEPTED,
        stage=attempt.stage.value,
        code=attempt.code,
        field=field,
        summary=summary.format(**values),
        remedy=remedy.format(**values),
        transcript=attempt.transcript,
        copied=attempt.copied,
    )


# -- what the arriving test mail shows ---------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Alignment:
    """Whether receivers can tell that a mail comes from the domain of its From (DMARC, RFC 7489 3.1).

    Attributes:
        from_rewritten: the provider put another address into From.
        aligned: SPF's or DKIM's domain belongs to From's domain; None when the mail does not show it.
        code: ``aligned``, ``from_rewritten``, ``not_aligned`` or ``not_visible``.
    """

    code: str
    from_rewritten: bool
    aligned: bool | None
    summary: str
    remedy: str


_FROM_ADDRESS = pattern(r"(?<![^\s<>\"(),;:])([^\s<>\"(),;:@]++@[^\s<>\"(),;:]+)")
_DKIM_DOMAIN = pattern(r"(?:^|[;\s])d\s*=\s*([A-Za-z0-9._-]+)")
_PASSED = pattern(
    r"\b(dkim|spf|dmarc)\s*=\s*([a-z]+)\b((?:(?!\b(?:dkim|spf|dmarc)\s*=)[^;])*)", re.IGNORECASE
)
_RESULT_DOMAIN = pattern(r"(?:header\.d|header\.i|smtp\.mailfrom)\s*=\s*\"?(?:[^\s;\"@]*@)?([A-Za-z0-9._-]+)")


def check_alignment(
    headers: Sequence[tuple[str, str]], login: SmtpLogin, *, recipient: str = ""
) -> Alignment:
    """Return what the headers of the arrived test mail say about *login*'s From email.

    *headers* are (lower-case name, value), topmost first, of a mail that reached a mailbox we can read. The
    topmost Authentication-Results is the receiver's own; without one, the Return-Path and the signatures
    tell what the mail claims, which is enough to see that nothing fits.
    """
    wanted = login.from_email.rpartition("@")[2].lower()
    shown = _FROM_ADDRESS.findall(next((value for name, value in headers if name == "from"), ""))
    from_address = shown[-1].lower() if shown else ""
    preset = provider(login.provider)
    if from_address and from_address != login.from_email.lower():
        return Alignment(
            "from_rewritten",
            True,
            None,
            f"The provider replaced {login.from_email} by {from_address}.",
            f"Set up the alias, or use {from_address} as From email. {preset.alias_help}",
        )
    results = next((value for name, value in headers if name == "authentication-results"), None)
    if results is not None:
        verdicts = [(each[1].lower(), each[2].lower(), each[3]) for each in _PASSED.finditer(results)]
        # SES names the domain that SPF passed for in a part of its own, so it is read from the Return-Path.
        returned_to = _domains_in(headers, "return-path")
        aligned: bool | None = any(
            (kind == "dmarc" and verdict == "pass")
            or (
                verdict == "pass"
                and any(
                    _same_organisation(domain, wanted)
                    for domain in _RESULT_DOMAIN.findall(rest) or (returned_to if kind == "spf" else ())
                )
            )
            for kind, verdict, rest in verdicts
        )
    else:
        domains = [
            found
            for name, value in headers
            if name == "dkim-signature"
            for found in _DKIM_DOMAIN.findall(value)
        ]
        domains += _domains_in(headers, "return-path")
        aligned = any(_same_organisation(domain, wanted) for domain in domains) if domains else None
    if aligned is None:
        return Alignment("not_visible", False, None, "The mail does not show how it was authenticated.", "")
    if aligned:
        return Alignment("aligned", False, True, f"Receivers can tell that the mail comes from {wanted}.", "")
    return Alignment(
        "not_aligned",
        False,
        False,
        f"Receivers cannot tell that the mail comes from {wanted}, and some will put it into spam.",
        f"Publish your provider's SPF record for {wanted} and switch on DKIM signing for it, or use an "
        "address of the provider's own domain as From email.",
    )


def _domains_in(headers: Sequence[tuple[str, str]], name: str) -> list[str]:
    """The domains of the addresses in the topmost field *name*."""
    value = next((value for each, value in headers if each == name), "")
    return [address.rpartition("@")[2] for address in _FROM_ADDRESS.findall(value)]


def _same_organisation(domain: str, wanted: str) -> bool:
    """Relaxed alignment without the public suffix list: equal, or one below the other, of two labels."""
    one, other = domain.lower().rstrip("."), wanted.rstrip(".")
    shorter = min(one, other, key=len)
    return (
        bool(shorter)
        and "." in shorter
        and (one == other or one.endswith("." + other) or other.endswith("." + one))
    )
