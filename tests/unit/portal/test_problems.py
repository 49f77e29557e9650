"""Each kind of error has one status, and nothing of ours shows in those that are our fault."""

import pytest

from servelo import errors
from servelo.portal.problems import problem_of, status_of


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (errors.InvalidInput("x"), 422),
        (errors.InvalidInput("x", code="bad_json"), 400),
        (errors.InvalidInput("x", code="bad_cursor"), 400),
        (errors.Unauthorized(), 401),
        (errors.Forbidden(), 403),
        (errors.NotFound(), 404),
        (errors.Conflict(), 409),
        (errors.TooMany(), 429),
        (errors.StoreUnavailable("DynamoDB: x"), 503),
        (errors.DeliveryFailed("x"), 500),
    ],
)
def test_status_of_each_error(error: errors.ServeloError, status: int) -> None:
    assert status == status_of(error)


def test_a_problem_has_the_members_of_rfc_9457_and_ours() -> None:
    found = problem_of(errors.InvalidInput("fill in this field", field="subject"))
    assert {
        "type": "https://servelo.example/problems/invalid_input",
        "title": "Unprocessable Content",
        "status": 422,
        "code": "invalid_input",
        "detail": "Fill in this field.",
        "field": "subject",
    } == found


def test_our_own_faults_say_nothing_of_their_cause() -> None:
    found = problem_of(errors.StoreUnavailable("DynamoDB: secret"))
    assert "secret" not in str(found)
    assert "unavailable" == found["code"]
