"""The whole conversation over SMTP, on the built artefact."""

from __future__ import annotations

import pytest
from local.demo import Demo, conversation

pytestmark = pytest.mark.stack


def test_every_step_of_the_demo_happens(desk: Demo):
    conversation(desk)
    assert desk.done >= 14
