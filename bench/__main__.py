"""`make bench`: all figures in one run, one table, JSON beside it in ``bench/results/``.

    python -m bench [--quick] [PART ...]       parts: router reading replies cold sender growth

Every figure stands beside one that was measured in the same run, because a machine's bad hour makes all of
them worse alike. What is wanted is wanted of an idle machine; what falls short is listed at the end, and the
exit code is 0 all the same: no test asserts a time. It is 1 where a part failed. Each part has a process of
its own. The table of a million tickets takes 3 GB of memory; with --quick the largest has 100,000.

PEERS=1           feeds django-helpdesk the same mails (it is installed into .local/peers)
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "layers" / "common")]

from bench import workload  # noqa: E402 - the path comes first

RESULTS = ROOT / "bench" / "results"
PEERS = ROOT / ".local" / "peers"
PEER_PACKAGE = "django-helpdesk==2.6.1"
MAILS = 240
PEER_ROUNDS = 3

Row = tuple[str, str, str]


class Report:
    """Rows of the table, and what was wanted of them."""

    def __init__(self) -> None:
        self.rows: list[Row] = []
        self.figures: dict[str, Any] = {}
        self.wanted: list[dict[str, Any]] = []

    def row(self, name: str, value: str, beside: str = "") -> None:
        self.rows.append((name, value, beside))

    def want(self, name: str, value: float, bound: float, *, at_least: bool = False) -> None:
        met = value >= bound if at_least else value <= bound
        self.wanted.append(
            {
                "name": name,
                "value": round(value, 3),
                "wanted": f"{'>=' if at_least else '<='} {bound}",
                "met": met,
            }
        )


def router(report: Report, mails: int) -> None:
    from bench import router as routing

    count = mails
    figures = routing.run(count)
    figures["first_mail"] = routing.first_mail()
    figures["memory"] = [routing.memory(size) for size in (1, 10, 40)]
    report.figures["router"] = figures
    report.row(
        "router, a process's first small mail after its init phase",
        f"{figures['first_mail']['first_ms']} ms CPU, its tenth {figures['first_mail']['tenth_ms']}",
    )
    small = figures["cpu_ms"]["small new"]["p50"]
    yardstick = figures["stdlib_parse_ms"]["small"]["p50"]
    for name, spread in figures["cpu_ms"].items():
        base = figures["stdlib_parse_ms"][name.split()[0]]["p50"]
        report.row(
            f"router, {name}",
            f"{spread['p50']:.2f} ms CPU, p99 {spread['p99']:.2f}",
            f"{spread['p50'] / base:.2f} of the standard library's parse ({base:.2f} ms)",
        )
    report.row(
        "router, the mix",
        f"{figures['mails_per_second']} mails/s, {figures['mean_cpu_ms']} ms CPU a mail",
        f"{figures['mean_cpu_ms'] / figures['mean_stdlib_ms']:.2f} of the parse alone",
    )
    for each in figures["memory"]:
        report.row(
            f"router, a mail of {each['mail_mb']:.0f} MB",
            f"{each['peak_mb']} MB at most",
            f"a small mail: {each['small_mail_peak_mb']} MB",
        )
    for name, number in sorted(figures["requests"].items()):
        report.row(f"requests, {name}", f"{number / count:.2f} a mail of the mix")
    report.row(
        "router, a small new mail",
        f"{small:.2f} ms CPU, {figures['cpu_ms']['small new']['least']:.2f} in its good moments",
        f"{small / yardstick:.2f} of the standard library's parse",
    )
    report.want("router CPU, small new mail, ms", small, 4.0)
    asked = figures["requests_of_a_new_ticket"]
    for service, bound in (("s3", 1), ("dynamodb", 3), ("sqs", 1)):
        number = sum(n for name, n in asked.items() if name.startswith(service))
        report.row(f"requests of a new ticket, {service}", f"{number}")
        report.want(f"requests of a new ticket, {service}", number, bound)
    report.want("peak memory, 40 MB mail, MB", figures["memory"][-1]["peak_mb"], 300)
    if os.environ.get("PEERS") == "1":
        peer(report, count, figures)


def peer(report: Report, count: int, ours: dict[str, Any]) -> None:
    """Feed the router's mails to django-helpdesk, in turns: both have the machine's bad moments."""
    python = PEERS / "bin" / "python"
    if not (PEERS / ".installed").exists():
        PEERS.parent.mkdir(exist_ok=True)
        subprocess.run([sys.executable, "-m", "venv", PEERS], check=True)
        subprocess.run(
            [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", PEER_PACKAGE],
            check=True,
        )
        (PEERS / ".installed").touch()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        listed = []
        for index, made in enumerate(workload.mails(count)):
            (folder / f"{index}.eml").write_bytes(made.raw())
            sender = made.message["From"].addresses[0].addr_spec.lower()
            listed.append({"file": f"{index}.eml", "kind": made.kind, "reply": made.reply, "sender": sender})
        (folder / "mails.json").write_text(json.dumps(listed))
        alone = [sys.executable, "-m", "bench.router", "--mix", "--mails", str(count)]
        rounds = []
        for each in range(PEER_ROUNDS):
            mine = json.loads(_output(alone)) if each else ours
            (folder / "db.sqlite3").unlink(missing_ok=True)
            answer = json.loads(_output([python, ROOT / "bench" / "peer_django_helpdesk.py", folder]))
            rounds.append((mine, _peer_figures(answer, count)))
    report.figures["django-helpdesk"] = [{"router": mine, **theirs} for mine, theirs in rounds]

    def middle(of: Callable[[dict[str, Any], dict[str, Any]], float]) -> float:
        return statistics.median(of(mine, theirs) for mine, theirs in rounds)

    for kind in sorted(rounds[0][1]["cpu_ms"]):
        value = middle(lambda _, theirs, kind=kind: theirs["cpu_ms"][kind])  # type: ignore[misc]
        ratio = middle(lambda mine, theirs, kind=kind: mine["cpu_ms"][kind]["p50"] / theirs["cpu_ms"][kind])  # type: ignore[misc]
        report.row(f"django-helpdesk, {kind}", f"{value:.2f} ms CPU", f"ours is {ratio:.2f} of it")
    last = rounds[-1][1]
    report.row(
        "django-helpdesk, the mix",
        f"{middle(lambda _, theirs: theirs['mails_per_second']):.1f} mails/s, "
        f"{middle(lambda _, theirs: theirs['mean_cpu_ms']):.2f} ms CPU a mail, {last['peak_mb']:.0f} MB",
        f"{last['failed']} mails failed, {last['sent']} mails sent; the middle of {PEER_ROUNDS} rounds",
    )
    report.want(
        "router CPU of django-helpdesk's, small new mail",
        middle(lambda mine, theirs: mine["cpu_ms"]["small new"]["p50"] / theirs["cpu_ms"]["small new"]),
        0.25,
    )
    report.want(
        "router mails/s over django-helpdesk's (by the clock)",
        middle(lambda mine, theirs: mine["mails_per_second"] / theirs["mails_per_second"]),
        5,
        at_least=True,
    )
    report.want(
        "the same by processor time",
        middle(lambda mine, theirs: theirs["mean_cpu_ms"] / mine["mean_cpu_ms"]),
        5,
        at_least=True,
    )


def _output(command: list[Any]) -> str:
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout


def _peer_figures(answer: dict[str, Any], count: int) -> dict[str, Any]:
    took = answer.pop("took")
    return {
        **answer,
        "cpu_ms": {kind: round(statistics.median(values), 2) for kind, values in took.items()},
        "mean_cpu_ms": round(statistics.fmean(v for values in took.values() for v in values), 2),
        "mails_per_second": round(count / answer["seconds"], 1),
    }


def reading(report: Report, mails: int) -> None:
    from bench import reading as readers

    del mails
    kinds = readers.make_mails()
    figures: dict[str, dict[str, float]] = {}
    for name in readers.installed():
        figures[name] = {
            kind: readers.seconds_for(readers.READERS[name], raws, 2) / len(raws) * 1000
            for kind, raws in kinds.items()
        }
    report.figures["reading_ms"] = figures
    base = next(iter(figures.values()))
    for name, times in figures.items():
        report.row(
            f"reading, {name}",
            ", ".join(f"{kind} {ms:.2f} ms" for kind, ms in times.items()),
            "times as fast as the standard library: "
            + ", ".join(f"{base[kind] / ms:.1f}" for kind, ms in times.items()),
        )


def replies(report: Report, mails: int) -> None:
    from bench.reply_text import FIXTURES, cpu_seconds
    from servelo.mail.reply_body import part_reply

    del mails
    cases = json.loads((FIXTURES / "clients.json").read_text("utf-8"))
    for kind in ("text", "html"):
        own = [(case["text"], case["html"]) for case in cases if case[kind]]
        total = sum(len(text) + len(html) for text, html in own)
        # The least that any engine does: part the mail into lines and strip them.
        least = cpu_seconds(
            lambda own=own: [line.strip() for text, html in own for line in (text or html).split("\n")]  # type: ignore[misc]
        )
        took = cpu_seconds(lambda own=own: [part_reply(*each) for each in own])  # type: ignore[misc]
        report.figures[f"reply_{kind}_ms"] = took / len(own) * 1000
        report.row(
            f"new words of a reply, {kind}",
            f"{took / len(own) * 1000:.2f} ms a mail of {total // len(own) / 1000:.1f} kB",
            f"{took / least:.0f} times parting it into lines",
        )


def cold(report: Report, mails: int) -> None:
    from bench import cold_start

    del mails
    figures: dict[str, Any] = cold_start.run(5)
    report.figures["cold_start"] = figures
    for name, bound in (("router", 200), ("api", 150), ("sender", 200)):
        over, share = figures[f"{name}_init_over_empty_ms"], figures[f"{name}_init_of_everything"]
        report.row(
            f"init phase, {name}",
            f"{over} ms over the empty handler, the import alone {figures[f'{name}_import_ms']}",
            f"{share} of the eager function's",
        )
        report.row(
            f"init phase and first answer, {name}",
            f"{figures[f'{name}_first_answer_over_empty_ms']} ms over the empty handler",
            f"{figures[f'{name}_first_answer_of_everything']} of the eager function's",
        )
        heaviest = list(figures[f"{name}_packages_ms"].items())[:6]
        report.row(f"import, {name}", ", ".join(f"{package} {ms:.0f}" for package, ms in heaviest))
        report.want(f"init phase over the empty handler, {name}, ms", over, bound)
        report.want(f"init phase of the eager function's, {name}", share, 0.55)
    report.row("layer, unzipped", f"{figures['layer_mb']} MB")
    report.want("layer, MB", figures["layer_mb"], 40)


def sender(report: Report, mails: int) -> None:
    from bench import sending

    del mails
    figures: dict[str, Any] = sending.run()
    figures["function"] = sending.through_the_function()
    report.figures["sender"] = figures
    ratio = figures["kept_connection_per_second"] / figures["new_connections_per_second"]
    report.row("sender, mails written", f"{figures['written_per_second']:.0f} a second")
    report.row(
        "sender, SMTP with STARTTLS and AUTH, one connection",
        f"{figures['kept_connection_per_second']:.0f} mails/s",
        f"{ratio:.1f} times a connection a mail ({figures['new_connections_per_second']:.0f})",
    )
    far = (
        figures["kept_connection_per_second_at_a_distance"]
        / figures["new_connections_per_second_at_a_distance"]
    )
    report.row(
        "the same with a round trip of 20 ms to the server",
        f"{figures['kept_connection_per_second_at_a_distance']:.0f} mails/s",
        f"{far:.1f} times a connection a mail ({figures['new_connections_per_second_at_a_distance']:.1f})",
    )
    if "kept_connection_per_second_to_postfix" in figures:
        kept, new = (
            figures[f"{name}_per_second_to_postfix"] for name in ("kept_connection", "new_connections")
        )
        report.row(
            "the same to Postfix, a server that is not in Python",
            f"{kept:.0f} mails/s",
            f"{kept / new:.1f} times a connection a mail ({new:.0f})",
        )
        report.want("one SMTP connection to Postfix over one a mail", kept / new, 5, at_least=True)
    one = figures["function"]
    report.row("sender, SES answered on the spot", f"{one['ses_per_second']:.0f} mails/s")
    report.row(
        "sender, a mail from the queue to the settled job",
        f"{one['cpu_ms']:.2f} ms CPU",
        f"DynamoDB {one['dynamodb']:.2f}, SES {one['ses']:.2f} requests",
    )
    report.want("requests of an outbound mail, dynamodb", one["dynamodb"], 2)
    report.want("requests of an outbound mail, ses", one["ses"], 1)
    report.want("one SMTP connection over one a mail", ratio, 5, at_least=True)


def growth(report: Report, mails: int) -> None:
    from bench import growth as growing

    sizes = [1_000, 10_000, 100_000] + ([1_000_000] if mails >= MAILS else [])
    figures = growing.run(tuple(sizes))
    report.figures["growth"] = figures
    first = figures["sizes"][sizes[0]]
    for size, found in figures["sizes"].items():
        for kind in ("new", "reply"):
            one = found[kind]
            report.row(
                f"{size:,} tickets, a {kind} mail",
                f"{one['cpu_ms']:.2f} ms CPU, {one['requests']:.0f} requests, "
                f"{one['read_units']:.0f} read and {one['write_units']:.0f} write units",
                f"{one['least_ms'] / first[kind]['least_ms']:.2f} of its time with {sizes[0]:,}",
            )
    last = figures["sizes"][sizes[-1]]["reply"]
    units = [
        (one["read_units"] + one["write_units"]) for one in (figures["sizes"][s]["reply"] for s in sizes)
    ]
    report.want(f"capacity of a reply, {sizes[-1]:,} tickets of {sizes[0]:,}", units[-1] / units[0], 1.05)
    report.want(
        f"time of a reply, {sizes[-1]:,} tickets of {sizes[0]:,}",
        last["least_ms"] / first["reply"]["least_ms"],
        1.05,
    )
    portal = figures["portal"]
    for name, title in (("list", "list of 50"), ("conversation", "50 of 500 comments")):
        one = portal[name]
        report.row(
            f"portal, {title}, {portal['tickets']:,} tickets",
            f"{one['cpu_ms']:.2f} ms CPU, p99 {one['p99_ms']:.2f}, {one['bytes'] / 1000:.0f} kB",
            f"{one['requests']:.0f} requests, {one['read_units']:.1f} read units",
        )
    view = portal["first_view"]
    report.row(
        "portal, first view",
        f"{view['files']} files, {view['zipped_bytes'] / 1000:.0f} kB zipped",
        f"{view['bytes'] / 1000:.0f} kB plain; kept for a year",
    )


PARTS: dict[str, Callable[[Report, int], None]] = {
    "router": router,
    "reading": reading,
    "replies": replies,
    "cold": cold,
    "sender": sender,
    "growth": growth,
}


def part(name: str, mails: int) -> None:
    """Measure one part and print what it found as the last line."""
    logging.disable(logging.INFO)  # the portal logs each request
    report = Report()
    PARTS[name](report, mails)
    print("\n" + json.dumps({"rows": report.rows, "figures": report.figures, "wanted": report.wanted}))


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench", description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("parts", nargs="*", metavar="PART", help=", ".join(PARTS))
    parser.add_argument("--quick", action="store_true", help="fewer mails, smaller tables")
    parser.add_argument("--alone", action="store_true", help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    unknown = set(chosen.parts) - set(PARTS)
    if unknown:
        parser.error(f"no such part: {', '.join(sorted(unknown))}")
    mails = 100 if chosen.quick else MAILS
    if chosen.alone:
        part(chosen.parts[0], mails)
        return
    began = time.monotonic()
    rows: list[Row] = []
    wanted: list[dict[str, Any]] = []
    figures: dict[str, Any] = {}
    failed: list[str] = []
    for name in chosen.parts or PARTS:
        print(f"… {name}", file=sys.stderr, flush=True)
        command = [sys.executable, "-m", "bench", "--alone", name, *(["--quick"] if chosen.quick else [])]
        ended = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=False)
        if ended.returncode:
            failed.append(name)  # the others' figures are not lost
            continue
        found = json.loads(ended.stdout.splitlines()[-1])
        rows += [tuple(row) for row in found["rows"]]
        wanted += found["wanted"]
        figures |= found["figures"]
    width = max((len(row[0]) for row in rows), default=0)
    middle = max((len(row[1]) for row in rows), default=0)
    for row in rows:
        print(f"{row[0]:<{width}}  {row[1]:<{middle}}  {row[2]}".rstrip())
    short = [each for each in wanted if not each["met"]]
    print(f"\n{len(wanted) - len(short)} of {len(wanted)} figures are as wanted")
    for each in short:
        print(f"  falls short: {each['name']}: {each['value']}, wanted {each['wanted']}")
    for name in failed:
        print(f"  not measured: the part {name} failed, see above")
    RESULTS.mkdir(exist_ok=True)
    at = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
    path = RESULTS / f"{at}.json"
    load = os.getloadavg()[0]
    path.write_text(json.dumps({"at": at, "load": load, "wanted": wanted, **figures}, indent=2) + "\n")
    seconds = time.monotonic() - began
    print(f"{seconds:.0f} s, load of the machine {load:.1f}, figures in {path.relative_to(ROOT)}")
    if failed:
        sys.exit(1)


if __name__ == "__main__":
    main()
