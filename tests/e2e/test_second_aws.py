"""What is shown on moto is shown on a second AWS too: the same tests, unchanged, on ministack.

In a process of its own, because clients remember which AWS they speak to. The whole of ``tests/integration``
can be run so (``tests/second_aws.py``); here those of one conversation, of many at once, of a refused
transaction and of sending.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.stack
ROOT = Path(__file__).resolve().parents[2]
ALWAYS = ("test_conversation", "test_concurrency", "test_transactions")
LONG = ("test_sending", "test_faults", "test_any_order", "test_replay", "test_feedback", "test_routing")


def test_the_same_tests_pass_on_a_second_aws() -> None:
    names = (*ALWAYS, *LONG) if os.environ.get("SERVELO_PROOF") else ALWAYS
    files = [f"tests/integration/{name}.py" for name in names]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *files],
        cwd=ROOT,
        env={**os.environ, "SERVELO_TEST_AWS": "ministack"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert 0 == done.returncode, done.stdout[-6000:]
    passed = re.search(r"(\d+) passed", done.stdout)
    assert passed
    assert int(passed[1]) >= 5 * len(ALWAYS) - 1
    assert "skipped" not in done.stdout
