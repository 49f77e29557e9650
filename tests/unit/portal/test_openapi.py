"""The OpenAPI document and docs/api.md say what the routes declare."""

import re
from pathlib import Path
from typing import Any

import jsonschema
import openapi_spec_validator
import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings

from servelo.errors import InvalidInput
from servelo.portal import openapi
from servelo.portal.answers import COMPONENTS
from servelo.portal.fields import read
from servelo.portal.routes import PATH_FIELDS, Route, Who, all_routes

ROOT = Path(__file__).resolve().parents[3]


def test_docs_api_md_is_what_the_routes_make() -> None:
    assert (ROOT / "docs" / "api.md").read_text(encoding="utf-8") == openapi.markdown()


def test_the_document_is_valid_openapi() -> None:
    openapi_spec_validator.validate(openapi.document("https://desk.example"))


def test_every_reference_leads_somewhere_and_every_schema_is_used() -> None:
    text = openapi.main(["--json"])
    used = set(re.findall(r'"#/components/schemas/(\w+)"', text))
    assert used <= set(COMPONENTS)
    for schema in COMPONENTS.values():
        jsonschema.Draft202012Validator.check_schema(schema)


@pytest.mark.parametrize("route", [r for r in all_routes() if r.body], ids=lambda r: r.name)
def test_a_body_that_fits_the_document_is_read(route: Route) -> None:
    document = schemathesis.openapi.from_dict(openapi.document("https://desk.example"))
    bodies = document[route.path][route.method].as_strategy().map(lambda case: case.body)

    @settings(max_examples=8, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
    @given(body=bodies)
    def every_body_is_read(body: Any) -> None:
        try:
            read(body, route.body or {}, strict=True)
        except InvalidInput as refused:
            if refused.code != "no_such_day":
                raise

    every_body_is_read()


def test_every_example_of_a_parameter_is_taken() -> None:
    for name, field in PATH_FIELDS.items():
        assert field.parse(field.example, name) == field.example


def test_operations_have_names_of_their_own_and_paths_that_are_declared_once() -> None:
    routes = all_routes()
    assert len(routes) == len({r.name for r in routes})
    assert len(routes) == len({(r.method, r.path) for r in routes})
    assert {name for r in routes for name in r.parameters} <= set(PATH_FIELDS)


def test_open_routes_are_only_those_before_a_sign_in() -> None:
    for route in all_routes():
        if route.who is Who.OPEN:
            assert route.path.startswith("/api/auth/") or route.name == "show_branding"
            assert route.action is None
        elif route.who is Who.CUSTOMER:
            assert route.path.startswith("/api/portal/{slug}/")
            assert route.action is not None
        else:
            assert not route.path.startswith("/api/portal/")
            assert route.action is not None or route.path == "/api/auth/me"


def test_the_gateway_leaves_open_exactly_what_the_routes_leave_open() -> None:
    """template.yaml opens POST /api/auth/* and GET and POST /api/portal/*; all else needs a team's token."""
    for route in all_routes():
        opened = (route.method == "POST" and route.path.startswith("/api/auth/")) or (
            route.method in ("GET", "POST") and route.path.startswith("/api/portal/")
        )
        assert opened is (route.who is not Who.TEAM), route.path


def test_paths_of_the_contract_are_all_there() -> None:
    contract = """
        POST /api/auth/login, POST /api/auth/refresh, POST /api/auth/logout, GET /api/auth/me,
        POST /api/auth/magic-link/request, POST /api/auth/magic-link/verify,
        GET /api/tickets, POST /api/tickets, GET /api/tickets/{}, PATCH /api/tickets/{},
        POST /api/tickets/{}/comments, POST /api/tickets/{}/comments/{}/accept,
        GET /api/tickets/{}/attachments/{}, GET /api/tickets/{}/comments/{}/raw,
        GET /api/clients, POST /api/clients, GET /api/clients/{}, PATCH /api/clients/{},
        GET /api/settings, PUT /api/settings, GET /api/settings/smtp, PUT /api/settings/smtp,
        DELETE /api/settings/smtp, POST /api/settings/smtp/test, GET /api/settings/smtp/providers,
        GET /api/members, POST /api/members, PATCH /api/members/{}, DELETE /api/members/{},
        POST /api/emails, GET /api/emails, POST /api/emails/{}/retry,
        GET /api/inbound, GET /api/inbound/{}, POST /api/inbound/{}/replay,
        GET /api/suppressions, DELETE /api/suppressions,
        GET /api/tenants, POST /api/tenants, PATCH /api/tenants/{}
    """
    declared = {f"{r.method} {re.sub(r'{[^}]*}', '{}', r.path)}" for r in all_routes()}
    assert {" ".join(each.split()) for each in contract.split(",")} <= declared


def test_what_a_kind_of_mail_needs_is_not_empty() -> None:
    send = next(each for each in all_routes() if (each.method, each.path) == ("POST", "/api/emails"))
    quote = next(
        each for each in send.body_schema["anyOf"] if each["properties"]["kind"] == {"const": "quote"}
    )
    assert {"type": "string", "minLength": 1} == quote["properties"]["link"]
    files = next(each for each in send.body_schema["anyOf"] if "files" in each["required"])
    assert {"type": "array", "minItems": 1} == files["properties"]["files"]


@pytest.mark.parametrize("name", COMPONENTS["Queue"]["properties"]["name"]["enum"])
def test_every_queue_that_is_listed_can_be_put_back(name: str) -> None:
    assert name == PATH_FIELDS["queue"].parse(name, "queue")
