"""Fixtures that more than one suite uses."""

import os
from collections.abc import Iterator

import pytest
from hypothesis import settings

from tests.world import World, new_world

# `make test` draws the same examples each time: what fails is the change. `make proof` draws new ones.
settings.register_profile("repeatable", derandomize=True)
if not os.environ.get("SERVELO_PROOF"):
    settings.load_profile("repeatable")


@pytest.fixture
def world() -> Iterator[World]:
    """A help desk under moto with the tenant ``acme``."""
    with new_world() as made:
        made.tenant("acme")
        yield made
