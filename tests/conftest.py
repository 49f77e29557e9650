"""Fixtures that more than one suite uses."""

import os
from collections.abc import Iterator

import pytest
from hypothesis import settings

from tests.world import World, new_world

# `make test` draws the same examples each time: what fails is the change. `make proof` draws new ones. No
# test asserts a time, so no example has a deadline.
settings.register_profile("repeatable", derandomize=True, deadline=None)
settings.register_profile("drawn anew", deadline=None)
settings.load_profile("drawn anew" if os.environ.get("SERVELO_PROOF") else "repeatable")


@pytest.fixture
def world() -> Iterator[World]:
    """A help desk under moto with the tenant ``acme``."""
    with new_world() as made:
        made.tenant("acme")
        yield made
