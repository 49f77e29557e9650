"""Fixtures that more than one suite uses."""

from collections.abc import Iterator

import pytest

from tests.world import World, new_world


@pytest.fixture
def world() -> Iterator[World]:
    """A help desk under moto with the tenant ``acme``."""
    with new_world() as made:
        made.tenant("acme")
        yield made
