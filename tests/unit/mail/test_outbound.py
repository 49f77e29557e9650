import email
import email.utils
import re
from datetime import UTC, datetime
from email import policy
from email.message import EmailMessage

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from servelo.domain.outbound import MailKind, OutboundJob
from servelo.domain.tenant import Tenant
from servelo.domain.ticket import StoredFile
from servelo.errors import DeliveryFailed
from servelo.mail import inbound, outbound, reply_body
from servelo.mail.phrases import LANGUAGES

NOW = datetime(2026, 11, 23, 9, 5, 7, tzinfo=UTC)
DOMAIN = "serveloapp.com"
SENDER = "desk@acme.example"

HEADERS_OF_A_HUMAN = [
    "From",
    "To",
    "Reply-To",
    "Subject",
    "Date",
    "Message-ID",
    "In-Reply-To",
    "References",
    "X-Servelo-Stamp",
    "MIME-Version",
    "Content-Type",
]
AUTOMATIC = ["Auto-Submitted", "X-Auto-Response-Suppress"]


def _tenant(**given):
    values = {"slug": "acme", "name": "Acme", "created_at": NOW, **given}
    return Tenant(**values)


def _job(**given):
    values = {
        "id": "01hx5zzzzzzzzzzzzzzzzzzzzz",
        "slug": "acme",
        "kind": MailKind.TICKET_UPDATE,
        "recipient": "ada@example.org",
        "recipient_name": "Ada Lovelace",
        "subject": "[#7] Printer",
        "message_id": "01hx5.acme@serveloapp.com",
        "created_at": NOW,
        "due_at": NOW,
        "from_name": "Grace via Acme",
        "reply_to": "reply+TOKENtokenTOKEN@serveloapp.com",
        "in_reply_to": "b@example.org",
        "references": ("a@example.org", "b@example.org"),
        "content": {"number": 7, "author_name": "Grace", "text": "We fixed it."},
        **given,
    }
    return OutboundJob(**values)


def _built(job=None, tenant=None, **given):
    values = {
        "mail_domain": DOMAIN,
        "sender_address": SENDER,
        "file_contents": {},
        "now": NOW,
        **given,
    }
    return outbound.build(job or _job(), tenant or _tenant(), **values)


def _read(mail: bytes) -> EmailMessage:
    return email.message_from_bytes(mail, policy=policy.default)


def _texts(mail: bytes) -> tuple[str, str]:
    parsed = _read(mail)
    plain, html = (parsed.get_body((kind,)).get_content() for kind in ("plain", "html"))
    return plain.replace("\r\n", "\n"), html.replace("\r\n", "\n")


def _file(name="plan.pdf", content_type="application/pdf", key="acme/k1"):
    return StoredFile("f1", key, name, content_type, 4)


# -- headers -----------------------------------------------------------------------------------------------


def test_a_humans_answer_has_exactly_these_headers():
    parsed = _read(_built())
    assert HEADERS_OF_A_HUMAN == parsed.keys()
    assert "Grace via Acme <desk@acme.example>" == parsed["From"]
    assert "Ada Lovelace <ada@example.org>" == parsed["To"]
    assert "[#7] Printer" == parsed["Subject"]
    assert "<01hx5.acme@serveloapp.com>" == parsed["Message-ID"]
    assert "<b@example.org>" == parsed["In-Reply-To"]
    assert "<a@example.org> <b@example.org>" == " ".join(parsed["References"].split())
    assert "acme/ticket_update" == parsed["X-Servelo-Stamp"]
    assert datetime(2026, 11, 23, 9, 5, 7, tzinfo=UTC) == email.utils.parsedate_to_datetime(parsed["Date"])


def test_reply_to_is_the_bare_address_on_one_line():
    token = "reply+" + "T" * 58 + "@serveloapp.com"
    assert f"\r\nReply-To: {token}\r\n".encode() in _built(_job(reply_to=token))


def test_the_same_job_is_the_same_mail_at_every_attempt():
    assert _built() == _built()


@pytest.mark.parametrize("kind", sorted(outbound.AUTOMATIC_KINDS))
def test_automatic_kinds_say_so(kind):
    parsed = _read(_built(_job(kind=kind, content={"number": 7})))
    answers = kind in (MailKind.CONFIRMATION, MailKind.EXPLANATION)
    assert ("auto-replied" if answers else "auto-generated") == parsed["Auto-Submitted"]
    assert "All" == parsed["X-Auto-Response-Suppress"]


@pytest.mark.parametrize("kind", sorted(set(MailKind) - outbound.AUTOMATIC_KINDS))
def test_a_persons_mail_does_not_say_that_it_is_automatic_unless_the_job_does(kind):
    assert not set(AUTOMATIC) & set(_read(_built(_job(kind=kind))).keys())
    assert "auto-generated" == _read(_built(_job(kind=kind, automatic=True)))["Auto-Submitted"]


def test_references_are_trimmed_and_end_with_what_is_answered():
    ids = tuple(f"{number:03d}.{'x' * 40}@mail.example" for number in range(100))
    parsed = _read(_built(_job(references=ids, in_reply_to=ids[50])))
    found = parsed["References"].split()
    assert f"<{ids[0]}>" == found[0]
    assert f"<{ids[50]}>" == found[-1]
    assert 1500 >= len(" ".join(found))


def test_where_the_message_id_will_be_replaced_our_own_is_the_last_reference():
    parsed = _read(_built(message_id_replaced=True))
    assert "<01hx5.acme@serveloapp.com>" == parsed["References"].split()[-1]


def test_a_job_without_a_usable_message_id_gets_the_stable_one():
    for unfit in ("", "a b", "a>\r\nBcc: x@y"):
        parsed = _read(_built(_job(message_id=unfit)))
        assert "<01hx5zzzzzzzzzzzzzzzzzzzzz.acme@serveloapp.com>" == parsed["Message-ID"]


def test_unfit_ids_are_left_out():
    parsed = _read(_built(_job(in_reply_to="x y", references=("a>\r\nBcc: e@x", "ok@x"))))
    assert "In-Reply-To" not in parsed
    assert "<ok@x>" == parsed["References"]


@pytest.mark.parametrize(
    "recipient",
    [
        "a@b>\r\nRCPT TO:<e@x.example>",
        "a@b.example> SIZE=1",
        "<a@b.example>, <c@d.example>",
        "a@b.example,c@d.example",
        "Ada <a@b.example>",
        "a b@c.example",
        "a@b@c.example",
        "a@",
        "@b.example",
        "",
        "a\0@b.example",
        "a\u2028@b.example",
        "x" * 65 + "@b.example",
        "a@[127.0.0.1]",
    ],
)
def test_what_is_not_one_plain_address_is_refused(recipient):
    with pytest.raises(DeliveryFailed) as caught:
        _built(_job(recipient=recipient))
    assert "recipient_invalid" == caught.value.code


def test_a_sender_that_is_no_address_is_refused():
    with pytest.raises(DeliveryFailed) as caught:
        _built(sender_address="desk@acme.example\r\nBcc: x@y")
    assert "sender_invalid" == caught.value.code


def test_domains_outside_ascii_are_written_as_a_labels():
    parsed = _read(_built(_job(recipient="ada@bücher.example")))
    assert "ada@xn--bcher-kva.example" == parsed["To"].addresses[0].addr_spec


def test_a_local_part_outside_ascii_is_written_as_it_is():
    assert "<jürgen@example.org>".encode() in _built(_job(recipient="jürgen@example.org"))


def test_a_name_that_poses_as_an_address_is_only_a_name():
    parsed = _read(_built(_job(from_name="Boss <ceo@bank.example>")))
    assert [SENDER] == [each.addr_spec for each in parsed["From"].addresses]
    assert "Boss ceo bank.example" == parsed["From"].addresses[0].display_name


def test_without_a_name_the_tenants_stands_in_from():
    assert "Acme <desk@acme.example>" == _read(_built(_job(from_name="")))["From"]


_DATA = st.text(
    alphabet=st.one_of(
        st.sampled_from('\r\n\0\x0b\x0c\x85\u2028\u2029 \t<>@,;:"\\=?[]#.é漢\ud800{}%'), st.characters()
    ),
    max_size=80,
)
_INJECTED = st.one_of(
    _DATA,
    st.sampled_from(
        [
            "x\r\nBcc: evil@x.example",
            "x\nBcc: evil@x.example",
            "x\r\n\r\n<html>",
            "=?utf-8?q?Hi=0D=0ABcc:_evil@x?=",
            "=?utf-8?b?SGkNCkJjYzogZXZpbEB4?=",
            "x\u2028Bcc: evil@x.example",
            "\r.\r\nMAIL FROM:<evil@x.example>",
        ]
    ),
)


@settings(max_examples=300, deadline=None)
@given(
    data=st.fixed_dictionaries(
        {},
        optional={
            "subject": _INJECTED,
            "from_name": _INJECTED,
            "recipient_name": _INJECTED,
            "reply_to": _INJECTED,
            "message_id": _INJECTED,
            "in_reply_to": _INJECTED,
            "references": st.lists(_INJECTED, max_size=3).map(tuple),
            "slug": _INJECTED,
            "id": _INJECTED.filter(lambda text: text.isascii() and text.isalnum()),
        },
    ),
    tenant_name=_INJECTED,
    file_name=_INJECTED,
    file_type=_INJECTED,
    number=st.one_of(_INJECTED, st.integers()),
)
def test_no_data_makes_a_header_field(data, tenant_name, file_name, file_type, number):
    stored = _file(file_name, file_type)
    job = _job(**data, files=(stored,), content={"number": number, "text": tenant_name})
    mail = _built(job, _tenant(name=tenant_name), file_contents={stored.object_key: b"data"})
    block = mail.partition(b"\r\n\r\n")[0]
    names = [line.partition(b":")[0].decode() for line in block.split(b"\r\n") if line[:1] not in b" \t"]
    assert set(names) <= set(HEADERS_OF_A_HUMAN)
    assert len(names) == len(set(names))
    assert {"From", "To", "Subject", "Date", "Message-ID", "X-Servelo-Stamp"} <= set(names)
    assert mail.count(b"\r\n") == mail.count(b"\r") == mail.count(b"\n")
    assert all(len(line) <= 998 for line in mail.split(b"\r\n"))
    # A Python with the old header writer reads what we wrote the same way as any other.
    parsed = email.message_from_bytes(mail)
    assert names == parsed.keys()
    assert ["ada@example.org"] == [each for _, each in email.utils.getaddresses(parsed.get_all("To"))]
    assert [SENDER] == [each for _, each in email.utils.getaddresses(parsed.get_all("From"))]


_KEYS = (
    "number subject text client_name client_email who_sees author_name portal_link link amount currency "
    "due_date requested_by expires inviter_name role email reason address from to files file_sizes "
    "file_links event echo unverified truncated"
).split()
_VALUES = st.one_of(
    _INJECTED, st.integers(), st.floats(), st.booleans(), st.none(), st.lists(_INJECTED, max_size=3)
)


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(sorted(MailKind)), st.dictionaries(st.sampled_from(_KEYS), _VALUES))
def test_any_content_makes_a_mail(kind, content):
    plain, html = _texts(_built(_job(kind=kind, content=content)))
    assert plain.strip()
    assert html.rstrip().endswith("</html>")


# -- content -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("locale", sorted(LANGUAGES))
@pytest.mark.parametrize("kind", sorted(MailKind))
def test_every_kind_has_a_preview_in_every_language(kind, locale):
    subject, text, html = outbound.preview(kind, _tenant(locale=locale, footer="Acme Ltd\n1 Road"))
    assert subject
    for part in (text, html):
        assert "Acme Ltd" in part
        assert LANGUAGES[locale].phrase("sent_by", tenant="Acme") in part
        assert "{" not in re.sub(r"<style>.*?</style>", "", part, flags=re.S)
    assert "\n\n\n" not in text
    assert f'<html lang="{locale}"' in html


@pytest.mark.parametrize("locale", sorted(LANGUAGES))
def test_kinds_that_are_answered_begin_with_the_marker(locale):
    marker = outbound.reply_marker(locale)
    _, text, html = outbound.preview(MailKind.NOTIFICATION, _tenant(locale=locale))
    assert text.startswith(marker + "\n")
    assert html.index(marker) < html.index("<h1")


def test_without_a_reply_address_there_is_no_marker():
    plain, html = _texts(_built(_job(reply_to="")))
    assert outbound.reply_marker("en") not in plain + html


def test_a_confirmation_echoes_nothing_unless_told_so():
    content = {"number": 7, "subject": "BUY-THIS", "text": "http://spam.example"}
    for echo in (False, None, "true", 1):
        plain, html = _texts(_built(_job(kind=MailKind.CONFIRMATION, content={**content, "echo": echo})))
        assert "BUY-THIS" not in plain + html
        assert "spam.example" not in plain + html
        assert "#7" in plain
    plain, html = _texts(_built(_job(kind=MailKind.CONFIRMATION, content={**content, "echo": True})))
    for part in (plain, html):
        assert "BUY-THIS" in part
        assert "http://spam.example" in part


def test_a_notification_says_who_will_see_an_answer():
    content = {
        "number": 7,
        "text": "Hi",
        "who_sees": "Ada <ada@example.org>",
        "unverified": True,
        "event": "held",
    }
    plain, html = _texts(_built(_job(kind=MailKind.NOTIFICATION, content=content)))
    assert "Your answer to this mail goes to Ada <ada@example.org>." in plain
    assert "Your answer to this mail goes to Ada &lt;ada@example.org&gt;." in html
    for phrase in ("unverified", "held"):
        assert LANGUAGES["en"].phrase(phrase) in plain
        assert LANGUAGES["en"].phrase(phrase) in html


def test_html_in_data_is_escaped_in_html_and_literal_in_text():
    evil = '<script>alert(1)</script>{{7*7}}{% x %}"&'
    job = _job(
        kind=MailKind.NOTIFICATION,
        content={
            "number": 7,
            "subject": evil,
            "client_name": evil,
            "client_email": "a@b.c",
            "text": evil,
            "files": [evil],
        },
    )
    plain, html = _texts(_built(job, _tenant(name=evil, footer=evil)))
    assert "<script" not in html
    assert "&lt;script&gt;alert(1)&lt;/script&gt;{{7*7}}{% x %}" in html
    assert evil in plain
    assert "49" not in plain


@pytest.mark.parametrize(
    "link", ["javascript:alert(1)", "data:text/html,x", "//x.example", 'https://x"onclick=', "a b"]
)
def test_a_link_that_is_not_of_the_web_is_left_out(link):
    plain, html = _texts(_built(_job(kind=MailKind.INVOICE, content={"number": 1, "link": link})))
    assert link not in plain
    assert "<a " not in html


def test_text_keeps_its_lines_blank_lines_and_indents():
    text = "def f():\n    return 1\n\n\n\nend"
    plain, html = _texts(_built(_job(content={"number": 7, "text": text})))
    assert text in plain
    assert "&nbsp;&nbsp;&nbsp;&nbsp;return 1" in html


def test_an_endless_text_is_cut_and_says_so():
    plain, html = _texts(_built(_job(content={"number": 7, "text": "x" * 200_000})))
    for part in (plain, html):
        assert LANGUAGES["en"].phrase("truncated") in part
        assert 150_000 > len(part)


def test_amounts_and_dates_are_written_in_the_tenants_language():
    content = {"number": "R-1", "amount": 1250, "currency": "EUR", "due_date": "2026-12-01"}
    plain, _ = _texts(_built(_job(kind=MailKind.INVOICE, content=content), _tenant(locale="de")))
    assert "Betrag: 1.250,00 EUR" in plain
    assert "Fällig am: 1. Dezember 2026" in plain


def test_the_colour_is_used_and_its_text_can_be_read():
    _, html = _texts(
        _built(_job(kind=MailKind.INVOICE, content={"link": "https://x.example/"}), _tenant(colour="#ffee00"))
    )
    assert "background:#ffee00" in html
    assert "color:#000000" in html
    _, html = _texts(_built(tenant=_tenant(colour='red;"><script>')))
    assert "script" not in html
    assert outbound.DEFAULT_COLOUR in html


def test_a_logo_is_shown_by_https_alone():
    _, html = _texts(_built(tenant=_tenant(logo_url="https://cdn.example/logo.png")))
    assert '<img src="https://cdn.example/logo.png" alt="Acme"' in html
    _, html = _texts(_built(tenant=_tenant(logo_url="http://cdn.example/logo.png")))
    assert "<img" not in html


def test_every_reason_has_its_explanation():
    for reason, phrase in outbound.EXPLANATIONS.items():
        plain, _ = _texts(_built(_job(kind=MailKind.EXPLANATION, content={"reason": reason})))
        assert LANGUAGES["en"].phrase(phrase) in plain
    plain, _ = _texts(_built(_job(kind=MailKind.EXPLANATION, content={"reason": "something_new"})))
    assert LANGUAGES["en"].phrase("explanation_general") in plain


def test_the_screen_reader_and_the_dark_mode_find_what_they_need():
    _, html = _texts(_built())
    assert 'name="color-scheme" content="light dark"' in html
    assert "prefers-color-scheme: dark" in html
    assert html.count("<table") == html.count('<table role="presentation"')
    assert len(html.encode()) < 102_000


# -- files -------------------------------------------------------------------------------------------------


def test_files_travel_with_their_names_and_types():
    stored = _file("Plän für Ada.pdf")
    mail = _built(_job(files=(stored,)), file_contents={stored.object_key: b"\x00\xff\r.\r\n"})
    parsed = _read(mail)
    assert "multipart/mixed" == parsed.get_content_type()
    attached = list(parsed.iter_attachments())
    assert [("Plän für Ada.pdf", "application/pdf", b"\x00\xff\r.\r\n")] == [
        (each.get_filename(), each.get_content_type(), each.get_content()) for each in attached
    ]
    assert "- Plän für Ada.pdf (4 B)" in _texts(mail)[0]


def test_a_file_whose_content_is_not_given_is_shown_as_a_link():
    content = {"files": ["big.iso"], "file_sizes": [2_500_000], "file_links": ["https://x.example/f?a=1&b=2"]}
    plain, html = _texts(_built(_job(files=(_file("big.iso"),), content=content)))
    assert "- big.iso (2.5 MB)\n  https://x.example/f?a=1&b=2" in plain
    assert 'href="https://x.example/f?a=1&amp;b=2"' in html
    assert LANGUAGES["en"].phrase("links_expire") in plain
    assert "multipart/alternative" == _read(_built(_job(files=(_file(),)))).get_content_type()


# -- the operator's mail -----------------------------------------------------------------------------------


def _forward(**given):
    values = {
        "kind": MailKind.OPERATOR_FORWARD,
        "slug": "-",
        "recipient": "boss@operator.example",
        "reply_to": "ada@example.org",
        "subject": "[support@serveloapp.com] Help",
        "content": {"from": "Ada <ada@example.org>", "to": "support@serveloapp.com", "subject": "Help"},
        **given,
    }
    return _job(**values)


def _built_forward(job, raw_mail):
    return outbound.build(
        job,
        None,
        mail_domain=DOMAIN,
        sender_address="noreply@serveloapp.com",
        file_contents={},
        raw_mail=raw_mail,
        now=NOW,
    )


def test_an_operator_forward_is_a_new_mail_with_the_original_inside():
    raw = b"From: Ada <ada@example.org>\r\nSubject: Help\r\nMessage-ID: <orig@x>\r\n\r\n.\r\nhello\r\n"
    parsed = _read(_built_forward(_forward(), raw))
    assert "noreply@serveloapp.com" == parsed["From"].addresses[0].addr_spec
    assert "ada@example.org" == parsed["Reply-To"]
    assert "-/operator_forward" == parsed["X-Servelo-Stamp"]
    (original,) = parsed.iter_attachments()
    assert "message/rfc822" == original.get_content_type()
    assert raw in _built_forward(_forward(), raw)
    assert "Help" == original.get_content()["Subject"]


@pytest.mark.parametrize(
    "reply_to",
    [
        "reply+TOKEN@serveloapp.com",
        "acme@ServeloApp.com",
        "x@mail.serveloapp.com",
        "a@b.example, c@d.example",
        "Ada <a@b.example>",
        "a@b.example\r\nBcc: x@y",
    ],
)
def test_a_forward_is_never_answered_to_our_own_domain_or_to_several(reply_to):
    assert "Reply-To" not in _read(_built_forward(_forward(reply_to=reply_to), b"Subject: x\r\n\r\n"))


def test_an_original_that_is_too_large_is_a_link():
    raw = b"Subject: x\r\n\r\n" + b"y" * 70 * 1000
    job = _forward(content={"from": "a@b.c", "to": "support@x", "link": "https://x.example/raw"})
    limit = outbound.MAX_RAW_MAIL_BYTES
    try:
        outbound.MAX_RAW_MAIL_BYTES = 1000
        mail = _built_forward(job, raw)
    finally:
        outbound.MAX_RAW_MAIL_BYTES = limit
    plain, _ = _texts(mail)
    assert "multipart/alternative" == _read(mail).get_content_type()
    assert "https://x.example/raw" in plain
    assert LANGUAGES["en"].phrase("forward_linked") in plain


# -- subjects and names ------------------------------------------------------------------------------------


def test_mails_of_a_ticket_have_one_subject():
    content = {"number": 7, "subject": "Re: Printer", "echo": True}
    for kind in (MailKind.CONFIRMATION, MailKind.NOTIFICATION, MailKind.TICKET_UPDATE):
        assert "[#7] Printer" == outbound.subject_for(kind, _tenant(), content)


def test_a_confirmation_that_may_not_echo_has_a_subject_of_ours():
    subject = outbound.subject_for(MailKind.CONFIRMATION, _tenant(), {"number": 7, "subject": "BUY"})
    assert "[#7] We have received your message" == subject


def test_a_job_without_a_subject_gets_the_one_of_its_kind():
    mail = _built(_job(kind=MailKind.EXPLANATION, subject="", content={"reason": "token_invalid"}))
    assert "About the mail you sent us" == _read(mail)["Subject"]


def test_the_from_name_says_who_and_through_whom():
    assert "Ada via Acme" == outbound.from_name("Ada", _tenant())
    assert "Ada über Acme" == outbound.from_name("Ada", _tenant(locale="de"))
    assert "Acme" == outbound.from_name("", _tenant())
    assert 64 >= len(outbound.from_name("A" * 200, _tenant(name="B" * 200)))


def test_our_stamp_holds_nothing_but_slug_and_kind():
    assert "acme/invoice" == outbound.stamp("acme", MailKind.INVOICE)
    assert "-/message" == outbound.stamp("\r\n", MailKind.MESSAGE)


# -- read back by our own reader ---------------------------------------------------------------------------


@pytest.mark.parametrize("locale", sorted(LANGUAGES))
def test_an_answer_above_our_mail_is_told_from_it_by_the_marker_alone(locale):
    job = _job(kind=MailKind.NOTIFICATION, content={"number": 7, "text": "It is broken.", "who_sees": "Ada"})
    plain, html = _texts(_built(job, _tenant(locale=locale)))
    assert "Fixed it." == reply_body.part_reply(f"Fixed it.\n\n{plain}").new_text
    assert "Fixed it." == reply_body.part_reply("", f"<p>Fixed it.</p>{html}").new_text


def test_our_mail_is_read_back_as_it_was_meant():
    stored = _file("Plän.pdf")
    text = "Grüße\n\n.\n    indented\n漢字"
    job = _job(files=(stored,), content={"number": 7, "text": text}, from_name="Jürgen via Acme")
    mail = inbound.read_mail(_built(job, file_contents={stored.object_key: b"%PDF-1.4 x"}))
    assert ("Jürgen via Acme", SENDER) == (mail.from_.display_name, mail.from_.addr_spec)
    assert not mail.from_ambiguous
    assert "[#7] Printer" == mail.subject
    assert ("a@example.org", "b@example.org") == mail.references
    assert "01hx5.acme@serveloapp.com" == mail.message_id
    assert text in mail.text
    assert [("Plän.pdf", b"%PDF-1.4 x")] == [(each.filename, each.content) for each in mail.attachments]
    assert () == mail.warnings
    assert ("own_stamp",) == mail.machine.signals


def test_our_automatic_mail_is_known_as_automatic():
    signals = inbound.read_mail(_built(_job(kind=MailKind.NOTIFICATION))).machine.signals
    assert {"own_stamp", "auto_submitted"} <= set(signals)
