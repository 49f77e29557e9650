"""Who wrote the mail that somebody forwards, and what only looks like a forward."""

import pytest

from servelo.mail.forwarded import original_sender
from servelo.mail.inbound import read_mail
from tests.world import mail

CARLA = ("Carla Customer", "carla@customer.example")
FROM = "Carla Customer <carla@customer.example>"
TO = "support@acme.example"

FORWARDS = {
    "gmail": f"---------- Forwarded message ---------\nFrom: {FROM}\nDate: Mon\n"
    f"Subject: Kaputt\nTo: <{TO}>\n\nIt broke.",
    "outlook, bold": f"*From:* {FROM}\n*Sent:* Monday\n*To:* {TO}\n*Subject:* x\n\nhello",
    "outlook 2003": f"From: Carla Customer [mailto:{CARLA[1]}]\nSent: Monday\nTo: team\nSubject: x\n\nhello",
    "to before from": f"Subject: x\nTo: {TO}\nDate: today\nFrom: {FROM}\n\nhello",
    "german": f"Von: {FROM}\nGesendet: Montag\nAn: {TO}\nBetreff: x\n\nhallo",
    "arabic": f"من: {FROM}\nتاريخ: اليوم\nإلى: {TO}\nالموضوع: عطل\n\nمرحبا",
    "chinese": f"发件人：{FROM}\n发送时间：今天\n收件人：{TO}\n主题：故障\n\n你好",
    "quoted": f"> From: {FROM}\n> Date: today\n> Subject: x\n> To: {TO}\n>\n> hello",
    "folded": f"From: Carla Customer\n <{CARLA[1]}>\nDate: today\nSubject: x\n\nhello",
    "unknown language, dashes": f"-------- Zyx -----\nQwe: {FROM}\nRty: x\nUio: {TO}\n\nhello",
    "unknown language, subject": f"Qwe: {FROM}\nRty: Broken\nUio: {TO}\n\nhello",
}

NONE = {
    "a signature": "We need paper.\n\nTel: 1234\nFax: 5678\nMail: shop@partner.example\nWeb: x.example\n",
    "an order": "Order: 12\nDelivery: today\nContact: sales@partner.example\n",
    "a reply's attribution": "Thanks!\n\nOn Mon, Ada <ada@customer.example> wrote:\n> hi\n",
    "two lines": "From: Carla <carla@customer.example>\nhello: you\n\n",
    "no address": "From: Carla\nSent: Monday\nTo: Support\nSubject: x\n",
    "nothing": "",
    "far down": "line\n" * 500 + "From: a@b.example\nDate: x\nSubject: y\n",
}


@pytest.mark.parametrize("case", FORWARDS)
def test_the_author_of_a_forwarded_mail(case: str):
    found = original_sender(read_mail(mail(subject="FW: Broken", text=f"fyi\n\n{FORWARDS[case]}\n")))
    assert found is not None
    assert CARLA == (found.display_name, found.addr_spec)


@pytest.mark.parametrize("case", NONE)
def test_what_is_no_forward(case: str):
    assert original_sender(read_mail(mail(subject="Paper", text=NONE[case] or "x"))) is None


def test_an_attached_mail_is_the_original_unless_its_sender_is_doubtful():
    def with_inner(from_: str) -> bytes:
        inner = mail(from_=from_).decode()
        return (
            "From: tech@acme.example\r\nContent-Type: multipart/mixed; boundary=x\r\n\r\n"
            f"--x\r\n\r\nsee\r\n--x\r\nContent-Type: message/rfc822\r\n\r\n{inner}\r\n--x--\r\n"
        ).encode()

    found = original_sender(read_mail(with_inner("Carla Customer <carla@customer.example>")))
    assert found is not None
    assert CARLA == (found.display_name, found.addr_spec)
    assert original_sender(read_mail(with_inner("a@b.example, c@d.example"))) is None
