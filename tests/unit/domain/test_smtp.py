import pytest
from hypothesis import given
from hypothesis import strategies as st

from servelo.domain.smtp import SmtpLogin, envelope_address
from servelo.errors import InvalidInput


@pytest.mark.parametrize(
    ("written", "sent"),
    [
        ("ada@example.org", "ada@example.org"),
        ("Ada.Lovelace+x@Example.ORG", "Ada.Lovelace+x@Example.ORG"),
        ("o'brien=x/y@a-b.example", "o'brien=x/y@a-b.example"),
        ("ada@bücher.example", "ada@xn--bcher-kva.example"),
        ("ada@straße.example", "ada@xn--strae-oqa.example"),
        ("jürgen@example.org", "jürgen@example.org"),
        ('"a+b"@example.org', '"a+b"@example.org'),
        ("ada@example.org.", "ada@example.org"),
        ("x" * 64 + "@example.org", "x" * 64 + "@example.org"),
        ("root@localhost", "root@localhost"),
    ],
)
def test_one_plain_address_is_taken(written, sent):
    assert sent == envelope_address(written)


@pytest.mark.parametrize(
    "written",
    [
        "a@b.example>\r\nRCPT TO:<e@x.example>",
        "a@b.example> SIZE=1",
        "<a@b.example>, <c@d.example>",
        "<a@b.example>",
        "a@b.example c@d.example",
        "Ada <a@b.example>",
        "a@b@c.example",
        "(x)a@b.example",
        "a,b@c.example",
        "a;b@c.example",
        ".a@b.example",
        "a..b@c.example",
        '"a b"@c.example',
        '"a\\"b"@c.example',
        "a\u00a0b@c.example",
        "a\u2028b@c.example",
        "a\x85b@c.example",
        "a\ud800b@c.example",
        "a@b.example\n",
        "a@[127.0.0.1]",
        "a@-b.example",
        "a@b..example",
        "a@",
        "@b.example",
        "a",
        "",
        "x" * 65 + "@example.org",
        "é" * 33 + "@example.org",
        "a@" + ".".join(["x" * 60] * 5),
    ],
)
def test_what_could_say_more_than_one_address_is_refused(written):
    with pytest.raises(InvalidInput):
        envelope_address(written)


@given(st.text(max_size=60).map(lambda text: text.replace("@", "") + "@example.org"))
def test_no_address_that_is_taken_can_end_its_command(written):
    try:
        address = envelope_address(written)
    except InvalidInput:
        return
    assert not any(sign.isspace() or not sign.isprintable() or sign in "<>," for sign in address)
    assert address == envelope_address(address)


def test_a_login_never_shows_its_password():
    login = SmtpLogin("smtp.acme.example", 587, "desk", "canary")
    assert "canary" not in repr(login)
    assert "canary" not in str(login)
