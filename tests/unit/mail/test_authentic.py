"""Whether From is proven, by the receipt alone."""

import pytest

from servelo.mail.authentic import aligned, is_verified

FROM = "ada@customer.example"


@pytest.mark.parametrize("dmarc", ["FAIL", "GRAY", "PROCESSING_FAILED", "DISABLED", "", "pass"])
def test_only_pass_is_pass(dmarc: str):
    assert not is_verified({"dmarc": dmarc}, "", FROM, ())


@pytest.mark.parametrize(
    ("expected", "verdicts", "envelope", "signers"),
    [
        (True, {"dmarc": "PASS"}, "", ()),
        (False, {"dmarc": "FAIL", "spf": "PASS", "dkim": "PASS"}, FROM, ("customer.example",)),
        (True, {"spf": "PASS"}, "bounce@mail.customer.example", ()),
        (False, {"spf": "PASS"}, "eve@evil.example", ()),
        (False, {"spf": "PASS"}, "", ()),
        (True, {"dkim": "PASS"}, "eve@evil.example", ("customer.example",)),
        (False, {"dkim": "PASS"}, "", ("evil.example",)),
        (False, {"dkim": "PASS"}, "", ("customer.example", "evil.example")),
        (False, {"dkim": "PASS"}, "", ()),
        (False, {"spf": "GRAY", "dkim": "GRAY"}, FROM, ("customer.example",)),
        (False, {}, FROM, ("customer.example",)),
    ],
)
def test_spf_and_dkim_count_where_they_align(
    expected: bool, verdicts: dict[str, str], envelope: str, signers: tuple[str, ...]
):
    headers = [("dkim-signature", f"v=1; a=rsa-sha256; d={d}; s=x; b=abc") for d in signers]
    assert expected is is_verified(verdicts, envelope, FROM, headers)


@pytest.mark.parametrize("from_addr", ["", "nobody", "@", "a@"])
def test_who_has_no_domain_is_not_verified(from_addr: str):
    assert not is_verified({"dmarc": "PASS"}, "", from_addr, ())


def test_header_fields_that_claim_a_result_prove_nothing():
    headers = [("authentication-results", "amazonses.com; dmarc=pass"), ("received-spf", "pass")]
    assert not is_verified({"dmarc": "GRAY"}, "", FROM, headers)


@pytest.mark.parametrize(
    ("expected", "one", "other"),
    [
        (True, "customer.example", "customer.example"),
        (True, "mail.customer.example", "customer.example"),
        (False, "evilcustomer.example", "customer.example"),
        (False, "example", "customer.example"),
        (False, "co.uk", "customer.co.uk"),
        (False, "com.au", "customer.com.au"),
        (False, "evil.co.uk", "customer.co.uk"),
        (False, "", "customer.example"),
    ],
)
def test_alignment(expected: bool, one: str, other: str):
    assert expected is aligned(one, other)
    assert expected is aligned(other, one)


def test_a_signing_domain_in_pieces_is_not_its_first_piece():
    headers = [("dkim-signature", "v=1; d=customer.example .evil.example; s=x; b=abc")]
    assert not is_verified({"dkim": "PASS", "dmarc": "GRAY"}, "", "ada@customer.example", headers)


def test_a_signature_without_a_readable_domain_proves_nobody():
    headers = [("dkim-signature", "v=1; s=x; b=abc"), ("dkim-signature", "v=1; d=customer.example; b=abc")]
    assert not is_verified({"dkim": "PASS", "dmarc": "GRAY"}, "", FROM, headers)
    assert is_verified({"dkim": "PASS", "dmarc": "GRAY"}, "", FROM, headers[1:])
