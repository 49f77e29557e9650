import string
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from servelo.domain.smtp import SmtpAttempt, SmtpLogin, SmtpOutcome, SmtpStage
from servelo.domain.tenant import Tenant
from servelo.errors import InvalidInput
from servelo.services import smtp_settings
from servelo.services.smtp_settings import check_alignment, diagnose, run_send_test, validate

NOW = datetime(2026, 11, 23, tzinfo=UTC)
FORM = {
    "host": "smtp.acme.example",
    "port": 587,
    "username": "desk@acme.example",
    "password": "secret",
    "from_name": "Acme",
    "from_email": "support@acme.example",
    "provider": "custom",
}
LOGIN = SmtpLogin("smtp.acme.example", 587, "desk@acme.example", "secret", "support@acme.example", "Acme")


def _wrong(**given):
    with pytest.raises(InvalidInput) as caught:
        validate({**FORM, **given})
    return caught.value


# -- presets and the form ------------------------------------------------------------------------------------


def test_the_presets_are_those_of_the_owner():
    assert [
        ("gmail", "smtp.gmail.com", 587),
        ("microsoft365", "smtp.office365.com", 587),
        ("yahoo", "smtp.mail.yahoo.com", 587),
        ("icloud", "smtp.mail.me.com", 587),
        ("zoho", "smtp.zoho.com", 587),
        ("custom", "", 587),
    ] == [(each.id, each.host, each.port) for each in smtp_settings.PROVIDERS]
    assert all(
        each.password_help and each.username_help and each.alias_help for each in smtp_settings.PROVIDERS
    )


def test_a_whole_form_becomes_a_login():
    assert LOGIN == validate(FORM)


def test_a_preset_fills_in_host_and_port():
    login = validate({"provider": "gmail", "username": "a@gmail.com", "password": "x"})
    assert ("smtp.gmail.com", 587, "a@gmail.com") == (login.host, login.port, login.from_email)


def test_the_saved_password_stands_in_for_an_empty_field():
    assert "saved" == validate({**FORM, "password": ""}, password="saved").password
    assert "new" == validate({**FORM, "password": "new"}, password="saved").password


def test_the_spaces_of_a_gmail_app_password_go():
    form = {**FORM, "provider": "gmail", "password": "abcd efgh ijkl mnop"}
    assert "abcdefghijklmnop" == validate(form).password
    assert "abcd efgh ijkl mnop" == validate({**form, "provider": "custom"}).password
    assert "my own long password" == validate({**form, "password": "my own long password"}).password


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("host", ""),
        ("host", "localhost"),
        ("host", "127.1"),
        ("host", "169.254.169.254"),
        ("host", "smtp.acme.example\r\n"),
        ("host", "x" * 300),
        ("host", 5),
        ("port", 25),
        ("port", "25"),
        ("port", "5 87"),
        ("port", "٥٨٧"),
        ("port", True),
        ("port", 5.5),
        ("port", "99999999999"),
        ("username", ""),
        ("username", "a\r\nb"),
        ("username", "a\0b"),
        ("username", "x" * 255),
        ("password", ""),
        ("password", "a\nb"),
        ("password", "a\u2028b"),
        ("password", "x" * 513),
        ("from_email", "Acme <a@b.example>"),
        ("from_email", "a@b.example\r\nBcc: x@y"),
        ("from_email", "a@b.example,c@d.example"),
        ("from_name", "Acme\r\nBcc: x@y"),
        ("from_name", "Boss <ceo@bank.example>"),
        ("from_name", "x" * 65),
        ("provider", "hotmail"),
    ],
)
def test_a_wrong_value_is_named_with_what_to_do(field, value):
    error = _wrong(**{field: value})
    assert field == error.field
    assert 10 < len(error.detail)
    if isinstance(value, str) and len(value) > 5:
        assert value not in error.detail


def test_a_bare_username_needs_a_from_email():
    assert "from_email" == _wrong(username="desk", from_email="").field


_VALUES = st.one_of(st.text(max_size=40), st.integers(), st.none(), st.lists(st.text()))


@given(st.dictionaries(st.sampled_from(sorted(FORM)), _VALUES))
def test_any_form_is_a_login_or_names_its_field(form):
    try:
        login = validate(form)
    except InvalidInput as error:
        field = error.field
    else:
        field = "host"
        assert not set("\r\n\0") & set(login.host + login.username + login.password + login.from_email)
    assert field in FORM


# -- Send Test -----------------------------------------------------------------------------------------------


def _attempt(code, stage=SmtpStage.AUTH, outcome=SmtpOutcome.ACCOUNT):
    return SmtpAttempt(outcome, stage, code, 535, "no", ("C: EHLO x", "S: 250 x"))


def _test(probe, **given):
    return run_send_test(
        LOGIN,
        tenant=Tenant(slug="acme", name="Acme", created_at=NOW),
        probe=probe,
        mail_domain="serveloapp.com",
        job_id="01hx5",
        now=NOW,
        **{"recipient": "grace@acme.example", "recipient_name": "Grace", **given},
    )


def test_send_test_sends_a_mail_by_the_values_of_the_form():
    asked = []

    def probe(login, message, **given):
        asked.append((login, message, given))
        return SmtpAttempt(SmtpOutcome.ACCEPTED, SmtpStage.DONE, "accepted", 250, "OK", ("S: 250 OK",))

    report = _test(probe)
    assert report.ok
    assert ("done", "accepted", ("S: 250 OK",)) == (report.stage, report.code, report.transcript)
    login, message, given = asked[0]
    assert LOGIN == login
    assert {
        "envelope_sender": "support@acme.example",
        "recipient": "grace@acme.example",
        "budget_seconds": 20.0,
    } == given
    assert b"\r\nFrom: Acme <support@acme.example>\r\n" in b"\r\n" + message
    assert b"\r\nAuto-Submitted: auto-generated\r\n" in message
    assert b"secret" not in message


def test_a_recipient_that_is_no_address_is_told_before_anything_is_sent():
    report = _test(lambda *_, **__: pytest.fail("was sent"), recipient="grace@acme.example>\r\nX")
    assert ("recipient_invalid", False) == (report.code, report.ok)


@pytest.mark.parametrize("code", sorted(smtp_settings.DIAGNOSES))
def test_every_code_has_a_summary_and_a_remedy_without_open_places(code):
    report = diagnose(_attempt(code), LOGIN, recipient="grace@acme.example")
    for text in (report.summary, report.remedy):
        assert text.strip().endswith(".")
        assert "{" not in text
    assert report.field in ("", *FORM)
    known = {"host", "port", "other_port", "from_email", "recipient", "password_help", "alias_help"}
    diagnosis = smtp_settings.DIAGNOSES[code]
    assert {
        name for _, name, _, _ in string.Formatter().parse(diagnosis.summary + diagnosis.remedy) if name
    } <= known


def test_a_code_of_tomorrow_still_gives_a_report():
    assert "transcript" in diagnose(_attempt("something_new"), LOGIN, recipient="a@b.c").remedy


def test_gmails_534_asks_for_an_app_password():
    gmail = validate({"provider": "gmail", "username": "a@gmail.com", "password": "x"})
    report = diagnose(_attempt("app_password_needed"), gmail, recipient="a@b.c")
    assert "password" == report.field
    assert "App Password" in report.summary
    assert "myaccount.google.com/apppasswords" in report.remedy


def test_the_seeds_three_answers():
    refused = diagnose(_attempt("auth_refused"), LOGIN, recipient="a@b.c")
    assert refused.summary.startswith("Authentication failed")
    timeout = diagnose(_attempt("connect_timeout", SmtpStage.CONNECT), LOGIN, recipient="a@b.c")
    assert timeout.summary.startswith("Connection timeout")
    assert "465" in timeout.remedy
    invalid = diagnose(_attempt("auth_required", SmtpStage.MAIL_FROM), LOGIN, recipient="a@b.c")
    assert invalid.summary.startswith("Invalid login")
    assert "full address" in invalid.remedy


def test_a_bare_username_is_the_first_suspect_of_a_refused_login():
    login = SmtpLogin("smtp.acme.example", 465, "desk", "secret", "desk@acme.example")
    report = diagnose(_attempt("auth_refused"), login, recipient="a@b.c")
    assert "username" == report.field
    assert "full address" in report.remedy
    assert "587" in diagnose(_attempt("connect_refused"), login, recipient="a@b.c").remedy


def test_a_refused_from_names_the_alias_remedy():
    gmail = validate(
        {"provider": "gmail", "username": "a@gmail.com", "password": "x", "from_email": "s@acme.example"}
    )
    report = diagnose(_attempt("sender_refused", SmtpStage.MAIL_FROM), gmail, recipient="a@b.c")
    assert "from_email" == report.field
    assert "Send mail as" in report.remedy


def test_a_line_lost_after_the_login_is_not_blamed_on_the_port():
    late = diagnose(
        _attempt("connection_lost", SmtpStage.DATA, SmtpOutcome.DEFERRED), LOGIN, recipient="a@b.c"
    )
    early = diagnose(_attempt("connection_lost", SmtpStage.CONNECT), LOGIN, recipient="a@b.c")
    assert ("", "port") == (late.field, early.field)


# -- what the arrived mail shows -----------------------------------------------------------------------------


def _aligned(*headers):
    return check_alignment([("from", "Acme <support@acme.example>"), *headers], LOGIN).code


def test_a_provider_that_rewrote_from_is_found():
    gmail = SmtpLogin("smtp.gmail.com", 587, "a@gmail.com", "x", "support@acme.example", "", "gmail")
    found = check_alignment([("from", "Acme <a@gmail.com>")], gmail)
    assert ("from_rewritten", True) == (found.code, found.from_rewritten)
    assert "a@gmail.com" in found.summary
    assert "Send mail as" in found.remedy


@pytest.mark.parametrize(
    "results",
    [
        "mx.example; dmarc=pass header.from=acme.example",
        "mx.example; dkim=pass header.i=@acme.example header.s=x; spf=fail",
        "mx.example; dkim=pass header.d=mail.acme.example",
        "mx.example; spf=pass smtp.mailfrom=bounce@acme.example; dkim=none",
        "mx.example; dkim=fail header.d=acme.example; dkim=pass header.d=acme.example",
    ],
)
def test_a_mail_that_passed_for_its_own_domain_is_aligned(results):
    assert "aligned" == _aligned(("authentication-results", results))


@pytest.mark.parametrize(
    "results",
    [
        "mx.example; spf=pass smtp.mailfrom=bounce@provider.example; dkim=pass header.d=provider.example",
        "mx.example; dkim=fail header.d=acme.example",
        "mx.example; dkim=pass header.d=notacme.example; dmarc=fail",
        "mx.example; dkim=pass header.d=example",
        "mx.example; none",
    ],
)
def test_a_mail_that_passed_for_others_or_not_at_all_is_not(results):
    assert "not_aligned" == _aligned(("authentication-results", results))


def test_only_the_topmost_result_counts():
    assert "not_aligned" == _aligned(
        ("authentication-results", "mx.example; dkim=fail header.d=acme.example"),
        ("authentication-results", "forged.example; dmarc=pass"),
    )


def test_without_results_the_claims_of_the_mail_are_looked_at():
    assert "aligned" == _aligned(("dkim-signature", "v=1; a=rsa-sha256; d=acme.example; s=x; b=y"))
    assert "aligned" == _aligned(("return-path", "<bounce@mail.acme.example>"))
    assert "not_aligned" == _aligned(
        ("dkim-signature", "v=1; d=gmail.com; s=x"), ("return-path", "<a@gmail.com>")
    )
    assert "not_visible" == _aligned()
