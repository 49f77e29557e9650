"""Requests as such: bodies, keys, errors, sign-in, pages, and the function that answers them."""

import io
import json
import logging
import re
import time
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from servelo.errors import StoreUnavailable
from servelo.observability import logger
from servelo.portal import pages
from servelo.portal.routes import all_routes
from tests.integration.api_desk import PASSWORD, Desk, link_in, new_desk
from tests.integration.test_costs import Meter
from tests.world import mail

LOGIN = "/api/auth/login"


@pytest.fixture
def desk() -> Iterator[Desk]:
    with new_desk() as made:
        yield made


def test_what_is_no_json_object_is_said_so(desk: Desk) -> None:
    for raw in ("{", "[]", '"x"', "7", "null", '{"email": NaN}', "[" * 100_000, "\x00"):
        reply = desk.call("POST", LOGIN, raw=raw)
        assert (400, "bad_json") == (reply.status, reply.code), raw[:20]


def test_unknown_and_missing_fields_are_named(desk: Desk) -> None:
    missing = desk.post(LOGIN, {"email": "a@b.example"})
    assert (422, "password") == (missing.status, missing.json["field"])
    unknown = desk.post(LOGIN, {"email": "a@b.example", "password": "x", "admin": True})
    assert (422, "admin") == (unknown.status, unknown.json["field"])


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("subject", ""),
        ("subject", "x" * 201),
        ("subject", "Hi\r\nBcc: evil@example.org"),
        ("subject", "a\u2028b"),
        ("subject", "\ud800"),
        ("subject", ["a"]),
        ("text", ""),
        ("text", " \n "),
        ("text", "x" * 100_001),
        ("text", "a\x00b"),
        ("email", "two@x.example, other@y.example"),
        ("email", "x@y"),
        ("email", None),
        ("files", "x"),
        ("files", [{"id": "../../globex/x", "filename": "x"}]),
        ("files", [{"id": "0" * 26, "filename": "a\r\nb"}]),
        ("files", [{"id": "0" * 26, "filename": "f"}] * 11),
    ],
)
def test_bad_input_is_named_and_nothing_is_written(desk: Desk, field: str, value: Any) -> None:
    good: dict[str, Any] = {"email": "x@customer.example", "subject": "s", "text": "t"}
    refused = desk.call("POST", "/api/tickets", {**good, field: value}, as_=desk.admin)
    assert 422 == refused.status
    assert refused.json["field"].split(".")[0] == field
    assert [] == desk.get("/api/tickets", as_=desk.admin).json["items"]
    assert [] == desk.get("/api/clients", as_=desk.admin).json["items"]


@pytest.mark.parametrize(
    "text",
    ["<script>alert(1)</script>", "{{7*7}}", "🙂 שלום \u202e evil", "=cmd|' /C x'!A0", "%0d%0aBcc: x"],
)
def test_odd_text_comes_back_as_it_was_written(desk: Desk, text: str) -> None:
    new = {"email": "x@customer.example", "name": text[:100], "subject": text, "text": text}
    desk.post("/api/tickets", new, as_=desk.admin)
    shown = desk.get("/api/tickets/1", as_=desk.admin)
    assert "application/json" == shown.headers["content-type"]
    assert (text, text, text) == (
        shown.json["subject"],
        shown.json["comments"][0]["text"],
        shown.json["requester"]["name"],
    )


def test_sessions_and_tokens_that_cannot_be_are_refused_like_old_ones(desk: Desk) -> None:
    challenge = {
        "email": "admin@acme.example",
        "challenge": "SOFTWARE_TOKEN_MFA",
        "session": "0",
        "code": "000000",
    }
    for path, body in (
        ("challenge", challenge),
        ("refresh", {"refresh_token": "0"}),
        ("totp", {"access_token": "0"}),
        ("totp/begin", {"access_token": "0"}),
        ("totp/confirm", {"access_token": "0", "code": "000000"}),
        ("totp/end", {"access_token": "0", "password": PASSWORD, "code": "000000"}),
    ):
        reply = desk.post(f"/api/auth/{path}", body)
        assert (401, "session_over") == (reply.status, reply.code), path


def test_another_method_is_named_with_those_that_there_are(desk: Desk) -> None:
    reply = desk.call("PUT", "/api/tickets", {}, as_=desk.admin)
    assert (405, "method_not_allowed", "GET, POST") == (reply.status, reply.code, reply.headers["allow"])
    assert 404 == desk.call("PUT", "/api/nothing", {}, as_=desk.admin).status


def test_a_key_runs_a_request_once_and_a_refusal_leaves_it_free(desk: Desk) -> None:
    new = {"email": "x@customer.example", "subject": "s", "text": "t"}
    key = {"Idempotency-Key": "k 1".replace(" ", "-")}
    assert 422 == desk.post("/api/tickets", {**new, "subject": ""}, as_=desk.admin, headers=key).status
    first = desk.post("/api/tickets", new, as_=desk.admin, headers=key)
    second = desk.post("/api/tickets", new, as_=desk.admin, headers=key)
    assert (201, 201, first.json) == (first.status, second.status, second.json)
    assert 1 == len(desk.get("/api/tickets", as_=desk.admin).json["items"])
    colleague = desk.post("/api/tickets", new, as_=desk.tech, headers=key)
    assert 2 == colleague.json["number"]


def test_a_request_that_is_still_running_is_not_run_again(desk: Desk) -> None:
    new = {"email": "x@customer.example", "subject": "s", "text": "t"}
    seen: list[int] = []
    key = {"Idempotency-Key": "k"}

    class Slow:
        def put(self, jobs: Any, *, delay_seconds: int = 0) -> None:
            seen.append(
                desk.post("/api/tickets", new, as_=desk.admin, headers={"Idempotency-Key": "k"}).status
            )
            desk.world.queue.put(jobs)

    object.__setattr__(desk.services.tickets.post, "queue", Slow())
    first = desk.post("/api/tickets", new, as_=desk.admin, headers=key)
    assert (201, [409]) == (first.status, seen)


def test_a_request_that_broke_off_before_it_wrote_begins_anew_after_a_minute(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    new = {"email": "x@customer.example", "subject": "s", "text": "t"}
    key = {"Idempotency-Key": "k"}
    broken_off(desk, monkeypatch, "commit", before=True)
    with pytest.raises(Killed):
        desk.post("/api/tickets", new, as_=desk.admin, headers=key)
    monkeypatch.undo()
    assert (409, "still_running") == asked_again(desk, new, key)
    desk.world.clock.turn(seconds=61)
    assert 201 == desk.post("/api/tickets", new, as_=desk.admin, headers=key).status
    assert 1 == len(desk.get("/api/tickets", as_=desk.admin).json["items"])


def test_a_request_that_broke_off_after_it_wrote_is_not_run_again(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    new = {"email": "x@customer.example", "subject": "s", "text": "t"}
    key = {"Idempotency-Key": "k"}
    broken_off(desk, monkeypatch, "commit", before=False)
    with pytest.raises(Killed):
        desk.post("/api/tickets", new, as_=desk.admin, headers=key)
    monkeypatch.undo()
    desk.world.clock.turn(seconds=61)
    assert (409, "answer_lost") == asked_again(desk, new, key)
    assert (409, "answer_lost") == asked_again(desk, new, key)
    assert 1 == len(desk.get("/api/tickets", as_=desk.admin).json["items"])


def test_an_error_after_the_writing_does_not_free_the_key(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    new = {"email": "x@customer.example", "subject": "s", "text": "t"}
    key = {"Idempotency-Key": "k"}

    def broken(*_: Any, **__: Any) -> None:
        raise StoreUnavailable("S3 is away")

    monkeypatch.setattr(type(desk.services.files), "forget", broken)
    assert 503 == desk.post("/api/tickets", new, as_=desk.admin, headers=key).status
    monkeypatch.undo()
    desk.world.clock.turn(seconds=61)
    assert (409, "answer_lost") == asked_again(desk, new, key)
    assert 1 == len(desk.get("/api/tickets", as_=desk.admin).json["items"])


class Killed(BaseException):
    """What a function that runs out of time or memory leaves: nothing after it is done."""


def broken_off(desk: Desk, monkeypatch: pytest.MonkeyPatch, name: str, *, before: bool) -> None:
    """Let the store's method *name* be the last thing that happens, or not happen any more."""
    store = desk.world.store
    real = getattr(store, name)

    def killed(*args: Any) -> None:
        if not before:
            real(*args)
        raise Killed

    monkeypatch.setattr(store, name, killed)
    monkeypatch.setattr(store, "once_end", lambda *_: None)


def asked_again(desk: Desk, body: dict[str, str], key: dict[str, str]) -> tuple[int, str]:
    answer = desk.post("/api/tickets", body, as_=desk.admin, headers=key)
    return answer.status, answer.code


def test_a_key_of_odd_signs_is_refused(desk: Desk) -> None:
    reply = desk.post(
        "/api/uploads",
        {"filename": "f", "size_bytes": 1},
        as_=desk.admin,
        headers={"Idempotency-Key": "x" * 201},
    )
    assert (400, "Idempotency-Key") == (reply.status, reply.json["field"])


def test_a_store_that_does_not_answer_is_a_503_without_details(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_: Any, **__: Any) -> None:
        raise StoreUnavailable("DynamoDB: ProvisionedThroughputExceededException")

    monkeypatch.setattr(desk.store, "tickets", away)
    reply = desk.get("/api/tickets", as_=desk.admin)
    assert (503, "unavailable") == (reply.status, reply.code)
    assert "Dynamo" not in reply.text


def test_a_fault_of_ours_is_a_500_that_says_nothing(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any, **__: Any) -> None:
        raise RuntimeError("a secret")

    monkeypatch.setattr(desk.store, "tickets", broken)
    reply = desk.get("/api/tickets", as_=desk.admin)
    assert (500, "internal_error") == (reply.status, reply.code)
    assert "secret" not in reply.text


def test_a_fault_on_the_way_to_a_page_is_a_500_too(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any) -> None:
        raise RuntimeError("a secret")

    monkeypatch.setattr(pages, "find", broken)
    reply = desk.get("/tickets/7")
    assert (500, "internal_error") == (reply.status, reply.code)
    assert "secret" not in reply.text


def test_a_stage_with_a_name_stands_before_the_path(desk: Desk) -> None:
    for path, status in (
        ("/prod/api/tickets", 200),
        ("/prod/tickets/7", 200),
        ("/prod", 200),
        ("/prod/", 200),
        ("/products", 404),
        ("/prod/api/products", 404),
    ):
        assert status == desk.call("GET", path, as_=desk.admin, stage="prod").status, path


def test_a_path_is_taken_in_parts(desk: Desk) -> None:
    desk.world.receive(mail(), "acme@serveloapp.com")
    for path, status in (
        ("/api/tickets/1", 200),
        ("/api/tickets/%31", 200),
        ("/api/tickets/1%2F", 404),
        ("/api/tickets/1/", 404),
        ("/api//tickets", 404),
        ("/api/tickets/" + "/" * 8000, 404),
    ):
        assert status == desk.call("GET", path, as_=desk.admin).status, path[:40]


def test_no_path_is_of_two_routes() -> None:
    paths = {route.path for route in all_routes()}
    for path in paths:
        example = re.sub(r"\{\w+\}", "-", path).split("/")
        same = {route.path for route in all_routes() if route.match(example) is not None}
        assert same == {path}


def test_wrong_password_and_unknown_address_are_answered_alike(desk: Desk) -> None:
    wrong = desk.post(LOGIN, {"email": "admin@acme.example", "password": "wrong password"})
    unknown = desk.post(LOGIN, {"email": "nobody@acme.example", "password": "wrong password"})
    assert (401, "wrong_credentials") == (wrong.status, wrong.code)
    assert wrong.json == unknown.json


def test_ten_tries_a_quarter_of_an_hour_for_one_address(desk: Desk) -> None:
    tries = [desk.post(LOGIN, {"email": "admin@acme.example", "password": "x"}).status for _ in range(10)]
    assert [401] * 10 == tries
    assert 429 == desk.post(LOGIN, {"email": "Admin@acme.example", "password": PASSWORD}).status
    assert 200 == desk.post(LOGIN, {"email": "tech@acme.example", "password": PASSWORD}).status
    desk.world.clock.turn(minutes=15)
    assert 200 == desk.post(LOGIN, {"email": "admin@acme.example", "password": PASSWORD}).status


def test_a_session_is_renewed_and_ended(desk: Desk) -> None:
    session = desk.post(LOGIN, {"email": "operator@ops.example", "password": PASSWORD}).json
    assert ("operator", "-") == (session["user"]["role"], session["user"]["tenant"])
    renewed = desk.post("/api/auth/refresh", {"refresh_token": session["refresh_token"]})
    assert (200, True) == (renewed.status, bool(renewed.json["id_token"]))
    assert 204 == desk.post("/api/auth/logout", {"refresh_token": session["refresh_token"]}).status
    assert {session["refresh_token"]} == desk.pool.revoked
    rubbish = desk.post("/api/auth/refresh", {"refresh_token": "rubbish"})
    assert (401, "session_over") == (rubbish.status, rubbish.code)


def test_a_removed_members_password_opens_nothing(desk: Desk) -> None:
    tenant = desk.store.tenant("acme")
    from dataclasses import replace

    desk.store.put_tenant(replace(tenant, members=tenant.members[:1]))
    refused = desk.post(LOGIN, {"email": "tech@acme.example", "password": PASSWORD})
    assert (401, "wrong_credentials") == (refused.status, refused.code)


def test_a_second_factor_ends_and_changes_with_the_password_and_a_code_alone(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    from moto.cognitoidp import models as moto

    monkeypatch.setenv("MOTO_COGNITO_IDP_USER_POOL_ENABLE_TOTP", "true")
    now = moto.cognito_totp(moto.COGNITO_TOTP_MFA_SECRET).generate(time.time()).decode()
    wrong = f"{(int(now) + 1) % 10**6:06d}"
    signed_in = desk.post(LOGIN, {"email": "admin@acme.example", "password": PASSWORD}).json
    token = {"access_token": signed_in["access_token"]}
    assert 200 == desk.post("/api/auth/totp/begin", token).status
    assert 204 == desk.post("/api/auth/totp/confirm", {**token, "code": now}).status
    again = desk.post("/api/auth/totp/begin", token)
    assert (409, "totp_on") == (again.status, again.code)
    for more, expected in (
        ({}, (422, "invalid_input")),
        ({"password": PASSWORD}, (422, "invalid_input")),
        ({"password": "wrong", "code": now}, (422, "wrong_credentials")),
        ({"password": PASSWORD, "code": wrong}, (422, "wrong_code")),
    ):
        refused = desk.post("/api/auth/totp/end", {**token, **more})
        assert expected == (refused.status, refused.code)
        assert desk.post("/api/auth/totp", token).json["enabled"]
    assert 204 == desk.post("/api/auth/totp/end", {**token, "password": PASSWORD, "code": now}).status
    assert not desk.post("/api/auth/totp", token).json["enabled"]


def test_a_strangers_wrong_passwords_lock_nobody_out(desk: Desk) -> None:
    for email in ("admin@acme.example", "operator@ops.example"):
        right, wrong = ({"email": email, "password": each} for each in (PASSWORD, "wrong"))
        tried = [desk.post(LOGIN, wrong, source="203.0.113.7").status for _ in range(11)]
        assert [401] * 10 + [429] == tried
        assert 429 == desk.post(LOGIN, right, source="203.0.113.7").status
        assert 200 == desk.post(LOGIN, right, source="198.51.100.4").status


def test_right_passwords_are_not_counted_as_tries(desk: Desk) -> None:
    right, wrong = ({"email": "admin@acme.example", "password": each} for each in (PASSWORD, "wrong"))
    assert [200] * 12 == [desk.post(LOGIN, right).status for _ in range(12)]
    assert [401] * 10 + [429] == [desk.post(LOGIN, wrong).status for _ in range(11)]


def test_one_subscribers_ipv6_addresses_count_together(desk: Desk) -> None:
    wrong = {"email": "admin@acme.example", "password": "wrong"}
    tried = [desk.post(LOGIN, wrong, source=f"2001:db8:1:2::{n}").status for n in range(1, 12)]
    assert [401] * 10 + [429] == tried
    assert 401 == desk.post(LOGIN, wrong, source="2001:db8:1:3::1").status


def test_guesses_from_everywhere_are_bounded_and_no_counter_tells_the_address(desk: Desk) -> None:
    wrong = {"email": "admin@acme.example", "password": "wrong"}
    tried = [desk.post(LOGIN, wrong, source=f"203.0.113.{n // 5}").status for n in range(105)]
    assert [401] * 100 + [429] * 5 == tried
    counters = [i["pk"] for i in desk.world.items() if "#CAP#login" in i["pk"]]
    assert counters
    assert not [pk for pk in counters if "admin" in pk or "203.0" in pk]


def test_a_forgotten_password_is_chosen_anew_by_mail(desk: Desk) -> None:
    for email in ("admin@acme.example", "operator@ops.example", "nobody@acme.example"):
        assert 202 == desk.post("/api/auth/forgot", {"email": email}).status
    desk.world.send_all()
    assert {"admin@acme.example", "operator@ops.example"} == set(desk.world.mailbox.recipients)
    link = link_in(desk.world.mailbox.to("admin@acme.example")[0])
    assert link.startswith("https://desk.example/reset#token=")
    token = link.partition("#token=")[2]
    assert 204 == desk.post("/api/auth/reset", {"token": token, "password": "another long one"}).status
    assert 200 == desk.post(LOGIN, {"email": "admin@acme.example", "password": "another long one"}).status
    desk.world.clock.turn(hours=2)
    operators = link_in(desk.world.mailbox.to("operator@ops.example")[0]).partition("#token=")[2]
    late = desk.post("/api/auth/reset", {"token": operators, "password": "another long one"})
    assert (401, "link_over") == (late.status, late.code)


def test_the_time_of_a_request_for_a_mail_does_not_tell_whom_we_know(desk: Desk) -> None:
    """Played: each request to AWS takes 70 ms. What a stranger can measure is the whole, with the wait."""
    desk.world.receive(mail(from_="ada@customer.example"), "acme@serveloapp.com")
    asked = [
        ("/api/auth/forgot", {"email": "admin@acme.example"}),
        ("/api/auth/forgot", {"email": "nobody@acme.example"}),
        ("/api/auth/magic-link/request", {"slug": "acme", "email": "ada@customer.example"}),
        ("/api/auth/magic-link/request", {"slug": "acme", "email": "eve@customer.example"}),
        ("/api/auth/magic-link/request", {"slug": "nosuch", "email": "ada@customer.example"}),
    ]
    worked = []
    for path, body in asked:
        with Meter() as meter:
            desk.seconds = lambda meter=meter: meter.requests.total() * 0.07
            assert 202 == desk.post(path, body).status
            worked.append(desk.seconds())
    assert worked[0] > worked[1]
    assert worked[2] > worked[3] > worked[4]
    assert [pytest.approx(1)] * 5 == [done + wait for done, wait in zip(worked, desk.waits, strict=True)]


def test_what_is_nowhere_is_a_problem_and_pages_are_pages(desk: Desk) -> None:
    for path in ("/api/nosuch", "/api", "/static/nosuch.js", "/static/../app.py", "/wp-login.php"):
        reply = desk.get(path, as_=desk.admin)
        assert (404, "application/problem+json") == (reply.status, reply.headers["content-type"])
    for path in ("/", "/login", "/tickets/7", "/settings/smtp", "/portal/acme/tickets/1", "/welcome"):
        reply = desk.get(path)
        assert (200, "text/html; charset=utf-8") == (reply.status, reply.headers["content-type"])
    assert 404 == desk.call("POST", "/tickets").status


def test_a_page_allows_no_script_but_ours(desk: Desk) -> None:
    policy = desk.get("/").headers["content-security-policy"]
    assert "default-src 'none'; script-src 'self';" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe-eval" not in policy
    assert "script-src 'self' 'unsafe" not in policy
    assert "amazonaws.com" in policy.partition("connect-src")[2].partition(";")[0]


def test_static_files_are_kept_for_ever_under_their_hash(desk: Desk) -> None:
    page = desk.get("/").text
    address = page.partition('src="')[2].partition('"')[0]
    assert address.startswith("/static/")
    script = desk.get(address)
    assert "immutable" in script.headers["cache-control"]
    assert "text/javascript; charset=utf-8" == script.headers["content-type"]
    plain = desk.get("/static/" + address.rpartition("/")[2])
    assert (200, "no-cache") == (plain.status, plain.headers["cache-control"])
    assert pages.find("/static/000000000000/app.js") is None


def test_the_document_of_the_api_is_served(desk: Desk) -> None:
    found = desk.get("/openapi.json").json
    assert ("3.1.0", "https://desk.example") == (found["openapi"], found["servers"][0]["url"])
    assert {"status": "ok"} == desk.get("/healthz").json


def test_no_log_line_holds_an_address_a_token_or_a_word(desk: Desk, caplog: pytest.LogCaptureFixture) -> None:
    lines = io.StringIO()
    handler = logging.StreamHandler(lines)
    handler.setFormatter(logger.registered_formatter)
    logger.addHandler(handler)
    desk.world.receive(mail(text="canary-word\n"), "acme@serveloapp.com")
    session = desk.customer("ada@customer.example")
    desk.get("/api/portal/acme/tickets/1", bearer=session)
    desk.post("/api/tickets/1/comments", {"text": "canary-answer"}, as_=desk.admin)
    desk.call("DELETE", "/api/members/tech%40acme.example", as_=desk.admin)
    desk.post(LOGIN, {"email": "admin@acme.example", "password": "canary-password"})
    logger.removeHandler(handler)
    written = caplog.text + lines.getvalue()
    assert '"route":"POST /api/tickets/{number}/comments"' in written
    for secret in ("customer.example", "acme.example", "canary", session, "eyJ"):
        assert secret not in written


def test_the_function_answers_with_what_bootstrap_makes(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    import functions.api.app as function

    monkeypatch.setattr(function.bootstrap, "portal_services", lambda: desk.services)
    event = {
        "version": "2.0",
        "rawPath": "/api/portal/acme",
        "rawQueryString": "",
        "headers": {},
        "requestContext": {
            "http": {"method": "GET", "path": "/api/portal/acme"},
            "requestId": "r1",
            "stage": "$default",
            "domainName": "desk.example",
        },
        "isBase64Encoded": False,
    }
    context = SimpleNamespace(
        function_name="api", memory_limit_in_mb=1, invoked_function_arn="arn", aws_request_id="1"
    )
    portal = function.Portal(function.bootstrap.portal_services)
    monkeypatch.setattr(function, "portal", portal)
    answer = function.lambda_handler(event, context)
    assert (200, "Acme") == (answer["statusCode"], json.loads(answer["body"])["name"])
