"""Members, invitations and the operator's tenants, through the API."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta

import pytest

from servelo.domain.outbound import DeliveryState
from servelo.errors import NotFound
from tests.integration.api_desk import PASSWORD, Desk, link_in, new_desk, path_of
from tests.world import TABLE, aws, mail


@pytest.fixture
def desk() -> Iterator[Desk]:
    with new_desk() as made:
        yield made


def test_a_member_who_was_removed_is_out_at_once_and_a_role_changes_at_once(desk: Desk) -> None:
    tech = desk.tech
    assert 200 == desk.get("/api/tickets", as_=tech).status
    assert 403 == desk.get("/api/settings/smtp", as_=tech).status
    path = f"/api/members/{path_of('tech@acme.example')}"
    assert 200 == desk.call("PATCH", path, {"role": "admin"}, as_=desk.admin).status
    assert 200 == desk.get("/api/settings/smtp", as_=tech).status
    assert 204 == desk.call("DELETE", path, as_=desk.admin).status
    assert 401 == desk.get("/api/tickets", as_=tech).status


def test_a_suspended_tenant_can_do_nothing_but_see_why(desk: Desk) -> None:
    admin = desk.admin
    desk.world.receive(mail(), "acme@serveloapp.com")
    session = desk.customer("ada@customer.example")
    desk.call("PATCH", "/api/tenants/acme", {"suspended": True}, as_=desk.operator)
    refused = desk.get("/api/tickets", as_=admin)
    assert (403, "tenant_suspended") == (refused.status, refused.code)
    me = desk.get("/api/auth/me", as_=admin)
    assert (200, True, []) == (me.status, me.json["tenant"]["suspended"], me.json["tenant"]["members"])
    assert 404 == desk.get("/api/portal/acme").status
    assert 404 == desk.get("/api/portal/acme/tickets", bearer=session).status
    assert 200 == desk.get("/api/tickets", as_=desk.stranger).status


def test_an_invited_member_chooses_a_password_once_and_signs_in(desk: Desk) -> None:
    new = {"email": "Nora@acme.example", "name": "Nora", "role": "technician"}
    assert 201 == desk.post("/api/members", new, as_=desk.admin).status
    desk.world.send_all()
    [invitation] = desk.world.mailbox.to("Nora@acme.example")
    page, _, token = link_in(invitation).partition("#token=")
    assert page == "https://desk.example/welcome"
    chosen = {"token": token, "password": "a long enough password"}
    assert 204 == desk.post("/api/auth/reset", chosen).status
    again = desk.post("/api/auth/reset", chosen)
    assert (401, "link_over") == (again.status, again.code)
    signed_in = desk.post("/api/auth/login", {"email": "nora@ACME.example", "password": chosen["password"]})
    assert {"email": "nora@acme.example", "name": "Nora", "role": "technician", "tenant": "acme"} == (
        signed_in.json["user"]
    )


OTHERS = "an attacker's password"


def _token(desk: Desk, email: str) -> str:
    """Return the token of the last link that was mailed to *email*."""
    desk.world.send_all()
    return link_in(desk.world.mailbox.to(email)[-1]).partition("#token=")[2]


def _reset(desk: Desk, token: str, password: str = OTHERS) -> tuple[int, str]:
    answer = desk.post("/api/auth/reset", {"token": token, "password": password})
    return answer.status, answer.code if answer.text else ""


def _expire(desk: Desk) -> None:
    """Delete what is over, as DynamoDB's TTL does."""
    table, now = aws("dynamodb"), desk.world.clock.now().timestamp()
    for page in table.get_paginator("scan").paginate(TableName=TABLE):
        for item in page["Items"]:
            if float(item.get("expires_at_epoch", {}).get("N", "inf")) <= now:
                table.delete_item(TableName=TABLE, Key={"pk": item["pk"], "sk": item["sk"]})


def test_a_used_invitation_stays_used_for_as_long_as_it_could_live(desk: Desk) -> None:
    desk.post("/api/members", {"email": "nora@acme.example", "role": "technician"}, as_=desk.admin)
    token = _token(desk, "nora@acme.example")
    assert (204, "") == _reset(desk, token, "a long enough password")
    for _ in range(14):
        desk.world.clock.turn(hours=12)
        _expire(desk)
        assert (401, "link_over") == _reset(desk, token)


def test_a_link_that_was_used_ends_all_that_were_mailed_before(desk: Desk) -> None:
    desk.post("/api/auth/forgot", {"email": "tech@acme.example"})
    older = _token(desk, "tech@acme.example")
    desk.world.clock.turn(minutes=1)
    desk.post("/api/auth/forgot", {"email": "tech@acme.example"})
    newer = _token(desk, "tech@acme.example")
    assert (204, "") == _reset(desk, newer, "a long enough password")
    assert (401, "link_over") == _reset(desk, older)
    desk.post("/api/auth/forgot", {"email": "tech@acme.example"})
    assert (204, "") == _reset(desk, _token(desk, "tech@acme.example"), "a long enough password")


@pytest.mark.parametrize("password", [PASSWORD, None])
def test_an_old_invitation_opens_nothing_for_who_was_removed_and_added_again(
    desk: Desk, password: str | None
) -> None:
    new = {"email": "nora@acme.example", "role": "admin"}
    desk.post("/api/members", new, as_=desk.admin)
    old = _token(desk, "nora@acme.example")
    assert 204 == desk.call("DELETE", f"/api/members/{path_of('nora@acme.example')}", as_=desk.admin).status
    again = new if password is None else {**new, "password": password}
    assert 201 == desk.post("/api/members", again, as_=desk.admin).status
    assert (401, "link_over") == _reset(desk, old)
    if password is None:
        fresh = _token(desk, "nora@acme.example")
        assert (204, "") == _reset(desk, fresh, "a long enough password")


def test_a_password_that_the_command_line_sets_ends_the_links_from_before(desk: Desk) -> None:
    for email in ("tech@acme.example", "operator@ops.example"):
        desk.post("/api/auth/forgot", {"email": email})
    links = [_token(desk, email) for email in ("tech@acme.example", "operator@ops.example")]
    desk.services.tenants.add_member("acme", "tech@acme.example", "Tom", "technician", password=PASSWORD)
    desk.services.tenants.create_operator("operator@ops.example", PASSWORD)
    assert [(401, "link_over")] * 2 == [_reset(desk, link) for link in links]


def test_of_two_uses_of_a_link_at_once_one_sets_the_password(desk: Desk) -> None:
    desk.post("/api/auth/forgot", {"email": "tech@acme.example"})
    token = _token(desk, "tech@acme.example")
    set_password, others = desk.identity.set_password, []

    def meanwhile(email: str, password: str) -> None:
        others.append(_reset(desk, token))
        set_password(email, password)

    desk.identity.set_password = meanwhile  # type: ignore[method-assign]
    assert (204, "") == _reset(desk, token, "a long enough password")
    assert [(401, "link_over")] == others
    # Both have read before one writes.
    claim = desk.services.sign_ins.passwords.claim
    now = desk.world.clock.now()
    store, seen = desk.store, desk.store.passwords_set_at("acme", "tech@acme.example")
    store.passwords_set_at = lambda slug, who: seen  # type: ignore[method-assign]
    taken = [claim("acme", "tech@acme.example", now + timedelta(minutes=1)) for _ in range(2)]
    assert [True, False] == [each is not None for each in taken]


def test_what_signed_in_before_a_new_password_is_out_at_once(desk: Desk) -> None:
    before = {email: desk.sign_in(email) for email in ("tech@acme.example", "operator@ops.example")}
    desk.world.clock.turn(seconds=1)
    for email, claims in before.items():
        assert 200 == desk.get("/api/auth/me", as_=claims).status
        desk.post("/api/auth/forgot", {"email": email})
        assert (204, "") == _reset(desk, _token(desk, email), PASSWORD)
        assert 401 == desk.get("/api/auth/me", as_=claims).status
        # A token that was refreshed keeps the time of its sign-in, and one without it proves nothing.
        now = str(int(desk.world.clock.now().timestamp()) + 5)
        assert 401 == desk.get("/api/auth/me", as_={**claims, "iat": now}).status
        assert 401 == desk.get("/api/auth/me", as_={**claims, "auth_time": "", "iat": ""}).status
        assert 401 == desk.get("/api/auth/me", as_={**claims, "auth_time": "later"}).status
        assert 200 == desk.get("/api/auth/me", as_=desk.sign_in(email)).status


def test_a_members_sign_in_is_not_taken_away_as_an_operators(desk: Desk) -> None:
    with pytest.raises(NotFound):
        desk.services.tenants.remove_operator("tech@acme.example")
    assert "acme" == desk.claims("tech@acme.example")["custom:tenant"]
    assert 200 == desk.get("/api/tickets", as_=desk.sign_in("tech@acme.example")).status


def test_a_removed_operator_is_out_at_once(desk: Desk) -> None:
    claims = desk.sign_in("operator@ops.example")
    desk.world.clock.turn(seconds=1)
    assert 200 == desk.get("/api/tenants", as_=claims).status
    desk.services.tenants.remove_operator("Operator@ops.example")
    assert 401 == desk.get("/api/tenants", as_=claims).status
    assert desk.identity.account("operator@ops.example") is None


def test_a_password_that_is_refused_leaves_the_link_good(desk: Desk) -> None:
    desk.post("/api/members", {"email": "nora@acme.example", "role": "admin"}, as_=desk.admin)
    desk.world.send_all()
    token = link_in(desk.world.mailbox.to("nora@acme.example")[0]).partition("#token=")[2]
    assert 422 == desk.post("/api/auth/reset", {"token": token, "password": "short"}).status
    assert 204 == desk.post("/api/auth/reset", {"token": token, "password": "long enough now"}).status


def test_an_address_of_another_tenant_or_of_ours_can_be_no_member(desk: Desk) -> None:
    for email, status, code in (
        ("admin@globex.example", 409, "address_in_use"),
        ("tech@acme.example", 409, "member_exists"),
        ("someone@serveloapp.com", 422, "address_is_ours"),
    ):
        refused = desk.post("/api/members", {"email": email, "role": "admin"}, as_=desk.admin)
        assert (status, code, "email") == (refused.status, refused.code, refused.json["field"])
    assert "globex" == desk.claims("admin@globex.example")["custom:tenant"]


def test_the_last_admin_stays(desk: Desk) -> None:
    path = f"/api/members/{path_of('admin@acme.example')}"
    for reply in (
        desk.call("PATCH", path, {"role": "technician"}, as_=desk.admin),
        desk.call("DELETE", path, as_=desk.admin),
    ):
        assert (409, "last_admin") == (reply.status, reply.code)
    assert 200 == desk.get("/api/settings/smtp", as_=desk.admin).status


def test_a_member_changes_their_own_name_but_not_their_role(desk: Desk) -> None:
    changed = desk.call("PATCH", "/api/auth/me", {"name": "Tom", "notify": False}, as_=desk.tech)
    assert {
        "email": "tech@acme.example",
        "name": "Tom",
        "role": "technician",
        "notify": False,
    } == changed.json
    assert 422 == desk.call("PATCH", "/api/auth/me", {"role": "admin"}, as_=desk.tech).status


def test_an_invitation_is_mailed_again(desk: Desk) -> None:
    desk.post("/api/members", {"email": "nora@acme.example", "role": "admin"}, as_=desk.admin)
    desk.world.clock.turn(minutes=1)
    assert 202 == desk.post(f"/api/members/{path_of('nora@acme.example')}/invite", as_=desk.admin).status
    desk.world.send_all()
    assert 2 == len(desk.world.mailbox.to("nora@acme.example"))


def test_the_operator_creates_a_tenant_whose_admin_can_begin(desk: Desk) -> None:
    new = {"slug": "initech", "name": "Initech", "admin_email": "bill@initech.example"}
    created = desk.post("/api/tenants", new, as_=desk.operator)
    assert (201, "initech@serveloapp.com", "shared") == (
        created.status,
        created.json["inbound_address"],
        created.json["smtp"],
    )
    again = desk.post("/api/tenants", new, as_=desk.operator)
    assert (409, "slug") == (again.status, again.json["field"])
    reserved = desk.post("/api/tenants", {**new, "slug": "support"}, as_=desk.operator)
    assert (422, "slug") == (reserved.status, reserved.json["field"])
    desk.world.send_all()
    token = link_in(desk.world.mailbox.to("bill@initech.example")[0]).partition("#token=")[2]
    desk.post("/api/auth/reset", {"token": token, "password": PASSWORD})
    me = desk.get("/api/auth/me", as_=desk.sign_in("bill@initech.example")).json
    assert ("admin", "Initech") == (me["user"]["role"], me["tenant"]["name"])
    assert "initech@serveloapp.com" == me["tenant"]["inbound_address"]
    assert ["bill@initech.example"] == [each["email"] for each in me["tenant"]["members"]]


def test_the_operator_sees_mail_of_no_tenant_and_no_conversation(desk: Desk) -> None:
    desk.world.receive(mail(), "nosuch@serveloapp.com")
    [record] = desk.get("/api/inbound", as_=desk.operator).json["items"]
    assert ("unknown_slug", True) == (record["outcome"], record["replayable"])
    replayed = desk.post(f"/api/inbound/{record['id']}/replay", {"dry_run": True}, as_=desk.operator)
    assert ("unknown_slug", "ticket_created", True) == (
        replayed.json["before"],
        replayed.json["after"],
        replayed.json["changed"],
    )
    assert [("-", record["id"], True)] == desk.replayed
    assert 403 == desk.get("/api/tickets", as_=desk.operator).status


def test_dead_letters_are_counted_and_put_back(desk: Desk) -> None:
    for number in range(3):
        desk.world.sqs.send_message(QueueUrl=desk.dead_url, MessageBody=f"acme/{number}")
    assert [{"name": "outbound", "waiting": 0, "dead": 3}] == (
        desk.get("/api/operator/queues", as_=desk.operator).json["items"]
    )
    moved = desk.post("/api/operator/queues/outbound/redrive", as_=desk.operator)
    assert {"name": "outbound", "moved": 3} == moved.json
    assert [{"name": "outbound", "waiting": 3, "dead": 0}] == (
        desk.get("/api/operator/queues", as_=desk.operator).json["items"]
    )


def test_failed_mails_of_all_tenants_are_listed_for_the_operator_and_sent_again(desk: Desk) -> None:
    for slug in ("acme", "globex"):
        desk.world.receive(mail(), f"{slug}@serveloapp.com")
    jobs = {slug: desk.store.jobs(slug)[0] for slug in ("acme", "globex")}
    for slug, state in (("acme", DeliveryState.FAILED), ("globex", DeliveryState.UNKNOWN)):
        assert desk.store.settle(replace(jobs[slug][0], state=state, error_code="refused"))
    listed = desk.get("/api/operator/failed", as_=desk.operator)
    assert {("acme", "failed"), ("globex", "unknown")} == {
        (m["slug"], m["state"]) for m in listed.json["items"]
    }
    assert "printer" not in listed.text.lower()
    first = desk.get("/api/operator/failed?limit=1", as_=desk.operator).json
    second = desk.get(f"/api/operator/failed?limit=1&cursor={first['next_cursor']}", as_=desk.operator).json
    assert listed.json["items"] == [*first["items"], *second["items"]]
    for slug in jobs:
        path = f"/api/operator/failed/{slug}/{jobs[slug][0].id}/retry"
        assert 403 == desk.post(path, as_=desk.admin).status
        assert "queued" == desk.post(path, as_=desk.operator).json["state"]
        assert (409, "not_retryable") == ((again := desk.post(path, as_=desk.operator)).status, again.code)
    assert [] == desk.get("/api/operator/failed", as_=desk.operator).json["items"]
    elsewhere = desk.post(f"/api/operator/failed/globex/{jobs['acme'][0].id}/retry", as_=desk.operator)
    assert 404 == elsewhere.status


def test_mail_to_support_goes_where_the_operator_says_and_else_to_the_templates_inbox(desk: Desk) -> None:
    path = "/api/operator/settings"
    before = desk.get(path, as_=desk.operator)
    assert ("", "operator@ops.example", 0) == (
        before.json["inbox"],
        before.json["default_inbox"],
        before.json["version"],
    )
    desk.world.receive(mail(), "support@serveloapp.com")
    assert (
        200 == desk.call("PUT", path, {"inbox": "night@ops.example", "version": 0}, as_=desk.operator).status
    )
    desk.world.receive(mail(message_id="two@customer.example"), "legal@serveloapp.com")
    late = desk.call("PUT", path, {"inbox": "x@ops.example"}, as_=desk.operator, headers={"If-Match": '"0"'})
    assert (409, "conflict") == (late.status, late.code)
    ours = desk.call("PUT", path, {"inbox": "acme@serveloapp.com"}, as_=desk.operator)
    assert (422, "address_is_ours", "inbox") == (ours.status, ours.code, ours.json["field"])
    assert 200 == desk.call("PUT", path, {"inbox": ""}, as_=desk.operator).status
    desk.world.receive(mail(message_id="three@customer.example"), "support@serveloapp.com")
    desk.world.send_all()
    found = {who: len(desk.world.mailbox.to(who)) for who in ("operator@ops.example", "night@ops.example")}
    assert {"operator@ops.example": 2, "night@ops.example": 1} == found


def test_no_notification_can_be_sent_to_the_help_desk_itself(desk: Desk) -> None:
    own = {"notify_email": "globex@serveloapp.com"}
    assert "address_is_ours" == desk.call("PUT", "/api/settings", own, as_=desk.admin).code
    assert "address_is_ours" == desk.call("PATCH", "/api/tenants/acme", own, as_=desk.operator).code


def test_creating_again_finishes_what_was_begun(desk: Desk) -> None:
    tenants = desk.services.tenants
    desk.identity.delete_user("admin@acme.example")
    tenants.create_tenant(slug="acme", name="Acme", admin_email="admin@acme.example", password=PASSWORD)
    assert "acme" == desk.sign_in("admin@acme.example")["custom:tenant"]
    tenants.add_member("acme", "tech@acme.example", "Tom", "admin", password=PASSWORD)
    assert ("Tom", "admin") == next(
        (m["name"], m["role"])
        for m in desk.get("/api/members", as_=desk.admin).json["items"]
        if m["email"] == "tech@acme.example"
    )
