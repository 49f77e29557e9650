"""Bounces: delivery status notifications and complaints, out of a mail's tree of parts.

A report that machines can read comes first (RFC 3464 in RFC 6522); where there is none, or it names nobody,
the text is read as the common servers write it (``bounce_notice``, with its wording in ``bounce_rules``).
What a recipient's failure means is told by its codes, then by words: see ``docs/machine-mail.md``.

A mail is not a bounce when a person wrote it, be it about a bounce: forwarded and quoted notices do not
count. Nor are vacation responders, read receipts, reports of success and complaints (:func:`read_complaint`).

Only a bounce that carries our own Message-ID or reply token may mark an address (attack H9: anybody can
write such a mail): both are handed on in ``original_message_ids`` and ``original_reply_tos``.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from typing import Any

from servelo.mail import automatic, bounce_notice, mime
from servelo.mail import bounce_rules as rules
from servelo.mail.bounce_notice import ADDRESS, Finding, Notice
from servelo.mail.headers import one_line
from servelo.mail.inbound_mail import Bounce, BouncedRecipient, Complaint
from servelo.mail.mime import Part
from servelo.patterns import pattern

MAX_IDS = 10
MAX_GROUPS = 200
MAX_WORDS_CHARS = 4000
MAX_DIAGNOSTIC_CHARS = 500
MAX_TEXT_BYTES = 256 * 1024
MAX_OPENING_CHARS = 2000  # of a notice, in which it says that the mail only waits

_ENHANCED = pattern(r"(?<![\d.])#?([245]\.\d{1,3}\.\d{1,3})(?!\d|\.\d)")
_REPLY = pattern(r"(?:^|(?<=[\s:;(<\[\"'#>-]))([45][0-5]\d)(?=[\s:,;)\]\"'<.-]|$)(?!\.\d)")
_ID = pattern(r"<([^<>\s]{1,500})>")
_ID_LINE = pattern(r"^[\s>]*message-id: *<?([^<>\s]{3,500})>?", re.I)
_REPLY_TO_LINE = pattern(r"^[\s>]*reply-to: *(.{3,500})$", re.I)
_TO_LINE = pattern(r"^[\s>]*to: *(.{3,500})$", re.I)
_ANSWERED = pattern(r"^(?:re|aw|sv|antw|odp|fwd?|wg|tr|rv|vs|enc|i|r)(?:\[\d+\])?\s*[:：]", re.I)
_SPACES = pattern(r"\s+")


def read_bounce_bytes(raw: bytes) -> Bounce:
    """Return what :func:`read_bounce` makes of the raw mail. Never raises."""
    return read_bounce(mime.parse(raw))


def read_bounce(part: Part, signals: Sequence[str] | None = None) -> Bounce:
    """Return the failures and delays that the mail *part* reports; an empty Bounce when it is no bounce.

    *signals* are those of machine mail (``automatic.classify``) where the caller has asked for them already.
    Never raises; reads at most 128 kB of text and 200 groups of a report.
    """
    kinds = {child.content_type for child in _own_parts(part)}
    if "message/feedback-report" in kinds:
        return Bounce()
    if "message/disposition-notification" in kinds and not _is_rejection(part):
        return Bounce()
    groups = _report_groups(part)
    if groups:
        recipients = _of_groups(groups)
        if recipients or any(_action(group) in rules.SUCCESSFUL_ACTIONS for group in groups):
            return _with_originals(part, recipients)
    return _of_text(part, bool(kinds & rules.REPORT_TYPES), signals)


def read_complaint(part: Part) -> Complaint:
    """Return the abuse report that the mail *part* is (RFC 5965), an empty Complaint when it is none.

    Never raises. Amazon SES's complaint notifications by mail and the forwarded mails of Outlook.com's
    feedback loop are read too.
    """
    for child in _own_parts(part):
        if child.content_type == "message/feedback-report":
            return _of_feedback_report(part, child)
    if part.get("from").lower().rstrip("> ").endswith("staff@hotmail.com") and part.get(
        "subject"
    ).lower().startswith("complaint about message from"):
        returned = next(_returned_parts(part), None)
        recipients = (
            _addresses(returned.get("x-hmxmroriginalrecipient") or returned.get("to")) if returned else []
        )
        return _complaint(part, "abuse", recipients)
    notification = _ses_notification(part)
    complaint = _dict(notification.get("complaint"))
    if complaint:
        entries = map(_dict, _list(complaint.get("complainedRecipients")))
        recipients = [_text(entry.get("emailAddress")) for entry in entries]
        return Complaint(
            _text(complaint.get("complaintFeedbackType")) or "abuse",
            tuple(address for address in recipients if "@" in address),
            *_ses_originals(notification),
        )
    return Complaint()


# Parts


def _own_parts(part: Part) -> Iterator[Part]:
    """Yield *part* and the parts below it, but nothing that lies within a returned or attached mail."""
    yield part
    if part.content_type not in rules.RETURNED_TYPES:
        for child in part.children:
            yield from _own_parts(child)


def _returned_parts(part: Part) -> Iterator[Part]:
    """Yield the header of each returned mail, as a part with fields."""
    for child in _own_parts(part):
        if child.content_type not in rules.RETURNED_TYPES or child is part:
            continue
        if child.children:
            yield child.children[0]
        else:
            yield mime.parse(child.decoded(MAX_TEXT_BYTES)[:MAX_TEXT_BYTES].lstrip())


def _report_groups(part: Part) -> list[dict[str, str]]:
    """Return the header groups of all reports that name a recipient: lower-case name -> value."""
    groups: list[dict[str, str]] = []
    for child in _own_parts(part):
        if child.content_type in rules.REPORT_TYPES:
            for group in child.children[:MAX_GROUPS]:
                fields: dict[str, str] = {}
                for name, _ in group.fields:
                    if name in fields:
                        continue  # the first of them counts
                    if name in _RECIPIENT_FIELDS and "=?" in (text := group.get_unfolded(name)):
                        # An address is kept as it was sent to, even if it looks like an encoded word.
                        fields[name] = text
                    elif name in _GROUP_FIELDS:
                        fields[name] = group.get(name)
                if any(name in fields for name in _RECIPIENT_FIELDS):
                    groups.append(fields)
    return groups[:MAX_GROUPS]


_RECIPIENT_FIELDS = ("final-recipient", "original-recipient", "x-actual-recipient")
_GROUP_FIELDS = frozenset((*_RECIPIENT_FIELDS, "action", "status", "diagnostic-code"))


def _notice_text(part: Part) -> str:
    """Return the text that a person would read first: plain if there is any, else what the HTML says."""
    texts: list[str] = []
    htmls: list[str] = []
    size = 0
    for child in _own_parts(part):
        if size > MAX_TEXT_BYTES or (child.is_multipart and child.children):
            continue
        if child.disposition == "attachment" and texts:
            continue
        kind = child.content_type
        if kind == "text/html":
            htmls.append(child.text(MAX_TEXT_BYTES))
            size += len(htmls[-1])
        elif kind not in ("text/rfc822-headers", "text/calendar") and (
            kind.startswith("text/") or kind in rules.REPORT_TYPES or child.is_multipart
        ):
            # A report without groups, and a multipart whose boundary is missing, are read as text too.
            texts.append(child.text(MAX_TEXT_BYTES))
            size += len(texts[-1])
    text = "\n\n".join(texts)
    if text.strip() or not htmls:
        return text
    return "\n\n".join(bounce_notice.text_of_html(html) for html in htmls[:5])


# Reports


def _is_rejection(part: Part) -> bool:
    """Whether a disposition notification tells of a rejected mail: Dovecot reports a full mailbox so."""
    return "(rejected)" in part.get("auto-submitted").lower() or "rejected" in part.get("subject").lower()


def _action(group: dict[str, str]) -> str:
    return re.split(r"[\s;(]", group.get("action", "").strip().lower(), maxsplit=1)[0]


def _of_groups(groups: Iterable[dict[str, str]], fallback: str = "") -> list[BouncedRecipient]:
    recipients: list[BouncedRecipient] = []
    for group in groups:
        action = _action(group)
        if action in rules.SUCCESSFUL_ACTIONS:
            continue
        final = _report_address(group.get("final-recipient", ""))
        original = _report_address(group.get("original-recipient", ""))
        actual = _report_address(group.get("x-actual-recipient", ""))
        recipient = final or original or actual
        if original and "." not in recipient.rpartition("@")[2]:
            recipient = original  # what failed is a queue of the server's own
        if not recipient:
            continue
        words = group.get("diagnostic-code", "")
        status = _status_of(group.get("status", ""), words)
        if not action:
            action = "delayed" if status.startswith("4") and "will" in words else "failed"
        recipients.append(
            _recipient(
                recipient,
                action="delayed" if action.startswith("delay") else "failed",
                status=status,
                words=_SPACES.sub(" ", words.partition(";")[2] or words).strip()[: _room(recipients)],
                fallback=fallback,
                original=original if original.lower() != recipient.lower() else "",
            )
        )
    return recipients


def _room(recipients: Sequence[BouncedRecipient]) -> int:
    """Return how many characters of the words about the next of *recipients* are looked through.

    What hundreds of recipients share is said of the first few.
    """
    return MAX_WORDS_CHARS if len(recipients) < 10 else MAX_DIAGNOSTIC_CHARS


def _report_address(value: str) -> str:
    """Return the addr-spec of ``rfc822; <a@b>`` and its kin, ``""`` when it holds none."""
    match = ADDRESS.search(value[:1000])  # the ";" before it is what lets a local part be in any script
    return _clean(match[0]) if match is not None else ""


def _status_of(field: str, words: str) -> str:
    """Return the enhanced code that says most: the field's, or the remote server's where that is exacter."""
    in_field = _ENHANCED.search(field)
    in_words = _ENHANCED.search(words[:2000])
    status = in_field[1] if in_field else ""
    other = in_words[1] if in_words else ""
    if not status or status.startswith("2"):
        return other or status
    if not other or other.startswith("2"):
        return status
    # x.0.0 says nothing, x.y.0 little; 4.4.7 says only that time was up, the words may know why.
    if _exactness(other) > _exactness(status):
        return other
    return status


def _exactness(status: str) -> int:
    _, subject, detail = status.split(".")
    if subject == "0":
        return 0
    return 1 if detail == "0" else 2


# Text


# Signals of ``automatic`` that a mail of a person may carry: they are no evidence for a notice.
_WEAK_SIGNALS = frozenset(
    (
        "precedence",
        "list_id",
        "list_unsubscribe",
        "x_auto_response_suppress",
        "x_ms_exchange_inbox_rules_loop",
        "x_amazon_mail_relay_type",
        "multipart_report",
        "receipt",
    )
)


def _daemon(part: Part) -> str:
    """Return ``sure`` for a sender that only programs have, ``likely`` for one people share, else ``""``."""
    sender = part.get("from").strip()
    lower = sender.lower()
    if lower in ("", "<>") or lower.endswith("<>"):
        return "sure" if any(name == "from" for name, _ in part.fields) else ""
    match = ADDRESS.search(lower)
    local_part = match[0].rpartition("@")[0] if match else lower.strip("<>")
    name = lower.replace(match[0], " ") if match else lower
    if rules.SURE_LOCAL_PARTS.match(local_part) or rules.SURE_NAMES.search(name):
        return "sure"
    if rules.DAEMON_LOCAL_PARTS.match(local_part) or rules.DAEMON_NAMES.search(name):
        return "likely"
    return ""


def _of_text(part: Part, report: bool, signals: Sequence[str] | None) -> Bounce:
    ses = _ses_notification(part)
    if ses:
        return _of_ses(ses)
    failed = _addresses(", ".join(part.get_all("x-failed-recipients")[:20]))
    daemon = _daemon(part)
    if signals is None:
        signals = automatic.classify(part.headers).signals
    subject = _SPACES.sub(" ", part.get("subject")[:500]).strip().lower()
    if not (report or failed or daemon):
        if "out_of_office_subject" in signals:
            return Bounce()
        if _ANSWERED.match(subject) and (part.get("in-reply-to") or part.get("references")):
            return Bounce()
    told = rules.SUBJECTS.match(subject) is not None
    machine = report or bool(failed) or bool(daemon) or bool(set(signals) - _WEAK_SIGNALS)
    if not machine and not told:
        return Bounce()
    text = _notice_text(part)
    if not (report or failed or daemon == "sure") and _is_challenge(text[:MAX_OPENING_CHARS]):
        return Bounce()
    notice = bounce_notice.read(text)
    # A person who asks about a delivery, or who pastes a notice below a question, did not send a bounce.
    if machine:
        convincing = report or bool(failed) or daemon == "sure" or notice.opening or told
    else:
        convincing = told and notice.sure
    if not convincing:
        return Bounce()
    own = {address.lower() for name in ("from", "to") for address in _addresses(part.get(name))}
    recipients = _of_notice(notice, failed, own, subject, bare=report or notice.opening)
    if not recipients and machine:
        within = _bounce_within(part)
        if within:
            return within
        if notice.opening or report:
            recipients = _of_returned(part, notice, subject)
    return _with_originals(part, recipients, notice.returned)


def _is_challenge(opening: str) -> bool:
    """Whether a mail waits for its sender: no code of a failure, and the words of such notices."""
    if _ENHANCED.search(opening) or _REPLY.search(opening):
        return False
    return rules.CHALLENGES.search(_SPACES.sub(" ", opening).lower()) is not None


def _bounce_within(part: Part) -> Bounce:
    """Return the bounce that a gateway wrapped into a notice of its own: the returned mail is one itself."""
    for child in _own_parts(part):
        if child.content_type == "message/rfc822" and child is not part and child.children:
            inner = child.children[0]
            groups = _report_groups(inner)
            if groups and (recipients := _of_groups(groups)):
                return _with_originals(inner, recipients)
    return Bounce()


def _of_notice(
    notice: Notice, failed: Sequence[str], own: set[str], subject: str, bare: bool
) -> list[BouncedRecipient]:
    text = "\n".join(notice.lines)[:20_000]
    if notice.groups:
        recipients = _of_groups(notice.groups, text)
        if recipients or any(_action(group) in rules.SUCCESSFUL_ACTIONS for group in notice.groups):
            return recipients
    findings: list[Finding] = []
    in_subject = bounce_notice.in_sentence(subject)
    for candidates in (notice.listed, notice.told, in_subject, notice.bare if bare else []):
        findings = [finding for finding in candidates if not _is_own(finding.address, own)]
        if findings:
            break
    if failed:
        words = {finding.address.lower(): finding for finding in (*notice.listed, *notice.told)}
        findings = [words.get(address.lower(), Finding(address, text[:2000])) for address in failed]
    delayed = _is_delay(text, subject)
    told: list[BouncedRecipient] = []
    named = [(number, line.lower()) for number, line in enumerate(notice.lines) if "@" in line]
    seen: set[str] = set()
    for finding in findings:
        address = _clean(finding.address)
        if not address or address.lower() in seen:
            continue
        seen.add(address.lower())
        words_about = finding.reason
        if not _codes(words_about):
            words_about = f"{words_about}\n{_mentions(notice.lines, named, address)}".strip()
        told.append(
            _recipient(
                address,
                action="delayed" if delayed else "failed",
                status="",
                words=_SPACES.sub(" ", words_about).strip()[: _room(told)],
                fallback=text,
                original=_clean(finding.original),
            )
        )
    return told


def _is_own(address: str, own: set[str]) -> bool:
    address = address.lower()
    return address in own or address.startswith(("mailer-daemon@", "postmaster@", "abuse@"))


def _is_delay(text: str, subject: str) -> bool:
    lower = _SPACES.sub(" ", text[:MAX_WORDS_CHARS].lower())
    return rules.DELAYED.search(lower) is not None or rules.DELAYED_SUBJECTS.search(subject) is not None


def _mentions(lines: Sequence[str], named: Sequence[tuple[int, str]], address: str) -> str:
    """Return the lines that name *address* anywhere in the notice, with the two after each.

    *named* are the numbers of the lines that name anybody, and the lines in lower case.
    """
    wanted = address.lower()
    out: list[str] = []
    for number, line in named:
        if wanted in line:
            out += [text.strip() for text in lines[number : number + 3]]
        if len(out) > 20:
            break
    return "\n".join(out)


def _of_returned(part: Part, notice: Notice, subject: str) -> list[BouncedRecipient]:
    """Return the only recipient of the returned mail, where the notice names nobody."""
    addresses: list[str] = []
    for returned in _returned_parts(part):
        addresses += _addresses(returned.get("to"))
    if not addresses:
        for line in (*notice.returned[:200], *notice.lines[:200]):
            match = _TO_LINE.match(line)
            if match is not None:
                addresses += _addresses(match[1])
    if len({address.lower() for address in addresses}) != 1:
        return []
    text = "\n".join(notice.lines)[:20_000]
    delayed = _is_delay(text, subject)
    words = _SPACES.sub(" ", text[:2000]).strip()
    return [_recipient(addresses[0], "delayed" if delayed else "failed", "", words, text, "")]


# What a failure means


def _recipient(
    address: str, action: str, status: str, words: str, fallback: str, original: str
) -> BouncedRecipient:
    """Return the recipient with its class and reason: codes beat words, its own words beat the notice's."""
    lower = words.lower()
    found, reply = _codes(words) or ("", "")
    status = status or found
    if not status and not reply and fallback:
        found, reply = _codes(fallback) or ("", "")
        status = found
    reason = _reason_of(lower) or (_reason_of(fallback.lower()[:MAX_WORDS_CHARS]) if fallback else None)
    permanent: bool | None
    if action == "delayed":
        permanent = False
    elif status[:1] in ("4", "5"):
        permanent = status[0] == "5"
    elif reply:
        permanent = reply[0] == "5"
    elif reason is not None:
        permanent = reason.permanent
    else:
        permanent = True  # given back for no reason that we know: this mail will not arrive
    name = reason.name if reason is not None else ""
    if not name or name in ("spam", "policy", "server", "network"):
        name = _reason_of_status(status) if not name or status[2:] in ("1.1", "2.2") else name
    return BouncedRecipient(
        recipient=address,
        action=action,
        status=status,
        permanent=permanent,
        diagnostic=one_line(words[:MAX_DIAGNOSTIC_CHARS]),
        reason=name,
        original_recipient=original if original.lower() != address.lower() else "",
    )


@lru_cache(maxsize=2)  # the whole notice is asked for each recipient whose own words say nothing
def _codes(words: str) -> tuple[str, str] | None:
    """Return (first enhanced status code, first SMTP reply code) of a failure, None when there is neither."""
    text = words[:MAX_WORDS_CHARS]
    enhanced = next((m[1] for m in _ENHANCED.finditer(text) if m[1][0] in "45"), "")
    reply = next((m[1] for m in _REPLY.finditer(text)), "")
    return (enhanced, reply) if enhanced or reply else None


@lru_cache(maxsize=2)
def _reason_of(lower: str) -> rules.Reason | None:
    text = lower[:MAX_WORDS_CHARS]
    return next((reason for reason in rules.REASONS if reason.words.search(text)), None) if text else None


def _reason_of_status(status: str) -> str:
    _, _, detail = status.partition(".")
    return rules.STATUS_REASONS.get(detail) or rules.STATUS_REASONS.get(detail.partition(".")[0], "")


# The mail that bounced


def _with_originals(
    part: Part, recipients: Sequence[BouncedRecipient], returned_lines: Sequence[str] = ()
) -> Bounce:
    if not recipients:
        return Bounce()
    ids, reply_tos = _originals(part, returned_lines)
    return Bounce(tuple(recipients), ids, reply_tos)


def _originals(part: Part, returned_lines: Sequence[str] = ()) -> tuple[tuple[str, ...], tuple[str, ...]]:
    ids: list[str] = []
    reply_tos: list[str] = []
    for returned in _returned_parts(part):
        ids += [
            match[1] for value in returned.get_all("message-id")[:MAX_IDS] for match in _ID.finditer(value)
        ]
        for value in returned.get_all("reply-to")[:MAX_IDS]:
            reply_tos += _addresses(value)
    for line in returned_lines[:500]:
        match = _ID_LINE.match(line)
        if match is not None:
            ids.append(match[1])
        match = _REPLY_TO_LINE.match(line)
        if match is not None:
            reply_tos += _addresses(match[1])
    if not ids:
        # Some servers only thread their notice to the mail that bounced.
        for name in ("in-reply-to", "references", "x-original-message-id", "original-message-id"):
            ids += [match[1] for match in _ID.finditer(part.get(name)[:4000])]
    return tuple(dict.fromkeys(ids))[:MAX_IDS], tuple(dict.fromkeys(reply_tos))[:MAX_IDS]


def _addresses(text: str) -> list[str]:
    return [_clean(match[0]) for match in ADDRESS.finditer(text[:4000]) if _clean(match[0])]


def _clean(address: str) -> str:
    address = address.strip("<>\"' \t").rstrip(".")
    return address if "@" in address[1:] else ""


# Complaints and Amazon SES's own notifications


def _of_feedback_report(part: Part, report: Part) -> Complaint:
    fields = mime.parse(report.decoded(MAX_TEXT_BYTES)[:MAX_TEXT_BYTES].lstrip())
    recipients: list[str] = []
    for name in ("original-rcpt-to", "removal-recipient", "original-recipient", "final-recipient"):
        for value in fields.get_all(name)[:50]:
            recipients += _addresses(value)
    if not recipients:
        for returned in _returned_parts(part):
            recipients += _addresses(returned.get("to"))
    return _complaint(part, fields.get("feedback-type").strip().lower() or "abuse", recipients)


def _complaint(part: Part, feedback_type: str, recipients: Sequence[str]) -> Complaint:
    return Complaint(feedback_type, tuple(dict.fromkeys(recipients))[:50], *_originals(part))


def _ses_notification(part: Part) -> dict[str, Any]:
    """Return the notification that Amazon SNS mails for SES, {} when the mail is none."""
    if part.is_multipart or "sns.amazonaws.com" not in part.get("from").lower():
        return {}
    # "!" and a line break is what sendmail puts into lines that are longer than its limit.
    text = part.text(MAX_TEXT_BYTES).strip().replace("!\n ", "")
    if not text.startswith("{"):
        return {}
    try:
        notification, _ = json.JSONDecoder(strict=False).raw_decode(text)
    except (ValueError, RecursionError):
        return {}
    return _dict(notification)


def _of_ses(notification: dict[str, Any]) -> Bounce:
    bounce = _dict(notification.get("bounce"))
    permanent = _text(bounce.get("bounceType")).lower() == "permanent"
    recipients: list[BouncedRecipient] = []
    for entry in map(_dict, _list(bounce.get("bouncedRecipients"))):
        address = next(iter(_addresses(_text(entry.get("emailAddress")))), "")
        action = _text(entry.get("action")).lower() or "failed"
        if address and action not in rules.SUCCESSFUL_ACTIONS:
            words = _SPACES.sub(" ", _text(entry.get("diagnosticCode"))).strip()[: _room(recipients)]
            status = _status_of(_text(entry.get("status")), words)
            default = "permanent failure 550" if permanent else "temporary failure 450"
            recipients.append(
                _recipient(
                    address, "delayed" if action.startswith("delay") else "failed", status, words, default, ""
                )
            )
    return Bounce(tuple(recipients), *_ses_originals(notification)) if recipients else Bounce()


def _ses_originals(notification: dict[str, Any]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    mail = _dict(notification.get("mail"))
    common = _dict(mail.get("commonHeaders"))
    ids = [_text(mail.get("messageId")), _text(common.get("messageId")).strip("<> ")]
    reply_tos = [address for value in _list(common.get("replyTo")) for address in _addresses(_text(value))]
    return tuple(dict.fromkeys(filter(None, ids))), tuple(reply_tos[:MAX_IDS])


def _dict(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _list(value: object) -> list[Any]:
    return value[: bounce_notice.MAX_RECIPIENTS] if isinstance(value, list) else []


def _text(value: object) -> str:
    """Return a string of JSON as one safe line: escapes can bring in line ends and lone surrogates."""
    return one_line(value[:2000]) if isinstance(value, str) else ""
