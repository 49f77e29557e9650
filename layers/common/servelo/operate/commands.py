"""The commands of the operator: what each prints and its exit status. Wired to argparse by ``parser``.

Exit status: 0 done; 1 something is wrong or was refused, said on standard error; 2 the command line is
wrong; 3 the deployment cannot be reached; 130 stopped with Ctrl-C.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

from servelo import bootstrap
from servelo.domain.inbound_record import REMEDIES, InboundRecord
from servelo.errors import ConfigurationError, ServeloError
from servelo.operate import data, deployment, doctor, keyring

OK, FAILED, UNREACHABLE, STOPPED = 0, 1, 3, 130


def add_to(commands: Any) -> None:
    """Add the operator's commands to argparse's *commands*."""

    def command(name: str, help_: str, run: Callable[[argparse.Namespace], int]) -> argparse.ArgumentParser:
        parser: argparse.ArgumentParser = commands.add_parser(name, help=help_)
        parser.add_argument(
            "--stack",
            default=os.environ.get("SERVELO_STACK") or "servelo",
            help="name of the CloudFormation stack (default: the variable SERVELO_STACK, or servelo)",
        )
        parser.add_argument(
            "--region", default="", help="AWS region (default: of the environment or the AWS profile)"
        )
        parser.add_argument("--json", action="store_true", help="one JSON object a line")
        parser.set_defaults(run=lambda args: _with_deployment(run, args))
        return parser

    p = command("doctor", "check everything that must be right for mail to flow", _doctor)
    p.add_argument(
        "--nameserver", default="", metavar="ADDRESS[:PORT]", help="ask this one (default: the system's)"
    )

    p = command("tenants", "list, create, suspend and resume tenants", _tenants)
    p.add_argument("action", choices=("list", "create", "suspend", "resume"))
    p.add_argument("slug", nargs="?", default="")
    p.add_argument("--name", default="")
    p.add_argument("--admin-email", default="")
    p.add_argument("--admin-name", default="")
    p.add_argument("--notify-email", default="")

    p = command("members", "list, add and remove a tenant's team", _members)
    p.add_argument("action", choices=("list", "add", "remove"))
    p.add_argument("slug")
    p.add_argument("email", nargs="?", default="")
    p.add_argument("--name", default="")
    p.add_argument("--role", choices=("admin", "technician"), default="technician")

    p = command("operators", "a sign-in to the portal for an operator", _operators)
    p.add_argument("action", choices=("add", "remove"))
    p.add_argument("email")

    p = command("inbound", "every mail received and why; replay", _inbound)
    p.add_argument("action", choices=("list", "show", "replay"))
    p.add_argument("ids", nargs="*", help="records; the tenant is given with --tenant")
    p.add_argument("--tenant", default="-", help="slug, or - for mail that belongs to no tenant")
    p.add_argument("--outcome", default="", help="list: only this outcome (docs/outcomes.md)")
    p.add_argument("--since", default="", help="replay: from this time on (ISO 8601)")
    p.add_argument("--failed", action="store_true", help="replay: only what came to nothing")
    p.add_argument("--dry-run", action="store_true", help="replay: print what would differ, write nothing")
    p.add_argument(
        "--from-bucket",
        action="store_true",
        help="replay: raw mails since --since that the table, restored, does not know; of all tenants",
    )
    p.add_argument(
        "--named-too", action="store_true", help="with --from-bucket: to our addresses in To and Cc, too"
    )
    p.add_argument("--limit", type=int, default=50)

    p = command("outbound", "mails sent and to be sent; retry", _outbound)
    p.add_argument("action", choices=("list", "retry"))
    p.add_argument("ids", nargs="*")
    p.add_argument("--tenant", default="", help="slug; list: without it of all tenants")
    p.add_argument("--state", default="", help="list: only this state, such as failed or deferred")
    p.add_argument("--limit", type=int, default=50)

    p = command("dlq", "dead-letter queues", _dlq)
    p.add_argument("action", choices=("list", "show", "redrive", "purge"))
    p.add_argument("queue", nargs="?", choices=("inbound", "outbound", "feedback", "events"))
    p.add_argument("ids", nargs="*", help="purge: these messages only")
    p.add_argument("--yes", action="store_true", help="purge: really do it")

    p = command("keys", "keys of the reply addresses", _keys)
    p.add_argument("action", choices=("list", "rotate", "revoke"))
    p.add_argument("id", nargs="?", type=int)

    for name, help_ in (("export", "write out"), ("erase", "delete for good")):
        p = command(name, f"{help_} all data of a tenant or of one client (GDPR)", _gdpr)
        p.set_defaults(what=name)
        p.add_argument("slug")
        p.add_argument("email", nargs="?", default="")
        p.add_argument("--out", default="", help="file to write")
        p.add_argument("--yes", action="store_true", help="erase: really do it")

    p = command("import", "clients or tickets from a CSV file", _import)
    p.add_argument("kind", choices=("clients", "tickets"))
    p.add_argument("slug")
    p.add_argument("file")


def _with_deployment(run: Callable[[argparse.Namespace], int], args: argparse.Namespace) -> int:
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        region = args.region or deployment.own_region()
        deployment.use_region(region)
        found = deployment.find(args.stack, region, bootstrap.aws("cloudformation"))
        deployment.use(found)
        args.deployment = found
        return run(args)
    except ConfigurationError as error:
        print(f"servelo: {error}", file=sys.stderr)
        return UNREACHABLE
    except ServeloError as error:
        print(f"servelo: {error.detail} [{error.code}]", file=sys.stderr)
        return FAILED
    except ClientError as error:
        said = error.response.get("Error", {})
        why = f"{said.get('Message', '')} [{said.get('Code', '')}]"
        return _failed(f"AWS refuses {error.operation_name}: {why}")
    except BotoCoreError as error:
        print(f"servelo: AWS cannot be reached: {error}", file=sys.stderr)
        return UNREACHABLE
    except OSError as error:  # a file to read or write; a closed pipe is the reader's wish
        if isinstance(error, BrokenPipeError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return OK
        print(f"servelo: {error.filename or 'file'}: {error.strerror or error}", file=sys.stderr)
        return FAILED
    except KeyboardInterrupt:
        print("\nservelo: stopped; give the command again to go on", file=sys.stderr)
        return STOPPED


def _show(args: argparse.Namespace, rows: Iterable[dict[str, Any]]) -> None:
    """Print rows: JSON lines, or columns as wide as they need."""
    listed = list(rows)
    if args.json:
        for row in listed:
            print(json.dumps(row, default=str, ensure_ascii=False))
        return
    if not listed:
        print("nothing")
        return
    names = list(listed[0])
    table = [names, *([str(row[n]) for n in names] for row in listed)]
    widths = [min(60, max(len(line[i]) for line in table)) for i in range(len(names))]
    for line in table:
        cells = (_seen(cell[:60]).ljust(width) for cell, width in zip(line, widths, strict=True))
        print("  ".join(cells).rstrip())


def _seen(text: str) -> str:
    """Return *text* without what a terminal would obey: subjects and names are written by strangers."""
    return (
        text
        if text.isprintable()
        else "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)
    )


def _done(args: argparse.Namespace, said: str, **told: Any) -> int:
    """Say what was done: a sentence, or *told* as JSON for scripts."""
    print(json.dumps(told, ensure_ascii=False) if args.json else said)
    return OK


@contextmanager
def _progress(what: str) -> Iterator[data.Progress]:
    """Give a function that counts on standard error: on a terminal in place, else now and then a line."""
    on_terminal, shown = sys.stderr.isatty(), False

    def tell(count: int) -> None:
        nonlocal shown
        if on_terminal:
            print(f"\r{what}: {count}", end="", file=sys.stderr, flush=True)
            shown = True
        elif count and count % 1000 == 0:
            print(f"{what}: {count}", file=sys.stderr, flush=True)

    try:
        yield tell
    finally:
        if shown:
            print(file=sys.stderr)


def _doctor(args: argparse.Namespace) -> int:
    findings = []
    signs = {"ok": "ok      ", "warning": "WARNING ", "broken": "BROKEN  "}
    for finding in doctor.Doctor(
        args.deployment, bootstrap.aws, doctor.resolver(args.nameserver), doctor.fetch
    ).examine():
        findings.append(finding)
        if args.json:
            print(doctor.as_json([finding]))
            continue
        print(f"{signs[finding.health.value]}{finding.check}: {finding.seen}")
        if finding.remedy:
            print(f"        {finding.remedy}")
    broken = sum(f.health is doctor.Health.BROKEN for f in findings)
    if not args.json:
        warnings = sum(f.health is doctor.Health.WARNING for f in findings)
        print(f"{len(findings)} checks, {broken} broken, {warnings} warnings")
    return FAILED if broken else OK


def _tenants(args: argparse.Namespace) -> int:
    from servelo.records import replace

    store = bootstrap.store()
    if args.action == "list":
        _show(
            args,
            (
                {
                    "slug": t.slug,
                    "name": t.name,
                    "members": len(t.members),
                    "smtp": t.smtp.breaker.value if t.smtp else "shared",
                    "suspended": t.suspended,
                }
                for t in _pages(store.tenants)
            ),
        )
        return OK
    if not args.slug:
        return _usage("name the tenant's slug")
    if args.action == "create":
        if not args.admin_email:
            return _usage("--admin-email is needed: the first admin gets an invitation there")
        bootstrap.tenants().create_tenant(
            slug=args.slug,
            name=args.name or args.slug,
            admin_email=args.admin_email,
            admin_name=args.admin_name,
            notify_email=args.notify_email,
        )
        inbound = f"{args.slug}@{bootstrap.settings().mail_domain}"
        return _done(
            args, f"created; mail to {inbound} opens tickets now", slug=args.slug, inbound_address=inbound
        )
    tenant = store.tenant(args.slug)
    if tenant is None:
        return _failed(f"there is no tenant {args.slug}")
    store.put_tenant(replace(tenant, suspended=args.action == "suspend"))
    suspended = args.action == "suspend"
    now = "suspended" if suspended else "active"
    return _done(args, f"{args.slug}: {now}", slug=args.slug, suspended=suspended)


def _members(args: argparse.Namespace) -> int:
    from servelo.mail.address import identity

    tenant = bootstrap.store().tenant(args.slug)
    if tenant is None:
        return _failed(f"there is no tenant {args.slug}")
    if args.action == "list":
        _show(
            args,
            (
                {"email": m.email, "name": m.name, "role": m.role.value, "notified": m.notify}
                for m in tenant.members
            ),
        )
        return OK
    if not args.email:
        return _usage("name the member's address")
    if args.action == "add":
        bootstrap.tenants().add_member(args.slug, args.email, args.name, args.role)
    elif tenant.member(identity(args.email)) is None:
        return _failed("no member has that address")
    else:
        bootstrap.members().remove(args.slug, args.email)
    return _done(args, "done", slug=args.slug, email=args.email, done=args.action)


def _operators(args: argparse.Namespace) -> int:
    import secrets

    if args.action == "remove":
        bootstrap.tenants().remove_operator(args.email)
        return _done(args, "done", email=args.email, done="remove")
    # Three groups and a sign of each kind satisfy the pool's policy; shown once and kept nowhere.
    password = "-".join(secrets.token_urlsafe(6) for _ in range(3)) + "-Aa1"
    bootstrap.tenants().create_operator(args.email, password)
    return _done(args, f"password, shown this once: {password}", email=args.email, password=password)


def _inbound(args: argparse.Namespace) -> int:
    store = bootstrap.store()
    if args.action == "list":
        records = _pages(partial(store.inbound_list, args.tenant))
        wanted = (r for r in records if not args.outcome or r.outcome.value == args.outcome)
        _show(args, (_record_row(r) for r in islice(wanted, args.limit)))
        return OK
    if args.action == "show":
        for record_id in args.ids:
            record = store.inbound(args.tenant, record_id)
            if record is None:
                return _failed(f"tenant {args.tenant} has no record {record_id}")
            if args.json:
                reasons = [(r.question, r.value, r.answer) for r in record.reasons]
                _show(args, [_record_whole(record) | {"reasons": reasons}])
                continue
            for name, value in _record_whole(record).items():
                shown = ", ".join(map(str, value)) if isinstance(value, list) else value
                print(f"{name:<12} {shown}")
            for reason in record.reasons:
                print(f"   {reason.question}? {reason.value} -> {reason.answer}")
        return OK
    if not args.ids and not args.since and not args.failed:
        return _usage("name records, or --since TIME, or --failed")
    try:
        since = datetime.fromisoformat(args.since) if args.since else None
    except ValueError:
        return _usage("--since takes a time such as 2026-11-23T12:00:00+00:00")
    if since is not None and since.tzinfo is None:
        since = since.replace(tzinfo=UTC)
    if args.from_bucket:
        return _restore(args, since)
    replay = bootstrap.replay()
    results = (
        [replay.replay(args.tenant, each, dry_run=args.dry_run) for each in args.ids]
        if args.ids
        else replay.replay_range(args.tenant, since, failed_only=args.failed, dry_run=args.dry_run)
    )
    _show(
        args,
        (
            {
                "id": r.record_id,
                "before": r.before,
                "after": r.after,
                "ticket": r.ticket_number or "",
                "why": r.why,
            }
            for r in results
        ),
    )
    return OK


def _restore(args: argparse.Namespace, since: datetime | None) -> int:
    from servelo.operate.restore import Restore, stored_in

    if since is None or args.ids:
        return _usage("--from-bucket takes --since: the moment to which the table was restored")
    settings = bootstrap.settings()
    restore = Restore(
        make_router=bootstrap.router_on,
        store=bootstrap.store(),
        raw_mails=bootstrap.raw_mails(),
        stored=stored_in(bootstrap.aws("s3"), settings.mail_bucket),
        mail_domain=settings.mail_domain,
    )
    found = list(restore.run(since, named_too=args.named_too, dry_run=args.dry_run))
    _show(
        args,
        (
            {
                "raw mail": each.object_key,
                "to": _without_token(each.recipient),
                "outcome": each.outcome,
                "tenant": each.slug,
                "ticket": each.ticket_number or "",
            }
            for each in found
            if each.outcome != "known"
        ),
    )
    unread = sum(each.outcome == "envelope_unknown" for each in found)
    if unread:
        return _failed(
            f"{unread} raw mails do not say who they were for; they are listed and were left alone"
        )
    return OK


def _without_token(recipient: str) -> str:
    from servelo.mail.address import split_addr_spec
    from servelo.mail.reply_token import token_of

    local, domain = split_addr_spec(recipient)
    return f"reply+…@{domain}" if token_of(local) else recipient


def _record_row(record: InboundRecord) -> dict[str, Any]:
    return {
        "id": record.id,
        "received_at": record.received_at.isoformat(timespec="seconds"),
        "outcome": record.outcome.value,
        "to": record.envelope_recipient,
        "from": record.sender,
        "ticket": record.ticket_number or "",
        "subject": record.subject,
    }


def _record_whole(record: InboundRecord) -> dict[str, Any]:
    """The row, and what leads on from it: the raw mail, and what the mail became."""
    return _record_row(record) | {
        "remedy": REMEDIES[record.outcome],
        "mail from": record.envelope_sender,
        "verdicts": [f"{name} {verdict}" for name, verdict in sorted(record.verdicts.items())],
        "raw mail": record.object_key,
        "bytes": record.size_bytes,
        "comment": record.comment_id,
        "mails": list(record.job_ids),
        "warnings": list(record.warnings),
        "replays": record.replays,
    }


def _outbound(args: argparse.Namespace) -> int:
    store = bootstrap.store()
    if args.action == "list":
        slugs = [args.tenant] if args.tenant else [t.slug for t in _pages(store.tenants)]
        _show(
            args,
            (
                {
                    "id": j.id,
                    "tenant": slug,
                    "created_at": j.created_at.isoformat(timespec="seconds"),
                    "state": j.state.value,
                    "kind": j.kind.value,
                    "to": j.recipient,
                    "ticket": j.ticket_number or "",
                    "attempts": j.attempts,
                    "error": j.error_code,
                    "server": j.error_detail,
                }
                for slug in slugs
                for j in islice(
                    (
                        j
                        for j in _pages(partial(store.jobs, slug))
                        if not args.state or j.state.value == args.state
                    ),
                    args.limit,
                )
            ),
        )
        return OK
    if not args.ids or not args.tenant:
        return _usage("name the mails and, with --tenant, whose they are")
    for job_id in args.ids:
        bootstrap.emails().retry(args.tenant, job_id)
        _done(args, f"{job_id}: queued", id=job_id, state="queued")
    return OK


def _pages(fetch: Callable[[int, str], tuple[list[Any], str]]) -> Iterator[Any]:
    """Yield the rows of all pages, each page read when it is needed."""
    cursor = ""
    while True:
        rows, cursor = fetch(100, cursor)
        yield from rows
        if not cursor:
            return


def _dlq(args: argparse.Namespace) -> int:
    sqs = bootstrap.aws("sqs")
    queues = args.deployment.queues()
    if args.action == "list":
        names = [args.queue] if args.queue else list(queues)
        rows = []
        for name in names:
            answer = sqs.get_queue_attributes(
                QueueUrl=queues[name][1], AttributeNames=["ApproximateNumberOfMessages", "QueueArn"]
            )["Attributes"]
            rows.append({"queue": name, "dead": int(answer["ApproximateNumberOfMessages"])})
        _show(args, rows)
        return OK
    if not args.queue:
        return _usage("name the queue")
    queue, dead = queues[args.queue]
    if args.action == "show":
        _show(args, (_dead_row(message, whole=args.json) for message in _dead_letters(sqs, dead)))
        return OK
    if args.action == "purge":
        if not args.yes:
            return _failed("what is purged is gone: keep it with `dlq show --json`, then say --yes")
        count = 0
        for message in _dead_letters(sqs, dead):
            if not args.ids or message["MessageId"] in args.ids:
                sqs.delete_message(QueueUrl=dead, ReceiptHandle=message["ReceiptHandle"])
                count += 1
        return _done(args, f"{count} purged", queue=args.queue, purged=count)
    if not queue:
        return _failed(
            "its messages tell of runs that failed and cannot be redriven; the next run does the work. "
            "`servelo dlq purge events --yes` empties it"
        )
    moved = 0
    with _progress("moved") as tell:
        for message in _dead_letters(sqs, dead):
            group = message.get("Attributes", {}).get("MessageGroupId")
            more = {"MessageGroupId": group} if group else {}
            sqs.send_message(QueueUrl=queue, MessageBody=message["Body"], **more)
            sqs.delete_message(QueueUrl=dead, ReceiptHandle=message["ReceiptHandle"])
            moved += 1
            tell(moved)
    return _done(args, f"{moved} moved", queue=args.queue, moved=moved)


def _dead_letters(sqs: Any, url: str) -> Iterator[dict[str, Any]]:
    """Yield each message once; those that are not deleted meanwhile can be seen again at once."""
    seen: dict[str, str] = {}
    try:
        while True:
            messages = sqs.receive_message(
                QueueUrl=url,
                MaxNumberOfMessages=10,
                WaitTimeSeconds=1,
                VisibilityTimeout=300,
                MessageSystemAttributeNames=["All"],
            ).get("Messages", [])
            new = [message for message in messages if message["MessageId"] not in seen]
            if not new:
                return
            for message in new:
                seen[message["MessageId"]] = message["ReceiptHandle"]
                yield message
    finally:
        for handle in seen.values():
            with suppress(Exception):  # it was deleted, which is what most of them are
                sqs.change_message_visibility(QueueUrl=url, ReceiptHandle=handle, VisibilityTimeout=0)


def _dead_row(message: dict[str, Any], *, whole: bool) -> dict[str, Any]:
    """Return what a row shows; the whole body only for a script, since it may hold a mail's headers."""
    attributes, body = message.get("Attributes", {}), message["Body"]
    sent = int(attributes.get("SentTimestamp", 0)) / 1000
    row = {
        "id": message["MessageId"],
        "sent_at": datetime.fromtimestamp(sent, UTC).isoformat(timespec="seconds"),
        "received": attributes.get("ApproximateReceiveCount", ""),
        "tenant": attributes.get("MessageGroupId", ""),
    }
    return row | ({"body": body} if whole else {"begins": body[:60]})


def _keys(args: argparse.Namespace) -> int:
    client, secret_id = bootstrap.aws("secretsmanager"), args.deployment.outputs["KeyRingSecretId"]
    if args.action == "rotate":
        new = keyring.rotate(client, secret_id).id
        return _done(args, f"key {new} signs from now on; older mails stay answerable", signs=new)
    if args.action == "revoke":
        if args.id is None:
            return _usage("name the key's id")
        keyring.revoke(client, secret_id, args.id)
        said = f"key {args.id} revoked: answers to its mails are recorded and go no further"
        return _done(args, said, revoked=args.id)
    ring = keyring.read(client, secret_id)
    _show(
        args,
        ({"id": k.id, "state": k.state.value, "signs": k.id == ring.signing_key.id} for k in ring.keys),
    )
    return OK


def _gdpr(args: argparse.Namespace) -> int:
    settings = bootstrap.settings()
    dynamodb, s3 = bootstrap.aws("dynamodb"), bootstrap.aws("s3")
    what = "tickets" if args.email else "items"
    if args.what == "erase" and not args.yes:
        return _failed("erasing cannot be undone: export first, then say --yes")
    if args.what == "export":
        out = Path(args.out or f"{args.slug}{'-' + args.email if args.email else ''}.json")
        if args.email:
            count = data.export_client(args.slug, args.email, out, store=bootstrap.store())
        else:
            with _progress("read") as tell:
                count = data.export_tenant(
                    args.slug,
                    out,
                    dynamodb=dynamodb,
                    table=settings.table_name,
                    s3=s3,
                    file_bucket=settings.file_bucket,
                    progress=tell,
                )
        return _done(args, f"{count} {what} written to {out}", file=str(out), **{what: count})
    where = {"dynamodb": dynamodb, "table": settings.table_name, "s3": s3}
    buckets = {"file_bucket": settings.file_bucket, "mail_bucket": settings.mail_bucket}
    with _progress("read") as tell:
        if args.email:
            count = data.erase_client(
                args.slug, args.email, store=bootstrap.store(), **where, **buckets, progress=tell
            )
        else:
            tenant = bootstrap.store().tenant(args.slug)
            for member in tenant.members if tenant else ():
                bootstrap.identity().delete_user(member.email)
            count = data.erase_tenant(args.slug, **where, **buckets, progress=tell)
    return _done(args, f"{count} {what} erased", erased=count)


def _import(args: argparse.Namespace) -> int:
    if bootstrap.store().tenant(args.slug) is None:
        return _failed(f"there is no tenant {args.slug}")
    run = data.import_clients if args.kind == "clients" else data.import_tickets
    with _progress("read") as tell:
        made, there = run(
            args.slug, Path(args.file), store=bootstrap.store(), now=datetime.now(UTC), progress=tell
        )
    said = f"{made} {args.kind} imported, {there} were there already"
    return _done(args, said, imported=made, there_already=there)


def _usage(message: str) -> int:
    print(f"servelo: {message}", file=sys.stderr)
    return 2


def _failed(message: str) -> int:
    print(f"servelo: {message}", file=sys.stderr)
    return FAILED
