"""Bounces out of whole mails: reports of RFC 3464, complaints, and the mails that only look like either."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

import pytest

from servelo.mail import bounce_rules, mime
from servelo.mail.bounce import read_bounce, read_bounce_bytes, read_complaint
from servelo.mail.inbound_mail import DEAD_ADDRESS_REASONS, Bounce, BouncedRecipient

ROOT = Path(__file__).resolve().parents[3]

RETURNED = """Return-Path: <desk@acme.example>
From: Acme <desk@acme.example>
To: Kim <kim@example.net>
Reply-To: Acme <reply+TOKEN@desk.example>
Message-ID: <ticket-7@desk.example>
Subject: Your request

Hello Kim
"""


def raw(text: str) -> bytes:
    return text.replace("\n", "\r\n").encode()


def report(status: str, *, text: str = "It did not work.", returned: str = RETURNED, head: str = "") -> bytes:
    return raw(
        f"""Return-Path: <>
From: Mail Delivery System <MAILER-DAEMON@mx.example.org>
To: desk@acme.example
Subject: Undelivered Mail Returned to Sender
{head}MIME-Version: 1.0
Content-Type: multipart/report; report-type=delivery-status; boundary="b1"

--b1
Content-Type: text/plain

{text}

--b1
Content-Type: message/delivery-status

Reporting-MTA: dns; mx.example.org
Arrival-Date: Mon, 5 May 2025 09:00:00 +0000

{status}
--b1
Content-Type: message/rfc822

{returned}
--b1--
"""
    )


def only(bounce: Bounce) -> BouncedRecipient:
    (recipient,) = bounce.recipients
    return recipient


FAILED = """Final-Recipient: rfc822; kim@example.net
Action: failed
Status: 5.1.1
Diagnostic-Code: smtp; 550 5.1.1 <kim@example.net>: no such user
"""


def test_report_gives_recipient_action_status_class_and_words() -> None:
    expected = BouncedRecipient(
        recipient="kim@example.net",
        action="failed",
        status="5.1.1",
        permanent=True,
        diagnostic="550 5.1.1 <kim@example.net>: no such user",
        reason="user-unknown",
    )
    assert (expected,) == read_bounce_bytes(report(FAILED)).recipients
    assert expected.address_is_dead


def test_returned_mail_gives_its_message_id_and_its_reply_token() -> None:
    bounce = read_bounce_bytes(report(FAILED))
    assert ("ticket-7@desk.example",) == bounce.original_message_ids
    assert ("reply+TOKEN@desk.example",) == bounce.original_reply_tos


def test_returned_header_alone_gives_the_message_id_too() -> None:
    mail = report(FAILED).replace(b"message/rfc822", b"text/rfc822-headers")
    assert ("ticket-7@desk.example",) == read_bounce_bytes(mail).original_message_ids


def test_report_without_returned_mail_is_threaded_by_its_own_header() -> None:
    mail = report(FAILED, returned="", head="In-Reply-To: <ticket-8@desk.example>\n")
    assert ("ticket-8@desk.example",) == read_bounce_bytes(mail).original_message_ids


def test_bounce_that_also_says_auto_replied_is_a_bounce() -> None:
    assert read_bounce_bytes(report(FAILED, head="Auto-Submitted: auto-replied\n"))


@pytest.mark.parametrize("action", ["delivered", "relayed", "expanded", "Delivered (to mailbox)"])
def test_report_of_success_is_no_bounce(action: str) -> None:
    status = f"Final-Recipient: rfc822; kim@example.net\nAction: {action}\nStatus: 2.0.0\n"
    assert Bounce() == read_bounce_bytes(report(status, text="<kim@example.net>: delivery failed? no."))


def test_only_the_failed_recipient_of_a_mixed_report_is_told() -> None:
    status = FAILED + "\nFinal-Recipient: rfc822; lee@example.net\nAction: relayed\nStatus: 2.0.0\n"
    assert ["kim@example.net"] == [one.recipient for one in read_bounce_bytes(report(status)).recipients]


def test_delay_is_not_permanent_whatever_its_code() -> None:
    status = "Final-Recipient: rfc822; kim@example.net\nAction: delayed\nStatus: 4.4.1\n"
    recipient = only(read_bounce_bytes(report(status)))
    assert ("delayed", False) == (recipient.action, recipient.permanent)


def test_expired_mail_is_a_temporary_failure_that_condemns_nobody() -> None:
    status = "Final-Recipient: rfc822; kim@example.net\nAction: failed\nStatus: 4.4.7\n"
    recipient = only(read_bounce_bytes(report(status)))
    assert (False, "expired", False) == (recipient.permanent, recipient.reason, recipient.address_is_dead)


def test_full_mailbox_with_a_permanent_code_does_not_condemn_the_address() -> None:
    status = (
        "Final-Recipient: rfc822; kim@example.net\nAction: failed\nStatus: 5.2.2\n"
        "Diagnostic-Code: smtp; 552 5.2.2 mailbox full\n"
    )
    recipient = only(read_bounce_bytes(report(status)))
    assert (True, "mailbox-full", False) == (
        recipient.permanent,
        recipient.reason,
        recipient.address_is_dead,
    )


def test_status_of_the_remote_server_is_taken_where_the_field_says_less() -> None:
    status = (
        "Final-Recipient: rfc822; kim@example.net\nAction: failed\nStatus: 5.0.0\n"
        "Diagnostic-Code: smtp; 550 5.7.26 Unauthenticated email is not accepted\n"
    )
    recipient = only(read_bounce_bytes(report(status)))
    assert ("5.7.26", "policy") == (recipient.status, recipient.reason)


def test_address_of_an_ip_or_a_version_is_no_status_code() -> None:
    status = (
        "Final-Recipient: rfc822; kim@example.net\nAction: failed\n"
        "Diagnostic-Code: smtp; host 5.1.1.9 running 4.2.1.7 hung up\n"
    )
    assert "" == only(read_bounce_bytes(report(status))).status


def test_forwarded_address_is_told_with_the_one_that_we_wrote() -> None:
    status = "Original-Recipient: rfc822;kim@example.net\n" + FAILED.replace(
        "kim@example.net", "k@far.example"
    )
    recipient = only(read_bounce_bytes(report(status)))
    assert ("k@far.example", "kim@example.net") == (recipient.recipient, recipient.original_recipient)


def test_local_queue_as_final_recipient_yields_to_the_original_address() -> None:
    status = "Original-Recipient: rfc822;kim@example.net\n" + FAILED.replace(
        "kim@example.net", "kim@ims-daemon"
    )
    assert "kim@example.net" == only(read_bounce_bytes(report(status))).recipient


def test_internationalised_address_is_read_from_its_report() -> None:
    mail = report(FAILED.replace("rfc822; kim@example.net", "utf-8; δοκιμή@παράδειγμα.gr")).replace(
        b"message/delivery-status", b"message/global-delivery-status"
    )
    assert "δοκιμή@παράδειγμα.gr" == only(read_bounce_bytes(mail)).recipient


def test_report_that_names_nobody_falls_back_to_the_returned_mail() -> None:
    bounce = read_bounce_bytes(report("", text="--- Delivery report unavailable ---"))
    assert "kim@example.net" == only(bounce).recipient


def test_bounce_that_a_gateway_wrapped_into_its_own_notice_is_opened() -> None:
    inner = report(FAILED).decode().replace("\r\n", "\n").replace("b1", "b2")
    mail = raw(
        "From: Mail Delivery Subsystem <MAILER-DAEMON@gate.example>\nTo: desk@acme.example\n"
        "Subject: Returned mail: User unknown\nMIME-Version: 1.0\n"
        'Content-Type: multipart/mixed; boundary="b9"\n\n'
        "--b9\nContent-Type: text/plain\n\n----- The following addresses had permanent delivery "
        "errors -----\n\n"
        f"--b9\nContent-Type: message/rfc822\n\n{inner}\n--b9--\n"
    )
    bounce = read_bounce_bytes(mail)
    assert "kim@example.net" == only(bounce).recipient
    assert ("ticket-7@desk.example",) == bounce.original_message_ids


def test_header_field_with_the_failed_recipients_is_enough() -> None:
    mail = raw(
        "From: Mail Delivery System <Mailer-Daemon@host.example>\nX-Failed-Recipients: kim@example.net\n"
        "Subject: Mail delivery failed: returning message to sender\n\nAn undisclosed address failed.\n"
    )
    assert "kim@example.net" == only(read_bounce_bytes(mail)).recipient


def test_notice_in_html_is_read() -> None:
    mail = raw(
        "From: MAILER-DAEMON@mx.example\nSubject: Undeliverable: Your request\nContent-Type: text/html\n\n"
        "<html><head><style>p{x:y@z.example}</style></head><body><p>Delivery has failed to these "
        "recipients:</p>"
        "<p><a href='mailto:kim@example.net'>kim@example.net</a><br>550 5.1.1 user "
        "unknown</p></body></html>\n"
    )
    assert "kim@example.net" == only(read_bounce_bytes(mail)).recipient


NOTIFICATION = {
    "notificationType": "Bounce",
    "bounce": {
        "bounceType": "Permanent",
        "bouncedRecipients": [
            {
                "emailAddress": "kim@example.net",
                "action": "failed",
                "status": "5.1.1",
                "diagnosticCode": "smtp; 550",
            }
        ],
    },
    "mail": {"messageId": "0100-ses", "commonHeaders": {"messageId": "<ticket-7@desk.example>"}},
}


def ses_mail(notification: object) -> bytes:
    return raw(
        f"From: no-reply@sns.amazonaws.com\nSubject: AWS\n\n{json.dumps(notification)}\n\n--\nStop here.\n"
    )


def test_notification_of_ses_by_mail_is_read() -> None:
    bounce = read_bounce_bytes(ses_mail(NOTIFICATION))
    assert ("kim@example.net", "5.1.1", True) == (
        only(bounce).recipient,
        only(bounce).status,
        only(bounce).permanent,
    )
    assert ("0100-ses", "ticket-7@desk.example") == bounce.original_message_ids


@pytest.mark.parametrize(
    "notification",
    [[], "x", 1, {}, {"bounce": 3}, {"bounce": {"bouncedRecipients": [1, {"emailAddress": 5}]}}],
)
def test_odd_notification_of_ses_is_no_bounce(notification: object) -> None:
    assert Bounce() == read_bounce_bytes(ses_mail(notification))


# What is no bounce


def person(
    subject: str, text: str, head: str = "", sender: str = "Nadia Berg <nadia@customer.example>"
) -> bytes:
    return raw(f"Return-Path: <nadia@customer.example>\nFrom: {sender}\nSubject: {subject}\n{head}\n{text}")


PASTED = """This is the mail system at host mail.example.org.
I'm sorry to have to inform you that your message could not
be delivered to one or more recipients.

<kim@example.net>: host mx.example.net said: 550 5.1.1 user unknown
"""

NOT_BOUNCES = {
    "question about a bounce": person(
        "Delivery failed?", f"Hi, why do I get this?\nIt came today.\nHelp\nme\n\n{PASTED}"
    ),
    "answer to a bounce": person(
        "Re: Undelivered Mail Returned to Sender",
        PASTED,
        "In-Reply-To: <1@mail.example.org>\nReferences: <1@mail.example.org>\n",
    ),
    "quoted bounce": person(
        "Undelivered Mail Returned to Sender",
        "See below please.\n\n" + "".join(f"> {line}\n" for line in PASTED.splitlines()),
    ),
    "order that was not delivered": person(
        "Delivery problem with my order",
        "Your parcel could not be delivered to me.\n\nNadia Berg\nnadia.berg@work.example\nTel 555 "
        "123 4567\n",
    ),
    "newsletter with an address": person(
        "Zero complexe",
        "Service clients\nservice@shop.example non remboursable\n",
        "List-Unsubscribe: <mailto:u@x.example>\n",
    ),
    "vacation responder with the null sender": raw(
        "Return-Path: <>\nFrom: Nadia <nadia@customer.example>\nSubject: Automatic reply: Invoice\n"
        "Auto-Submitted: auto-replied\n\nI cannot be reached. Write to\nkim@example.net\nif it does "
        "not work.\n"
    ),
    "postmaster who writes himself": person(
        "Error when we send mail to you",
        "Hello,\nour users cannot write to you.\n\nJo\njo@customer.example\n",
        sender="Jo <postmaster@customer.example>",
    ),
    "forwarded bounce": raw(
        "From: Nadia Berg <nadia@customer.example>\nSubject: Fwd: Undelivered Mail Returned to Sender\n"
        'MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary="b7"\n\n'
        "--b7\nContent-Type: text/plain\n\nWhat is this?\n\n--b7\nContent-Type: message/rfc822\n\n"
        + report(FAILED).decode().replace("\r\n", "\n")
        + "\n--b7--\n"
    ),
    "read receipt": report(FAILED).replace(b"message/delivery-status", b"message/disposition-notification"),
    "empty mail": b"",
}


@pytest.mark.parametrize("name", NOT_BOUNCES)
def test_mail_that_only_looks_like_a_bounce_is_none(name: str) -> None:
    assert Bounce() == read_bounce_bytes(NOT_BOUNCES[name])


# Complaints


def complaint(fields: str, returned: str = RETURNED) -> bytes:
    return raw(
        "From: fbl@isp.example\nSubject: complaint\nMIME-Version: 1.0\n"
        'Content-Type: multipart/report; report-type=feedback-report; boundary="b1"\n\n'
        "--b1\nContent-Type: text/plain\n\nThis is an email abuse report. It failed "
        "<kim@example.net>: 550\n\n"
        f"--b1\nContent-Type: message/feedback-report\n\n{fields}\n--b1\nContent-Type: "
        f"message/rfc822\n\n{returned}\n--b1--\n"
    )


def test_complaint_names_recipient_type_and_original() -> None:
    part = mime.parse(complaint("Feedback-Type: abuse\nVersion: 1\nOriginal-Rcpt-To: <kim@example.net>\n"))
    found = read_complaint(part)
    assert ("abuse", ("kim@example.net",)) == (found.feedback_type, found.recipients)
    assert ("ticket-7@desk.example",) == found.original_message_ids
    assert ("reply+TOKEN@desk.example",) == found.original_reply_tos
    assert Bounce() == read_bounce(part)


def test_complaint_that_names_nobody_takes_the_recipient_of_the_returned_mail() -> None:
    assert ("kim@example.net",) == read_complaint(mime.parse(complaint("Feedback-Type: abuse\n"))).recipients


def test_complaint_of_ses_by_mail_is_read() -> None:
    notification = {
        "complaint": {"complainedRecipients": [{"emailAddress": "kim@example.net"}]},
        "mail": {"messageId": "0100-ses"},
    }
    found = read_complaint(mime.parse(ses_mail(notification)))
    assert ("abuse", ("kim@example.net",), ("0100-ses",)) == (
        found.feedback_type,
        found.recipients,
        found.original_message_ids,
    )


def test_complaint_that_outlook_forwards_is_read() -> None:
    mail = raw(
        "From: staff@hotmail.com\nSubject: complaint about message from 192.0.2.1\nMIME-Version: 1.0\n"
        'Content-Type: multipart/mixed; boundary="b1"\n\n--b1\nContent-Type: message/rfc822\n\n'
        f"X-HmXmrOriginalRecipient: <kim@example.net>\n{RETURNED}\n--b1--\n"
    )
    assert ("kim@example.net",) == read_complaint(mime.parse(mail)).recipients


def test_bounce_and_plain_mail_are_no_complaints() -> None:
    assert not read_complaint(mime.parse(report(FAILED)))
    assert not read_complaint(mime.parse(NOT_BOUNCES["question about a bounce"]))


# Hostile input: an answer, whatever it is

BOMBS = {
    "at signs": "@" * 300_000,
    "addresses in a row": "kim@example.net" * 20_000,
    "address lines": "<kim@example.net>: 550 no\n" * 20_000,
    "different addresses": "".join(f"<k{n}@example.net>: 550 no\n" for n in range(20_000)),
    "one long word": "a" * 300_000,
    "one long local part": "a." * 150_000 + "@example.net",
    "spaces": " " * 300_000 + "x",
    "brackets": "<" * 300_000,
    "quotes": '"' * 300_000 + "@x",
    "colons": "recipient:" * 30_000,
    "rcpt lines": "RCPT TO:<kim@example.net>\n" * 20_000,
    "words of failure": "could not be delivered to the following address " * 6_000,
    "quota": "mailbox " * 40_000,
    "header lines": "Received: x\n" * 20_000,
    "groups": "Final-Recipient: rfc822; kim@example.net\nAction: failed\n\n" * 5_000,
    "tags": "<p" * 150_000,
    "styles": "<style>" * 40_000,
    "entities": "&#" * 150_000,
    "controls": "\x00\x0b\x0c\x1c\x85\u2028" * 20_000,
}


@pytest.mark.parametrize("name", BOMBS)
@pytest.mark.parametrize("content_type", ["text/plain", "text/html", "message/delivery-status"])
def test_hostile_notice_ends_with_a_bounded_answer(name: str, content_type: str) -> None:
    head = f"From: MAILER-DAEMON@mx.example\nSubject: failure notice {BOMBS[name][:2000]!r}\n"
    head += f"Content-Type: {content_type}\n\n"
    bounce = read_bounce_bytes((head + BOMBS[name]).encode("utf-8", "replace"))
    assert len(bounce.recipients) <= 200
    assert all(len(one.diagnostic) <= 500 for one in bounce.recipients)
    assert not re.search(r"[\r\n\x00]", "".join(one.diagnostic + one.recipient for one in bounce.recipients))


# The tables and the documentation


def test_every_reason_is_documented_with_its_class() -> None:
    documented = (ROOT / "docs" / "machine-mail.md").read_text(encoding="utf-8")
    for reason in bounce_rules.REASONS:
        dead = "yes" if reason.name in DEAD_ADDRESS_REASONS else "no"
        row = f"| `{reason.name}` | {'permanent' if reason.permanent else 'temporary'} | {dead} |"
        assert row in documented


def test_reasons_of_codes_and_of_dead_addresses_are_reasons_of_the_table() -> None:
    names = {reason.name for reason in bounce_rules.REASONS}
    assert set(bounce_rules.STATUS_REASONS.values()) <= names
    assert names >= DEAD_ADDRESS_REASONS


# The corpus, where it lies beside the checkout

CORPUS = Path(os.environ.get("SERVELO_CORPORA", ROOT.parent / "shared" / "corpora")) / "mime"


def corpus_rows() -> list[dict[str, object]]:
    index = CORPUS / "index.jsonl"
    if not index.is_file():
        return []
    rows = [json.loads(line) for line in index.read_text(encoding="utf-8").splitlines()]
    return [row for row in rows if row["source"] == "sisimai" and "/bsd/" in row["id"]]


def test_corpus_keeps_its_share_of_right_recipients() -> None:
    known = right = 0
    for row in corpus_rows():
        expected = row["expected"] or {}
        assert isinstance(expected, dict)
        if not expected.get("recipients") or not expected.get("dsn"):
            continue
        if all(one["reason"] in ("vacation", "feedback", "delivered") for one in expected["dsn"]):
            continue
        found = {
            one.recipient.lower()
            for one in read_bounce_bytes((CORPUS / str(row["id"])).read_bytes()).recipients
        }
        known += 1
        right += bool(found & {address.lower() for address in expected["recipients"]})
    assert right >= 0.98 * known


def test_escapes_in_a_notification_bring_no_line_end_and_no_lone_surrogate() -> None:
    text = (
        json.dumps(NOTIFICATION)
        .replace("smtp; 550", "smtp;\\r\\nX: \\ud800 550")
        .replace("0100", "\\n\\udc00")
    )
    bounce = read_bounce_bytes(raw(f"From: no-reply@sns.amazonaws.com\n\n{text}\n"))
    written = only(bounce).diagnostic + "".join(bounce.original_message_ids)
    assert written.encode("utf-8").decode("utf-8").isprintable()


def test_controls_of_a_notice_do_not_reach_the_diagnostic():
    # Found by fuzzing: the words of a plain-text notice were taken with the NULs that stood in them.
    raw = (
        b"From: MAILER-DAEMON@mx.example\nSubject: failure notice\n\n"
        b"Hi. This is the qmail-send program at mx.example.\nI'm afraid I wasn't able to deliver your message.\n\n"  # noqa: E501 - as the server writes it
        b"<joe@x.example>:\nSorry, no mailbox here by that n\x02\x00\x00ame. (#5.1.1)\n"
    )
    (one,) = read_bounce_bytes(raw).recipients
    assert "joe@x.example" == one.recipient
    assert "no mailbox here" in one.diagnostic
    assert one.diagnostic.isprintable()


@pytest.mark.parametrize(
    "words",
    [
        "Your message is being held because the address <kim@example.net> has not been verified.",
        "To release your message for delivery, reply to kim-confirm-158.abcdef@tmda.example.",
        "Please confirm that you are not a spammer; undelivered mail is deleted after 14 days: a@b.example",
    ],
)
def test_a_mail_that_waits_for_its_sender_has_not_failed(words: str) -> None:
    challenge = raw(
        "Return-Path: <>\nFrom: kim@example.net\nSubject: Please confirm your message\n"
        "Auto-Submitted: auto-replied\n\n"
        f"This message was created automatically by mail delivery software.\n\n{words}\n\n"
        "   kim-confirm-158.abcdef@tmda.example\n"
    )
    assert not read_bounce_bytes(challenge)


@pytest.mark.parametrize(
    "words",
    [
        "<bob@example.org>: host said: 550 5.1.1 message was held because recipient address unknown",
        "Failed:\n\n   bob@example.org\n\n550 5.7.1 confirm that you are not a spammer",
        "I could not deliver your message to bob@example.org: spam. Ask them to release your message.",
    ],
)
def test_words_of_a_challenge_in_a_notice_of_failure_change_nothing(words: str) -> None:
    notice = raw(
        "From: MAILER-DAEMON@x.example\nSubject: Undelivered Mail Returned to Sender\n\n"
        f"I'm sorry to have to inform you that your message could not be delivered.\n\n{words}\n"
    )
    assert only(read_bounce_bytes(notice)).recipient == "bob@example.org"
