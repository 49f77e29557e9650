"""Data in and out: export and erasure of a tenant or a client (GDPR 15, 17, 20), imports from CSV.

Everything of a tenant lies under partition keys that begin with its slug. The table has no index over those,
because no request of the product needs one; export of a tenant and erasure may read the whole table, and do
so page by page with their progress shown.
"""

from __future__ import annotations

import base64
import csv
import json
import zlib
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from servelo.adapters import dynamodb_keys as keys
from servelo.adapters.aws_errors import code_of
from servelo.domain import ids
from servelo.domain.client import Client
from servelo.domain.outbound import WAITING_STATES
from servelo.domain.ticket import AuthorRole, Comment, Participant, Ticket, TicketStatus, Visibility
from servelo.errors import InvalidInput, NotFound
from servelo.mail.address import identity
from servelo.records import replace
from servelo.services.ports import Change, ChangeRefused
from servelo.services.search import words_of_comment, words_of_ticket
from servelo.services.tickets import visible_to_customer

Progress = Callable[[int], None]

_ERASED = "What was written here was erased, because its author asked for it."
_WORDS_OF_A_COMMENT = frozenset(
    "author_email author_name text html quoted_text signature full_text overflow_key files raw_key "
    "message_id inbound_id job_ids".split()
)


def tenant_items(dynamodb: Any, table: str, slug: str, progress: Progress) -> Iterator[dict[str, Any]]:
    """Yield every item of tenant *slug* as DynamoDB holds it. Reads the whole table."""
    prefix = keys.tenant(slug)[0]
    seen = 0
    for page in dynamodb.get_paginator("scan").paginate(TableName=table):
        for item in page["Items"]:
            pk = item["pk"]["S"]
            own = pk == prefix or pk.startswith(f"{prefix}#")
            if own or (pk.startswith(("FOLD#", "SENT#")) and item.get("slug", {}).get("S") == slug):
                yield item
        seen += page["ScannedCount"]
        progress(seen)


def export_tenant(
    slug: str, out: Path, *, dynamodb: Any, table: str, s3: Any, file_bucket: str, progress: Progress
) -> int:
    """Write all items of a tenant to *out* (JSON lines), its files beside it; return how many items."""
    count = 0
    with out.open("w", encoding="utf-8") as file:
        for item in tenant_items(dynamodb, table, slug, progress):
            file.write(json.dumps(item, default=_plain, ensure_ascii=False) + "\n")
            count += 1
    folder = out.with_suffix(".files")
    for page in s3.get_paginator("list_objects_v2").paginate(Bucket=file_bucket, Prefix=f"{slug}/"):
        for each in page.get("Contents", ()):
            folder.mkdir(parents=True, exist_ok=True)
            with (folder / each["Key"].partition("/")[2]).open("wb") as file:
                for piece in s3.get_object(Bucket=file_bucket, Key=each["Key"])["Body"].iter_chunks():
                    file.write(piece)
    return count


def erase_tenant(
    slug: str, *, dynamodb: Any, table: str, s3: Any, file_bucket: str, mail_bucket: str, progress: Progress
) -> int:
    """Delete all items, files and raw mails of a tenant; return the number of items. Cannot be undone."""
    raw_keys: set[str] = set()
    batch: list[dict[str, Any]] = []
    count = 0
    for item in tenant_items(dynamodb, table, slug, progress):
        for name in ("object_key", "raw_key"):
            if item.get(name, {}).get("S"):
                raw_keys.add(item[name]["S"])
        batch.append({"pk": item["pk"], "sk": item["sk"]})
        count += 1
        if len(batch) == 25:
            _delete(dynamodb, table, batch)
            batch = []
    _delete(dynamodb, table, batch)
    for page in s3.get_paginator("list_objects_v2").paginate(Bucket=file_bucket, Prefix=f"{slug}/"):
        for each in page.get("Contents", ()):
            s3.delete_object(Bucket=file_bucket, Key=each["Key"])
    for key in raw_keys:
        s3.delete_object(Bucket=mail_bucket, Key=key)
    return count


def export_client(slug: str, email: str, out: Path, *, store: Any) -> int:
    """Write what is known of one client to *out* as JSON: their record, tickets and what they can see there.

    Of a ticket that is another's by now, and that they do not follow, their own words alone.

    Raises:
        NotFound: the tenant has no such client.
    """
    client = store.client(slug, ids.client_id(slug, identity(email)))
    if client is None:
        raise NotFound(f"tenant {slug} has no client with that address")
    tickets = []
    who = identity(email)
    for ticket in _tickets_of(store, slug, client.id):
        theirs = _takes_part(ticket, client.id, who)
        comments = [
            {
                "at": c.created_at.isoformat(),
                "author": c.author_name or c.author_email,
                "text": c.text,
                "files": [f.filename for f in c.files],
            }
            for c in _comments(store, slug, ticket.number)
            if visible_to_customer(c, who) and (theirs or _wrote(c, who))
        ]
        if not theirs and not comments:
            continue
        tickets.append(
            {
                "number": ticket.number,
                "subject": ticket.subject if theirs else "",
                "status": ticket.status.value if theirs else "",
                "comments": comments,
            }
        )
    told = {
        "email": client.email,
        "name": client.name,
        "since": client.created_at.isoformat(),
        "tickets": tickets,
    }
    out.write_text(json.dumps(told, ensure_ascii=False, indent=2), encoding="utf-8")
    return len(tickets)


def erase_client(
    slug: str,
    email: str,
    *,
    store: Any,
    dynamodb: Any,
    table: str,
    s3: Any,
    file_bucket: str,
    mail_bucket: str,
    progress: Progress,
) -> int:
    """Delete a client and everything that holds their words or address; return the number of tickets.

    The tickets that are theirs with comments, files and raw mails, the records of their mails, the mails sent
    to them, naming them and about their tickets, aliases, suppressions, search postings. Tickets of others
    stay: there they are no participant any more, and their own comments lose their words, name, address and
    files. What others quoted of them stays. Reads the whole table, because mails to the team quote them.

    Raises:
        NotFound: the tenant has no such client.
    """
    who = identity(email)
    client = store.client(slug, ids.client_id(slug, who))
    if client is None:
        raise NotFound(f"tenant {slug} has no client with that address")
    numbers = {str(t.number) for t in _tickets_of(store, slug, client.id) if _owns(t, client.id, who)}
    own = {keys.client(slug, client.id)[0], *(keys.ticket(slug, int(n))[0] for n in numbers)}
    raw_keys: set[str] = set()
    file_keys: set[str] = set()
    kept_files: set[str] = set()
    doomed: list[keys.Key] = []
    shared: set[int] = set()
    erased: dict[tuple[int, str], dict[str, Any]] = {}
    mails: list[tuple[tuple[int, str], keys.Key, set[str], set[str]]] = []
    for item in tenant_items(dynamodb, table, slug, progress):
        pk = item["pk"]["S"]
        texts = {name: value["S"] for name, value in item.items() if "S" in value}
        about = next((item[n]["N"] for n in ("ticket_number", "number") if "N" in item.get(n, {})), "0")
        addresses = {identity(texts[n]) for n in ("sender", "recipient", "email") if texts.get(n)}
        kind = pk.split("#")[2] if pk.count("#") > 1 else ""
        files = {f["object_key"] for f in json.loads(texts.get("files") or "[]")}
        raws = {texts[n] for n in ("object_key", "raw_key") if texts.get(n)}
        if kind == "WORDS" and item["sk"]["S"].rpartition("#")[2].lstrip("0") in numbers:
            doomed.append((pk, item["sk"]["S"]))
            continue
        if pk not in own and about not in numbers and (who not in addresses or kind == "CLIENT"):
            if texts.get("kind") == "ticket" and _names(texts.get("participants"), who):
                shared.add(int(about))
            if texts.get("kind") == "comment" and _is_theirs(texts, who):
                erased[int(about), texts["id"]] = item
                file_keys |= files
                raw_keys |= raws
                continue
            settled = texts.get("state") not in WAITING_STATES
            if texts.get("kind") == "outbox" and settled and who in _long_text(item, "content").lower():
                doomed.append((pk, item["sk"]["S"]))
                continue
            if texts.get("kind") == "outbox" and texts.get("comment_id"):
                # It may quote a comment that comes later: decided below.
                mails.append(((int(about), texts["comment_id"]), (pk, item["sk"]["S"]), files, raws))
                continue
            kept_files |= files
            continue
        doomed.append((pk, item["sk"]["S"]))
        file_keys |= files
        raw_keys |= raws
    for comment, mail_key, files, raws in mails:
        if comment in erased:
            doomed.append(mail_key)
            file_keys |= files
            raw_keys |= raws
        else:
            kept_files |= files
    for number in sorted(shared | {number for number, _ in erased}):
        words = [item for (of, _), item in erased.items() if of == number]
        _take_out(slug, number, who, words, store=store, dynamodb=dynamodb, table=table)
    _delete_keys(dynamodb, table, doomed)
    for key in file_keys - kept_files:
        s3.delete_object(Bucket=file_bucket, Key=key)
    for key in raw_keys:
        s3.delete_object(Bucket=mail_bucket, Key=key)
    return len(numbers)


def import_clients(
    slug: str, path: Path, *, store: Any, now: datetime, progress: Progress
) -> tuple[int, int]:
    """Create clients from a CSV with the columns ``email`` and ``name``; return (made, already there).

    Raises:
        InvalidInput: a line has no usable address; the message names the line, nothing after it was read.
    """
    made = there = 0
    for line, row in _rows(path, {"email"}):
        email = _email(row["email"], line)
        name = row.get("name", "").strip()
        client = Client(ids.client_id(slug, identity(email)), slug, email, name, now, proven=True)
        if store.client(slug, client.id) is None:
            store.put_client(client, create=True)
            made += 1
        else:
            there += 1
        progress(made + there)
    return made, there


def import_tickets(
    slug: str, path: Path, *, store: Any, now: datetime, progress: Progress
) -> tuple[int, int]:
    """Create tickets from a CSV; return (made, already there). Nobody is mailed.

    Columns: ``id`` (of the old system; the same id is imported once), ``email``, ``name``, ``subject``,
    ``text``, ``status`` (open, pending, closed; default closed), ``created_at`` (ISO 8601).

    Raises:
        InvalidInput: a line cannot be read; the message names the line, nothing after it was read.
    """
    made = there = 0
    for line, row in _rows(path, {"id", "email", "subject"}):
        email = _email(row["email"], line)
        old_id = f"import-{row['id'].strip()}@{slug}"
        if store.message(slug, old_id) is not None:
            there += 1
            continue
        try:
            status = TicketStatus(row.get("status", "").strip().lower() or "closed")
            created = datetime.fromisoformat(row["created_at"]) if row.get("created_at") else now
        except ValueError as error:
            raise InvalidInput(f"line {line}: {error}") from error
        created = created if created.tzinfo else created.replace(tzinfo=UTC)
        number = store.next_ticket_number(slug)
        who = identity(email)
        person = Participant(email, row.get("name", "").strip())
        ticket = Ticket(
            slug,
            number,
            row["subject"][:998],
            ids.client_id(slug, who),
            (person,),
            status,
            created,
            created,
            closed_at=created if status is TicketStatus.CLOSED else None,
            comment_count=1,
            unread=False,
            message_ids=(),
            preview=" ".join(row.get("text", "").split())[:160],
        )
        comment = Comment(
            slug,
            number,
            ids.sortable_id(created.timestamp()),
            AuthorRole.CLIENT,
            email,
            person.name,
            Visibility.PUBLIC,
            row.get("text", ""),
            created,
            message_id=old_id,
        )
        client = None
        if store.client(slug, ticket.client_id) is None:
            client = Client(ticket.client_id, slug, email, person.name, created, proven=True)
        change = Change(
            slug, ticket=ticket, comments=(comment,), client=client, own_message_id=old_id, sender=who
        )
        try:
            store.commit(change)
        except ChangeRefused:
            store.commit(replace(change, client=None))
        made += 1
        progress(made + there)
    return made, there


def _rows(path: Path, needed: set[str]) -> Iterator[tuple[int, dict[str, str]]]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.DictReader(file)
        missing = needed - set(reader.fieldnames or ())
        if missing:
            raise InvalidInput(f"the file lacks the columns {', '.join(sorted(missing))}")
        for row in reader:
            yield reader.line_num, {k: v or "" for k, v in row.items() if k}


def _email(text: str, line: int) -> str:
    from servelo.domain.smtp import envelope_address

    try:
        return envelope_address(text.strip())
    except InvalidInput as error:
        raise InvalidInput(f"line {line}: {error.detail}", field="email") from error


def _owns(ticket: Ticket, client_id: str, who: str) -> bool:
    return ticket.client_id == client_id or all(identity(p.email) == who for p in ticket.participants)


def _takes_part(ticket: Ticket, client_id: str, who: str) -> bool:
    return _owns(ticket, client_id, who) or any(identity(p.email) == who for p in ticket.participants)


def _wrote(comment: Comment, who: str) -> bool:
    return comment.author_role is not AuthorRole.TEAM and identity(comment.author_email) == who


def _is_theirs(comment: dict[str, str], who: str) -> bool:
    role, email = comment.get("author_role"), comment.get("author_email", "")
    return role != AuthorRole.TEAM.value and identity(email) == who


def _names(participants: str | None, who: str) -> bool:
    return any(identity(p.get("email", "")) == who for p in json.loads(participants or "[]"))


def _take_out(
    slug: str,
    number: int,
    who: str,
    comments: list[dict[str, Any]],
    *,
    store: Any,
    dynamodb: Any,
    table: str,
) -> None:
    """Take a person and the words of their *comments* (items) out of a ticket that is somebody else's."""
    gone: set[str] = set()
    previews: list[str] = []
    for item in comments:
        text = _long_text(item, "text")
        author = item.get("author_email", {}).get("S", ""), item.get("author_name", {}).get("S", "")
        gone |= set(words_of_comment(*author, text))
        previews.append(" ".join(text.split()))
        left = {name: value for name, value in item.items() if name not in _WORDS_OF_A_COMMENT}
        left["author_name"], left["text"] = {"S": "(erased)"}, {"B": zlib.compress(_ERASED.encode())}
        dynamodb.put_item(TableName=table, Item=left, ConditionExpression="attribute_exists(pk)")
    key = dict(zip(("pk", "sk"), ({"S": part} for part in keys.ticket(slug, number)), strict=True))
    while True:
        item = dynamodb.get_item(TableName=table, Key=key, ConsistentRead=True).get("Item")
        if item is None:
            return
        before, preview = item["participants"]["S"], item.get("preview", {}).get("S", "")
        people = json.loads(before)
        stay = [p for p in people if identity(p.get("email", "")) != who]
        for person in people:
            if person not in stay:
                gone |= set(words_of_ticket("", [(person.get("email", ""), person.get("name", ""))]))
        if preview and any(each.startswith(preview.rstrip("… ")) for each in previews):
            preview = ""
        try:
            dynamodb.update_item(
                TableName=table,
                Key=key,
                UpdateExpression="SET participants = :stay, preview = :preview "
                "ADD version :one, people_version :one",
                ConditionExpression="participants = :before",
                ExpressionAttributeValues={
                    ":stay": {"S": json.dumps(stay, ensure_ascii=False, separators=(",", ":"))},
                    ":before": {"S": before},
                    ":preview": {"S": preview},
                    ":one": {"N": "1"},
                },
            )
            break
        except Exception as error:
            # Somebody changed the people meanwhile: look again.
            if code_of(error) != "ConditionalCheckFailedException":
                raise
    ticket = store.ticket(slug, number)
    left_words = set(words_of_ticket(ticket.subject, [(p.email, p.name) for p in ticket.participants]))
    for comment in _comments(store, slug, number):
        left_words |= set(words_of_comment(comment.author_email, comment.author_name, comment.text))
    store.delete_postings(slug, number, sorted(gone - left_words))


def _long_text(item: dict[str, Any], name: str) -> str:
    packed = item.get(name, {}).get("B", b"")
    return zlib.decompress(packed).decode("utf-8", "replace") if packed else ""


def _tickets_of(store: Any, slug: str, client_id: str) -> Iterator[Ticket]:
    cursor = ""
    while True:
        tickets, cursor = store.tickets_of_client(slug, client_id, 50, cursor)
        yield from tickets
        if not cursor:
            return


def _comments(store: Any, slug: str, number: int) -> Iterator[Comment]:
    cursor = ""
    while True:
        comments, cursor = store.conversation(slug, number, 50, cursor)
        yield from comments
        if not cursor:
            return


def _delete_keys(dynamodb: Any, table: str, found: list[keys.Key]) -> None:
    for start in range(0, len(found), 25):
        _delete(dynamodb, table, [{"pk": {"S": pk}, "sk": {"S": sk}} for pk, sk in found[start : start + 25]])


def _delete(dynamodb: Any, table: str, batch: list[dict[str, Any]]) -> None:
    requests = [{"DeleteRequest": {"Key": key}} for key in batch]
    while requests:
        answer = dynamodb.batch_write_item(RequestItems={table: requests})
        requests = answer.get("UnprocessedItems", {}).get(table, [])


def _plain(value: object) -> object:
    return base64.b64encode(value).decode("ascii") if isinstance(value, bytes) else str(value)
