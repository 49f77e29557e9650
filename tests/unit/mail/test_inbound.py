"""read_mail: any bytes in, an InboundMail out."""

import base64
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest

from servelo.mail import inbound
from servelo.mail.address import Mailbox
from servelo.mail.inbound import read_mail
from tests.mutate import broken_promises, mutations

EVENTS = Path(__file__).resolve().parents[3] / "events" / "mail"


def mail(*lines: str, end: str = "\r\n") -> bytes:
    return end.join(lines).encode("utf-8")


def event(name: str) -> bytes:
    return (EVENTS / name).read_bytes()


def multipart(kind: str, *parts: tuple[str, str]) -> bytes:
    """Return a mail of *kind* (mixed, …) with (header lines, body) for each part."""
    lines = ["From: Jo <jo@x.example>", "Subject: s", f"Content-Type: multipart/{kind}; boundary=x", ""]
    for fields, body in parts:
        lines += ["--x", *fields.splitlines(), "", body]
    return mail(*lines, "--x--", "")


def test_the_fields_of_a_mail_are_read() -> None:
    read = read_mail(
        mail(
            "Message-ID: <1@x.example>",
            "From: =?utf-8?q?J=C3=B8?= <jo@x.example>",
            "To: a@b.example, C <c@d.example>",
            "Cc: e@f.example",
            "Reply-To: r@x.example",
            "In-Reply-To: <0@y.example>",
            "References: <a@y.example> <b@y.example>\r\n <0@y.example>",
            "Subject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=",
            "Date: Mon, 2 Jan 2023 10:11:12 +0200",
            "",
            "Hello",
        )
    )
    assert read.message_id == "1@x.example"
    assert not read.message_id_derived
    assert read.from_ == Mailbox("Jø", "jo@x.example")
    assert not read.from_ambiguous
    assert read.to == (Mailbox("", "a@b.example"), Mailbox("C", "c@d.example"))
    assert read.cc == (Mailbox("", "e@f.example"),)
    assert read.reply_to == (Mailbox("", "r@x.example"),)
    assert read.in_reply_to == ("0@y.example",)
    assert read.references == ("a@y.example", "b@y.example", "0@y.example")
    assert read.subject == "Grüße"
    assert read.date == datetime(2023, 1, 2, 10, 11, 12, tzinfo=timezone(timedelta(hours=2)))
    assert read.text == "Hello"
    assert read.warnings == ()


def test_a_mail_without_an_id_gets_one_from_its_bytes() -> None:
    one, same, other = (
        read_mail(b"From: a@b.example\n\nx"),
        read_mail(b"From: a@b.example\n\nx"),
        read_mail(b"\ny"),
    )
    assert one.message_id_derived
    assert one.message_id == same.message_id != other.message_id


def test_of_two_subjects_the_first_that_says_something_counts() -> None:
    assert read_mail(mail("Subject:", "Subject: one", "Subject: two", "", "")).subject == "one"


def test_a_subject_with_a_hidden_line_end_is_one_line() -> None:
    assert read_mail(mail("Subject: =?utf-8?q?Hi=0D=0ABcc:_evil@x?=", "", "")).subject == "Hi Bcc: evil@x"


@pytest.mark.parametrize(
    "fields",
    [
        ("From: a@b.example", "From: c@d.example"),
        ("From: a@b.example, c@d.example",),
        ("From: a@b.example <c@d.example>",),
        ("From: =?utf-8?q?a=40b.example?=",),
    ],
)
def test_where_it_is_not_certain_who_wrote_nobody_is_trusted(fields: tuple[str, ...]) -> None:
    read = read_mail(mail(*fields, "", "x"))
    assert read.from_ambiguous
    assert read.from_ is not None


@pytest.mark.parametrize(
    "fields", [(), ("From: undisclosed-recipients:;",), ("From: MAILER-DAEMON",), ("From: <>",)]
)
def test_a_mail_from_nobody_has_no_author(fields: tuple[str, ...]) -> None:
    assert read_mail(mail("Subject: s", *fields, "", "x")).from_ is None


def test_a_name_without_an_address_is_kept_as_a_name() -> None:
    assert read_mail(mail("From: MAILER-DAEMON", "", "x")).author_name == "MAILER-DAEMON"


def test_at_most_100_references_are_kept_the_first_and_the_newest() -> None:
    ids = " ".join(f"<{n}@x.example>" for n in range(200))
    found = read_mail(mail(f"References: {ids}", "", "")).references
    assert (len(found), found[0], found[-1]) == (100, "0@x.example", "199@x.example")


def test_the_text_part_wins_over_the_html() -> None:
    read = read_mail(
        multipart(
            "alternative", ("Content-Type: text/plain", "words"), ("Content-Type: text/html", "<b>bold</b>")
        )
    )
    assert read.text == "words"
    assert read.html == "<b>bold</b>"
    assert read.attachments == ()


@pytest.mark.parametrize("text", ["", "  ", "To view this message, use an HTML compatible e-mail viewer!"])
def test_html_is_read_where_the_text_part_says_nothing(text: str) -> None:
    html = "<p>The words of the author, longer than the remark that stands in for them.</p>"
    read = read_mail(
        multipart("alternative", ("Content-Type: text/plain", text), ("Content-Type: text/html", html))
    )
    assert read.text == "The words of the author, longer than the remark that stands in for them."


def test_texts_around_a_file_are_joined() -> None:
    read = read_mail(
        multipart(
            "mixed",
            ("Content-Type: text/plain", "before"),
            (
                "Content-Type: image/png\nContent-Transfer-Encoding: base64\n"
                "Content-Disposition: inline; filename=a.png",
                "iVBORw0KGgo=",
            ),
            ("Content-Type: text/plain", "after"),
        )
    )
    assert read.text == "before\n\nafter"
    (file,) = read.attachments
    assert (file.filename, file.sniffed_type, file.inline, file.size_bytes) == ("a.png", "image/png", True, 8)


def test_an_attached_text_is_a_file_and_not_the_words() -> None:
    read = read_mail(
        multipart(
            "mixed",
            ("Content-Type: text/plain\nContent-Disposition: attachment; filename=log.txt", "log"),
            ("", "words"),
        )
    )
    assert read.text == "words"
    assert read.attachments[0].content == b"log"


def test_a_text_file_sent_inline_is_a_file_and_shown_below_the_words() -> None:
    read = read_mail(
        multipart(
            "mixed",
            ("", "words"),
            ("Content-Type: text/plain; name=log.txt\nContent-Disposition: inline", "log"),
        )
    )
    assert read.text == "words\n\nlog"
    assert read.body.new_text == "words"
    assert read.attachments[0].filename == "log.txt"


def test_an_image_shown_by_its_content_id_is_inline() -> None:
    read = read_mail(
        multipart(
            "related",
            ("Content-Type: text/html", '<img src="cid:logo%40x">'),
            (
                "Content-Type: image/png\nContent-ID: <logo@x>\n"
                "Content-Disposition: attachment; filename=l.png",
                "x",
            ),
        )
    )
    assert read.attachments[0].inline
    assert read.attachments[0].content_id == "logo@x"
    assert 'src="cid:logo%40x"' in read.html


def test_images_within_the_html_are_files_and_take_no_room_from_the_words() -> None:
    picture = b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 4000
    address = "data:image/png;base64," + base64.b64encode(picture).decode()
    page = f'<p>Look:</p><img src="{address}"><img src="{address}"><p>Does it <b>work</b>?</p>'
    assert len(page) > 2 * inbound.MAX_TEXT_CHARS
    found = read_mail(mail("From: a@b.example", "Content-Type: text/html; charset=utf-8", "", page))
    assert found.text.split() == "Look: Does it work?".split()
    (file,) = found.attachments
    assert (file.filename, file.sniffed_type, file.inline) == ("image1.png", "image/png", True)
    assert file.content == picture
    assert found.html.count(f'<img src="cid:{file.content_id}">') == 2
    assert not found.warnings


def test_at_most_fifty_images_are_taken_out_of_the_html() -> None:
    pictures = [b"\x89PNG\r\n\x1a\n" + bytes([number]) * 7000 for number in range(60)]
    tags = [f'<img src="data:image/png;base64,{base64.b64encode(one).decode()}">' for one in pictures]
    found = read_mail(mail("From: a@b.example", "Content-Type: text/html", "", "".join(tags) + "words"))
    assert len(found.attachments) == 50
    assert found.html.count('src="data:image/png;base64,') == 10
    assert found.text == "words"


@pytest.mark.parametrize(
    "address",
    ["data:image/png;charset=utf-8;base64,{0}", "data:image/png;base64,{1}"],
)
def test_images_within_the_html_are_taken_whole_or_not_at_all(address: str) -> None:
    picture = b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 100
    once = base64.b64encode(picture).decode()
    address = address.format(once, f"{once[:9000]} {once[9000:]}")
    read = "Content-Type: text/html"
    (file,) = read_mail(mail("From: a@b.example", read, "", f'<p>a<img src="{address}">b')).attachments
    assert file.content == picture
    elsewhere = f"<p>a<i style='background:url({address})'>b</i><img src=\"{address[:-3]}%2B\">"
    assert not read_mail(mail("From: a@b.example", read, "", elsewhere)).attachments


def test_half_a_tag_at_the_end_of_a_megabyte_is_not_read_as_words() -> None:
    page = "<p>words</p>" * 1001 + '<img src="data:image/svg+xml;base64,' + "A" * 1_100_000 + '">'
    found = read_mail(mail("From: a@b.example", "Content-Type: text/html", "", page))
    assert "AAA" not in found.text + found.html
    assert found.text.count("words") == found.html.count("words") == 1001


def test_html_that_is_too_long_even_for_images_is_attached_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inbound, "MAX_HTML_BYTES", 1_500_000)
    image = "data:image/png;base64," + base64.b64encode(b"\x89PNG\r\n\x1a\n" + bytes(900_000)).decode()
    page = f'<p>first</p><img src="{image}"><img src="{image[:-8]}AAAAAAAA"><p>last</p>'
    found = read_mail(mail("From: a@b.example", "Content-Type: text/html", "", page))
    assert found.text == "first"
    assert [one.filename for one in found.attachments] == ["image1.png", "message.html"]
    assert b"last" in found.attachments[1].content
    assert "the whole is attached" in found.warnings[0]


def test_what_only_calls_itself_an_image_stays_where_it_is() -> None:
    address = "data:image/png;base64," + base64.b64encode(b"MZ" * 8000).decode()
    found = read_mail(mail("From: a@b.example", "Content-Type: text/html", "", f'<p>a<img src="{address}">'))
    assert not found.attachments
    assert found.text == "a"


def test_html_is_sanitised() -> None:
    read = read_mail(mail("Content-Type: text/html", "", "<p onclick=x>a<script>alert(1)</script></p>"))
    assert read.html == "<p>a</p>"
    assert read.text == "a"


def test_the_charset_of_the_html_itself_counts_where_the_part_names_none() -> None:
    html = "<meta charset=koi8-r><p>Привет, как дела?</p>".encode("koi8-r")
    assert read_mail(b"Content-Type: text/html\n\n" + html).text == "Привет, как дела?"


def test_a_wrong_charset_is_repaired_and_said() -> None:
    read = read_mail(b"Content-Type: text/plain; charset=us-ascii\n\n" + "Grüße".encode())
    assert read.text == "Grüße"
    assert "The text is not in the charset that it names (us-ascii)." in read.warnings


def test_format_flowed_is_joined() -> None:
    read = read_mail(
        mail(
            "Content-Type: text/plain; format=flowed; delsp=no",
            "",
            "one ",
            "two",
            "> q ",
            "> r",
            " >no",
            "-- ",
            "Jo",
        )
    )
    assert read.text == "one two\n> q r\n>no\n-- \nJo"


def test_a_uuencoded_file_in_the_text_is_a_file() -> None:
    read = read_mail(mail("Subject: s", "", "words", "begin 644 hello.txt", "%:&5L;&\\", "`", "end", "more"))
    assert read.text == "words\n[begin 644 hello.txt]\nmore"
    assert (read.attachments[0].filename, read.attachments[0].content) == ("hello.txt", b"hello")


def test_the_word_begin_in_a_text_is_no_file() -> None:
    assert read_mail(mail("Subject: s", "", "begin 644 days of work", "end")).attachments == ()


def test_an_embedded_mail_is_a_file_and_readable_with_its_files() -> None:
    inner = mail(
        "From: Ann <ann@y.example>",
        "Subject: Inner",
        "Content-Type: multipart/mixed; boundary=y",
        "",
        "--y",
        "",
        "inner words",
        "--y",
        "Content-Type: application/pdf; name=a.pdf",
        "Content-Transfer-Encoding: base64",
        "",
        "JVBERi0=",
        "--y--",
    ).decode()
    read = read_mail(multipart("mixed", ("", "see below"), ("Content-Type: message/rfc822", inner)))
    assert [one.filename for one in read.attachments] == ["Inner.eml", "a.pdf"]
    assert read.attachments[0].content == inner.encode()
    assert (
        "---------- Forwarded message ----------\nFrom: Ann <ann@y.example>\nSubject: Inner\n\ninner words"
        in read.text
    )
    assert read.body.new_text == "see below"


def test_an_attached_mail_is_not_shown_in_the_text() -> None:
    fields = "Content-Type: message/rfc822\nContent-Disposition: attachment; filename=a.eml"
    read = read_mail(multipart("mixed", ("", "words"), (fields, "Subject: s\n\ninner")))
    assert read.text == "words"
    assert read.attachments[0].filename == "a.eml"


@pytest.mark.parametrize(
    ("content_type", "warning"),
    [
        (
            "application/pkcs7-mime; smime-type=enveloped-data; name=smime.p7m",
            "The mail is signed or encrypted with S/MIME; what it wraps is attached as a file.",
        ),
        ("application/pgp-signature", "The mail is signed with PGP; the signature is attached."),
        (
            "application/pgp-encrypted",
            "The mail is encrypted with PGP; its text is attached as a file, unread.",
        ),
    ],
)
def test_signed_and_encrypted_mails_are_kept_and_said_to_be_so(content_type: str, warning: str) -> None:
    read = read_mail(multipart("mixed", ("", "words"), (f"Content-Type: {content_type}", "x")))
    assert warning in read.warnings
    assert len(read.attachments) == 1


def test_an_invitation_alone_reads_as_what_when_and_where() -> None:
    read = read_mail(
        mail(
            "Content-Type: text/calendar",
            "",
            "BEGIN:VCALENDAR",
            "BEGIN:VEVENT",
            "SUMMARY:Lunch\\, at last",
            "DTSTART;TZID=Europe/Oslo:20240102T120000",
            "DTEND:20240102T110000Z",
            "LOCATION:Canteen",
            "ORGANIZER:mailto:jo@x.example",
            "END:VEVENT",
            "END:VCALENDAR",
        )
    )
    assert read.text == (
        "Lunch, at last\nFrom: 2024-01-02 12:00 (Europe/Oslo)\nTo: 2024-01-02 11:00 UTC\n"
        "Where: Canteen\nOrganizer: jo@x.example"
    )
    assert read.attachments[0].filename == "attachment-1.ics"


def test_a_winmail_dat_is_opened() -> None:
    read = read_mail(event("winmail_dat.eml"))
    assert [(one.original_filename, one.content) for one in read.attachments] == [
        ("notes.txt", b"hello\x00\x00")
    ]
    assert read.text == "Words from Outlook\n"


def test_a_text_over_a_megabyte_is_shown_to_there_and_attached_whole() -> None:
    read = read_mail(b"Subject: s\n\n" + b"word \n" * 300_000)
    assert len(read.text) == 1024 * 1024
    assert read.attachments[0].size_bytes == 1_800_000


def test_files_beyond_the_limit_are_left_in_the_raw_mail(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inbound, "MAX_ATTACHMENT_BYTES", 100)
    monkeypatch.setattr(inbound._Reading.__init__, "__defaults__", (100, None))
    body = base64.b64encode(b"x" * 300).decode()
    fields = "Content-Type: application/pdf; name=a.pdf\nContent-Transfer-Encoding: base64"
    read = read_mail(multipart("mixed", ("", "words"), (fields, body)))
    assert read.attachments == ()
    assert "The files of the mail are too large to be kept apart; the raw mail holds them." in read.warnings


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"\x00",
        b"\n\n\n",
        b"\xff" * 1000,
        b"From:",
        b"Content-Type: multipart/mixed; boundary=\n\n--\n--\n--",
        b"--\n" * 100,
        b"Content-Type: text/plain; charset=hz\n\n~{\xff",
        b"Content-Type: application/ms-tnef\n\n\x78\x9f\x3e\x22\x01",
    ],
)
def test_any_bytes_give_a_mail(raw: bytes) -> None:
    read = read_mail(raw)
    assert broken_promises(read) == []
    assert read.size_bytes == len(raw)


def test_one_part_may_fail_without_the_mail(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> str:
        raise RuntimeError("broken")

    monkeypatch.setattr(inbound, "_safe_html", fail)
    read = read_mail(mail("Subject: s", "Content-Type: text/html", "", "<p>words</p>"))
    assert (read.subject, read.text, read.html) == ("s", "words", "")
    assert "The HTML could not be read; the raw mail holds it." in read.warnings


def test_a_mail_that_cannot_be_read_at_all_still_shows_its_beginning(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("broken")

    monkeypatch.setattr(inbound, "_read", fail)
    read = read_mail(b"Subject: s\n\nwords")
    assert read.text == "Subject: s\n\nwords"
    assert read.warnings == ("The mail could not be read; its beginning is shown as it came.",)


BOMBS = {
    "nested multiparts": b"".join(
        b"Content-Type: multipart/mixed; boundary=b%d\n\n--b%d\n" % (n, n) for n in range(1000)
    ),
    "nested mails": b"Content-Type: message/rfc822\n\n" * 1000,
    "one boundary": b"Content-Type: multipart/mixed; boundary=b\n\n--b\n" * 2000,
    "many parts": b"Content-Type: multipart/mixed; boundary=b\n\n" + b"--b\n\nx\n" * 5000,
    "many fields": b"X: y\n" * 20_000 + b"\nx",
    "long type": b"Content-Type: " + b";" * 200_000 + b"\n\nx",
    "many parameters": b"Content-Type: text/plain" + b"; p*1*=x" * 10_000 + b"\n\nx",
    "long address": b"From: " + b"A" * 200_000 + b"\n\nx",
    "quotes": b"To: " + b'"' * 200_000 + b"\n\nx",
    "comments": b"From: " + b"(" * 5000 + b")" * 5000 + b" a@b.example\n\nx",
    "encoded words": b"Subject: " + b"=?utf-8?q?=41?= " * 10_000 + b"\n\nx",
    "open tags": b"Content-Type: text/html\n\n" + b"<div>" * 20_000,
    "soft breaks": b"Content-Transfer-Encoding: quoted-printable\n\n" + b"=" * 200_000,
    "nul": b"Subject: s\n\n" + b"\0" * 200_000,
}


def test_html_that_cannot_be_laid_out_still_gives_its_words(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> str:
        raise ValueError

    monkeypatch.setattr("servelo.mail.html_text.render", broken)
    read = read_mail(mail("From: jo@x.example", "Content-Type: text/html", "", "<p>Hello <b>there</b>"))
    assert read.text.split() == ["Hello", "there"]
    assert read.body.new_text.split() == ["Hello", "there"]
    assert "The layout of the HTML could not be read; the raw mail holds it." in read.warnings


@pytest.mark.parametrize("name", BOMBS)
def test_bombs_are_read_and_still_make_a_mail(name: str) -> None:
    read = read_mail(BOMBS[name])
    assert broken_promises(read) == []
    assert not any("could not be read" in sentence for sentence in read.warnings)


def test_mutated_mails_break_no_promise() -> None:
    mails = [path.read_bytes() for path in sorted(EVENTS.glob("*.eml"))]
    assert len(mails) >= 3
    for raw in mutations(mails, 400, seed=20240601):
        read = read_mail(raw)
        assert broken_promises(read) == []
        assert not any(
            sentence.endswith("could not be read; the raw mail holds it.") for sentence in read.warnings
        )


def test_the_mutator_gives_the_same_mails_for_the_same_seed() -> None:
    mails = [event("winmail_dat.eml"), b"Subject: s\n\nx"]
    assert list(mutations(mails, 20, 1)) == list(mutations(mails, 20, 1)) != list(mutations(mails, 20, 2))


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("Mon, 2 Jan 2023 10:11:12 +0000", datetime(2023, 1, 2, 10, 11, 12, tzinfo=UTC)),
        ("2 Jan 23 10:11 GMT", datetime(2023, 1, 2, 10, 11, tzinfo=UTC)),
        ("Mon Jan  2 10:11:12 2023", datetime(2023, 1, 2, 10, 11, 12, tzinfo=UTC)),
        ("2023-01-02T10:11:12Z", datetime(2023, 1, 2, 10, 11, 12, tzinfo=UTC)),
        ("Mon, 2 Jan 2023 05:11:12 EST", datetime(2023, 1, 2, 10, 11, 12, tzinfo=UTC)),
        ("Di, 2 Jan 2024 11:11:12 MEZ", datetime(2024, 1, 2, 10, 11, 12, tzinfo=UTC)),
        ("Tue, 2 Jul 2024 12:11:12 NZST", datetime(2024, 7, 2, 0, 11, 12, tzinfo=UTC)),
        ("Mon, 99 Jan 2023 05:11:12", None),
        ("yesterday", None),
        ("", None),
    ],
)
def test_dates_are_read_in_the_forms_that_are_written(written: str, expected: datetime | None) -> None:
    assert read_mail(mail(f"Date: {written}", "", "")).date == expected


@pytest.mark.parametrize(
    "padding",
    [b"X-A: b\r\n" * 1000, b"X-A: " + b"b" * 900 + b"\r\n", b"X-A: " + b"b" * 5_000_000 + b"\r\n"],
    ids=["fields", "bytes", "one endless field"],
)
def test_a_mail_with_more_header_than_is_read_gives_nobody_rights(padding: bytes) -> None:
    """Behind the padding stands the signature that was found good, or another From."""
    padding *= 300 if len(padding) < 1000 else 1
    hidden = b"DKIM-Signature: v=1; d=evil.example; s=x; b=abc\r\nFrom: eve@evil.example\r\n"
    mail = read_mail(b"From: ada@customer.example\r\n" + padding + hidden + b"\r\nHello\r\n")
    assert mail.from_ambiguous


@pytest.mark.parametrize(
    "header",
    [
        b"From: ada@customer.example (" + b"x" * 17_000 + b") <eve@evil.example>\r\n",
        b"From: ada@customer.example\r\nDKIM-Signature: v=1; x=" + b"b" * 17_000 + b"; d=evil.example\r\n",
    ],
    ids=["From", "DKIM-Signature"],
)
def test_a_field_that_tells_the_author_and_was_read_in_part_gives_nobody_rights(header: bytes) -> None:
    assert read_mail(header + b"\r\nHello\r\n").from_ambiguous


def test_another_field_of_more_than_16_kb_says_nothing_of_the_author() -> None:
    references = b"References: " + b"<x@y.example>\r\n " * 2000 + b"\r\n"
    assert not read_mail(b"From: ada@customer.example\r\n" + references + b"\r\nHello\r\n").from_ambiguous
