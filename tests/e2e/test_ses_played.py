"""The two halves of the played SES and the tenant's SMTP server, as their clients see them."""

from __future__ import annotations

import json
import smtplib
import ssl
import urllib.request

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError
from local.demo import Demo, new_mail
from local.settings import HOST, PASSWORD, REGION
from local.stack import LocalStack

pytestmark = pytest.mark.stack


def sesv2(stack: LocalStack):
    return boto3.client(
        "sesv2",
        endpoint_url=stack.settings.ses_url,
        region_name=REGION,
        aws_access_key_id="test",
        aws_secret_access_key="test",
        config=Config(retries={"total_max_attempts": 1}),
    )


def test_another_domain_is_refused_at_rcpt(stack: LocalStack):
    with smtplib.SMTP(HOST, stack.settings.smtp_port, timeout=30) as smtp:
        smtp.helo("client.example")
        smtp.mail("a@client.example")
        assert smtp.rcpt("acme@elsewhere.example")[0] == 550
        assert smtp.rcpt(f"acme@{stack.settings.mail_domain}")[0] == 250


def test_the_stored_mail_has_ses_headers_on_top_and_no_test_header(stack: LocalStack, desk: Demo):
    mail = new_mail("Vera <vera@verdict.example>", "x", f"Verdict {desk.run}", "Text.\n")
    mail["X-Test-Verdict"] = "spam=FAIL"
    desk.send(mail, f"nosuch{desk.run}@{stack.settings.mail_domain}")
    s3, bucket = stack.aws.client("s3"), stack.outputs["MailBucketName"]
    stored = [
        s3.get_object(Bucket=bucket, Key=each["Key"])["Body"].read()
        for each in s3.list_objects_v2(Bucket=bucket, Prefix="inbound/")["Contents"]
    ]
    (raw,) = (each for each in stored if f"Verdict {desk.run}".encode() in each)
    assert raw.startswith(b"Return-Path: <vera@verdict.example>\r\nReceived: ")
    assert b"X-SES-Spam-Verdict: FAIL\r\n" in raw
    assert b"X-Test-Verdict" not in raw


def test_ses_sends_for_its_own_domain_only_and_replaces_the_message_id(stack: LocalStack, desk: Demo):
    mail = new_mail(f"notify@{stack.settings.mail_domain}", "s@ses.example", f"Sent {desk.run}", "Text.\n")
    request = {
        "Destination": {"ToAddresses": ["s@ses.example"]},
        "Content": {"Raw": {"Data": mail.as_bytes()}},
    }
    sender = f"notify@{stack.settings.mail_domain}"
    message_id = sesv2(stack).send_email(FromEmailAddress=sender, **request)["MessageId"]
    received = desk.wait("s@ses.example")
    assert received["Message-ID"] == f"<{message_id}@{REGION}.amazonses.com>"
    assert received["X-Local-Door"] == "ses"
    with pytest.raises(ClientError, match="not verified"):
        sesv2(stack).send_email(FromEmailAddress="ceo@bank.example", **request)


def test_a_tenants_server_wants_tls_and_a_login_and_delivers(stack: LocalStack, desk: Demo):
    context = ssl.create_default_context(cafile=str(stack.certificates.authority))
    mail = new_mail("shop@shop.example", "buyer@buyer.example", f"Bought {desk.run}", "Thanks.\n")
    with smtplib.SMTP(HOST, stack.settings.submission_port, timeout=30) as smtp:
        smtp.ehlo("client.example")
        assert not smtp.has_extn("auth")
        assert smtp.mail("shop@shop.example")[0] == 530
        smtp.starttls(context=context)
        smtp.ehlo("client.example")
        with pytest.raises(smtplib.SMTPAuthenticationError):
            smtp.login("shop@shop.example", "wrong")
        smtp.login("shop@shop.example", PASSWORD)
        smtp.send_message(mail)
    received = desk.wait("buyer@buyer.example")
    assert received["X-Local-Door"] == "smtp shop@shop.example"
    with smtplib.SMTP_SSL(HOST, stack.settings.smtps_port, timeout=30, context=context) as smtp:
        smtp.login("shop@shop.example", PASSWORD)
        assert smtp.mail("shop@shop.example")[0] == 250
        assert smtp.rcpt("refuse@buyer.example")[0] == 550
        assert smtp.rcpt("defer@buyer.example")[0] == 451


def test_the_mailbox_shows_what_was_sent_and_runs_nothing_of_it(stack: LocalStack, desk: Demo):
    stack.mailbox.deliver(
        b"From: x@y.example\r\nSubject: <script>alert(1)</script>\r\nContent-Type: text/html\r\n\r\n<b>x</b>",
        envelope_sender="x@y.example",
        recipients=[f"page-{desk.run}@z.example"],
        door="ses",
    )
    listed = f"{stack.settings.mailbox_url}/api/mails?to=page-{desk.run}@z.example"
    with urllib.request.urlopen(listed, timeout=10) as response:  # noqa: S310
        (entry,) = json.load(response)
    assert entry["subject"] == "<script>alert(1)</script>"
    page = f"{stack.settings.mailbox_url}/mail/{entry['file']}"
    with urllib.request.urlopen(page, timeout=10) as response:  # noqa: S310
        assert b"<script>" not in response.read()
        assert "default-src 'none'" in response.headers["Content-Security-Policy"]
