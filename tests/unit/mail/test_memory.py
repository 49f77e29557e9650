"""What the bombs and the largest mails cost in memory, in a process of its own (resident at its highest)."""

import resource
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
# The processor seconds are no promise of speed: whoever hangs is ended, and that fails the test.
HUNG_AFTER_SECONDS = 120
READ = """
import base64, resource, sys
sys.path[:0] = [{root!r}, {layer!r}]
from servelo.mail.inbound import read_mail
from tests.unit.mail.test_inbound import BOMBS
head = b"From: a@b.example\\nSubject: s\\nContent-Type: application/pdf; name=a.pdf\\n"
large = head + b"Content-Transfer-Encoding: base64\\n\\n"
def size():
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak // (1024 if sys.platform == "linux" else 1024 * 1024)
{work}
print(size())
"""
WORKS = {
    "all bombs, one after the other": ("for each in BOMBS.values(): read_mail(each)", 512),
    "100,000 header fields": ('read_mail(b"X-F: value\\n" * 100_000 + b"\\nwords")', 512),
    "100,000 encoded words": ('read_mail(b"Subject: " + b"=?utf-8?q?=41?= " * 100_000 + b"\\n\\nx")', 512),
    "10,000 addresses": ('read_mail(b"To: " + b"a@b.example, " * 10_000 + b"\\n\\nx")', 512),
    "100,000 flat parts": (
        'read_mail(b"Content-Type: multipart/mixed; boundary=b\\n\\n" + b"--b\\n\\nx\\n" * 100_000)',
        512,
    ),
    "a file of 36 MB in base64": (
        'read_mail(large + base64.encodebytes(b"x" * (27 << 20)))',
        1024,
    ),
}


@pytest.mark.parametrize("name", WORKS)
def test_reading_stays_within_the_memory_of_the_function(name: str) -> None:
    work, megabytes = WORKS[name]
    program = READ.format(root=str(ROOT), layer=str(ROOT / "layers" / "common"), work=work)
    limit = (HUNG_AFTER_SECONDS, HUNG_AFTER_SECONDS)
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_CPU, limit),
    )
    assert 0 == done.returncode, done.stderr[-2000:] or "it hung"
    assert int(done.stdout) <= megabytes
