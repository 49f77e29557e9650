"""Faults at every AWS call and the hand-over: before it, after it, throttled, slow, repeated by the client.

A ``Faults`` sits where every boto3 and pynamodb client makes its calls, counts those of one piece of work,
and fails the n-th of them. ``LOST`` is what hurts: the call has its effect and the answer never comes.
``KILLED`` is a process that ends there: nothing that the code would do about an error is done. ``SLOW`` is a
call that takes so long that the world went on: ``meanwhile`` happens, and then the call goes on as if nothing
had been.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import StrEnum
from typing import Any

import botocore.client
from botocore.exceptions import ClientError, EndpointConnectionError, ReadTimeoutError

from servelo.errors import DeliveryDeferred, DeliveryUnknown


class Way(StrEnum):
    """How a call fails."""

    BEFORE = "refused before it had an effect"
    LOST = "the effect happened, the answer was lost"
    THROTTLED = "throttled for longer than the client tries"
    REPEATED = "the answer was lost, and the client itself tried again"
    SLOW = "slow, and the world went on before it had an effect"
    SLOW_AFTER = "slow, and the world went on before its answer came"
    KILLED = "the process ended before the call"
    KILLED_AFTER = "the process ended after the call"


class Killed(BaseException):
    """The process is gone; no handler of ours may run."""


class Faults:
    """Counts the calls of a block, and fails the one with number ``at`` in the way ``way``."""

    def __init__(self, at: int = -1, way: Way = Way.BEFORE) -> None:
        self.at = at
        self.way = way
        self.calls: list[str] = []
        self.meanwhile: Callable[[], object] = lambda: None

    def call(self, name: str, make: Callable[[], Any]) -> Any:
        index = len(self.calls)
        self.calls.append(name)
        if index != self.at:
            return make()
        if self.way is Way.KILLED:
            raise Killed(name)
        if self.way is Way.SLOW:
            self.meanwhile()
            return make()
        if self.way is Way.SLOW_AFTER:
            answer = make()
            self.meanwhile()
            return answer
        if name == HAND_OVER:
            return self._hand_over(make)
        if self.way is Way.BEFORE:
            raise EndpointConnectionError(endpoint_url="https://aws.invalid")
        if self.way is Way.THROTTLED:
            code = "ProvisionedThroughputExceededException" if name in DYNAMODB else "SlowDown"
            raise ClientError({"Error": {"Code": code, "Message": "slow down"}}, name)
        answer = make()
        if self.way is Way.KILLED_AFTER:
            raise Killed(name)
        if self.way is Way.LOST:
            raise ReadTimeoutError(endpoint_url="https://aws.invalid")
        del answer
        return make()

    def _hand_over(self, make: Callable[[], Any]) -> Any:
        """What a transport says of the same faults. It never repeats a hand-over by itself."""
        if self.way in (Way.BEFORE, Way.THROTTLED):
            raise DeliveryDeferred(self.way.value)
        make()
        if self.way is Way.KILLED_AFTER:
            raise Killed(HAND_OVER)
        raise DeliveryUnknown(self.way.value)


HAND_OVER = "hand over"
DYNAMODB = frozenset(("BatchGetItem", "GetItem", "PutItem", "UpdateItem", "TransactWriteItems", "Query"))


@contextmanager
def injected(faults: Faults) -> Iterator[Faults]:
    """Let *faults* see every AWS call of the block, of all clients."""
    original = botocore.client.BaseClient._make_api_call

    def watched(self: Any, operation_name: str, kwargs: dict[str, Any]) -> Any:
        return faults.call(operation_name, lambda: original(self, operation_name, kwargs))

    botocore.client.BaseClient._make_api_call = watched
    try:
        yield faults
    finally:
        botocore.client.BaseClient._make_api_call = original
