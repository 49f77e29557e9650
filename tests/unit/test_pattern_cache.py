"""Patterns that were compiled with the layer are the very ones that would be compiled now."""

from __future__ import annotations

import gc
import marshal
import os
import re
import subprocess
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest

from servelo import pattern_cache, patterns
from servelo.pattern_cache import Recorder

SAMPLES = [
    (r"On (?P<when>.{1,40}) (?P<who>[^<>]+) wrote:", re.I),
    (r"[\w.+-]{1,64}@(?:\w+\.)+\w{2,}", 0),
    (rb"^--([\x20-\x7e]{1,70})\r?\n", re.M),
    (r"(?x) ^ (?:Größe|написал|写道) \s* : $", 0),
    (r"(?:[ \t]*+(?:>|&gt;))++", 0),
]


@pytest.fixture(autouse=True)
def own_compiler() -> Iterator[None]:
    """Leave the standard library's compiler as it was, and nothing in its cache."""
    before = pattern_cache._compiler.compile
    re.purge()
    yield
    pattern_cache._compiler.compile = before
    re.purge()


def recorded() -> Recorder:
    with Recorder() as recorder:
        for source, flags in SAMPLES:
            re.compile(source, flags)
    re.purge()
    return recorder


def kept_in(path: Path, found: dict[pattern_cache.Key, pattern_cache.Kept]) -> Path:
    path.write_bytes(pattern_cache.kind() + marshal.dumps(found))
    return path


def counted(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """Note what the standard library really compiles."""
    asked: list[object] = []
    compile_ = pattern_cache._compiler.compile

    def noted(pattern: object, flags: int = 0) -> object:
        asked.append(pattern)
        return compile_(pattern, flags)

    monkeypatch.setattr(pattern_cache._compiler, "compile", noted)
    return asked


def test_a_kept_pattern_is_the_compiled_one_and_costs_no_compiling(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recorder = recorded()
    usual = [re.compile(source, flags) for source, flags in SAMPLES]
    re.purge()
    asked = counted(monkeypatch)
    assert pattern_cache.use(kept_in(tmp_path / "patterns.bin", recorder.found))
    ours = [re.compile(source, flags) for source, flags in SAMPLES]
    assert asked == []
    assert ours == usual  # equal are pattern, flags and the engine's code
    assert [each.groupindex for each in ours] == [each.groupindex for each in usual]
    assert ours[0].match("On Monday Ada wrote:")["who"] == "Ada"


def test_the_same_words_with_other_flags_or_as_octets_are_another_pattern(tmp_path: Path) -> None:
    assert pattern_cache.use(kept_in(tmp_path / "patterns.bin", recorded().found))
    source = SAMPLES[0][0]
    assert re.compile(source).match("on Monday Ada wrote:") is None
    assert re.compile(source, re.I).match("on Monday Ada wrote:")
    assert re.compile(source.encode(), re.I).match(b"on Monday Ada wrote:")


def test_what_is_not_kept_is_compiled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = counted(monkeypatch)
    assert pattern_cache.use(kept_in(tmp_path / "patterns.bin", {}))
    assert re.compile("new (words)").search("the new words").span(1) == (8, 13)
    assert asked == ["new (words)"]
    with pytest.raises(re.error, match="unterminated"):
        re.compile("(")


def test_code_that_the_engine_does_not_take_is_compiled(tmp_path: Path) -> None:
    found = recorded().found
    key = SAMPLES[1][0], 0
    flags, code, *others = found[key]
    found[key] = flags, code[:4] + b"\xff\xff\xff\x7f" + code[8:], *others
    with pytest.raises(RuntimeError):
        pattern_cache.made(key[0], found[key])
    assert pattern_cache.use(kept_in(tmp_path / "patterns.bin", found))
    assert re.compile(key[0]).fullmatch("ada@desk.example")


def test_a_file_of_another_interpreter_or_none_is_passed_over(tmp_path: Path) -> None:
    other = tmp_path / "patterns.bin"
    other.write_bytes(b"cpython-310 20171005 4 little\n" + marshal.dumps(recorded().found))
    before = pattern_cache._compiler.compile
    assert not pattern_cache.use(other)
    assert not pattern_cache.use(tmp_path / "missing.bin")
    assert pattern_cache._compiler.compile is before


@pytest.mark.parametrize("octets", [1, 400, 900])
def test_a_file_that_was_cut_is_passed_over(octets: int, tmp_path: Path) -> None:
    file = kept_in(tmp_path / "patterns.bin", recorded().found)
    assert len(file.read_bytes()) > 900
    file.write_bytes(file.read_bytes()[:-octets])
    assert not pattern_cache.use(file)


def test_what_is_compiled_within_another_compiling_is_kept_under_its_own_name(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("warnings.showwarning", lambda *about: re.compile("inner (one)"))
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        with Recorder() as recorder:
            re.compile("[[a]b]x(?P<name>1)")  # "Possible nested set"
        assert list(recorder.found) == [("inner (one)", 0), ("[[a]b]x(?P<name>1)", 0)]
        assert recorder.checked() == recorder.found


def test_a_pattern_that_comes_out_differently_is_left_out() -> None:
    found = recorded().found
    recorder = Recorder()
    (one, kept), (other, _), *_ = found.items()
    recorder.found = {other: kept, one: kept}
    assert list(recorder.checked()) == [one]


def test_patterns_of_a_locale_are_not_kept() -> None:
    with Recorder() as recorder:
        re.compile(rb"\w+", re.L)
    assert recorder.found == {}


_BUILD = """
import sys
from pathlib import Path
from servelo import pattern_cache, patterns
pattern_cache.FILE = Path(sys.argv[1])
sys.exit(pattern_cache.main())
"""


def test_the_build_keeps_all_patterns_of_ours_and_each_is_the_compiled_one(tmp_path: Path) -> None:
    file = tmp_path / "patterns.bin"
    # Whose credentials the machine has is nothing to it.
    environ = {**os.environ, "AWS_PROFILE": "of nobody"}
    subprocess.run([sys.executable, "-c", _BUILD, str(file)], env=environ, check=True, timeout=120)
    content = file.read_bytes()
    assert content.startswith(pattern_cache.kind())
    found = marshal.loads(content.removeprefix(pattern_cache.kind()))  # noqa: S302
    from servelo.mail import inbound, reply_body  # noqa: F401 - their patterns

    ours = {(each._source, each._flags) for each in gc.get_objects() if isinstance(each, patterns._Used)}
    assert len(ours) > 100
    assert ours <= found.keys()
    for (source, flags), kept in found.items():
        assert pattern_cache.made(source, kept) == re.compile(source, flags)
