"""Mails whose reading took the square of their size or worse: read, and as they should be.

Without the mends most of these tests do not end within a quarter of a minute, the first one never.
"""

import pytest

from servelo.domain.ids import identity
from servelo.mail import attachments, forwarded, html_text, tnef
from servelo.mail.address import parse_mailboxes
from servelo.mail.inbound import read_mail
from servelo.mail.inbound_mail import InboundMail

HEAD = "From: ada@customer.example\nTo: acme@serveloapp.com\nSubject: s\n"
NOTICE = "From: MAILER-DAEMON@mx.example\nSubject: Undelivered mail\n\n"


def read(text: str) -> InboundMail:
    return read_mail(text.encode())


def mixed(*parts: str) -> InboundMail:
    body = "".join(f"--B\n{part}\n" for part in parts)
    return read(f"{HEAD}Content-Type: multipart/mixed; boundary=B\n\n{body}--B--\n")


def test_the_type_of_a_file_is_told_behind_any_number_of_comments() -> None:
    many = b"<!---->" * 200
    assert attachments.sniff(many + b"<svg>") == "image/svg+xml"
    assert attachments.sniff(b"<!-- a -- b -->\n" + many + b"<table>") == "text/html"
    assert attachments.sniff(many) == ""


def test_the_beginning_of_a_returned_mail_is_looked_for_between_any_spaces() -> None:
    spaces = " " * 900
    found = read(
        f"{NOTICE}Delivery failed\nbob@b.example user unknown\nmessage text{spaces}x\n{spaces}a @x\n"
    )
    assert [one.recipient for one in found.bounce.recipients] == ["bob@b.example"]
    returned = "The original  message follows:\n\nTo: eve@e.example\n"
    found = read(f"{NOTICE}Delivery failed\nbob@b.example user unknown\n\n{spaces}{returned}")
    assert [one.recipient for one in found.bounce.recipients] == ["bob@b.example"]


def test_lines_of_bullets_are_no_addresses_and_take_no_time() -> None:
    ladder = "".join(f"{'  ' * (number % 8)}a{number}@b.example (\n{'o' * 990}@\n" for number in range(60))
    assert len(read(NOTICE + "Delivery failed\n" + ladder).bounce.recipients) <= 100


def test_fields_of_spaces_are_unfolded_and_parted() -> None:
    spaces = " " * 15_900
    found = mixed(*[f'Content-Type: text/plain;{spaces}"\n\nhello'] * 20)
    assert found.text.count("hello") == 20
    many = "".join(f"X: a{spaces}b\n c\n" for _ in range(10))
    assert dict(read(f"{HEAD}{many}\nhi").headers)["x"].split() == ["a", "b", "c"]
    assert [one.addr_spec for one in parse_mailboxes(f"ada@{spaces}c.example").mailboxes] == ["ada@c.example"]
    assert parse_mailboxes(f"<ada@b{spaces}c>").ambiguous


def test_an_encoded_word_that_never_ends_is_left_for_the_next() -> None:
    found = read("Subject: =?utf-8?q?open =?utf-8?q?=C3=A4?= x\n" + f"X: {'=?a?Q?x' * 2200}\n" * 15 + "\nhi")
    assert found.subject == "=?utf-8?q?open ä x"
    assert found.text == "hi"


def test_begins_of_files_without_an_end_are_words() -> None:
    found = read(f"{HEAD}\n" + "begin 644 a\n" * 40_000 + "end\n")
    assert found.attachments == ()
    assert found.text.endswith("end\n")
    named = read(f"{HEAD}\nbegin 644{' ' * 100_000}x\n")
    assert named.attachments == ()


@pytest.mark.parametrize("mark", ["\u0301\u0323", "a\u0301"])
def test_a_name_of_marks_is_cut_before_they_are_put_in_order(mark: str) -> None:
    name = "a" + mark * 40_000 + ".pdf"
    clean = attachments.clean_name(name, "application/pdf", 1)
    assert clean.endswith(".pdf")
    assert len(clean) <= 150


def test_a_label_of_spaces_is_no_header_of_a_forwarded_mail() -> None:
    line = "a" + " " * 597 + "b\n"
    assert forwarded.original_sender(read(f"{HEAD}\n{line * 300}")) is None


def test_a_mail_within_thirty_mails_is_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    from servelo.mail import plain_text

    calls = []
    unflow = plain_text.unflow
    monkeypatch.setattr(plain_text, "unflow", lambda text, **more: calls.append(1) or unflow(text, **more))
    within = "From: a@b.example\nContent-Type: message/rfc822\n\n" * 20
    found = read(
        f"{within}From: leaf@b.example\nContent-Type: text/plain; format=flowed\n\nthe innermost\nwords"
    )
    assert len(calls) == 1
    assert found.text.count("Forwarded message") == 20
    assert found.text.endswith("the innermost\nwords")


def test_many_parts_of_html_are_laid_out_no_further_than_one() -> None:
    pieces = ["Content-Type: text/html\n\n" + "<p>word</p>" * 200] * 400
    found = mixed(*pieces)
    assert found.text.count("word") == 400 * 200


def test_of_a_report_only_the_fields_that_are_read_are_decoded() -> None:
    group = (
        "Final-Recipient: rfc822; {}@b.example\nAction: failed\nStatus: 5.1.1\n"
        "Diagnostic-Code: smtp; 550 5.1.1 {}\nX: =?l{}?q?=e9=a0?=\n\n"
    )
    groups = "".join(group.format(f"a{n}", "no such user " * 90, n) for n in range(180))
    found = read(
        f"{NOTICE[:-1]}Content-Type: multipart/report; boundary=B\n\n"
        f"--B\nContent-Type: message/delivery-status\n\nReporting-MTA: dns; mx\n\n{groups}\n--B--\n"
    )
    assert len(found.bounce.recipients) == 180
    assert {(one.status, one.permanent, one.reason) for one in found.bounce.recipients} == {
        ("5.1.1", True, "user-unknown")
    }


def test_of_address_fields_without_end_no_more_is_read_than_counts() -> None:
    found = parse_mailboxes("ada@a.example, " + "x," * 5000 + "eve@e.example")
    assert [one.addr_spec for one in found.mailboxes] == ["ada@a.example"]
    assert found.truncated
    mail = read("From: ada@a.example, " + "x," * 5000 + "eve@e.example\n\nhi")
    assert mail.from_ambiguous
    spellings = "".join(f"<a@é{number}.example>" for number in range(1000))
    assert parse_mailboxes(spellings).ambiguous
    assert not parse_mailboxes("a@é.example <a@xn--9ca.example> <A@É.example>").ambiguous
    lists = "To: " + ",".join(f"p{number}@a.example" for number in range(90)) + "\n"
    assert len(read(f"{HEAD}{lists * 16}\nhi").to) == 100
    names = read(f"From: ada@a.example\n{('To: ' + 'x,' * 7000 + chr(10)) * 3}To: eve@e.example\n\nhi")
    assert (names.to, "100 addresses" in " ".join(names.warnings)) == ((), True)


def test_encoded_words_behind_two_thousand_others_are_shown_as_they_were_written() -> None:
    word = "=?utf-8?q?=C3=A9?="
    few, many = f"X-Few: {word * 300}\n" * 5, f"X-Many: {word * 300}\n" * 8
    assert read(f"From: a@a.example\n{few}Subject: {word}\n\nhi").subject == "é"
    assert read(f"From: a@a.example\n{many}Subject: {word}\n\nhi").subject == word


def test_more_than_a_thousand_files_are_left_in_the_raw_mail() -> None:
    uu = "".join(f"begin 644 {number}\n#0V%T\n`\nend\n" for number in range(50))
    found = mixed(*[f"Content-Type: text/plain\n\n{uu}"] * 25)
    assert len(found.attachments) == 1000
    assert "The mail holds more than 1,000 files; the raw mail holds the rest." in found.warnings


def test_the_charset_that_html_names_is_looked_for_between_any_spaces() -> None:
    part = "Content-Type: text/html\n\n<meta charset=" + " " * 2000 + ">word\n"
    assert mixed(*[part] * 450).text.count("word") == 450
    named = (
        b"From: a@b.example\nContent-Type: text/html\n\n<meta charset =  ' koi8-r'>\xd0\xd2\xc9\xd7\xc5\xd4"
    )
    assert read_mail(named).text == "привет"


def test_keys_and_answers_of_a_notice_are_looked_for_between_any_spaces() -> None:
    spaces = " " * 980
    lines = "".join(f"user:{spaces}x@\nrcpt to: <b@c.example>\n{spaces}x\n" for _ in range(60))
    assert {one.recipient for one in read(f"{NOTICE}Delivery failed\n{lines}").bounce.recipients} == {
        "b@c.example"
    }
    key = f"{NOTICE}Delivery failed\n\nRecipient:  <  mailto:bob@b.example>\n550 user unknown\n"
    assert [one.recipient for one in read(key).bounce.recipients] == ["bob@b.example"]


def test_dashes_before_an_attribution_and_rules_of_spaces_take_no_time() -> None:
    dashes = "x" + "-" * 1900 + " bob@example.com wrote on 3 May 2024 at 10:00:\n"
    assert read(f"{HEAD}\nwords\n{dashes * 400}").body.new_text.startswith("words")
    rules = ("> " + " " * 390 + "x\n") * 2000
    assert read(f"{HEAD}\nwords\n\n{rules}").body.new_text.strip() == "words"


def test_a_domain_of_a_thousand_letters_is_compared_as_it_is() -> None:
    letters = "".join(chr(0x4E00 + number * 7 % 20000) for number in range(5000))
    for domain in (letters, f"ß{letters}", f"{letters}.example"):
        found = read(f"From: a@{domain} <b@c.example>\nTo: x@{domain}\n\nhi")
        assert found.from_ambiguous
        assert found.to[0].identity == f"x@{domain}"
    label = letters[:60]
    assert identity(f"a@{label}.example") == f"a@{label}.example"  # an A-label longer than DNS has
    assert identity("a@BÜCHER.example") == "a@xn--bcher-kva.example"
    assert identity("a@e\u0301") == identity("a@\u00e9")


def test_marks_of_quotations_are_not_multiplied_by_the_signs_within_a_line() -> None:
    html = "> " * 12_500 + "<span class=gmail_attr>x" * 2_100
    found = read(f"From: a@b.example\nContent-Type: text/html\n\n{html}")
    assert len(found.body.new_text) + len(found.body.quoted_text) < 4 * len(html)


def test_brackets_words_and_spaces_below_a_line_take_no_time() -> None:
    brackets = "1 a@b.c @" + "]" * 880 + " x\n>q\n"
    assert "hello" in read(f"{HEAD}\nhello\n{brackets * 1000}").body.new_text
    spaces = "x" + " " * 117 + "y\n\n"
    assert read(f"{HEAD}\nhello\n\n{spaces * 8000}").body.new_text.startswith("hello")
    word = "a b c " + "a" * 2800
    assert word in read(f"{HEAD}\nhi\n\n--\n{word}\n").text


@pytest.mark.parametrize(
    "html",
    ["<p>x<script>" + "</script " * 30_000, "<p>x<title>" + "</title " * 30_000, "x" + "</a" * 333_000],
)
def test_an_end_tag_that_never_ends_is_looked_for_once(html: str) -> None:
    assert html_text.render(html)[0] == html_text.bare_words(html)[0] == "x"


def test_end_tags_of_long_names_are_parted_as_before() -> None:
    names = ["a" * 61, "a" * 62, "b\n", "i/"]
    found = [html[2] for html in html_text.tags("".join(f"</{name} x>" for name in names) + "</u" + "</" * 9)]
    assert found[:4] == ["a" * 61, "a" * 61, "b", "i"]
    assert set(found[4:]) == {""}
    long = "</" + "a" * 61
    assert html_text.render("<b>x</b>" + long * 15_000).startswith("x")


def test_a_number_of_five_thousand_digits_hides_no_words() -> None:
    many = "&#" + "1" * 5000 + ";"
    assert (
        read(f"{HEAD}Content-Type: text/html\n\n<p>hello {many} there &#33;").text == "hello \ufffd there !"
    )
    notice = (
        f"Content-Type: text/html\n\n<p>Your mail could not be delivered: {many}<br>&lt;b@b.example&gt;: 550"
    )
    found = read(NOTICE.replace("\n\n", f"\n{notice} user unknown"))
    assert [one.recipient for one in found.bounce.recipients] == ["b@b.example"]


def test_a_field_of_a_report_is_unfolded_once_however_often_it_stands_there() -> None:
    group = "Final-Recipient: rfc822; a@b.example" + "\n a" * 5300 + "\nFinal-Recipient: x\n" * 990
    report = f"Content-Type: message/delivery-status\n\n{group}Action: failed\nStatus: 5.1.1\n\n"
    mail = read(f"{HEAD}Content-Type: multipart/report; boundary=B\n\n--B\n{report * 5}--B--\n")
    assert {one.recipient.split()[0] for one in mail.bounce.recipients} == {"a@b.example"}


def test_delimiters_behind_lone_carriage_returns_look_for_one_line_end() -> None:
    raw = f"{HEAD}Content-Type: multipart/mixed; boundary=B\n\nx\n" + "\r--B" * 240_000 + "\n\nhello\n--B--\n"
    assert read(raw).text == "hello"


def test_many_spellings_without_brackets_are_ambiguous_unasked() -> None:
    many = " ".join(f"é{number}@d{number}é.é" for number in range(1000))
    assert parse_mailboxes(many).ambiguous
    assert parse_mailboxes("a@é.example b@é.example").ambiguous
    assert not parse_mailboxes("Ada a@é.example A@xn--9ca.example").mailboxes[1:]


def test_headers_of_returned_mails_are_parted_near_their_beginning() -> None:
    groups = "Content-Type: message/delivery-status\n\n" + "a:b\n\n" * 498 + "\n\rx" * 80_000
    returned = f"Content-Type: text/rfc822-headers\n\n{groups}"
    failed = "Content-Type: message/delivery-status\n\nFinal-Recipient: rfc822; a@b.example\nAction: failed\n"
    parts = "".join(f"--B\n{part}\n" for part in (failed, *[returned] * 4))
    mail = read(f"{HEAD}Content-Type: multipart/report; boundary=B\n\n{parts}--B--\n")
    assert [one.recipient for one in mail.bounce.recipients] == ["a@b.example"]


def test_a_copy_of_what_it_writes_is_made_at_once() -> None:
    def copies(distance: int) -> bytes:  # of 17 letters each, from *distance* before where they go
        starts = [207 + 17 * copy - distance & 4095 for copy in range(800)]
        tokens = b"".join(
            b"\xff" + b"".join((start << 4 | 15).to_bytes(2, "big") for start in starts[at : at + 8])
            for at in range(0, 800, 8)
        )
        head = (len(tokens) + 12, 13_600, 0x75465A4C, 0)
        return tnef.unpack_rtf(b"".join(number.to_bytes(4, "little") for number in head) + tokens)

    dictionary = b"\\u\\tab\\tx"
    for distance in (1, 2, 3, 8):
        expected = dictionary[-distance:] * 13_600
        assert copies(distance) == expected[:13_600]
