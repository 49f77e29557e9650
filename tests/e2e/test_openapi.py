"""schemathesis over the running stack: the OpenAPI document says what the API does, for every role.

The bounded version sends the document's examples and a few generated requests to each operation; with
``SERVELO_PROOF`` its coverage phase to the end (every boundary of every field, every method) and more of the
generated. Left out is Send Test alone, which connects to hosts that are made up.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from local.demo import Demo, new_mail, text_of
from local.stack import LocalStack

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = Path(sys.executable).with_name("schemathesis")
PROOF = bool(os.environ.get("SERVELO_PROOF"))
TEAM = ("Tickets", "Clients", "Settings", "Members", "Mails sent", "Mails received")
# In this order: the admin's run may remove the technician, the operator's suspends a tenant.
ROLES: dict[str, tuple[str, ...]] = {
    "nobody": ("Signing in",),
    "customer": ("Customer portal",),
    "technician": TEAM,
    "admin": TEAM,
    "operator": ("Operator", "Mails sent", "Mails received"),
}


@pytest.fixture(scope="module")
def known(stack: LocalStack) -> dict[str, Any]:
    """Ids of things that are there, and a token for each role."""
    desk = Demo(stack.settings)
    who = f"ada-{desk.run}@customer.example"
    for number in (1, 2):
        mail = new_mail(f"Ada <{who}>", "support@acme.example", f"Schema {number} {desk.run}", "Hello")
        desk.send(mail, f"acme@{stack.settings.mail_domain}")
        desk.wait(who, f"Schema {number}")
    admin = desk.sign_in("admin@acme.example")
    ticket = desk.call("GET", "/api/tickets?limit=1", token=admin)["items"][0]
    shown = desk.call("GET", f"/api/tickets/{ticket['number']}", token=admin)
    inbound = desk.call("GET", "/api/inbound?limit=1", token=admin)["items"][0]
    desk.call("POST", "/api/auth/magic-link/request", body={"slug": "acme", "email": who})
    link = re.search(r"#token=(\S+)", text_of(desk.wait(who, "#token=")))
    assert link is not None
    verified = desk.call("POST", "/api/auth/magic-link/verify", body={"token": link[1]})
    return {
        "tokens": {
            "nobody": "",
            "customer": verified["session"],
            "technician": desk.sign_in("tech@acme.example"),
            "admin": admin,
            "operator": desk.sign_in("operator@serveloapp.example"),
        },
        "path": {
            "number": ticket["number"],
            "client_id": ticket["client_id"],
            "comment_id": shown["comments"][0]["id"],
            "inbound_id": inbound["id"],
            "email_id": desk.call("GET", "/api/emails?limit=1", token=admin)["items"][0]["id"],
            "email": "tech@acme.example",
            "slug": "acme",
            "owner": "acme",
            "queue": "outbound",
        },
    }


@pytest.mark.parametrize("role", ROLES)
def test_schemathesis_finds_nothing(
    stack: LocalStack, known: dict[str, Any], tmp_path: Path, role: str
) -> None:
    path = known["path"] | ({"slug": "globex"} if role == "operator" else {})
    lines = [f'"path.{name}" = {value!r}'.replace("'", '"') for name, value in path.items()]
    config = tmp_path / "schemathesis.toml"
    # The gateway refuses TRACE with 404 before we are asked, and where no token is needed what it has no open
    # route for with 401.
    asked = {"nobody": ["post"], "customer": ["get", "post"]}
    methods = json.dumps(asked.get(role, ["delete", "get", "patch", "post", "put"]))
    methods = f"[phases.coverage]\nunexpected-methods = {methods}\n"
    config.write_text("[parameters]\n" + "\n".join(lines) + "\n" + methods)
    command = [PROGRAM, "--config-file", config, "run", f"{stack.settings.portal_url}/openapi.json"]
    if known["tokens"][role]:
        command += ["--header", f"Authorization: Bearer {known['tokens'][role]}"]
    for tag in ROLES[role]:
        command += ["--include-tag", tag]
    command += ["--exclude-operation-id", "test_smtp", "--exclude-checks", "positive_data_acceptance"]
    command += ["--phases", "examples,coverage,fuzzing" if PROOF else "examples,fuzzing"]
    command += ["--max-examples", "10" if PROOF else "3", "--seed", "1", "--continue-on-failure"]
    command += ["--request-timeout", "60", "--suppress-health-check", "all"]
    if not PROOF:
        command += ["--no-shrink"]
    environ = {**os.environ, "SCHEMATHESIS_HOOKS": "tests.e2e.openapi_checks", "PYTHONPATH": str(ROOT)}
    ran = subprocess.run(command, cwd=tmp_path, env=environ, capture_output=True, text=True, check=False)
    assert 0 == ran.returncode, ran.stdout[-20_000:] + ran.stderr[-2000:]
    assert re.search(r"[1-9][0-9]* generated", ran.stdout), ran.stdout[-2000:]
