"""Every mail that was received, what came of it, and why. The operator sees what belongs to no tenant."""

from __future__ import annotations

from servelo.portal import answers
from servelo.portal.answers import Json
from servelo.portal.fields import Flag
from servelo.portal.routes import PAGING, Call, Who, route
from servelo.services.permissions import Action


@route(
    "GET",
    "/api/inbound",
    who=Who.TEAM,
    action=Action.INBOUND_READ,
    summary="Mails received, the latest first",
    query=PAGING,
    answer=answers.INBOUND_PAGE,
)
def list_inbound(call: Call) -> Json:
    found, cursor = call.services.store.inbound_list(
        call.caller.slug, call.query.get("limit", 50), call.query.get("cursor", "")
    )
    can_replay = call.services.can_replay
    return answers.page((answers.inbound_json(r, replayable=can_replay(r)) for r in found), cursor)


@route(
    "GET",
    "/api/inbound/{inbound_id}",
    who=Who.TEAM,
    action=Action.INBOUND_READ,
    summary="One mail received, with the questions that were asked of it and their answers",
    answer=answers.INBOUND,
)
def show_inbound(call: Call) -> Json:
    record = call.services.inbound_record(call.caller.slug, call.path["inbound_id"])
    return answers.inbound_json(record, replayable=call.services.can_replay(record))


@route(
    "GET",
    "/api/inbound/{inbound_id}/raw",
    who=Who.TEAM,
    action=Action.INBOUND_READ,
    summary="Download the original mail",
    answer=answers.DOWNLOAD,
    note="404 for a mail with a virus: it is quarantined.",
)
def download_inbound(call: Call) -> Json:
    record = call.services.inbound_record(call.caller.slug, call.path["inbound_id"])
    return call.services.files.raw_download(record)


@route(
    "POST",
    "/api/inbound/{inbound_id}/replay",
    who=Who.TEAM,
    action=Action.INBOUND_REPLAY,
    summary="Decide anew what comes of a mail, now that its cause is mended",
    body={"dry_run": Flag(optional=True, doc="Only say what would be decided.")},
    answer=answers.REPLAY,
    note="Twice gives nothing new. What already became a ticket or comment stays as it is.",
)
def replay_inbound(call: Call) -> Json:
    record = call.services.inbound_record(call.caller.slug, call.path["inbound_id"])
    dry_run = call.body.get("dry_run", False)
    after, ticket_number = call.services.replay(record, dry_run)
    return {
        "id": record.id,
        "dry_run": dry_run,
        "before": record.outcome.value,
        "after": after.value,
        "changed": after is not record.outcome,
        "ticket_number": ticket_number,
    }
