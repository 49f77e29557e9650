"""Measure what we read against the libraries named in docs/reading.md, on a folder of corpora, in one run.

    python bench/eval.py CORPORA [--tools FOLDER] [--only quotes,mime,bounces,bombs,mutated] [--json FILE]

CORPORA holds ``quotes/*.jsonl`` and ``mime/index.jsonl`` with its mails; what is not there is left out. The
scoring tools (score_quotes.py, score_mime.py, score_bounces.py, bombs.py, textutil.py) are looked for in
--tools, then $SERVELO_TOOLS, then ``../tools`` beside CORPORA. ``bench/eval.sh`` makes the environment with
the libraries and runs this. Exit status 0 when everything ran, whatever the figures.
"""

from __future__ import annotations

import argparse
import importlib
import json
import logging
import multiprocessing
import os
import re
import resource
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
OURS = "servelo"
ADAPTERS = "bench.eval_adapters"
LIBRARIES = "bench.eval_libraries"

# Corpora and libraries leave out addresses of links, bullets and rules of HTML; the portal shows them.
QUOTES = {
    f"{OURS}, words alone": f"{ADAPTERS}:quotes",
    f"{OURS}, as the portal shows them": f"{ADAPTERS}:reply",
    "mail-parser-reply": f"{LIBRARIES}:mail_parser_reply",
    "quotequail": f"{LIBRARIES}:quotequail",
    "unquotemail": f"{LIBRARIES}:unquotemail",
    "email-reply-parser (zapier)": f"{LIBRARIES}:email_reply_parser",
    "email-reply-parser (crisp, Node)": f"{LIBRARIES}:crisp",
    "(nothing stripped)": f"{LIBRARIES}:whole_mail",
}
READERS = {OURS: f"{ADAPTERS}:mime", "mail-parser": "mailparser", "standard library": "stdlib"}
BOUNCES = {
    OURS: f"{ADAPTERS}:bounces",
    "rfc3464, then flufl.bounce": "both",
    "flufl.bounce": "flufl",
    "rfc3464": "rfc3464",
}
MEASURES = ("quotes", "mime", "bounces", "bombs", "mutated")
BOUNCE_SOURCES = frozenset(("sisimai", "flufl"))
MEMORY_LIMIT_BYTES = 4 << 30
MUTATED_LIMIT_SECONDS = 5

Rows = list[dict[str, Any]]


def main() -> None:
    arguments = _arguments()
    corpora: Path = arguments.corpora.resolve()
    tools: Path = arguments.tools or Path(os.environ.get("SERVELO_TOOLS") or corpora.parent / "tools")
    if not (tools / "score_mime.py").is_file():
        sys.exit(f"The scoring tools are not in {tools}: name their folder with --tools or SERVELO_TOOLS.")
    os.chdir(ROOT)
    sys.path[:0] = [str(ROOT), str(tools.resolve())]
    os.environ["PYTHONPATH"] = os.pathsep.join((str(ROOT), str(tools.resolve())))
    measures: dict[str, Callable[[Path, Path, argparse.Namespace], Rows]] = {
        "quotes": quotes,
        "mime": mime,
        "bounces": bounces,
        "bombs": bombs,
        "mutated": mutated,
    }
    results: dict[str, Rows] = {}
    for name in arguments.only:
        rows = measures[name](corpora, tools.resolve(), arguments)
        if rows:
            results[name] = rows
            print(table(TITLES[name], rows), flush=True)
        else:
            print(f"\n{TITLES[name]}: nothing of it in {corpora}\n", flush=True)
    if arguments.json:
        arguments.json.write_text(json.dumps(results, indent=1), encoding="utf-8")


TITLES = {
    "quotes": "New words of a reply",
    "mime": "Mails right in every expected value",
    "bounces": "Bounces",
    "bombs": "Mail bombs (seconds, added memory)",
    "mutated": "Mutated mails",
}


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("corpora", type=Path)
    parser.add_argument("--tools", type=Path, help="folder of the scoring tools")
    parser.add_argument("--only", type=_measures, default=list(MEASURES), help=f"of {','.join(MEASURES)}")
    parser.add_argument("--json", type=Path, help="write the figures here too")
    parser.add_argument("--mutations", type=int, default=2000, help="mutated mails (default: 2000)")
    parser.add_argument("--seed", type=int, default=1, help="of the mutator (default: 1)")
    parser.add_argument("--bomb-seconds", type=int, default=10, help="then a reader is ended (default: 10)")
    return parser.parse_args()


def _measures(text: str) -> list[str]:
    names = [name for name in text.split(",") if name]
    if unknown := set(names) - set(MEASURES):
        raise argparse.ArgumentTypeError(f"unknown: {', '.join(sorted(unknown))}")
    return names


def table(title: str, rows: Rows) -> str:
    """Return *rows* as a Markdown table under *title*; columns are the keys of the first row."""
    columns = list(rows[0])
    cells = [columns, *([str(row.get(column, "")) for column in columns] for row in rows)]
    widths = [max(len(line[number]) for line in cells) for number in range(len(columns))]
    lines = [
        " | ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) for line in cells
    ]
    lines.insert(1, "-|-".join("-" * width for width in widths))
    return f"\n## {title}\n\n" + "\n".join(f"| {line} |" for line in lines) + "\n"


def share(part: float, whole: float) -> str:
    return f"{100 * part / whole:.1f} %" if whole else "-"


def _run(command: Sequence[str]) -> str:
    done = subprocess.run([sys.executable, *command], capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{' '.join(command)} ended with {done.returncode}:\n{done.stderr[-3000:]}")
    return done.stdout


# Quotes


def quotes(corpora: Path, tools: Path, _: argparse.Namespace) -> Rows:
    sets = sorted((corpora / "quotes").glob("*.jsonl"))
    if not sets:
        return []
    rows: Rows = []
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "quotes.json"
        with_node = (ROOT / ".local" / "eval" / "node" / "node_modules").is_dir()
        specs = {name: spec for name, spec in QUOTES.items() if with_node or not spec.endswith(":crisp")}
        candidates = [item for name, spec in specs.items() for item in ("--cand", f"{name}={spec}")]
        _run([str(tools / "score_quotes.py"), *map(str, sets), *candidates, "--json", str(out)])
        found = json.loads(out.read_text(encoding="utf-8"))
    for name, result in found.items():
        cases = result["rows"]
        rows.append(
            {
                "": name,
                "exact": share(sum(case["exact"] for case in cases), len(cases)),
                "no word lost": share(sum(case["lost"] == 0 for case in cases), len(cases)),
                "lines lost": sum(case["lost"] for case in cases),
                "lines leaked": sum(case["leak"] for case in cases),
                "errors": result["errors"],
                "median ms": f"{result['median_ms']:.2f}",
                "cases": len(cases),
            }
        )
    return rows


# Mails


def mime(corpora: Path, tools: Path, _: argparse.Namespace) -> Rows:
    root = corpora / "mime"
    if not (root / "index.jsonl").is_file():
        return []
    rows: Rows = []
    for name, spec in READERS.items():
        with tempfile.TemporaryDirectory() as folder:
            out = Path(folder) / "mime.json"
            _run([str(tools / "score_mime.py"), str(root), "--parser", spec, "--json", str(out)])
            mails = json.loads(out.read_text(encoding="utf-8"))
        plain = [mail for mail in mails if mail["source"] not in BOUNCE_SOURCES and mail.get("checks")]
        # A mail that the reader raised on, with expected values, is wrong in all of them.
        failed = [mail for mail in mails if mail["source"] not in BOUNCE_SOURCES and "error" in mail]
        right = sum(all(mail["checks"].values()) for mail in plain)
        rows.append(
            {
                "": name,
                "all right": share(right, len(plain) + len(failed)),
                "mails": len(plain) + len(failed),
                "with bounces": share(
                    sum(all(mail["checks"].values()) for mail in mails if mail.get("checks")),
                    sum(bool(mail.get("checks")) or "error" in mail for mail in mails),
                ),
                "exceptions": sum("error" in mail and mail["error"] != "TIME-OUT" for mail in mails),
                "time-outs": sum(mail.get("error") == "TIME-OUT" for mail in mails),
                "unstorable": sum(bool(mail.get("surrogates")) for mail in mails),
                "read": len(mails),
            }
        )
    return rows


# Bounces


def bounces(corpora: Path, tools: Path, _: argparse.Namespace) -> Rows:
    root = corpora / "mime"
    if not (root / "index.jsonl").is_file():
        return []
    rows: Rows = []
    for name, spec in BOUNCES.items():
        out = _run([str(tools / "score_bounces.py"), str(root), "--parser", spec])
        found = {match[1].strip(): int(match[2]) for match in re.finditer(r"^(.+?) +(\d+)$", out, re.M)}
        if not found.get("bounce"):
            return []
        claimed = sum(count for key, count in found.items() if "claimed" in key)
        others = sum(found.get(key, 0) for key in ("not-bounce", "auto-reply", "complaint", "success DSN"))
        rows.append(
            {
                "": name,
                "recipient": share(found.get("recipient: one right", 0), found.get("recipient known", 0)),
                "all recipients": share(
                    found.get("recipient: exactly right", 0), found.get("recipient known", 0)
                ),
                "permanence": share(found.get("class right", 0), found.get("class known", 0)),
                "wrong permanence": share(found.get("class wrong", 0), found.get("class known", 0)),
                "status code": share(found.get("status exactly right", 0), found.get("status known", 0)),
                "no bounce, but called one": f"{claimed} of {others}",
                "exceptions": found.get("exception", 0),
                "bounces": found["bounce"],
            }
        )
    return rows


# Bombs


def bombs(_: Path, tools: Path, arguments: argparse.Namespace) -> Rows:
    if not (tools / "bombs.py").is_file():
        return []
    cases = importlib.import_module("bombs").CASES
    rows: Rows = []
    for number, case in enumerate(cases):
        row: dict[str, Any] = {"": case[0]}
        for name, spec in READERS.items():
            row[name] = _bomb(number, spec, arguments.bomb_seconds)
        rows.append(row)
    return rows


def _bomb(number: int, spec: str, limit_seconds: int) -> str:
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe(duplex=False)
    process = context.Process(target=_explode, args=(number, spec, there))
    process.start()
    there.close()
    answer = "died"
    # Building the mail and importing the reader are not measured, and get time of their own.
    try:
        if here.poll(60) and here.recv() == "ready":
            answer = here.recv() if here.poll(limit_seconds) else f"over {limit_seconds} s"
    except EOFError:
        answer = "died"
    process.kill()
    process.join()
    return str(answer)


def _explode(number: int, spec: str, pipe: Any) -> None:
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_LIMIT_BYTES, MEMORY_LIMIT_BYTES))
    function = _reader(spec)
    function(b"From: a@b.example\r\nSubject: x\r\n\r\nx\r\n")
    case = importlib.import_module("bombs").CASES[number]
    raw = case[1](*case[2])
    before = _memory_kb("VmRSS") if _forget_peak() else 0
    pipe.send("ready")
    begin = time.perf_counter()
    try:
        function(raw)
        outcome = ""
    except BaseException as error:
        outcome = f"{type(error).__name__} "
    seconds = time.perf_counter() - begin
    memory = f", {(_memory_kb('VmHWM') - before) // 1024} MB" if before else ""
    pipe.send(f"{outcome}{seconds:.2f} s{memory}")


def _forget_peak() -> bool:
    """Set the peak of this process's memory back to what it is now; making the mail took more. Linux only."""
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        return False
    return True


def _memory_kb(name: str) -> int:
    found = re.search(rf"^{name}:\s+(\d+) kB", Path("/proc/self/status").read_text(), re.M)
    return int(found[1]) if found else 0


def _reader(spec: str) -> Callable[[bytes], Any]:
    logging.disable(logging.CRITICAL)  # mail-parser tells of every part that it does not know
    builtin = importlib.import_module("score_mime").BUILTIN
    if spec in builtin:
        return builtin[spec]  # type: ignore[no-any-return]
    module, _, function = spec.partition(":")
    return getattr(importlib.import_module(module), function)  # type: ignore[no-any-return]


# Mutated mails


def mutated(corpora: Path, _: Path, arguments: argparse.Namespace) -> Rows:
    index = corpora / "mime" / "index.jsonl"
    if not index.is_file():
        return []
    rows: Rows = []
    for name, spec in READERS.items():
        context = multiprocessing.get_context("spawn")
        # One process a reader: a crash of a native library is a finding, not the end of the run.
        here, there = context.Pipe(duplex=False)
        process = context.Process(target=_read_mutated, args=(str(corpora), spec, arguments, there))
        process.start()
        there.close()
        try:
            found = here.recv()
        except EOFError:
            found = {"outcome": "the process died"}
        process.join()
        rows.append({"": name, **found})
    return rows


class _Late(BaseException):
    pass


def _read_mutated(corpora: str, spec: str, arguments: argparse.Namespace, pipe: Any) -> None:
    from tests.mutate import mutations

    def late(*_: object) -> None:
        raise _Late

    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_LIMIT_BYTES, MEMORY_LIMIT_BYTES))
    signal.signal(signal.SIGALRM, late)
    function = _reader(spec)
    mails = list(_mails(Path(corpora) / "mime"))
    exceptions = late_ones = unstorable = 0
    slowest = 0.0
    for raw in mutations(mails, arguments.mutations, arguments.seed):
        begin = time.perf_counter()
        try:
            signal.alarm(MUTATED_LIMIT_SECONDS)
            answer = function(raw)
            signal.alarm(0)
            json.dumps(answer, default=str, ensure_ascii=False).encode("utf-8")
        except _Late:
            late_ones += 1
        except UnicodeEncodeError:
            unstorable += 1
        except Exception:
            exceptions += 1
        finally:
            signal.alarm(0)
        slowest = max(slowest, time.perf_counter() - begin)
    pipe.send(
        {
            "mails": arguments.mutations,
            "exceptions": exceptions,
            f"over {MUTATED_LIMIT_SECONDS} s": late_ones,
            "unstorable": unstorable,
            "slowest": f"{slowest:.2f} s",
        }
    )


def _mails(root: Path) -> Iterator[bytes]:
    for line in (root / "index.jsonl").read_text(encoding="utf-8").splitlines():
        yield (root / json.loads(line)["id"]).read_bytes()


if __name__ == "__main__":
    main()
