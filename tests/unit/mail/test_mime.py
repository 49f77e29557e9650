"""The part tree: any bytes in, parts out, capped before they are parsed."""

import base64

import pytest

from servelo.mail import mime


def mail(*lines: str, end: str = "\r\n") -> bytes:
    return end.join(lines).encode("utf-8")


def leaves(raw: bytes) -> list[tuple[str, str]]:
    return [(part.content_type, part.text()) for part in mime.parse(raw).walk() if not part.children]


def test_a_plain_mail_is_one_part_of_text_plain() -> None:
    root = mime.parse(mail("From: a@b.example", "Subject: Hi", "", "Hello", ""))
    assert root.content_type == "text/plain"
    assert root.text() == "Hello\n"
    assert root.get("subject") == "Hi"
    assert root.headers == [("from", "a@b.example"), ("subject", "Hi")]


@pytest.mark.parametrize("end", ["\r\n", "\n", "\r"])
def test_line_ends_of_every_system_are_read(end: str) -> None:
    root = mime.parse(mail("Subject: a", " b", "", "one", "two", end=end))
    assert root.get("subject") == "a b"
    assert root.text() == "one\ntwo"


def test_parts_lose_the_line_end_before_their_delimiter() -> None:
    raw = mail(
        "Content-Type: multipart/mixed; boundary=x",
        "",
        "preamble",
        "--x",
        "",
        "one",
        "--x",
        "",
        "two",
        "--x--",
        "end",
    )
    assert leaves(raw) == [("text/plain", "one"), ("text/plain", "two")]


def test_a_boundary_that_begins_like_another_is_not_taken_for_it() -> None:
    raw = mail(
        "Content-Type: multipart/mixed; boundary=x",
        "",
        "--x",
        "Content-Type: multipart/mixed; boundary=xy",
        "",
        "--xy",
        "",
        "inner",
        "--xy--",
        "--x",
        "",
        "outer",
        "--x--",
    )
    assert leaves(raw) == [("text/plain", "inner"), ("text/plain", "outer")]


def test_a_multipart_that_never_closes_keeps_its_last_part() -> None:
    assert leaves(mail("Content-Type: multipart/mixed; boundary=x", "", "--x", "", "one")) == [
        ("text/plain", "one")
    ]


def test_a_multipart_that_never_opens_is_read_as_text() -> None:
    root, warnings = mime.parse_with_warnings(mail("Content-Type: multipart/mixed; boundary=x", "", "words"))
    assert root.children == []
    assert root.text() == "words"
    assert warnings == ["A multipart does not hold the boundary that it names; it was read as one text."]


def test_the_same_boundary_inside_and_outside_still_gives_the_words() -> None:
    raw = mail(
        "Content-Type: multipart/mixed; boundary=x",
        "",
        "--x",
        "Content-Type: multipart/alternative; boundary=x",
        "",
        "--x",
        "Content-Type: text/plain",
        "",
        "words",
        "--x--",
    )
    assert ("text/plain", "words") in leaves(raw)


def test_an_embedded_mail_is_a_child_with_its_own_fields() -> None:
    root = mime.parse(mail("Content-Type: message/rfc822", "", "Subject: inner", "", "words"))
    (inner,) = root.children
    assert inner.get("subject") == "inner"
    assert inner.text() == "words"


def test_an_embedded_mail_in_base64_is_opened() -> None:
    raw = mail(
        "Content-Type: message/rfc822",
        "Content-Transfer-Encoding: base64",
        "",
        "U3ViamVjdDogaW5uZXIKCndvcmRz",
    )
    assert mime.parse(raw).children[0].text() == "words"


def test_parts_of_a_digest_are_mails_without_saying_so() -> None:
    raw = mail(
        "Content-Type: multipart/digest; boundary=x", "", "--x", "", "Subject: one", "", "words", "--x--"
    )
    assert mime.parse(raw).children[0].children[0].get("subject") == "one"


def test_groups_of_a_delivery_status_are_children() -> None:
    raw = mail(
        "Content-Type: message/delivery-status",
        "",
        "Reporting-MTA: dns; mx.example",
        "",
        "Final-Recipient: rfc822; a@b.example",
        "Status: 5.1.1",
        "",
        "",
    )
    first, second = mime.parse(raw).children
    assert first.get("reporting-mta") == "dns; mx.example"
    assert second.get("status") == "5.1.1"


def test_an_mbox_separator_and_empty_lines_before_the_mail_are_passed_over() -> None:
    assert mime.parse(b"\r\n\nFrom joe Mon Jan 1 2024\nSubject: s\n\nx").get("subject") == "s"


def test_a_from_field_with_a_space_before_its_colon_is_no_mbox_separator() -> None:
    root = mime.parse(mail("From : a@b.example", "Subject : s", "", "x"))
    assert ("a@b.example", "s") == (root.get("from"), root.get("subject"))


def test_text_without_a_blank_line_before_it_is_the_body() -> None:
    root = mime.parse(mail("Subject: s", "these are words, not a field", "and more"))
    assert root.get("subject") == "s"
    assert root.text() == "these are words, not a field\nand more"


def test_a_line_that_is_no_field_does_not_hide_the_fields_after_it() -> None:
    root = mime.parse(mail("Received: x", "From joe@b.example Mon Jan 1", "Subject: s", "", "body"))
    assert root.get("subject") == "s"
    assert root.text() == "body"


def test_an_endless_field_does_not_hide_the_fields_after_it() -> None:
    root, warnings = mime.parse_with_warnings(b"To: " + b"," * 1_000_000 + b"\r\nSubject: s\r\n\r\nbody")
    assert root.get("subject") == "s"
    assert len(root.fields[0][1]) == 16 * 1024
    assert warnings == ["A header field is longer than 16 kB; its rest was not read."]


def test_depth_and_number_of_parts_are_capped() -> None:
    nested = (
        b"".join(b"Content-Type: multipart/mixed; boundary=b%d\n\n--b%d\n" % (n, n) for n in range(100))
        + b"\nx"
    )
    assert len(list(mime.parse(nested).walk())) == mime.MAX_DEPTH + 1
    flat = b"Content-Type: multipart/mixed; boundary=b\n\n" + b"--b\n\nx\n" * 2000
    root, warnings = mime.parse_with_warnings(flat)
    assert len(list(root.walk())) == mime.MAX_PARTS
    assert warnings == ["The mail has more than 500 parts; the rest was not opened."]


def test_a_thousand_fields_are_read_and_no_more() -> None:
    root, warnings = mime.parse_with_warnings(b"X: y\n" * 1500 + b"\nbody")
    assert len(root.fields) == 1000
    assert root.text() == "body"
    assert warnings == ["The header is longer than 1,000 fields or 256 kB; the rest of it was not read."]


@pytest.mark.parametrize(
    ("encoding", "body", "expected"),
    [
        ("base64", "aGVs\r\nbG8=", b"hello"),
        ("BASE64", "aGVsbG8", b"hello"),
        ("base64", "aGVs*bG8=", b"hello"),
        ("base64", "aGVsbG8=\r\naGVsbG8=\r\n", b"hellohello"),
        ("base64", "?", b""),
        ("quoted-printable", "a=3Db=\r\nc =ZZ", b"a=bc =ZZ"),
        ("quoted-printable", "long= \t\r\nword= ", b"longword= "),
        ("x-uuencode", "begin 644 f\r\n%:&5L;&\\\r\n`\r\nend\r\n", b"hello"),
        ("7-bit", "hello", b"hello"),
        ("", "hello", b"hello"),
    ],
)
def test_transfer_encodings_are_undone_and_garbage_in_them_does_no_harm(
    encoding: str, body: str, expected: bytes
) -> None:
    assert mime.parse(mail(f"Content-Transfer-Encoding: {encoding}", "", body)).decoded() == expected


def test_a_text_longer_than_a_megabyte_is_read_up_to_there() -> None:
    raw = b"Content-Type: text/plain\n\n" + b"x" * 3_000_000
    root = mime.parse(raw)
    assert len(root.text()) == mime.MAX_TEXT_BYTES
    assert len(root.decoded()) == 3_000_000


@pytest.mark.parametrize(
    "raw", [b"", b"\n", b"\r\n\r\n", b"\x00" * 50, b":", b"From ", b"--", b"\xff\xfe" * 40]
)
def test_bytes_that_are_no_mail_still_give_a_part(raw: bytes) -> None:
    assert mime.parse(raw).children == []


def test_plain_words_under_the_label_of_base64_are_read_as_words() -> None:
    raw = mail(
        "Content-Transfer-Encoding: base64",
        "",
        "These are plain words, and somebody labelled them wrongly. Sorry!",
    )
    assert mime.parse(raw).text() == "These are plain words, and somebody labelled them wrongly. Sorry!"


def test_a_byte_order_mark_before_the_mail_does_not_hide_its_first_field() -> None:
    assert mime.parse(b"\xef\xbb\xbfFrom: a@b.example\nSubject: s\n\nx").get("from") == "a@b.example"


def test_words_below_base64_are_read_as_words() -> None:
    footer = "_______________________________________________\r\nUsers mailing list"
    head = ("Content-Type: text/plain; charset=utf-8", "Content-Transfer-Encoding: base64", "")
    encoded = base64.b64encode("Die Sitzung fällt aus, sagt es weiter!".encode()).decode()
    assert mime.parse(mail(*head, encoded, footer)).text() == (
        "Die Sitzung fällt aus, sagt es weiter!\n" + footer.replace("\r\n", "\n")
    )
    twice = base64.b64encode(b"First words of mine").decode(), base64.b64encode(b"Second words").decode()
    assert "Second words" in mime.parse(mail(*head, twice[0], "-- list --", twice[1])).text()
    noisy = encoded[:20] + "\r\n*\r\n" + encoded[20:]
    assert mime.parse(mail(*head, noisy)).text() == "Die Sitzung fällt aus, sagt es weiter!"
