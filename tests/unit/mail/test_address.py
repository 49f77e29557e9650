"""Address fields: who is named, and when nobody can be sure of it (attacks A1 to A7)."""

import pytest

from servelo.mail.address import MAX_MAILBOXES, Mailbox, identity, parse_mailboxes, split_addr_spec


def read(value: str) -> list[tuple[str, str]]:
    return [(one.display_name, one.addr_spec) for one in parse_mailboxes(value).mailboxes]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("jo@x.example", [("", "jo@x.example")]),
        ("Jo Doe <jo@x.example>", [("Jo Doe", "jo@x.example")]),
        ('"Doe, Jo" <jo@x.example>, b@y.example', [("Doe, Jo", "jo@x.example"), ("", "b@y.example")]),
        ("jo@x.example (Jo Doe)", [("Jo Doe", "jo@x.example")]),
        ("Jo (Sales) Doe <jo@x.example>", [("Jo Doe", "jo@x.example")]),
        (
            "Pete(A wonderful \\) chap) <pete(his account)@silly.test(his host)>",
            [("Pete", "pete@silly.test")],
        ),
        ("=?utf-8?B?5bGx?= =?utf-8?B?55Sw?= <y@z.example>", [("山田", "y@z.example")]),
        ('"=?utf-8?B?5bGx?=" <y@z.example>', [("山", "y@z.example")]),
        (
            "Friends: a@b.example, Jo <jo@x.example>;, c@d.example",
            [("", "a@b.example"), ("Jo", "jo@x.example"), ("", "c@d.example")],
        ),
        ("<@relay.example:jo@x.example>", [("", "jo@x.example")]),
        ("jo@[127.0.0.1]", [("", "jo@[127.0.0.1]")]),
        ("jo@[IPv6:::1]", [("", "jo@[IPv6:::1]")]),
        ('"john doe"@x.example', [("", '"john doe"@x.example')]),
        ("Jo <jo@x.example", [("Jo", "jo@x.example")]),
        ("Jo Doe jo@x.example", [("Jo Doe", "jo@x.example")]),
        ("<mailto:jo@x.example>", [("", "jo@x.example")]),
        ("a@b.example; c@d.example", [("", "a@b.example"), ("", "c@d.example")]),
        ("jo@x.example.", [("", "jo@x.example")]),
        ("Jo < jo @ x . example >", [("Jo", "jo@x.example")]),
    ],
)
def test_addresses_are_read_as_careful_readers_read_them(value: str, expected: list[tuple[str, str]]) -> None:
    assert read(value) == expected
    assert not parse_mailboxes(value).ambiguous


@pytest.mark.parametrize(
    "value", ["", "<>", "undisclosed-recipients:;", ",,;", "()", "@", '""', "MAILER-DAEMON"]
)
def test_a_field_without_an_address_names_nobody(value: str) -> None:
    assert read(value) == []


def test_words_where_an_address_should_be_are_kept_as_a_name() -> None:
    assert parse_mailboxes("MAILER-DAEMON (Mail Delivery)").names_only == ("MAILER-DAEMON",)


def test_an_address_as_a_quoted_name_is_a_name_and_nothing_else() -> None:
    found = parse_mailboxes('"alice@a.example" <bob@b.example>')
    assert found.mailboxes == (Mailbox("alice@a.example", "bob@b.example"),)
    assert not found.ambiguous


def test_an_address_in_an_encoded_word_is_a_name_and_nothing_else() -> None:
    assert read("=?utf-8?q?ceo=40bank.example?= <u@x.example>") == [("ceo@bank.example", "u@x.example")]
    assert [spec for _, spec in read("=?utf-8?q?a=40evil.example=3E?=@good.example")] != ["a@evil.example"]


@pytest.mark.parametrize(
    "value",
    [
        "alice@a.example <bob@b.example>",
        "Alice <alice@a.example> <bob@b.example>",
        "a@b@c.example",
        "<a b@c.example>",
        "=?utf-8?q?a=40evil.example?=",
        "((((a@b.example",
    ],
)
def test_where_readers_differ_the_field_is_ambiguous(value: str) -> None:
    assert parse_mailboxes(value).ambiguous


def test_an_address_repeated_as_its_own_name_is_not_ambiguous() -> None:
    assert not parse_mailboxes("Bob@B.example <bob@b.example>").ambiguous


def test_at_most_100_mailboxes_are_read() -> None:
    found = parse_mailboxes(", ".join(f"u{n}@x.example" for n in range(1000)))
    assert len(found.mailboxes) == MAX_MAILBOXES
    assert found.truncated


@pytest.mark.parametrize(
    "piece", ["(", ")", '"', "<", ">", "@", ",", ":", ";", "\\", "[", ". ", '<"', "@a:", "a@", "a"]
)
def test_a_field_of_one_sign_repeated_gives_an_answer(piece: str) -> None:
    assert len(parse_mailboxes(piece * (16_000 // len(piece))).mailboxes) <= MAX_MAILBOXES


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Jo@Example.org", "jo@example.ORG"),
        ("jo@bücher.example", "jo@xn--bcher-kva.example"),
        ("jo@straße.example", "jo@xn--strae-oqa.example"),
        ("jo@example.org.", "jo@example.org"),
        (" jo@example.org ", "jo@example.org"),
        ("jo@x™.example", "jo@xtm.example"),
        ("jo@x.example…", "jo@x.example"),
        ("jo@x.example …", "jo@x.example"),
        ("jo@x.example .", "jo@x.example"),
        ("jo@x.example..@", "jo@x.example"),
        ("JÖRG@x.example", "jörg@x.example"),
        ('"ada"@x.example', "ada@x.example"),
        ('"A\\da.b"@x.example', "ada.b@x.example"),
    ],
)
def test_the_same_person_has_one_identity(one: str, other: str) -> None:
    assert identity(one) == identity(other)


@pytest.mark.parametrize("text", ["jo@…", "jo@x™ß.example", "jo@x.example…", "jo@x＠y.example", "jo@ß．y"])
def test_the_identity_of_an_identity_is_itself(text: str) -> None:
    once = identity(text)
    assert once == identity(once)
    assert 1 == once.count("@")


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("jo@x＠y.example", "jo@y.example"),
        ("jo+a@x.example", "jo@x.example"),
        ('"a b"@x.example', "ab@x.example"),
        ('"ada."@x.example', "ada.@x.example"),
        ("a@ех.example", "a@ex.example"),
        ("jo@x.example", "jo@y.example"),
        ("jo", "jo@x"),
        # Two domains of two owners, which IDNA 2003 took for one.
        ("jo@straße.example", "jo@strasse.example"),
        ("jo@STRAẞE.example", "jo@strasse.example"),
        ("jo@βόλος.example", "jo@βόλοσ.example"),
        # Mailboxes that a provider may have given to two people; case folding would make one of them.
        ("straße@x.example", "strasse@x.example"),
        ("mar\u212a@x.example", "mark@x.example"),
        ("\u017fam@x.example", "sam@x.example"),
        ("\ufb01n@x.example", "fin@x.example"),
        ("\u0130@x.example", "i\u0307@x.example"),
    ],
)
def test_different_people_have_different_identities(one: str, other: str) -> None:
    assert identity(one) != identity(other)


def test_a_domain_that_idna_refuses_is_compared_as_it_is() -> None:
    assert identity("a@ü..Example") == "a@ü..example"


def test_the_last_at_sign_parts_local_part_and_domain() -> None:
    assert split_addr_spec('"a@b"@c.example') == ('"a@b"', "c.example")
    assert split_addr_spec("nobody") == ("nobody", "")


def test_what_has_no_domain_is_shown_and_is_no_mailbox() -> None:
    found = parse_mailboxes("Moderator <moderator>")
    assert (found.mailboxes, found.unqualified, found.names_only) == ((), ("moderator",), ("Moderator",))


@pytest.mark.parametrize("value", ["'@examp .com", "To: '@examp .com", "=?utf-8?q?'=40x?=", "x '@ @y z"])
def test_what_only_looks_like_an_address_is_a_name(value: str):
    # Found by fuzzing: a mailbox whose addr-spec was empty.
    assert () == parse_mailboxes(value).mailboxes
