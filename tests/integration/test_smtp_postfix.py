"""The SMTP client against Postfix: an SMTP server, a TLS stack and a login that are not ours."""

import pytest

from servelo.adapters.smtp_transport import SmtpConnections
from servelo.domain.smtp import SmtpLogin
from servelo.errors import AccountRefused, DeliveryFailed
from tests import postfix_server
from tests.postfix_server import PASSWORD, REALM, USER
from tests.smtp_servers import Authority

pytestmark = pytest.mark.skipif(
    not postfix_server.INSTALLED,
    reason="Postfix is not installed here, or this is not root. To run it: "
    "apt-get install --no-install-recommends -y postfix sasl2-bin libsasl2-modules",
)


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def postfix(authority):
    with postfix_server.running(authority) as server:
        yield server


@pytest.fixture
def send(authority, postfix):
    with SmtpConnections(
        ehlo_name="serveloapp.com",
        ssl_context=authority.client(),
        allow_loopback=True,
        lookup=lambda host: ["127.0.0.1"],
        implicit_tls_ports={postfix.implicit},
    ) as connections:

        def sent(
            mail, *, port=None, password=PASSWORD, sender="desk@acme.example", recipient="ada@example.org"
        ):
            login = SmtpLogin("localhost", port or postfix.starttls, f"{USER}@{REALM}", password)
            transport = connections.transport("acme", login)
            return transport.send(mail, envelope_sender=sender, recipient=recipient, tags={})

        sent.connections = connections
        yield sent


def test_mails_go_through_postfix_by_starttls_and_by_tls_from_the_start(send, postfix):
    before = len(postfix.mails(0))
    smuggled = b"\r\n.\r\nMAIL FROM:<evil@x.example>\r\nRCPT TO:<ada@example.org>\r\nDATA\r\n.\r\n"
    answer = send(b"Subject: one\r\n\r\nHello" + smuggled)
    send(b"Subject: two\r\n\r\n\n.\nHello\n")
    send(b"Subject: three\r\n\r\nHello\r\n", port=postfix.implicit)
    assert "queued as" in answer.server_words
    assert 2 == send.connections.opened
    mails = postfix.mails(before + 3)
    assert 3 == len(mails) - before
    together = b"".join(mails)
    assert b"\n\nHello\n.\nMAIL FROM:<evil@x.example>\n" in together
    assert b"\n\n\n.\nHello\n" in together
    assert b"Subject: three\n" in together


def test_a_wrong_password_is_the_accounts_matter(send):
    with pytest.raises(AccountRefused) as caught:
        send(b"Subject: x\r\n\r\n", password="wrong-canary")
    assert ("auth_refused", "auth", True) == (caught.value.code, caught.value.stage, caught.value.at_once)
    assert "canary" not in str(caught.value)


def test_a_sender_that_is_not_the_logins_is_the_accounts_matter(send):
    with pytest.raises(AccountRefused) as caught:
        send(b"Subject: x\r\n\r\n", sender="boss@acme.example")
    assert ("sender_refused", "rcpt") == (caught.value.code, caught.value.stage)


def test_a_mail_above_the_size_limit_fails_before_it_is_sent(send):
    with pytest.raises(DeliveryFailed) as caught:
        send(b"Subject: x\r\n\r\n" + b"x\r\n" * 10_000)
    assert "too_large" == caught.value.code
