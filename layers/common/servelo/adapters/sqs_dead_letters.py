"""Dead-letter queues: how much lies in them, and putting it back on its queue.

The dead-letter queue of a queue is found by the queue's own redrive policy. Putting back is done message by
message (send, then delete): StartMessageMoveTask would do it too, but it moves everything at once, and what
still fails should not flood the queue.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from servelo.adapters.aws_errors import translated

MAX_MOVED = 100
_COUNT = "ApproximateNumberOfMessages"


class DeadLetters:
    """*urls* are the queues by name."""

    def __init__(self, client: Any, urls: Mapping[str, str]) -> None:
        self._sqs = client
        self._urls = dict(urls)

    def counts(self) -> list[dict[str, Any]]:
        """Return ``name``, ``waiting`` and ``dead`` of each queue; two requests a queue."""
        found = []
        for name, url in self._urls.items():
            with translated("SQS"):
                attributes = self._attributes(url, _COUNT, "RedrivePolicy")
                dead = self._attributes(_dead_url(url, attributes), _COUNT)
            found.append({"name": name, "waiting": int(attributes[_COUNT]), "dead": int(dead[_COUNT])})
        return found

    def redrive(self, name: str) -> int:
        """Put up to 100 messages back on queue *name* and return how many.

        A crash in between leaves a message in both places; every consumer takes the same message twice.
        """
        moved = 0
        with translated("SQS"):
            url = self._urls[name]
            dead_url = _dead_url(url, self._attributes(url, "RedrivePolicy"))
            while moved < MAX_MOVED:
                answer = self._sqs.receive_message(
                    QueueUrl=dead_url,
                    MaxNumberOfMessages=10,
                    VisibilityTimeout=60,
                    MessageSystemAttributeNames=["MessageGroupId"],
                )
                messages = answer.get("Messages", [])
                if not messages:
                    break
                for message in messages:
                    group = message.get("Attributes", {}).get("MessageGroupId")
                    fair = {"MessageGroupId": group} if group else {}
                    self._sqs.send_message(QueueUrl=url, MessageBody=message["Body"], **fair)
                    self._sqs.delete_message(QueueUrl=dead_url, ReceiptHandle=message["ReceiptHandle"])
                    moved += 1
        return moved

    def _attributes(self, url: str, *names: str) -> Mapping[str, str]:
        answer = self._sqs.get_queue_attributes(QueueUrl=url, AttributeNames=list(names))
        found: Mapping[str, str] = answer["Attributes"]
        return found


def _dead_url(url: str, attributes: Mapping[str, str]) -> str:
    """A dead-letter queue lies in the account and region of its queue, so their addresses differ by name."""
    arn = json.loads(attributes["RedrivePolicy"])["deadLetterTargetArn"]
    return f"{url.rpartition('/')[0]}/{arn.rpartition(':')[2]}"
