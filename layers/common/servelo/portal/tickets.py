"""Tickets: the team's list, conversations, answers and what can be done to a ticket."""

from __future__ import annotations

from servelo.domain.ticket import Participant, TicketStatus
from servelo.errors import Conflict
from servelo.portal import answers
from servelo.portal.answers import Json
from servelo.portal.fields import Choice, Email, Field, Flag, Group, Items, Pattern, Text, Whole
from servelo.portal.routes import PAGING, PATH_FIELDS, Answer, Call, Who, route
from servelo.services.permissions import Action

MAX_TEXT = 100_000
MAX_FILES = 10

FILES = Items(
    of=Group(
        fields={
            "id": Pattern(pattern=r"[0-9a-z]{26}", remedy="The id that the upload was given.", longest=26),
            "filename": Text(longest=255, example="photo.jpg"),
        }
    ),
    most=MAX_FILES,
    optional=True,
    doc="Uploads (`POST …/uploads`) to attach.",
)
WORDS = Text(longest=MAX_TEXT, lines=True, example="It works again. Thank you for the photo.")
UPLOAD_BODY: dict[str, Field] = {
    "filename": Text(longest=255, example="photo.jpg"),
    "size_bytes": Whole(least=1, most=10 * 1024 * 1024, example=123456),
    "content_type": Text(longest=200, shortest=0, optional=True, doc="Not used: the content tells."),
}


@route(
    "GET",
    "/api/tickets",
    who=Who.TEAM,
    action=Action.TICKETS_READ,
    summary="List or search tickets, the latest first",
    query={
        "status": Choice(values=("open", "pending", "closed", "spam", "merged"), optional=True),
        "assignee": Text(longest=254, optional=True, doc="A member's address, or `me`."),
        "q": Text(
            longest=200,
            optional=True,
            doc="A number (`123`, `#123`), or words of subject, people and comments; all must occur, the "
            "last may be the beginning of a word. See docs/search.md for how far it goes.",
        ),
        **PAGING,
    },
    answer=answers.TICKET_PAGE,
    note="`q` and `assignee` may be joined with `status`: what does not fit is left out of the page, so a "
    "page may hold fewer items than `limit` and still have a `next_cursor`.",
)
def list_tickets(call: Call) -> Json:
    query = dict(call.query)
    assignee = query.get("assignee", "")
    found, cursor = call.services.tickets.page(
        call.caller.slug,
        status=TicketStatus(query["status"]) if "status" in query else None,
        assignee=call.caller.email if assignee == "me" else assignee,
        words=query.get("q", ""),
        limit=query.get("limit", 50),
        after=query.get("cursor", ""),
    )
    return answers.page((answers.ticket_json(t) for t in found), cursor)


@route(
    "POST",
    "/api/tickets",
    who=Who.TEAM,
    action=Action.TICKETS_WRITE,
    summary="Open a ticket for a client; your words are mailed to them",
    body={
        "email": Email(doc="The client's address.", example="ada@example.org"),
        "name": Text(longest=100, shortest=0, optional=True),
        "subject": Text(longest=200, example="Your boiler's service"),
        "text": WORDS,
        "files": FILES,
    },
    answer=answers.TICKET_DETAIL,
    status=201,
)
def open_ticket(call: Call) -> Answer:
    body = call.body
    opened = call.services.tickets.open_by_team(
        call.caller.of_tenant,
        _author(call),
        Participant(body["email"], body.get("name", "")),
        subject=body["subject"],
        text=body["text"],
        uploads=body.get("files", ()),
        origin=call.origin,
    )
    return Answer(_detail(call, opened.number), 201)


@route(
    "GET",
    "/api/tickets/{number}",
    who=Who.TEAM,
    action=Action.TICKETS_READ,
    summary="A ticket with its conversation and what became of each mail",
    query=PAGING,
    answer=answers.TICKET_DETAIL,
    versioned=True,
)
def show_ticket(call: Call) -> Answer:
    found = _detail(call, call.path["number"], call.query.get("limit", 50), call.query.get("cursor", ""))
    return Answer(found, version=found["version"])


@route(
    "PATCH",
    "/api/tickets/{number}",
    who=Who.TEAM,
    action=Action.TICKETS_WRITE,
    summary="Change status, assignee, subject or the unread mark",
    body={
        "status": Choice(values=("open", "pending", "closed"), optional=True),
        "assignee": Email(empty=True, optional=True, doc="A member's address; empty for nobody."),
        "subject": Text(longest=200, optional=True),
        "unread": Flag(optional=True),
    },
    answer=answers.TICKET,
    versioned=True,
)
def change_ticket(call: Call) -> Answer:
    body = {key: value for key, value in call.body.items() if key != "version"}
    changed = call.services.tickets.change(call.caller.of_tenant, call.path["number"], body, call.version)
    return Answer(answers.ticket_json(changed), version=changed.version)


@route(
    "POST",
    "/api/tickets/{number}/read",
    who=Who.TEAM,
    action=Action.TICKETS_WRITE,
    summary="Take the unread mark off",
    idempotent=False,
)
def mark_ticket_read(call: Call) -> None:
    call.services.tickets.mark_read(call.caller.slug, call.path["number"])


@route(
    "POST",
    "/api/tickets/{number}/comments",
    who=Who.TEAM,
    action=Action.TICKETS_WRITE,
    summary="Answer the client (public) or leave a note for the team (internal)",
    body={
        "text": WORDS,
        "visibility": Choice(values=("public", "internal"), optional=True, doc="`public` if left out."),
        "files": FILES,
        "status": Choice(
            values=("open", "pending", "closed"), optional=True, doc="Set with the comment, at once."
        ),
        "seen_comments": Whole(
            least=0,
            most=2**31,
            optional=True,
            doc="`comment_count` that you saw. 409 `conversation_moved` when somebody wrote since.",
        ),
    },
    answer=answers.COMMENT,
    status=201,
)
def write_comment(call: Call) -> Answer:
    body = call.body
    comment, jobs = call.services.tickets.comment_by_team(
        call.caller.of_tenant,
        _author(call),
        call.path["number"],
        text=body["text"],
        internal=body.get("visibility") == "internal",
        uploads=body.get("files", ()),
        status=TicketStatus(body["status"]) if "status" in body else None,
        seen_comments=body.get("seen_comments"),
        origin=call.origin,
    )
    return Answer(answers.comment_json(comment, jobs), 201)


@route(
    "POST",
    "/api/tickets/{number}/comments/{comment_id}/accept",
    who=Who.TEAM,
    action=Action.TICKETS_WRITE,
    summary="Accept an unverified comment: it is published and mailed as if it had been verified",
    answer=answers.COMMENT,
    note="409 `accepted_already` when somebody was faster.",
)
def accept_comment(call: Call) -> Json:
    comment, jobs = call.services.tickets.accept(
        call.caller.of_tenant, call.path["number"], call.path["comment_id"], call.origin
    )
    return answers.comment_json(comment, jobs)


@route(
    "GET",
    "/api/tickets/{number}/comments/{comment_id}/raw",
    who=Who.TEAM,
    action=Action.TICKETS_READ,
    summary="Download the original mail",
    answer=answers.DOWNLOAD,
)
def download_raw(call: Call) -> Json:
    return call.services.tickets.raw(call.caller.slug, call.path["number"], call.path["comment_id"])


@route(
    "GET",
    "/api/tickets/{number}/attachments/{attachment_id}",
    who=Who.TEAM,
    action=Action.TICKETS_READ,
    summary="Download an attachment",
    answer=answers.DOWNLOAD,
)
def download_attachment(call: Call) -> Json:
    return call.services.tickets.attachment(
        call.caller.slug, call.path["number"], call.path["attachment_id"], public_only=False
    )


@route(
    "POST",
    "/api/uploads",
    who=Who.TEAM,
    action=Action.TICKETS_WRITE,
    summary="Get a presigned form to upload one file of up to 10 MB",
    body=UPLOAD_BODY,
    answer=answers.UPLOAD,
    status=201,
    idempotent=False,
    note="The form is good for 5 minutes, the upload for two days. Attach it with its id.",
)
def begin_upload(call: Call) -> Answer:
    return Answer(call.services.files.begin_upload(call.caller.slug, call.caller.email), 201)


@route(
    "POST",
    "/api/tickets/{number}/merge",
    who=Who.TEAM,
    action=Action.TICKETS_WRITE,
    summary="Merge this ticket into another",
    body={"into": PATH_FIELDS["number"]},
    answer=answers.TICKET_DETAIL,
    note="The conversation and the people are copied there; later mails to this ticket go there too.",
)
def merge_ticket(call: Call) -> Json:
    target = call.services.tickets.merge(
        call.caller.of_tenant, _author(call), call.path["number"], call.body["into"]
    )
    return _detail(call, target.number)


@route(
    "POST",
    "/api/tickets/{number}/spam",
    who=Who.TEAM,
    action=Action.TICKETS_WRITE,
    summary="Put the ticket into spam, and block its requester if you wish",
    body={"block": Flag(optional=True)},
    answer=answers.TICKET,
)
def mark_spam(call: Call) -> Json:
    return answers.ticket_json(
        call.services.tickets.spam(
            call.caller.of_tenant, call.path["number"], block=call.body.get("block", False)
        )
    )


@route(
    "POST",
    "/api/tickets/{number}/not-spam",
    who=Who.TEAM,
    action=Action.TICKETS_WRITE,
    summary="Let the mail in as if it came now: the team is told, the sender gets the confirmation",
    answer=answers.TICKET_DETAIL,
    note="409 `not_spam` when it is no spam.",
)
def mark_not_spam(call: Call) -> Json:
    slug, number = call.caller.of_tenant.slug, call.path["number"]
    call.services.tickets.get(slug, number)
    if not call.services.admit(slug, number):
        raise Conflict("this ticket is not in spam", code="not_spam")
    return _detail(call, number)


@route(
    "POST",
    "/api/tickets/{number}/requester",
    who=Who.TEAM,
    action=Action.TICKETS_WRITE,
    summary="Correct who the ticket is for (a mail that a colleague forwarded)",
    body={"email": Email(), "name": Text(longest=100, shortest=0, optional=True)},
    answer=answers.TICKET,
    note="Nobody is mailed. Reply addresses made for the old requester no longer count as theirs.",
)
def change_requester(call: Call) -> Json:
    return answers.ticket_json(
        call.services.tickets.change_requester(
            call.caller.of_tenant,
            call.path["number"],
            Participant(call.body["email"], call.body.get("name", "")),
        )
    )


def _author(call: Call) -> Participant:
    return Participant(call.caller.email, call.caller.name)


def _detail(call: Call, number: int, limit: int = 50, cursor: str = "") -> Json:
    found = call.services.tickets.detail(call.caller.of_tenant, number, limit=limit, after=cursor)
    return {
        **answers.ticket_json(found.ticket),
        "comments": [answers.comment_json(c, found.jobs.get(c.id, ())) for c in found.comments],
        "next_cursor": found.cursor or None,
        "seen_by": list(found.seen_by),
    }
