"""Who may call what: every declared route against everybody who may not, made from the list of routes."""

from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from servelo.domain import ids
from servelo.domain.smtp import SmtpLogin
from servelo.portal.routes import Route, Who, all_routes
from servelo.services.permissions import Person, allows
from servelo.services.trial_mails import TrialMails
from tests.integration.api_desk import Desk, new_desk, path_of
from tests.world import mail

TEAM = [r for r in all_routes() if r.who is Who.TEAM]
CUSTOMER = [r for r in all_routes() if r.who is Who.CUSTOMER]


def name(route: Route) -> str:
    return f"{route.method} {route.path}"


@dataclass
class Scene:
    """acme with a ticket, a client, mails and files; nobody in these tests may change any of it."""

    desk: Desk
    values: dict[str, str]
    session: str

    def path(self, route: Route, **other: str) -> str:
        path = route.path
        for key, value in {**self.values, **other}.items():
            path = path.replace("{" + key + "}", path_of(value))
        if route.name in ("preview_mail", "lift_suppression"):
            path += "?kind=invoice&email=ada%40customer.example"
        return path

    def body(self, route: Route) -> dict[str, object] | None:
        bodies: dict[str, dict[str, object]] = {
            "open_ticket": {"email": "x@customer.example", "subject": "s", "text": "t"},
            "write_comment": {"text": "t"},
            "begin_upload": {"filename": "f", "size_bytes": 1},
            "merge_ticket": {"into": 2},
            "change_requester": {"email": "x@customer.example"},
            "add_client": {"email": "y@customer.example"},
            "add_member": {"email": "new@acme.example", "role": "technician"},
            "send_email": {"kind": "message", "recipient": "x@customer.example", "text": "t"},
            "create_tenant": {"slug": "initech", "name": "Initech", "admin_email": "a@initech.example"},
            "save_operator_settings": {"inbox": "other@ops.example"},
            "open_own_ticket": {"subject": "s", "text": "t"},
            "write_own_comment": {"text": "t"},
            "begin_own_upload": {"filename": "f", "size_bytes": 1},
        }
        return bodies.get(route.name, {} if route.body is not None else None)


@pytest.fixture(scope="module")
def scene() -> Iterator[Scene]:
    with new_desk() as desk:
        desk.world.receive(mail(), "acme@serveloapp.com")
        photo = desk.upload(b"\xff\xd8\xff photo", as_=desk.admin)
        comment = desk.post("/api/tickets/1/comments", {"text": "Look", "files": [photo]}, as_=desk.admin)
        inbound = desk.get("/api/inbound", as_=desk.admin).json["items"][0]
        client = desk.get("/api/clients", as_=desk.admin).json["items"][0]
        test_id = ids.sortable_id(desk.world.clock.now().timestamp())
        login = SmtpLogin("smtp.acme.example", 587, "u", "p", "support@acme.example")
        TrialMails(desk.store, desk.world.clock).expect("acme", test_id, login)
        values = {
            "test_id": test_id,
            "number": "1",
            "slug": "acme",
            "client_id": client["id"],
            "comment_id": inbound["comment_id"],
            "attachment_id": comment.json["files"][0]["id"],
            "email_id": comment.json["deliveries"][0]["id"],
            "inbound_id": inbound["id"],
            "email": "tech@acme.example",
            "queue": "outbound",
            "owner": "acme",
        }
        yield Scene(desk, values, desk.customer("ada@customer.example"))


def claims_that_are_none(desk: Desk) -> dict[str, dict[str, str] | None]:
    """What an authorizer could hand over that is nobody: W2, as far as it comes to the function."""
    admin = desk.admin
    return {
        "nobody": None,
        "no claims": {},
        "an access token": {**admin, "token_use": "access"},
        "no tenant": {k: v for k, v in admin.items() if k != "custom:tenant"},
        "an empty tenant": {**admin, "custom:tenant": ""},
        "no address": {k: v for k, v in admin.items() if k != "email"},
        "an unproven address": {**admin, "email_verified": "false"},
        "a tenant that is not there": {**admin, "custom:tenant": "initech"},
        "an admin of elsewhere who names acme": {**desk.stranger, "custom:tenant": "acme"},
        "a removed member": {**admin, "email": "gone@acme.example"},
        "a member who calls himself operator": {**admin, "custom:tenant": "-"},
        "a tenant with a key's signs": {**admin, "custom:tenant": "acme#CLIENT#1"},
    }


@pytest.mark.parametrize("route", TEAM, ids=name)
def test_a_team_route_refuses_everybody_who_is_nobody(scene: Scene, route: Route) -> None:
    for who, claims in claims_that_are_none(scene.desk).items():
        reply = scene.desk.call(route.method, scene.path(route), scene.body(route), as_=claims)
        assert (401, "unauthorized") == (reply.status, reply.code), who


@pytest.mark.parametrize("route", TEAM, ids=name)
def test_a_customers_session_opens_no_team_route(scene: Scene, route: Route) -> None:
    reply = scene.desk.call(route.method, scene.path(route), scene.body(route), bearer=scene.session)
    assert 401 == reply.status


@pytest.mark.parametrize("person", [Person.ADMIN, Person.TECHNICIAN, Person.OPERATOR])
@pytest.mark.parametrize("route", [r for r in TEAM if r.action is not None], ids=name)
def test_a_role_without_the_right_is_refused(scene: Scene, route: Route, person: Person) -> None:
    assert route.action is not None
    if allows(person, route.action):
        return
    emails = {
        Person.ADMIN: "admin@acme.example",
        Person.TECHNICIAN: "tech@acme.example",
        Person.OPERATOR: "operator@ops.example",
    }
    claims = scene.desk.claims(emails[person])
    reply = scene.desk.call(route.method, scene.path(route), scene.body(route), as_=claims)
    assert (403, "forbidden") == (reply.status, reply.code)


@pytest.mark.parametrize(
    "route",
    [r for r in TEAM if r.parameters and r.action and allows(Person.ADMIN, r.action)],
    ids=name,
)
def test_another_tenants_thing_is_answered_like_one_that_does_not_exist(scene: Scene, route: Route) -> None:
    if route.name == "lift_suppression_of":
        return  # lifts in the caller's own tenant, whether it was there or not: test_lifting_stays_at_home
    missing = {
        "test_id": "0" * 26,
        "number": "99",
        "client_id": "f" * 16,
        "comment_id": "0" * 26,
        "attachment_id": "0" * 26 + "-f0",
        "email_id": "0" * 26,
        "inbound_id": "0" * 26,
        "email": "nobody@globex.example",
    }
    body = scene.body(route)
    theirs = scene.desk.call(route.method, scene.path(route), body, as_=scene.desk.stranger)
    none = scene.desk.call(route.method, scene.path(route, **missing), body, as_=scene.desk.stranger)
    assert 404 == theirs.status
    assert none.json == theirs.json


@pytest.mark.parametrize("route", [r for r in TEAM if r.method == "GET" and not r.parameters], ids=name)
def test_no_list_shows_another_tenants_data(scene: Scene, route: Route) -> None:
    reply = scene.desk.call("GET", scene.path(route), as_=scene.desk.stranger)
    if route.action is None or allows(Person.ADMIN, route.action):
        assert 200 == reply.status
    for theirs in ("acme", "ada@customer.example", "printer", *scene.values.values()):
        if len(theirs) > 3:
            assert theirs.lower() not in reply.text.lower()


@pytest.mark.parametrize("route", CUSTOMER, ids=name)
def test_a_customer_route_refuses_everything_but_a_session_of_this_tenant(scene: Scene, route: Route) -> None:
    desk = scene.desk
    path, body = scene.path(route), scene.body(route)
    link, _ = desk.services.sessions.make_link("acme", scene.values["client_id"])
    elsewhere, _ = desk.services.sessions.make_link("globex", scene.values["client_id"])
    sessions = {
        "none": "",
        "rubbish": "x" * 60,
        "a link's own token": link,
        "of another tenant": desk.services.sessions.open_link(elsewhere)[0],
        "one sign changed": scene.session[:-3]
        + ("A" if scene.session[-3] != "A" else "B")
        + scene.session[-2:],
    }
    for what, session in sessions.items():
        reply = desk.call(route.method, path, body, bearer=session)
        assert 401 == reply.status, what
    # The team's own token is none either, even where the authorizer would have let it in.
    assert 401 == desk.call(route.method, path, body, as_=desk.admin).status
    assert 401 == desk.call(route.method, scene.path(route, slug="globex"), body, bearer=scene.session).status
    assert (
        404 == desk.call(route.method, scene.path(route, slug="initech"), body, bearer=scene.session).status
    )


def test_nothing_was_changed_by_all_these_refusals(scene: Scene) -> None:
    ticket = scene.desk.get("/api/tickets/1", as_=scene.desk.admin).json
    assert (0, 2, "open") == (ticket["version"], ticket["comment_count"], ticket["status"])
    assert 2 == len(scene.desk.get("/api/members", as_=scene.desk.admin).json["items"])
    assert ["acme", "globex"] == [
        t["slug"] for t in scene.desk.get("/api/tenants", as_=scene.desk.operator).json["items"]
    ]
