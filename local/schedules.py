"""Plays EventBridge's timer: ministack keeps schedules and never fires them."""

from __future__ import annotations

import json
import logging
import threading
import uuid
from collections.abc import Callable
from datetime import UTC, datetime

from local.aws import ACCOUNT
from local.settings import REGION
from local.template import Schedule

log = logging.getLogger("local.schedules")


def event(schedule: Schedule) -> dict[str, object]:
    """Return what EventBridge sends to the function of a scheduled rule."""
    return {
        "version": "0",
        "id": str(uuid.uuid4()),
        "detail-type": "Scheduled Event",
        "source": "aws.events",
        "account": ACCOUNT,
        "time": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "region": REGION,
        "resources": [f"arn:aws:events:{REGION}:{ACCOUNT}:rule/{schedule.name}"],
        "detail": {},
    }


class Timer:
    """Calls *invoke* with a schedule's function and event, every so many seconds, until stopped."""

    def __init__(self, schedules: list[Schedule], invoke: Callable[[str, bytes], object]) -> None:
        self._schedules = schedules
        self._invoke = invoke
        self._stopped = threading.Event()

    def start(self) -> None:
        for schedule in self._schedules:
            threading.Thread(target=self._run, args=(schedule,), name=schedule.name, daemon=True).start()

    def stop(self) -> None:
        self._stopped.set()

    def _run(self, schedule: Schedule) -> None:
        while not self._stopped.wait(schedule.seconds):
            try:
                self._invoke(schedule.function, json.dumps(event(schedule)).encode())
            except Exception:
                log.exception("%s could not be called", schedule.name)
