"""What schemathesis asks of each answer besides its own checks (``SCHEMATHESIS_HOOKS``).

Its check that what fits the document is accepted knows statuses alone. The document cannot say what the
state allows: whether a cursor was made by this list, a file was uploaded, a key was used before. Here such
refusals are told apart by their code, so that every other 400 and 422 is a finding still.
"""

from __future__ import annotations

from typing import Any

import schemathesis

# Code of a refusal to what no document could say beforehand.
OF_STATE = {
    "bad_cursor": "a cursor is what the list gave, not any text",
    "idempotency_key_reused": "the key was used for another request",
    "upload_missing": "the id of a file that nobody uploaded",
    "same_ticket": "a ticket cannot be merged into itself",
    "number_used": "ticket numbers only rise",
    "reserved_slug": "names that are kept for the system",
    "not_base64": "content that is no base64, or empty",
    "domain_is_ours": "mail to our own addresses would come back to us",
    "smtp_form": "the form's own messages: ports, hosts, addresses that cannot be",
}


@schemathesis.check
def what_fits_is_accepted(ctx: Any, response: Any, case: Any) -> None:
    """Fail on a refusal of valid data for any reason but the state's."""
    if (
        case.meta is None
        or not case.meta.generation.mode.is_positive
        or response.status_code not in (400, 422)
    ):
        return
    code = response.json().get("code", "")
    assert code in OF_STATE, f"{code}: {response.json().get('field')}: {response.json().get('detail')}"
