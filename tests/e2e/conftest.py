"""One stack for all end-to-end tests; each test writes as somebody nobody else is."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from local.demo import Demo
from local.stack import LocalStack

from tests.local_stack import running_stack


@pytest.fixture(scope="session")
def stack() -> Iterator[LocalStack]:
    with running_stack() as running:
        yield running


@pytest.fixture
def desk(stack: LocalStack) -> Demo:
    """Sends, waits and calls from outside, with a run name of its own."""
    return Demo(stack.settings)
