"""The signals of machine mail: each has a mail that shows it and nothing else, and a row in the docs."""

from __future__ import annotations

from pathlib import Path

import pytest

from servelo.mail import automatic, mime

ROOT = Path(__file__).resolve().parents[3]
PLAIN_HEADERS = [("from", "Nadia Berg <nadia@customer.example>"), ("subject", "Printer")]


def classify_file(name: str) -> automatic.MachineMail:
    part = mime.parse((ROOT / "events" / "mail" / f"machine_{name}.eml").read_bytes())
    return automatic.classify(part.headers)


@pytest.mark.parametrize("signal", automatic.SIGNALS, ids=lambda signal: signal.name)
def test_mail_of_a_signal_shows_that_signal_and_no_other(signal: automatic.Signal) -> None:
    machine = classify_file(signal.name)
    assert (signal.name,) == machine.signals
    assert machine.automatic is (signal.withholds == "automatic")
    assert machine.withhold_answer is True


def test_documented_table_is_the_table_of_the_code() -> None:
    rows = [
        f"| `{signal.name}` | {signal.seen_by} | "
        f"{'machine mail' if signal.withholds == 'automatic' else 'only our answer'} |"
        for signal in automatic.SIGNALS
    ]
    documented = (ROOT / "docs" / "machine-mail.md").read_text(encoding="utf-8").splitlines()
    assert rows == [line for line in documented if line.startswith("| `") and line in rows]
    assert len(rows) == len([line for line in documented if line.endswith(("| machine mail |", "answer |"))])


def test_no_mail_is_left_over_without_its_signal() -> None:
    names = {path.stem.removeprefix("machine_") for path in (ROOT / "events" / "mail").glob("machine_*.eml")}
    assert {signal.name for signal in automatic.SIGNALS} == names


def test_mail_of_a_person_shows_no_signal() -> None:
    machine = automatic.classify(PLAIN_HEADERS, "Printer", "nadia@customer.example", "nadia@customer.example")
    assert automatic.MachineMail(False, False, ()) == machine


@pytest.mark.parametrize(
    "field",
    [
        ("auto-submitted", "No"),
        ("auto-submitted", "(a comment) no; x=y"),
        ("precedence", "first-class"),
        ("x-auto-response-suppress", "None"),
        ("x-autoreply", "no"),
        ("delivered-to", "support@acme.example"),
    ],
)
def test_field_that_denies_is_no_signal(field: tuple[str, str]) -> None:
    assert () == automatic.classify([*PLAIN_HEADERS, field]).signals


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("auto-submitted", "auto-generated"),
        ("auto-submitted", "auto-notified; owner-email=x"),
        ("auto-submitted", "(comment) auto-replied"),
        ("precedence", "Auto_Reply"),
        ("x-precedence", "JUNK"),
        ("delivered-to", "autoresponder@host.example"),
    ],
)
def test_forms_that_programs_write_are_understood(name: str, value: str) -> None:
    assert automatic.classify([*PLAIN_HEADERS, (name, value)]).automatic is True


def test_null_envelope_sender_is_a_signal_and_a_known_one_beats_the_header() -> None:
    headers = [("return-path", "<>"), *PLAIN_HEADERS]
    assert ("null_return_path",) == automatic.classify(PLAIN_HEADERS, envelope_sender="").signals
    assert ("null_return_path",) == automatic.classify(headers).signals
    assert () == automatic.classify(headers, envelope_sender="nadia@customer.example").signals


def test_return_path_below_the_first_says_nothing() -> None:
    headers = [("return-path", "<nadia@customer.example>"), ("return-path", "<>"), *PLAIN_HEADERS]
    assert () == automatic.classify(headers).signals


@pytest.mark.parametrize(
    "address",
    [
        "no-reply@shop.example",
        "NoReply@shop.example",
        "orders.do_not_reply@shop.example",
        "noreply+a1b2@shop.example",
        "ne-pas-repondre@shop.example",
        "nao-responda@shop.example",
        "bitte-nicht-antworten@shop.example",
        "Shop <no.reply@shop.example>",
    ],
)
def test_sender_who_takes_no_reply_withholds_only_the_answer(address: str) -> None:
    machine = automatic.classify(PLAIN_HEADERS, from_addr=address)
    assert (False, True, ("no_reply_sender",)) == (
        machine.automatic,
        machine.withhold_answer,
        machine.signals,
    )


@pytest.mark.parametrize("address", ["noreen.reply@shop.example", "replyteam@shop.example", "arno@x.example"])
def test_name_that_only_looks_like_no_reply_is_a_person(address: str) -> None:
    assert () == automatic.classify(PLAIN_HEADERS, from_addr=address).signals


@pytest.mark.parametrize("language", sorted(automatic.OUT_OF_OFFICE_SUBJECTS))
def test_vacation_subject_of_each_language_withholds_the_answer(language: str) -> None:
    for phrase in automatic.OUT_OF_OFFICE_SUBJECTS[language]:
        machine = automatic.classify(PLAIN_HEADERS, subject=f"{phrase.upper()} Printer")
        assert ("out_of_office_subject",) == machine.signals, phrase
        assert machine.automatic is False


def test_person_who_writes_about_a_vacation_responder_is_answered() -> None:
    assert () == automatic.classify([], subject="Re: my out of office reply does not work").signals
    assert () == automatic.classify([], subject="How do I set an automatic reply?").signals


def test_read_receipt_is_told_by_its_report_type_too() -> None:
    content_type = "multipart/report; report-type=disposition-notification; boundary=b"
    machine = automatic.classify(PLAIN_HEADERS, content_type=content_type)
    assert ("multipart_report", "receipt") == machine.signals


def test_own_stamp_is_the_first_signal_told() -> None:
    headers = [("auto-submitted", "auto-replied"), (automatic.OWN_STAMP_HEADER.lower(), "acme")]
    assert ("own_stamp", "auto_submitted") == automatic.classify(headers).signals


@pytest.mark.parametrize(
    "value", ["", "\x00", "(" * 100_000, "<" * 100_000, "a@" * 100_000, "\ud800", "no-" * 100_000]
)
def test_hostile_values_are_read_without_an_exception(value: str) -> None:
    names = ("from", "subject", "auto-submitted", "precedence", "return-path", "content-type", "list-id")
    machine = automatic.classify(
        [(name, value) for name in names for _ in range(20)], value, value, value, value
    )
    assert machine.automatic is not None
