"""Members: the team of a tenant."""

from __future__ import annotations

from servelo.domain.tenant import Role
from servelo.portal import answers
from servelo.portal.answers import Json
from servelo.portal.fields import Choice, Email, Flag, Secret, Text
from servelo.portal.routes import Answer, Call, Who, route
from servelo.services.permissions import Action

ROLE = Choice(values=("admin", "technician"))


@route(
    "GET",
    "/api/members",
    who=Who.TEAM,
    action=Action.MEMBERS_READ,
    summary="The team",
    answer=answers.MEMBERS,
)
def list_members(call: Call) -> Json:
    return answers.page((answers.member_json(m) for m in call.caller.of_tenant.members), "")


@route(
    "POST",
    "/api/members",
    who=Who.TEAM,
    action=Action.MEMBERS_WRITE,
    summary="Add a member; they are mailed an invitation to choose a password",
    body={
        "email": Email(example="tom@acme.example"),
        "name": Text(longest=100, shortest=0, optional=True, example="Tom Technician"),
        "role": ROLE,
        "notify": Flag(optional=True),
        "password": Secret(
            longest=256, shortest=12, optional=True, doc="Sets it at once; no invitation is mailed."
        ),
    },
    answer=answers.MEMBER,
    status=201,
    note="409 `member_exists`, or `address_in_use` when the address has a sign-in in another tenant.",
)
def add_member(call: Call) -> Answer:
    body = call.body
    member = call.services.members.add(
        call.caller.slug,
        email=body["email"],
        name=body.get("name", ""),
        role=Role(body["role"]),
        notify=body.get("notify", True),
        password=body.get("password"),
        invited_by=call.caller.name or call.caller.email,
        origin=call.origin,
    )
    return Answer(answers.member_json(member), 201)


@route(
    "PATCH",
    "/api/members/{email}",
    who=Who.TEAM,
    action=Action.MEMBERS_WRITE,
    summary="Change a member's name, role, or whether they are told of new mail",
    body={
        "name": Text(longest=100, shortest=0, optional=True),
        "role": Choice(values=("admin", "technician"), optional=True),
        "notify": Flag(optional=True),
    },
    answer=answers.MEMBER,
    note="409 `last_admin` when nobody else is an admin.",
)
def change_member(call: Call) -> Json:
    changed = call.services.members.change(call.caller.slug, call.path["email"], dict(call.body))
    return answers.member_json(changed)


@route(
    "DELETE",
    "/api/members/{email}",
    who=Who.TEAM,
    action=Action.MEMBERS_WRITE,
    summary="Remove a member; their sign-in ends at once",
    note="409 `last_admin` when nobody else is an admin.",
)
def remove_member(call: Call) -> None:
    call.services.members.remove(call.caller.slug, call.path["email"])


@route(
    "POST",
    "/api/members/{email}/invite",
    who=Who.TEAM,
    action=Action.MEMBERS_WRITE,
    summary="Mail the invitation again",
    answer=answers.DONE,
    status=202,
)
def invite_again(call: Call) -> Answer:
    call.services.members.invite_again(
        call.caller.of_tenant, call.path["email"], call.caller.name or call.caller.email, call.origin
    )
    return Answer({"detail": "The invitation is on its way."}, 202)
