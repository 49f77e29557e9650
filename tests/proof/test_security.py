"""Attacks that no other file tries: forged JWTs at the front, presigned addresses, text that looks like code.

Claims that an authorizer should never let through are in ``tests/integration/test_api_access.py``; the front
of the local stack checks tokens as API Gateway's documentation says, and is what ``make run`` opens.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from local.jwt import BadToken, Verifier
from local.template import Authorizer

from servelo.adapters.s3_file_store import content_disposition
from servelo.operate import data
from tests.integration.api_desk import new_desk
from tests.world import World, mail

POOL = "https://cognito-idp.eu-west-1.amazonaws.com/eu-west-1_abc"
AUTHORIZER = Authorizer(POOL, ("our-client",))
KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
OTHER_KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
PUBLIC = KEY.public_key()


def encoded(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


def jwks() -> dict[str, Any]:
    numbers = PUBLIC.public_numbers()
    size = (numbers.n.bit_length() + 7) // 8
    return {
        "keys": [
            {
                "kid": "k1",
                "kty": "RSA",
                "alg": "RS256",
                "n": encoded(numbers.n.to_bytes(size, "big")),
                "e": encoded(numbers.e.to_bytes(3, "big")),
            }
        ]
    }


def claims(**more: Any) -> dict[str, Any]:
    now = int(time.time())
    return {"iss": POOL, "aud": "our-client", "exp": now + 600, "iat": now, "token_use": "id", **more}


def token(
    header: Mapping[str, Any] | None = None, body: Mapping[str, Any] | None = None, key: Any = KEY
) -> str:
    head = encoded(json.dumps({"alg": "RS256", "kid": "k1", **(header or {})}).encode())
    text = f"{head}.{encoded(json.dumps(body or claims()).encode())}"
    return f"{text}.{encoded(key.sign(text.encode(), padding.PKCS1v15(), hashes.SHA256()))}"


def signed_with_the_public_key(algorithm: str = "HS256") -> str:
    pem = PUBLIC.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    head = encoded(json.dumps({"alg": algorithm, "kid": "k1"}).encode())
    text = f"{head}.{encoded(json.dumps(claims()).encode())}"
    return f"{text}.{encoded(hmac.digest(pem, text.encode(), hashlib.sha256))}"


def test_a_good_token_passes():
    assert "id" == Verifier(AUTHORIZER, jwks).claims(token())["token_use"]


NOW = int(time.time())
GOOD = token()
HEAD, _, SIGNATURE = GOOD.split(".")
FORGED = {
    "no algorithm": token({"alg": "none"}).rpartition(".")[0] + ".",
    "no algorithm, other case": token({"alg": "nOnE"}).rpartition(".")[0] + ".",
    "HMAC with the public key": signed_with_the_public_key(),
    "HMAC said to be RSA": signed_with_the_public_key("RS256"),
    "another algorithm of the same key": token({"alg": "RS512"}),
    "another key": token(key=OTHER_KEY),
    "a key that is a path": token({"kid": "../../../../dev/null"}),
    "a key that is an address": token({"kid": "https://evil.example/jwks.json"}),
    "a key that is SQL": token({"kid": "k1' OR '1'='1"}),
    "a key that is a list": token({"kid": ["k1"]}),
    "a key brought along": token({"kid": "mine", "jwk": jwks()["keys"][0]}, key=OTHER_KEY),
    "a key's address brought along": token({"kid": "mine", "jku": "https://evil.example/"}, key=OTHER_KEY),
    "no key named": token({"kid": None}),
    "another pool": token(body=claims(iss=POOL[:-3] + "xyz")),
    "a pool that begins alike": token(body=claims(iss=POOL + ".evil.example")),
    "no issuer": token(body={k: v for k, v in claims().items() if k != "iss"}),
    "another client": token(body=claims(aud="their-client")),
    "no audience": token(body={k: v for k, v in claims().items() if k != "aud"}),
    "an audience that is a part": token(body=claims(aud="our")),
    "over": token(body=claims(exp=NOW - 1)),
    "without an end": token(body={k: v for k, v in claims().items() if k != "exp"}),
    "an end that is no number": token(body=claims(exp="soon")),
    "an end that is not a number": token(body=claims(exp="nan")),
    "not yet": token(body=claims(nbf=NOW + 600)),
    "claims changed": f"{HEAD}.{encoded(json.dumps(claims(aud='x')).encode())}.{SIGNATURE}",
    "signature cut": GOOD[:-4],
    "two parts": GOOD.rpartition(".")[0],
    "four parts": GOOD + ".x",
    "empty": "",
    "not text": "é.é.é",
    "claims that are a list": f"{HEAD}.{encoded(b'[]')}.{SIGNATURE}",
    "nested without end": f"{encoded(b'[' * 100_000)}.{encoded(b'{}')}.x",
}


@pytest.mark.parametrize("name", FORGED)
def test_a_forged_token_does_not_pass(name: str):
    with pytest.raises(BadToken):
        Verifier(AUTHORIZER, jwks).claims(FORGED[name])


def test_json_nested_without_end_is_a_bad_request():
    with new_desk() as desk:
        for raw in ("[" * 100_000, '{"a":' * 100_000):
            assert 400 == desk.call("POST", "/api/tickets", as_=desk.admin, raw=raw).status
            assert (
                401
                == desk.post("/api/auth/magic-link/verify", {"token": encoded(raw.encode())[:2000]}).status
            )


# ---- presigned addresses -------------------------------------------------------------------------------


def test_a_download_address_is_for_one_object_five_minutes_and_saves_a_file(world: World):
    address = world.files.download_url(
        "acme/abc", filename="x.html", content_type="text/html", expires_seconds=9999
    )
    parts = urlsplit(address)
    asked = {name.lower(): values[0] for name, values in parse_qs(parts.query).items()}
    assert parts.path.endswith("/acme/abc")
    assert 'attachment; filename="x.html"' == asked["response-content-disposition"]
    assert "application/octet-stream" == asked["response-content-type"]
    assert "no-store" in asked["response-cache-control"]
    assert int(asked.get("x-amz-expires", "300")) <= 300
    if "expires" in asked:  # the older signature, of clients made without a configuration
        assert int(asked["expires"]) <= time.time() + 301


def test_an_upload_form_is_for_one_key_one_type_and_ten_megabytes(world: World):
    _, fields = world.files.upload_form("acme/uploads/u1", expires_seconds=9999)
    policy = json.loads(base64.b64decode(fields["policy"]))
    conditions = policy["conditions"]
    assert {"key": "acme/uploads/u1"} in conditions
    assert {"bucket": "files"} in conditions
    assert {"Content-Type": "application/octet-stream"} in conditions
    assert ["content-length-range", 1, 10 * 1024 * 1024] in conditions
    assert not [c for c in conditions if isinstance(c, list) and c[0] == "starts-with"]


@pytest.mark.parametrize(
    "name",
    [
        'a"; filename="b.exe',
        "a\r\nSet-Cookie: x=1",
        "../../etc/passwd",
        "..\\..\\boot.ini",
        "\u202egpj.exe",
        "a\x00.exe",
        "x" * 5000,
        "%0d%0aX: y",
        "",
        "…",
        "CON",
    ],
)
def test_a_file_name_stays_within_its_header(name: str):
    value = content_disposition(name)
    assert value.startswith('attachment; filename="')
    assert 2 == value.count('"')
    assert value.isascii()
    assert value.isprintable()
    assert "/" not in value
    assert "\\" not in value
    assert len(value) < 2200


# ---- text that looks like code -------------------------------------------------------------------------

CODE = ("{{7*7}}", "{% raise %}", "${7*7}", "<%= 7*7 %>", "=cmd|' /C calc'!A0", "#{7*7}", "@SUM(1+1)")


@pytest.mark.parametrize("code", CODE)
def test_code_in_names_subjects_and_texts_comes_out_as_it_went_in(code: str):
    with new_desk() as desk:
        desk.world.receive(
            mail(from_=f'"{code}" <ada@customer.example>', subject=f"S {code}", text=f"T {code}"),
            "acme@serveloapp.com",
        )
        desk.world.send_all()
        (notification,) = desk.world.mailbox.to("admin@acme.example")[-1:]
        for kind in ("plain", "html"):
            shown = notification.get_body((kind,)).get_content()
            plain = shown.replace("&#39;", "'").replace("&lt;", "<").replace("&gt;", ">")
            assert f"T {code}" in plain
            assert "49" not in plain.replace(str(notification["Reply-To"]), "").split("T ")[1][:20]
        assert f"S {code}" in str(notification["Subject"])
        ticket = desk.get("/api/tickets/1", as_=desk.admin).json
        assert f"S {code}" == ticket["subject"]
        assert code in json.dumps(ticket, ensure_ascii=False).replace(f"S {code}", "").replace(
            f"T {code}", ""
        )


@pytest.mark.parametrize("code", CODE)
def test_a_cell_of_an_import_is_text(world: World, tmp_path: Path, code: str):
    """What leaves is JSON (export), which no spreadsheet runs; what comes in as CSV stays text."""
    file = tmp_path / "old.csv"
    file.write_text(f'id,email,subject,text\n1,joe@old.example,"{code}","{code}"\n', encoding="utf-8")
    data.import_tickets("acme", file, store=world.store, now=world.clock.now(), progress=lambda count: None)
    assert [code] == [t.subject for t in world.store.tickets("acme")[0]]
