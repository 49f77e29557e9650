"""Signing in: team and operator with a password (and a code, if they set one up), customers by a mailed link.

Answers to wrong passwords, unknown addresses and unknown tenants are alike, and requests for mails always
answer 202: nobody learns from them who has an account.
"""

from __future__ import annotations

from servelo.portal import answers
from servelo.portal.answers import Json
from servelo.portal.fields import Choice, Email, Flag, Link, Pattern, Secret, Text
from servelo.portal.routes import PATH_FIELDS, Call, Who, route, when
from servelo.records import replace
from servelo.services.permissions import Person, allowed_to

PASSWORD = Secret(
    longest=256, shortest=12, doc="At least 12 characters.", example="correct horse battery staple"
)
CODE = Pattern(
    pattern="[0-9]{6}", remedy="Type the six digits that your app shows.", longest=6, example="123456"
)


@route(
    "POST",
    "/api/auth/login",
    who=Who.OPEN,
    summary="Sign in with address and password",
    body={
        "email": Email(example="admin@acme.example"),
        "password": Secret(longest=256, example="correct horse battery staple"),
    },
    answer=answers.SIGN_IN,
    idempotent=False,
    note="401 `wrong_credentials` for an unknown address and a wrong password alike. With a second factor "
    "the answer is a `Challenge`.",
)
def sign_in(call: Call) -> Json:
    return call.services.sign_ins.login(call.body["email"], call.body["password"], call.source)


@route(
    "POST",
    "/api/auth/challenge",
    who=Who.OPEN,
    summary="Answer the challenge of a sign-in",
    body={
        "email": Email(),
        "challenge": Choice(values=("SOFTWARE_TOKEN_MFA", "NEW_PASSWORD_REQUIRED")),
        "session": Secret(longest=4096),
        "code": Pattern(
            pattern="[0-9]{6}", remedy="Type the six digits that your app shows.", longest=6, optional=True
        ),
        "new_password": Secret(longest=256, shortest=12, optional=True),
    },
    answer=answers.SIGN_IN,
    idempotent=False,
    cases=(
        when("challenge", "SOFTWARE_TOKEN_MFA", "code"),
        when("challenge", "NEW_PASSWORD_REQUIRED", "new_password"),
    ),
)
def answer_challenge(call: Call) -> Json:
    body = call.body
    return call.services.sign_ins.answer_challenge(
        body["email"],
        body["challenge"],
        body["session"],
        code=body.get("code", ""),
        new_password=body.get("new_password", ""),
        source=call.source,
    )


@route(
    "POST",
    "/api/auth/refresh",
    who=Who.OPEN,
    summary="Get a new ID token",
    body={"refresh_token": Secret(longest=8192)},
    answer=answers.SIGN_IN,
    idempotent=False,
)
def refresh_session(call: Call) -> Json:
    return call.services.sign_ins.refresh(call.body["refresh_token"])


@route(
    "POST",
    "/api/auth/logout",
    who=Who.OPEN,
    summary="Revoke a refresh token",
    body={"refresh_token": Secret(longest=8192)},
    idempotent=False,
)
def sign_out(call: Call) -> None:
    call.services.identity.logout(call.body["refresh_token"])


@route(
    "POST",
    "/api/auth/forgot",
    who=Who.OPEN,
    summary="Ask for a mail with a link to choose a new password",
    body={"email": Email()},
    answer=answers.DONE,
    status=202,
    idempotent=False,
    even=True,
    note="Always 202, on the full second. The link leads to `/reset#token=…`, good for one hour and one use.",
)
def forgot_password(call: Call) -> Json:
    call.services.sign_ins.forgot(call.body["email"], call.origin)
    return {"detail": "If this address has a sign-in, a mail is on its way."}


@route(
    "POST",
    "/api/auth/reset",
    who=Who.OPEN,
    summary="Choose a password with the token of an invitation or a forgotten password",
    body={"token": Secret(longest=2048), "password": PASSWORD},
    idempotent=False,
    note="Invitations lead to `/welcome#token=…` (7 days). All older sessions end.",
)
def choose_password(call: Call) -> None:
    call.services.sign_ins.reset(call.body["token"], call.body["password"])


@route(
    "GET",
    "/api/auth/me",
    who=Who.TEAM,
    summary="Who is signed in, what they may do, and their team",
    answer=answers.ME,
)
def who_am_i(call: Call) -> Json:
    caller = call.caller
    tenant = caller.tenant
    return {
        "user": {
            "email": caller.email,
            "name": caller.name,
            "role": caller.person.value if caller.person else "",
            "tenant": caller.slug,
        },
        "tenant": {
            "slug": tenant.slug,
            "name": tenant.name,
            "colour": tenant.colour,
            "logo_url": tenant.logo_url,
            "inbound_address": f"{tenant.slug}@{call.services.mail_domain}",
            "suspended": tenant.suspended,
            "members": [] if tenant.suspended else [answers.member_json(m) for m in tenant.members],
        }
        if tenant
        else None,
        "permissions": allowed_to(caller.person or Person.CUSTOMER),
    }


@route(
    "PATCH",
    "/api/auth/me",
    who=Who.TEAM,
    summary="Change your own name and whether you are told of new mail",
    body={"name": Text(longest=100, optional=True), "notify": Flag(optional=True)},
    answer=answers.MEMBER,
)
def change_me(call: Call) -> Json:
    tenant = call.caller.of_tenant
    changed = call.services.members.change(tenant.slug, call.caller.email, dict(call.body))
    return answers.member_json(changed)


@route(
    "POST",
    "/api/auth/totp",
    who=Who.OPEN,
    summary="Say whether your sign-in asks for a code",
    body={"access_token": Secret(longest=8192)},
    answer=answers.thing("TotpState", {"enabled": answers.FLAG}),
    idempotent=False,
)
def show_totp(call: Call) -> Json:
    _, enabled = call.services.identity.totp_state(call.body["access_token"])
    return {"enabled": enabled}


@route(
    "POST",
    "/api/auth/totp/begin",
    who=Who.OPEN,
    summary="Get a secret for an authenticator app",
    body={"access_token": Secret(longest=8192)},
    answer=answers.thing(
        "TotpSecret",
        {"secret": answers.TEXT, "uri": answers.noted(answers.TEXT, "otpauth: address for a QR code.")},
    ),
    idempotent=False,
)
def begin_totp(call: Call) -> Json:
    return call.services.sign_ins.begin_totp(call.body["access_token"])


@route(
    "POST",
    "/api/auth/totp/confirm",
    who=Who.OPEN,
    summary="Confirm the app with its first code; from then on every sign-in asks for one",
    body={"access_token": Secret(longest=8192), "code": CODE},
    idempotent=False,
)
def confirm_totp(call: Call) -> None:
    call.services.identity.confirm_totp(call.body["access_token"], call.body["code"])


@route(
    "POST",
    "/api/auth/totp/end",
    who=Who.OPEN,
    summary="Sign in without a code again",
    body={
        "access_token": Secret(longest=8192),
        "password": Secret(longest=256, example="correct horse battery staple"),
        "code": CODE,
    },
    idempotent=False,
    note="Asks for what a sign-in asks for: an access token alone does not turn it off. 422 "
    "`wrong_credentials` or `wrong_code`.",
)
def end_totp(call: Call) -> None:
    body = call.body
    call.services.sign_ins.end_totp(body["access_token"], body["password"], body["code"], call.source)


@route(
    "POST",
    "/api/auth/magic-link/request",
    who=Who.OPEN,
    summary="Customers: ask for a mail with a sign-in link",
    body={
        "slug": PATH_FIELDS["slug"],
        "email": Email(),
        "url": Link(optional=True, doc="Ignored unless it is a page of this portal; the link leads there."),
    },
    answer=answers.DONE,
    status=202,
    idempotent=False,
    even=True,
    note="Always 202, on the full second; a mail goes only to a client of that tenant, three an hour. The "
    "link leads to `/portal/{slug}#token=…`.",
)
def request_magic_link(call: Call) -> Json:
    body = call.body
    call.services.customers.request_link(body["slug"], body["email"], call.origin, body.get("url", ""))
    return {"detail": "If we know this address, a mail with a link is on its way."}


@route(
    "POST",
    "/api/auth/file-link",
    who=Who.OPEN,
    summary="Fetch a file that a mail links to",
    body={"token": Secret(longest=2048)},
    answer=answers.DOWNLOAD,
    idempotent=False,
    note="401 `link_over` when the link is older than 14 days or not ours.",
)
def open_file_link(call: Call) -> Json:
    return call.services.files.download(call.services.sessions.read_file_link(call.body["token"]))


@route(
    "POST",
    "/api/auth/magic-link/verify",
    who=Who.OPEN,
    summary="Customers: turn the link's token into a session",
    body={
        "token": Secret(longest=2048),
        "slug": replace(PATH_FIELDS["slug"], optional=True),
    },
    answer=answers.CUSTOMER_SESSION,
    idempotent=False,
    note="401 `link_over` when the link is older than 7 days or not ours.",
)
def verify_magic_link(call: Call) -> Json:
    session, expires_at, client, tenant = call.services.customers.verify_link(
        call.body["token"], call.body.get("slug", "")
    )
    return {
        "session": session,
        "expires_at": answers.when(expires_at),
        "client": {"email": client.email, "name": client.name},
        "tenant": answers.branding_json(tenant),
    }
