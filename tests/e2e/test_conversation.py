"""The whole conversation, the same on two AWS: over SMTP on the built artefact, and on moto."""

from __future__ import annotations

from pathlib import Path

import pytest
from local.demo import Demo, conversation
from local.settings import LocalSettings

from tests.e2e.moto_desk import moto_desk


@pytest.mark.stack
def test_every_step_of_the_demo_happens(desk: Demo):
    conversation(desk)
    assert desk.done >= 14


@pytest.mark.filterwarnings("ignore:No application metrics to publish")
def test_every_step_of_the_demo_happens_on_moto(tmp_path: Path):
    with moto_desk(LocalSettings(tmp_path)) as desk:
        conversation(desk)  # type: ignore[arg-type]
        assert desk.done >= 14
