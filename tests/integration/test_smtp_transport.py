"""The SMTP client against real servers on loopback, sound and broken, and the table in docs/sending.md."""

import base64
import logging
import re
import socket
import threading
import traceback
from contextlib import suppress
from pathlib import Path

import pytest

from servelo.adapters.smtp_transport import SmtpConnections, TimeLimits
from servelo.domain.smtp import SmtpLogin
from servelo.errors import AccountRefused, DeliveryDeferred, DeliveryFailed, DeliveryUnknown, ServeloError
from servelo.services.smtp_settings import diagnose
from tests import smtp_servers
from tests.smtp_servers import ABORT, DROP, HOST, PASSWORD, SILENCE, USERNAME, Authority, Running

TABLE = Path(__file__).parents[2] / "docs" / "sending.md"
RECIPIENT = "ada@example.org"
MAIL = b"Subject: Hello\r\n\r\n" + b"a line\r\n" * 200
SHORT = TimeLimits(connect=0.4, tls=0.4, reply=0.4, answer=0.4, answer_reserve=0.05, total=3.0)
OUTCOMES = {
    DeliveryDeferred: "deferred",
    DeliveryFailed: "failed",
    DeliveryUnknown: "unknown",
}
SECRETS = (
    PASSWORD,
    base64.b64encode(PASSWORD.encode()).decode(),
    base64.b64encode(f"\0{USERNAME}\0{PASSWORD}".encode()).decode(),
    "canary",
)


@pytest.fixture(autouse=True, params=["one by one", "together"])
def commands(request, monkeypatch):
    """How the servers take commands; all is the same but for the round trips."""
    monkeypatch.setattr(smtp_servers, "PIPELINING", request.param == "together")
    return request.param


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture
def connect(authority):
    made = []

    def make(running: Running, **given) -> SmtpConnections:
        connections = SmtpConnections(
            ehlo_name="serveloapp.com",
            ssl_context=authority.client(),
            allow_loopback=True,
            implicit_tls_ports={running.port} if running.implicit_tls else (),
            **{"limits": SHORT, "lookup": lambda host: ["127.0.0.1"], **given},
        )
        made.append(connections)
        return connections

    yield make
    for each in made:
        each.close()


def _login(running: Running, **given) -> SmtpLogin:
    values = {"host": HOST, "port": running.port, "username": USERNAME, "password": PASSWORD, **given}
    return SmtpLogin(from_email=USERNAME, from_name="Acme", **values)


def _send(connections, login, mail=MAIL, slug="acme", recipient=RECIPIENT, sender=USERNAME):
    transport = connections.transport(slug, login)
    return transport.send(mail, envelope_sender=sender, recipient=recipient, tags={})


def _rows() -> dict[str, list[str]]:
    text = (
        TABLE.read_text(encoding="utf-8")
        .partition("## Servers, what Send Test says")[2]
        .partition("\n## ")[0]
    )
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if line[:1] == "|"
    ]
    return {row[0]: row[1:] for row in rows[2:]}


ROWS = _rows()


def test_the_table_holds_every_server_of_the_zoo(authority):
    assert set(smtp_servers.zoo(authority)) == set(ROWS)


@pytest.mark.parametrize("name", sorted(ROWS))
def test_a_server_gets_the_diagnosis_and_the_outcome_of_the_table(name, authority, connect, caplog):
    caplog.set_level(logging.DEBUG)
    code, stage, field, summary, outcome = ROWS[name]
    with smtp_servers.zoo(authority)[name]() as running:
        login = _login(running)
        connections = connect(running)
        attempt = connections.probe(
            login, MAIL, envelope_sender=USERNAME, recipient=RECIPIENT, budget_seconds=1.2
        )
        report = diagnose(attempt, login, recipient=RECIPIENT)
        stages = [report.stage]
        said = [repr(report), repr(login), repr(connections), repr(attempt)]
        try:
            said.append(repr(_send(connections, login)))
            happened = "accepted"
        except AccountRefused as error:
            happened = "account, breaker opens at once" if error.at_once else "account, breaker counts"
            said += ["".join(traceback.format_exception(error)), repr(error), error.detail]
            stages.append(error.stage)
        except ServeloError as error:
            happened = OUTCOMES[type(error)]
            said += ["".join(traceback.format_exception(error)), repr(error), error.detail]
    assert f"`{report.code}`" == code
    assert set(stages) == {stage}
    assert (report.field or "–") == field
    assert report.summary.replace(str(running.port), "PORT") == summary
    assert report.remedy
    assert "{" not in report.summary + report.remedy
    assert report.ok == (outcome == "accepted")
    assert happened == outcome
    assert bool(running.delivered) == (outcome == "accepted")
    # W6 and W7: the password is nowhere, and no login went out before TLS.
    everything = "\n".join([*said, *(record.getMessage() for record in caplog.records)])
    assert not [secret for secret in SECRETS if secret.lower() in everything.lower()]
    assert b"AUTH" not in bytes(running.plain)
    assert b"MAIL" not in bytes(running.plain)


def test_the_transcript_tells_the_session_without_the_login(authority, connect):
    with smtp_servers.aiosmtpd_server(authority.good) as running:
        attempt = connect(running).probe(
            _login(running), MAIL, envelope_sender=USERNAME, recipient=RECIPIENT, budget_seconds=5
        )
    lines = list(attempt.transcript)
    assert lines[0].startswith("S: 220 ")
    assert "C: EHLO serveloapp.com" in lines
    assert "C: STARTTLS" in lines
    assert "C: AUTH PLAIN ***" in lines
    assert f"C: RCPT TO:<{RECIPIENT}>" in lines
    assert "C: ." in lines
    assert "S: 250 2.0.0 OK queued as 4QUEUE" == lines[-1]


def test_a_host_that_the_guard_refuses_has_no_transcript(connect):
    connections = SmtpConnections(ehlo_name="serveloapp.com", lookup=lambda host: ["10.0.0.1"])
    attempt = connections.probe(
        SmtpLogin("smtp.acme.example", 587, USERNAME, PASSWORD),
        MAIL,
        envelope_sender=USERNAME,
        recipient=RECIPIENT,
        budget_seconds=1,
    )
    assert ("address_not_public", "dns", ()) == (attempt.code, attempt.stage, attempt.transcript)


# -- reuse ---------------------------------------------------------------------------------------------------


def test_mails_of_a_batch_share_one_connection(authority, connect):
    with smtp_servers.aiosmtpd_server(authority.good) as running:
        connections = connect(running)
        for number in range(5):
            _send(connections, _login(running), b"Subject: %d\r\n\r\nx\r\n" % number)
        assert 1 == running.sessions == connections.opened
        assert [b"Subject: %d\r\n\r\nx\r\n" % number for number in range(5)] == [
            octets for _, _, octets in running.delivered
        ]


def test_tenants_and_changed_passwords_never_share_a_connection(authority, connect):
    with smtp_servers.scripted_server(authority.good) as running:
        connections = connect(running)
        _send(connections, _login(running), slug="acme")
        _send(connections, _login(running), slug="globex")
        _send(connections, _login(running, password="new"), slug="acme")
        _send(connections, _login(running, password="new"), slug="acme")
        assert 3 == running.sessions


def test_a_refused_recipient_leaves_the_connection_usable(authority, connect, commands):
    answers = {"RCPT": [b"550 5.1.1 no such user\r\n", b"250 OK\r\n"]}
    if commands == "together":
        answers["DATA"] = [b"503 5.5.1 no valid recipients\r\n", b"354 go on\r\n"]
    with smtp_servers.scripted_server(authority.good, answers) as running:
        connections = connect(running)
        with pytest.raises(DeliveryFailed):
            _send(connections, _login(running))
        _send(connections, _login(running))
        assert 1 == running.sessions
        assert 1 == len(running.delivered)


@pytest.mark.parametrize("commands", ["together"], indirect=True)
def test_a_server_that_waits_for_a_mail_without_a_recipient_gets_none(authority, connect):
    answers = {"RCPT": [b"550 5.1.1 no such user\r\n", b"250 OK\r\n"]}
    with smtp_servers.scripted_server(authority.good, answers) as running:
        connections = connect(running)
        with pytest.raises(DeliveryFailed) as caught:
            _send(connections, _login(running))
        assert "recipient_refused" == caught.value.code
        _send(connections, _login(running))
        assert 2 == running.sessions
        assert 1 == len(running.delivered)


@pytest.mark.parametrize("commands", ["together"], indirect=True)
@pytest.mark.parametrize("words", [DROP, ABORT, b"nonsense\r\n"])
def test_what_a_server_does_after_a_refusal_does_not_hide_it(words, authority, connect):
    answers = {"MAIL": b"550 5.7.1 not you\r\n", "RCPT": words}
    with smtp_servers.scripted_server(authority.good, answers) as running:
        with pytest.raises(AccountRefused) as caught:
            _send(connect(running), _login(running))
        assert "sender_refused" == caught.value.code


@pytest.mark.parametrize("commands", ["together"], indirect=True)
def test_the_commands_of_a_mail_go_together_where_the_server_takes_them_so(authority, connect):
    with smtp_servers.aiosmtpd_server(authority.good) as running:
        attempt = connect(running).probe(
            _login(running), MAIL, envelope_sender=USERNAME, recipient=RECIPIENT, budget_seconds=5
        )
    lines = list(attempt.transcript)
    mail = next(place for place, line in enumerate(lines) if line.startswith("C: MAIL FROM:"))
    assert [f"C: RCPT TO:<{RECIPIENT}>", "C: DATA"] == lines[mail + 1 : mail + 3]
    assert ["S: 250 2.1.0 OK", "S: 250 2.1.5 OK"] == lines[mail + 3 : mail + 5]


@pytest.mark.parametrize("words", [b"421 4.4.2 idle too long\r\n", DROP, SILENCE, b"500 what?\r\n"])
def test_a_connection_that_died_after_a_refused_mail_is_replaced(words, authority, connect):
    answers = {".": [b"554 5.7.1 spam\r\n", b"250 OK\r\n"], "RSET": words}
    with smtp_servers.scripted_server(authority.good, answers) as running:
        connections = connect(running)
        with pytest.raises(DeliveryFailed):
            _send(connections, _login(running))
        _send(connections, _login(running))
        assert 2 == running.sessions
        assert 1 == len(running.delivered)


@pytest.mark.parametrize(("first", "resets"), [(b"250 OK\r\n", 0), (b"554 5.7.1 spam\r\n", 1)])
def test_a_connection_is_reset_after_a_mail_that_was_not_taken(first, resets, authority, connect):
    seen = []
    answers = {
        ".": [first, b"250 OK\r\n"],
        "RSET": lambda line: (seen.append(line), b"250 flushed\r\n")[1],
    }
    with smtp_servers.scripted_server(authority.good, answers) as running:
        connections = connect(running)
        with suppress(DeliveryFailed):
            _send(connections, _login(running))
        _send(connections, _login(running))
        assert 1 == running.sessions
    assert resets == len(seen)


@pytest.mark.parametrize(
    ("verb", "words"),
    [
        ("MAIL", b"421 4.7.0 too many mails\r\n"),
        ("MAIL", b"451 4.4.2 timeout waiting for data\r\n"),
        ("MAIL", b"554 5.4.7 idle too long\r\n"),
        ("MAIL", b"nonsense\r\n"),
        ("MAIL", DROP),
        ("MAIL", SILENCE),
        ("RCPT", b"421 4.7.0 too many mails\r\n"),
        ("RCPT", DROP),
    ],
)
def test_a_kept_connection_that_ends_before_the_data_costs_no_mail(verb, words, authority, connect):
    answers = {verb: [b"250 OK\r\n", words, b"250 OK\r\n"]}
    with smtp_servers.scripted_server(authority.good, answers) as running:
        connections = connect(running)
        _send(connections, _login(running), b"Subject: 1\r\n\r\n")
        _send(connections, _login(running), b"Subject: 2\r\n\r\n")
        assert 2 == running.sessions
        assert [b"Subject: 1\r\n\r\n", b"Subject: 2\r\n\r\n"] == [
            octets for _, _, octets in running.delivered
        ]


def test_a_mail_refused_on_a_kept_connection_is_asked_for_once_more(authority, connect):
    refused = b"550 5.7.1 not you\r\n"
    with smtp_servers.scripted_server(authority.good, {"MAIL": [b"250 OK\r\n", refused]}) as running:
        connections = connect(running)
        _send(connections, _login(running))
        with pytest.raises(AccountRefused) as caught:
            _send(connections, _login(running))
        assert "sender_refused" == caught.value.code
        assert 2 == running.sessions


def test_a_server_that_said_good_bye_after_the_last_mail_is_heard_before_the_next(authority, connect):
    words = b"250 OK\r\n421 4.4.2 that was enough\r\n"
    with smtp_servers.scripted_server(authority.good, {".": words}) as running:
        connections = connect(running)
        _send(connections, _login(running))
        _send(connections, _login(running))
        assert 2 == running.sessions == len(running.delivered)


def test_a_kept_connection_that_is_silent_when_time_is_out_does_not_count_against_the_account(
    authority, connect
):
    left = [10.0]
    answers = {"MAIL": [b"250 OK\r\n", SILENCE]}
    with smtp_servers.scripted_server(authority.good, answers) as running:
        limits = TimeLimits(connect=0.4, tls=0.4, reply=0.4, answer=0.4, answer_reserve=0.3, total=3.0)
        connections = connect(running, limits=limits, time_left=lambda: left[0])
        _send(connections, _login(running))
        left[0] = 0.5
        with pytest.raises(DeliveryDeferred) as caught:
            _send(connections, _login(running))
        assert "no_time_left" == caught.value.code


@pytest.mark.parametrize("words", [DROP, ABORT, b"nonsense\r\n"])
def test_what_was_handed_over_is_never_sent_again_on_another_connection(words, authority, connect):
    with smtp_servers.scripted_server(authority.good, {".": [b"250 OK\r\n", words]}) as running:
        connections = connect(running)
        _send(connections, _login(running))
        with pytest.raises(DeliveryUnknown) as caught:
            _send(connections, _login(running))
        assert "answer_lost" == caught.value.code
        assert 1 == running.sessions


def test_a_tenant_has_at_most_so_many_connections_at_once(authority, connect):
    gate = threading.Barrier(3)
    answers = {"DATA": lambda line: (gate.wait(5), b"354 go on\r\n")[1]}
    with smtp_servers.scripted_server(authority.good, answers) as running:
        connections = connect(running, max_per_tenant=2, limits=TimeLimits())
        threads = [threading.Thread(target=_send, args=(connections, _login(running))) for _ in range(4)]
        for thread in threads:
            thread.start()
        # Two mails stand at DATA, the other two wait for a place: only then does the barrier open.
        gate.wait(5)
        gate.wait(5)
        for thread in threads:
            thread.join(10)
        assert 4 == len(running.delivered)
        assert 2 == running.sessions


def test_a_connection_is_given_up_after_fifty_mails(authority, connect, monkeypatch):
    monkeypatch.setattr("servelo.adapters.smtp_transport.MAX_MAILS_PER_CONNECTION", 2)
    with smtp_servers.scripted_server(authority.good) as running:
        connections = connect(running)
        for _ in range(5):
            _send(connections, _login(running))
        assert 3 == running.sessions


def test_a_connection_that_stood_too_long_is_not_used(authority, connect):
    now = [0.0]
    with smtp_servers.scripted_server(authority.good) as running:
        connections = connect(running, clock=lambda: now[0])
        _send(connections, _login(running))
        now[0] += 61
        _send(connections, _login(running))
        assert 2 == running.sessions


# -- what goes over the line ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "body",
    [
        b"\n.\r\nMAIL FROM:<evil@x.example>\r\nRCPT TO:<e@x.example>\r\nDATA\r\nsmuggled\r\n",
        b"\r.\r\nMAIL FROM:<evil@x.example>\r\n",
        b"\r\n.\nMAIL FROM:<evil@x.example>\r\n",
        b"\r\n.\r\nMAIL FROM:<evil@x.example>\r\n",
        b"\n.\nQUIT\n",
        b"\r.\rQUIT\r",
    ],
)
def test_nothing_in_a_mail_ends_it_early(body, authority, connect):
    with smtp_servers.aiosmtpd_server(authority.good) as running:
        _send(connect(running), _login(running), b"Subject: x\r\n\r\nbefore" + body)
    assert 1 == len(running.delivered)
    octets = running.delivered[0][2]
    assert re.sub(rb"\r\n|\r|\n", b"\r\n", b"Subject: x\r\n\r\nbefore" + body) == octets


@pytest.mark.parametrize(
    "recipient",
    [
        "a@b.example>\r\nRCPT TO:<e@x.example>",
        "a@b.example> SIZE=1",
        "<a@b.example>, <c@d.example>",
        "",
        "a b@c.example",
    ],
)
def test_a_recipient_that_is_not_one_address_never_reaches_the_server(recipient, authority, connect):
    with smtp_servers.scripted_server(authority.good) as running:
        with pytest.raises(DeliveryFailed) as caught:
            _send(connect(running), _login(running), recipient=recipient)
        assert "recipient_invalid" == caught.value.code
        assert 0 == running.sessions


def test_addresses_outside_ascii_go_where_smtputf8_is_offered(authority, connect):
    with smtp_servers.aiosmtpd_server(authority.good) as running:
        mail = "To: <jürgen@example.org>\r\nSubject: x\r\n\r\nx\r\n".encode()
        _send(connect(running), _login(running), mail, recipient="jürgen@bücher.example")
    assert ("jürgen@xn--bcher-kva.example", mail) == running.delivered[0][1:]
    with smtp_servers.scripted_server(authority.good) as running:
        with pytest.raises(DeliveryFailed) as caught:
            _send(connect(running), _login(running), recipient="jürgen@example.org")
        assert "smtputf8_not_offered" == caught.value.code


def test_eight_bit_mail_needs_a_server_that_takes_it(authority, connect):
    mail = "Subject: x\r\n\r\nGrüße\r\n".encode()
    with smtp_servers.aiosmtpd_server(authority.good) as running:
        _send(connect(running), _login(running), mail)
    assert mail == running.delivered[0][2]
    no_eight_bit = (b"250-zoo.example\r\n250-STARTTLS\r\n250 AUTH=PLAIN\r\n",)
    with smtp_servers.scripted_server(authority.good, {"EHLO": no_eight_bit}) as running:
        with pytest.raises(DeliveryFailed) as caught:
            _send(connect(running), _login(running), mail)
        assert "8bitmime_not_offered" == caught.value.code


def test_a_long_password_goes_out_in_two_lines(authority, connect):
    seen = []
    answers = {"AUTH": b"334 \r\n", "*": lambda line: (seen.append(line), b"235 OK\r\n")[1]}
    with smtp_servers.scripted_server(authority.good, answers) as running:
        _send(connect(running), _login(running, password="p" * 500))
    assert f"\0{USERNAME}\0{'p' * 500}".encode() == base64.b64decode(seen[0])


def test_plain_that_the_server_does_not_know_is_followed_by_login(authority, connect):
    lines = []
    answers = {
        "AUTH": (b"504 5.7.4 unknown mechanism\r\n", b"334 VXNlcm5hbWU6\r\n"),
        "*": lambda line: (
            lines.append(base64.b64decode(line)),
            b"334 x\r\n" if len(lines) == 1 else b"235 OK\r\n",
        )[1],
    }
    with smtp_servers.scripted_server(authority.good, answers) as running:
        _send(connect(running), _login(running))
    assert [USERNAME.encode(), PASSWORD.encode()] == lines


def test_a_server_that_says_no_before_the_dot_is_heard(authority, connect):
    answers = {"DATA": b"354 go on\r\n552 5.3.4 too large after all\r\n"}
    with smtp_servers.scripted_server(authority.good, answers) as running:
        with pytest.raises(DeliveryFailed) as caught:
            _send(connect(running), _login(running))
        assert "too_large" == caught.value.code
        assert [] == running.delivered


def test_without_time_for_the_answer_the_dot_is_not_sent(authority, connect):
    with smtp_servers.scripted_server(authority.good) as running:
        limits = TimeLimits(answer_reserve=60, total=30)
        with pytest.raises(DeliveryDeferred) as caught:
            _send(connect(running, limits=limits), _login(running))
        assert "no_time_left" == caught.value.code
        assert [] == running.delivered


def test_a_mail_that_the_batch_has_no_time_for_is_deferred_before_it_connects(authority, connect):
    left = [10.0]
    with smtp_servers.scripted_server(authority.good) as running:
        connections = connect(running, limits=TimeLimits(), time_left=lambda: left[0])
        _send(connections, _login(running))
        left[0] = 4.0
        with pytest.raises(DeliveryDeferred) as caught:
            _send(connections, _login(running))
        assert "no_time_left" == caught.value.code
        assert 1 == len(running.delivered)


def test_a_greeting_that_drips_ends_with_the_budget(connect):
    done = threading.Event()

    def drip(listener: socket.socket) -> None:
        connection, _ = listener.accept()
        with connection:
            try:
                while not done.wait(0.01):
                    connection.sendall(b"2")
            except OSError:
                return

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=drip, args=(listener,), daemon=True)
        thread.start()
        running = Running(listener.getsockname()[1])
        with pytest.raises(AccountRefused) as caught:
            _send(connect(running), _login(running))
        done.set()
        thread.join(5)
    assert "no_greeting" == caught.value.code


def test_the_second_address_is_tried_when_the_first_refuses(authority, connect):
    with smtp_servers.scripted_server(authority.good) as running:
        connections = connect(running, lookup=lambda host: ["127.0.0.2", "127.0.0.1"])
        _send(connections, _login(running))
        assert 1 == len(running.delivered)


def test_closing_is_polite_and_sending_goes_on_afterwards(authority, connect):
    with smtp_servers.scripted_server(authority.good) as running:
        with connect(running) as connections:
            _send(connections, _login(running))
        _send(connections, _login(running))
        assert 2 == running.sessions


# -- the copy of a test mail ---------------------------------------------------------------------------------


def _probe(connect, running, **given):
    return connect(running).probe(
        _login(running), MAIL, envelope_sender=USERNAME, recipient=RECIPIENT, budget_seconds=5.0, **given
    )


def test_a_test_mail_goes_to_both_recipients_in_one_transaction(connect, authority):
    with smtp_servers.scripted_server(authority.good) as running:
        attempt = _probe(connect, running, copy_to="acme+test-1@serveloapp.com")
    assert ("accepted", True) == (attempt.code, attempt.copied)
    assert 1 == len(running.delivered)


@pytest.mark.parametrize(
    ("second", "sessions"),
    [(b"550 5.1.1 no\r\n", 1), (b"450 4.2.1 later\r\n", 1), (b"421 4.3.0 bye\r\n", 2), (DROP, 2), (ABORT, 2)],
)
def test_a_server_that_refuses_the_copy_still_gets_the_test_mail(connect, authority, second, sessions):
    answers = {"RCPT": (b"250 2.1.5 OK\r\n", second)}
    with smtp_servers.scripted_server(authority.good, answers) as running:
        attempt = _probe(connect, running, copy_to="acme+test-1@serveloapp.com")
    assert ("accepted", False) == (attempt.code, attempt.copied)
    assert (1, sessions) == (len(running.delivered), running.sessions)


def test_a_refused_test_mail_is_refused_whatever_becomes_of_the_copy(connect, authority):
    with smtp_servers.aiosmtpd_server(authority.good, answers={"DATA": "554 5.7.1 spam"}) as running:
        attempt = _probe(connect, running, copy_to="acme+test-1@serveloapp.com")
    assert ("content_refused", False, 1) == (attempt.code, attempt.copied, running.sessions)
