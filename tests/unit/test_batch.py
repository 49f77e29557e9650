"""Records of a batch: each alone, and only what failed comes again."""

from servelo.batch import handle_each


def event(*bodies: str) -> dict:
    return {"Records": [{"messageId": f"m-{body}", "body": body, "attributes": {}} for body in bodies]}


def test_a_record_that_fails_comes_again_alone(caplog):
    seen = []

    def handle(record: dict) -> None:
        seen.append(record["body"])
        if record["body"] == "bad":
            raise ValueError("no")

    assert {"batchItemFailures": [{"itemIdentifier": "m-bad"}]} == handle_each(event("a", "bad", "b"), handle)
    assert ["a", "bad", "b"] == seen
    (logged,) = caplog.records
    assert ["ValueError"] == logged.exception_chain


def test_a_batch_that_succeeds_names_nothing():
    assert {"batchItemFailures": []} == handle_each(event("a", "b"), lambda record: None)
