"""What schemathesis asks of each answer besides its own checks (``SCHEMATHESIS_HOOKS``).

Its check that what fits the document is accepted knows statuses alone. The document cannot say what the
state allows: whether a cursor was made by this list, a file was uploaded, a key was used before. Here such
refusals are told apart by their code, so that every other 400 and 422 is a finding still.
"""

from __future__ import annotations

from typing import Any

import schemathesis

OF_STATE = frozenset(
    {
        "bad_cursor",  # a cursor is what this list gave
        "idempotency_key_reused",  # for another request
        "upload_missing",  # the id of a file that nobody uploaded
        "not_a_member",  # an assignee
        "address_of_member",  # as the requester of a ticket
        "address_is_ours",  # what is sent there comes in again
        "same_ticket",  # merged into itself
        "ticket_ended",  # merged into one that is merged or spam
        "team_full",
        "number_used",  # ticket numbers only rise
        "reserved_slug",
        "not_base64",
        "files_too_large",
        "no_such_day",  # 30 February
    }
)
# The SMTP form has its own messages for hosts, ports and addresses that cannot be (smtp_settings.py).
OWN_MESSAGES = frozenset({"/api/settings/smtp"})


@schemathesis.check  # type: ignore[untyped-decorator]
def what_fits_is_accepted(ctx: Any, response: Any, case: Any) -> None:
    """Fail on a refusal of valid data for any reason but the state's."""
    if case.meta is None or not case.meta.generation.mode.is_positive:
        return
    if response.status_code not in (400, 422) or case.operation.path in OWN_MESSAGES:
        return
    said = response.json()
    assert said["code"] in OF_STATE, f"{said['code']}: {said['field']}: {said['detail']}"
