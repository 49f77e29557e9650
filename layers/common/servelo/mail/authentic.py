"""Whether From is proven: DMARC as SES found it, or SPF or DKIM aligned with From (RFC 7489 3.1).

Only the receipt's verdicts are believed; ``Authentication-Results`` and the like in the mail may be forged.
The receipt does not say for which domain SPF or DKIM passed. SPF speaks of the envelope sender. For DKIM
every signature of the mail must be of an aligned domain: with two, a stranger's own good signature beside a
broken one in our customer's name would pass. A mail with more header than is read is ``from_ambiguous``: what
was not read may be that signature, or another From.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from servelo.mail.address import identity, split_addr_spec
from servelo.patterns import pattern

# Up to the semicolon: a value with white space in it is no domain, and other readers may join its pieces.
_DKIM_DOMAIN = pattern(r"(?:^|;)\s*d\s*=\s*([^;]*)")
# Names under which strangers register domains, by form: co.uk, com.au, gov.br. No list of all public suffixes
# is shipped; these forms are refused as a common parent, everything else needs two equal labels at least.
_SECOND_LEVEL = frozenset(
    ("ac", "co", "com", "edu", "gob", "gov", "gouv", "gv", "mil", "ne", "net", "nom", "or", "org")
)


def is_verified(
    verdicts: Mapping[str, str], envelope_sender: str, from_addr: str, headers: Iterable[tuple[str, str]]
) -> bool:
    """Tell whether the mail is proven to come from the domain of *from_addr*.

    *verdicts* are the receipt's (``spf``, ``dkim``, ``dmarc``: PASS, FAIL, GRAY …); *headers* are (lower-case
    name, value) pairs. GRAY, PROCESSING_FAILED and DISABLED are not PASS.
    """
    domain = _domain(from_addr)
    if not domain or verdicts.get("dmarc") == "FAIL":
        return False
    if verdicts.get("dmarc") == "PASS":
        return True
    if verdicts.get("spf") == "PASS" and aligned(_domain(envelope_sender), domain):
        return True
    if verdicts.get("dkim") != "PASS":
        return False
    signatures = [
        [found[1].strip().lower().rstrip(".") for found in _DKIM_DOMAIN.finditer(value)]
        for name, value in headers
        if name == "dkim-signature"
    ]
    # One without a domain that we can read proves nothing, and may be the one that was found good.
    return bool(signatures) and all(
        domains and all(aligned(each, domain) for each in domains) for domains in signatures
    )


def is_suspect(verdicts: Mapping[str, str], verified: bool) -> bool:
    """Tell whether the domain of From itself speaks against the mail.

    DMARC says FAIL: the domain publishes how its mail is proven, and this is not. The policy it asks for does
    not matter: with ``p=none`` (gmail.com has that) a forger is as wrong as with ``p=reject``. Where DMARC
    could not be asked (PROCESSING_FAILED) and nothing else proves From, FAIL is what it may have been. GRAY
    means a domain without DMARC: it says nothing, for or against. A failed or soft-failed SPF alone is not
    held against a mail: forward rules break it, and a forger writes an envelope sender for which it passes.
    """
    return not verified and verdicts.get("dmarc") in ("FAIL", "PROCESSING_FAILED")


def aligned(authenticated: str, domain: str) -> bool:
    """Tell whether two domains align in relaxed mode: the same, or one below the other's registered name."""
    if not authenticated or not domain:
        return False
    if authenticated == domain:
        return True
    shorter, longer = sorted((authenticated, domain), key=len)
    labels = shorter.split(".")
    if len(labels) < 2 or (len(labels) == 2 and len(labels[1]) == 2 and labels[0] in _SECOND_LEVEL):
        return False
    return longer.endswith("." + shorter)


def organisation(domain: str) -> str:
    """Return the part of *domain* below which one owner names what they like, as well as its form tells."""
    labels = domain.split(".")
    wide = len(labels) > 2 and len(labels[-1]) == 2 and labels[-2] in _SECOND_LEVEL
    return ".".join(labels[-3:] if wide else labels[-2:])


def _domain(addr_spec: str) -> str:
    return split_addr_spec(identity(addr_spec))[1]
