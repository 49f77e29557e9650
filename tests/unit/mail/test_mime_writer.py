import email
import re
from email import policy

import pytest
from hypothesis import given
from hypothesis import strategies as st

from servelo.errors import DeliveryFailed
from servelo.mail import mime_writer

# Everything that has ended a header line somewhere: CR, LF, NUL, form feeds, NEL, U+2028, U+2029.
BREAKS = "\r\n\0\x0b\x0c\x85\u2028\u2029"
nasty = st.text(
    alphabet=st.one_of(st.sampled_from(BREAKS + ' \t<>@,;:"\\=?.é漢'), st.characters()), max_size=120
)


def _block(*fields: mime_writer.Field) -> bytes:
    return mime_writer.header_block(fields)


def test_a_name_loses_what_could_pose_as_an_address():
    assert mime_writer.plain_name("Boss <ceo@bank.example>") == "Boss ceo bank.example"
    assert mime_writer.plain_name('"Ada", Countess') == "Ada Countess"
    assert mime_writer.plain_name("Ada\r\nBcc: x@y") == "Ada Bcc x y"
    assert mime_writer.plain_name("\u202eadA") == "adA"


def test_names_are_atoms_quoted_or_encoded_as_they_need():
    assert mime_writer.address("From", "Ada via Acme", "a@b.c") == ("From", b"Ada via Acme <a@b.c>")
    assert mime_writer.address("From", "Acme Inc.", "a@b.c") == ("From", b'"Acme Inc." <a@b.c>')
    assert mime_writer.address("From", "", "a@b.c") == ("From", b"a@b.c")
    name, value = mime_writer.address("From", "Jürgen", "a@b.c")
    parsed = email.message_from_bytes(_block((name, value)), policy=policy.default)["From"].addresses
    assert [("Jürgen", "a@b.c")] == [(each.display_name, each.addr_spec) for each in parsed]


def test_a_name_written_as_an_encoded_word_is_not_one_at_the_reader():
    name, value = mime_writer.address("From", "=?utf-8?q?Boss?=", "a@b.c")
    parsed = email.message_from_bytes(_block((name, value)), policy=policy.default)["From"].addresses
    assert "=?utf-8?q?Boss?=" == parsed[0].display_name


@given(nasty)
def test_any_subject_stays_in_its_field_and_is_read_back(text):
    block = _block(mime_writer.unstructured("Subject", text), ("X-End", b"1"))
    parsed = email.message_from_bytes(block, policy=policy.default)
    assert ["Subject", "X-End"] == parsed.keys()
    assert mime_writer.plain_subject(text) == parsed["Subject"]
    assert (
        all(len(line) <= 78 for line in block.split(b"\r\n")) or not text.isascii() or " " not in text.strip()
    )


@given(nasty, st.sampled_from(["a@b.example", "x" * 64 + "@" + "y" * 50 + ".example", '"a b"@b.example'[1:]]))
def test_any_display_name_stays_before_its_address(text, addr_spec):
    addr_spec = addr_spec.replace(" ", "").replace('"', "")
    block = _block(mime_writer.address("From", text, addr_spec), ("X-End", b"1"))
    parsed = email.message_from_bytes(block, policy=policy.default)
    assert ["From", "X-End"] == parsed.keys()
    assert [addr_spec] == [each.addr_spec for each in parsed["From"].addresses]


@given(nasty)
def test_any_file_name_is_read_back(text):
    fields, body = mime_writer.file_part(b"x", filename=text, content_type="text/plain")
    block = _block(*fields)
    parsed = email.message_from_bytes(block + b"\r\n" + body)
    assert ["Content-Type", "Content-Transfer-Encoding", "Content-Disposition"] == parsed.keys()
    assert mime_writer.plain_filename(text) == parsed.get_filename()
    assert all(len(line) <= 100 for line in block.split(b"\r\n"))


def test_a_file_name_has_no_path_and_keeps_its_extension_when_cut():
    assert mime_writer.plain_filename("../../etc/passwd") == ".._.._etc_passwd"
    assert mime_writer.plain_filename("C:\\x.txt") == "C:_x.txt"
    assert mime_writer.plain_filename("\r\n") == "file"
    cut = mime_writer.plain_filename("é" * 300 + ".pdf")
    assert cut.endswith(".pdf")
    assert 120 >= len(cut)


@pytest.mark.parametrize(
    "declared", ["multipart/mixed", "message/rfc822", "text", "a/b\r\nX: y", "", "image/png; name=x"]
)
def test_a_type_that_cannot_be_declared_goes_out_as_octets(declared):
    fields, _ = mime_writer.file_part(b"x", filename="a.bin", content_type=declared)
    assert b"application/octet-stream" == dict(fields)["Content-Type"]


@given(nasty.filter(lambda text: "\t" not in text))
def test_any_text_is_read_back_line_by_line(text):
    fields, body = mime_writer.text_part("plain", text)
    assert all(len(line) <= 76 and not line.startswith(b".") for line in body.split(b"\r\n"))
    assert body.count(b"\r\n") == body.count(b"\r") == body.count(b"\n")
    parsed = email.message_from_bytes(_block(*fields) + b"\r\n" + body)
    decoded = parsed.get_payload(decode=True).decode("utf-8").replace("\r\n", "\n")
    assert mime_writer.plain_text(text) == decoded


@pytest.mark.parametrize(
    "text", ["\n.\r\nMAIL FROM:<x@y>", "a\r.\r\nb", "a\r\n.\nb", "." * 90, "From here", "x" * 3000]
)
def test_a_body_cannot_end_the_data(text):
    fields, body = mime_writer.text_part("plain", text)
    assert not re.search(rb"(?m)^\.", body)
    parsed = email.message_from_bytes(_block(*fields) + b"\r\n" + body)
    assert mime_writer.plain_text(text) == parsed.get_payload(decode=True).decode().replace("\r\n", "\n")


def test_text_of_another_script_goes_out_as_base64():
    fields, _ = mime_writer.text_part("plain", "漢字" * 50)
    assert b"base64" == dict(fields)["Content-Transfer-Encoding"]


def test_a_sound_mail_is_embedded_as_a_mail():
    raw = b"From: a@b\r\nSubject: x\r\n\r\n.hello\r\n"
    fields, body = mime_writer.mail_part(raw, "original.eml")
    assert b"message/rfc822" == dict(fields)["Content-Type"]
    assert raw == body


@pytest.mark.parametrize(
    "raw",
    [
        b"Subject: \xfc\r\n\r\nx\r\n",
        b"Subject: x\r\n\r\n" + b"y" * 999 + b"\r\n",
        b"Subject: x\r\n\r\na\r.\r\nb\r\n",
        b"Subject: x\r\n\r\na\n.\r\nb\r\n",
        b"Subject: x\r\n\r\n\0\r\n",
    ],
    ids=["8-bit", "long line", "bare CR", "bare LF", "NUL"],
)
def test_a_mail_that_seven_bits_cannot_carry_keeps_every_octet_as_a_file(raw):
    fields, body = mime_writer.mail_part(raw, "original.eml")
    assert b"application/octet-stream" == dict(fields)["Content-Type"]
    parsed = email.message_from_bytes(_block(*fields) + b"\r\n" + body)
    assert raw == parsed.get_payload(decode=True)
    assert "original.eml" == parsed.get_filename()


def test_a_mail_with_unix_line_ends_is_embedded_with_those_of_smtp():
    fields, body = mime_writer.mail_part(b"Subject: x\n\nhello", "original.eml")
    assert b"message/rfc822" == dict(fields)["Content-Type"]
    assert b"Subject: x\r\n\r\nhello\r\n" == body


def test_a_boundary_that_stands_in_the_content_is_not_used():
    first = mime_writer.free_boundary("seed", [b""])
    assert mime_writer.free_boundary("seed", [first.encode()]) != first


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("Subject", b"a\r\nBcc: x@y"),
        ("Subject", b"a\nBcc: x@y"),
        ("Subject", b"a\r\n\r\nbody"),
        ("Subject", b"a\r\n \r\n b"),
        ("Subject", b"a\rb"),
        ("Subject", b"a\0b"),
        ("Sub ject", b"a"),
        ("X:Y", b"a"),
        ("Subject", b"a" * 1000),
    ],
)
def test_a_header_that_does_not_read_back_stops_the_mail(name, value):
    with pytest.raises(DeliveryFailed) as caught:
        mime_writer.serialise([(name, value), ("X-End", b"1")], b"body\r\n")
    assert "mail_not_composable" == caught.value.code


@pytest.mark.parametrize("body", [b"a\nb\r\n", b"a\rb\r\n", b"x" * 999 + b"\r\n"])
def test_a_body_with_a_bare_line_end_or_an_overlong_line_stops_the_mail(body):
    with pytest.raises(DeliveryFailed):
        mime_writer.serialise([("Subject", b"x")], body)
