"""The help desk's memory in DynamoDB: items to domain and back, conditional writes, one transaction an event.

Every method makes the number of requests that its docstring says; ``docs/data-model.md`` has the costs.
Throttling, time-outs and transaction conflicts that outlast the retries are StoreUnavailable (Transient).
"""

from __future__ import annotations

import json
import random
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

from pynamodb.connection import Connection
from pynamodb.exceptions import (
    DeleteError,
    GetError,
    PutError,
    PynamoDBException,
    QueryError,
    TransactWriteError,
    UpdateError,
)
from pynamodb.expressions.update import Action
from pynamodb.transactions import TransactWrite

from servelo.adapters import dynamodb_keys as keys
from servelo.adapters import dynamodb_models as models
from servelo.adapters.dynamodb_codec import ABSENT
from servelo.adapters.dynamodb_models import Item, from_text, to_text
from servelo.domain import ids
from servelo.domain.client import Client
from servelo.domain.inbound_record import InboundRecord, Outcome, Reason
from servelo.domain.outbound import FAILED_STATES, WAITING_STATES, DeliveryState, MailKind, OutboundJob
from servelo.domain.tenant import BreakerState, Member, Role, SmtpAccount, Tenant
from servelo.domain.ticket import (
    AuthorRole,
    Comment,
    Participant,
    StoredFile,
    Ticket,
    TicketStatus,
    Visibility,
)
from servelo.errors import Conflict, InvalidInput, StoreUnavailable
from servelo.mail.address import identity as identity_of
from servelo.records import field_names, replace
from servelo.services.ports import (
    ANSWER_LOST,
    Asked,
    Change,
    ChangeRefused,
    FoldedToken,
    Known,
    KnownMessage,
    TicketPatch,
)

T = TypeVar("T")

# A transaction may conflict with another on the same ticket; 64 mails of one conversation at once pass
# with this many tries (50 ms doubling to 1 s, jittered).
TRANSACTION_TRIES = 12
# An item may hold 400 kB (DynamoDB). Texts are compressed; what is still larger goes to the file bucket.
MAX_COMMENT_BYTES = 330_000


class _Writes:
    """The writes of one transaction, each with the name by which a refusal is told.

    DynamoDB gives its reasons in the order of the request, and pynamodb sends deletes, saves, updates,
    whatever order they were added in.
    """

    def __init__(self) -> None:
        self._deletes: list[tuple[str, Any, Any]] = []
        self._saves: list[tuple[str, Any, Any]] = []
        self._updates: list[tuple[str, Any, list[Action], Any]] = []

    def delete(self, part: str, item: Any, condition: Any = None) -> None:
        self._deletes.append((part, item, condition))

    def save(self, part: str, item: Any, condition: Any = None) -> None:
        self._saves.append((part, item, condition))

    def update(self, part: str, item: Any, actions: list[Action], condition: Any = None) -> None:
        self._updates.append((part, item, actions, condition))

    @property
    def parts(self) -> list[str]:
        """Names in the order of the request."""
        return [e[0] for e in self._deletes] + [e[0] for e in self._saves] + [e[0] for e in self._updates]

    def commit(self, connection: Connection) -> None:
        with TransactWrite(connection=connection) as transaction:
            for _, item, condition in self._deletes:
                transaction.delete(item, condition=condition)
            for _, item, condition in self._saves:
                transaction.save(item, condition=condition)
            for _, item, actions, condition in self._updates:
                transaction.update(item, actions=actions, condition=condition)


class DynamoStore:
    """One table. Hold one per process: the connection is reused."""

    def __init__(self, table_name: str, region: str, *, sleep: Callable[[float], None] = time.sleep) -> None:
        self._connection = models.bind(table_name, region)
        self._sleep = sleep

    # ---- reading -------------------------------------------------------------------------------

    def known(self, asked: Asked) -> Known:
        """Answer *asked* with one BatchGetItem (consistent: 1 read unit per 4 kB of each item found)."""
        slug = asked.slug
        wanted: dict[keys.Key, str] = {keys.tenant(slug): "tenant"}
        if asked.sender:
            wanted[keys.client(slug, ids.client_id(slug, asked.sender))] = "client"
            wanted[keys.suppression(slug, asked.sender)] = "suppressed"
        if asked.ticket_number:
            wanted[keys.ticket(slug, asked.ticket_number)] = "ticket"
        if asked.delivery_id:
            wanted[keys.inbound(slug, asked.delivery_id)] = "record"
        for cap in asked.caps:
            wanted[keys.cap(slug, cap)] = f"cap:{cap}"
        for reference in asked.reference_ids:
            wanted[keys.message(slug, reference)] = f"ref:{reference}"
        if asked.message_id:
            wanted[keys.message(slug, asked.message_id)] = "own"
        found = {wanted[(i.pk, i.sk)]: i for i in self._batch_get(wanted)}
        own = found.get("own")
        return Known(
            tenant=_tenant(found["tenant"]) if "tenant" in found else None,
            client=_client(found["client"]) if "client" in found else None,
            ticket=_ticket(found["ticket"]) if "ticket" in found else None,
            record=_record(found["record"]) if "record" in found else None,
            own_message=_message(own) if own is not None else None,
            references={name[4:]: _message(i) for name, i in found.items() if name.startswith("ref:")},
            caps={name[4:]: int(i.n) for name, i in found.items() if name.startswith("cap:")},
            suppressed="suppressed" in found and _lasts(found["suppressed"]),
        )

    def tenant(self, slug: str) -> Tenant | None:
        """One GetItem."""
        item = self._get(models.TenantItem, keys.tenant(slug))
        return _tenant(item) if item else None

    def team(self, slug: str, identity: str) -> tuple[Tenant | None, datetime | None]:
        """Return the tenant and when the password of *identity* was set last; one BatchGetItem."""
        mark = keys.passwords_set(slug, identity)
        found = {(i.pk, i.sk): i for i in self._batch_get([keys.tenant(slug), mark])}
        tenant = found.get(keys.tenant(slug))
        return _tenant(tenant) if tenant else None, found[mark].set_at if mark in found else None

    def passwords_set_at(self, slug: str, identity: str) -> datetime | None:
        """When the password of *identity* was set last; None if not for a month. One GetItem."""
        item = self._get(models.PasswordsSetItem, keys.passwords_set(slug, identity))
        return item.set_at if item else None

    def replace_passwords_set_at(
        self, slug: str, identity: str, seen: datetime | None, moment: datetime | None
    ) -> bool:
        """Note *moment* (None: forget) where *seen* is noted, else False; one PutItem or DeleteItem.

        Kept for 31 days: longer than links to choose a password (7) and refresh tokens (30) live.
        """
        pk, sk = keys.passwords_set(slug, identity)
        model = models.PasswordsSetItem
        unchanged = model.pk.does_not_exist() if seen is None else model.set_at == seen
        try:
            if moment is None:
                self._guard(lambda: model(pk=pk, sk=sk).delete(condition=unchanged))
            else:
                until = int((moment + timedelta(days=31)).timestamp())
                item = model(pk=pk, sk=sk, set_at=moment, expires_at_epoch=until)
                self._guard(lambda: item.save(condition=unchanged))
        except (PutError, DeleteError) as error:
            if error.cause_response_code == "ConditionalCheckFailedException":
                return False
            raise
        return True

    def tenants(self, limit: int = 50, after: str = "") -> tuple[list[Tenant], str]:
        """All tenants by slug; one Query a page of GSI1."""
        items, cursor = self._page(models.TenantItem, "gsi1", keys.TENANTS_VIEW, limit, after, forward=True)
        return [_tenant(i) for i in items], cursor

    def operator_inbox(self) -> tuple[str, int]:
        """Return (address, version) that the operator set; ("", 0) when nothing is set. One GetItem."""
        item = self._get(models.OperatorItem, keys.operator())
        return (item.inbox, int(item.version)) if item else ("", 0)

    def put_operator_inbox(self, inbox: str, seen_version: int) -> None:
        """Set it if it is still the version that was read; one PutItem. Raises Conflict."""
        pk, sk = keys.operator()
        item = models.OperatorItem(pk=pk, sk=sk, inbox=inbox, version=seen_version + 1)
        unchanged = models.OperatorItem.version == seen_version
        try:
            self._guard(lambda: item.save(condition=unchanged if seen_version else ABSENT))
        except PutError as error:
            if error.cause_response_code == "ConditionalCheckFailedException":
                raise Conflict("the setting was changed meanwhile; load it again") from error
            raise

    def ticket(self, slug: str, number: int) -> Ticket | None:
        """One GetItem."""
        item = self._get(models.TicketItem, keys.ticket(slug, number))
        return _ticket(item) if item else None

    def tickets_by_number(self, slug: str, numbers: Sequence[int]) -> list[Ticket]:
        """One BatchGetItem per 100; in the order asked, the missing left out."""
        found = {int(i.number): _ticket(i) for i in self._batch_get([keys.ticket(slug, n) for n in numbers])}
        return [found[n] for n in numbers if n in found]

    def suppressed(self, slug: str, identities: Iterable[str]) -> frozenset[str]:
        """Which of *identities* are on the suppression list; one BatchGetItem, none for no identities."""
        wanted = {keys.suppression(slug, i): i for i in identities}
        return frozenset(wanted[(i.pk, i.sk)] for i in self._batch_get(wanted) if _lasts(i))

    def conversation(
        self, slug: str, number: int, limit: int = 50, after: str = ""
    ) -> tuple[list[Comment], str]:
        """Comments oldest first; one Query a page on the ticket's own partition."""
        pk = keys.ticket(slug, number)[0]

        def query() -> tuple[list[Any], str]:
            start = {"pk": {"S": pk}, "sk": {"S": f"COMMENT#{after}"}} if after else None
            result = models.CommentItem.query(
                pk,
                models.CommentItem.sk.startswith("COMMENT#"),
                limit=limit,
                last_evaluated_key=start,
                page_size=limit,
            )
            items = list(result)
            return items, items[-1].id if result.last_evaluated_key and items else ""

        items, cursor = self._guard_page(query, after)
        return [_comment(i) for i in items], cursor

    def comment(self, slug: str, number: int, comment_id: str) -> Comment | None:
        """One GetItem."""
        item = self._get(models.CommentItem, keys.comment(slug, number, comment_id))
        return _comment(item) if item else None

    def tickets(
        self,
        slug: str,
        *,
        status: TicketStatus | None = None,
        assignee: str = "",
        limit: int = 50,
        after: str = "",
    ) -> tuple[list[Ticket], str]:
        """Tickets, the latest first, by one view; one Query a page of GSI1, GSI2 (status) or GSI4."""
        if assignee:
            index, partition = "gsi4", keys.assignee_view(slug, assignee)
        elif status:
            index, partition = "gsi2", keys.status_view(slug, status.value)
        else:
            index, partition = "gsi1", keys.tickets_view(slug)
        items, cursor = self._page(models.TicketItem, index, partition, limit, after)
        return [_ticket(i) for i in items], cursor

    def tickets_of_client(
        self, slug: str, client_id: str, limit: int = 50, after: str = ""
    ) -> tuple[list[Ticket], str]:
        """A client's tickets, the newest first; one Query and one BatchGetItem."""
        pk = keys.client(slug, client_id)[0]
        if after and not after.startswith("TICKET#"):
            raise _bad_cursor()

        def query() -> tuple[list[int], str]:
            start = {"pk": {"S": pk}, "sk": {"S": after}} if after else None
            result = models.ClientTicketItem.query(
                pk,
                models.ClientTicketItem.sk.startswith("TICKET#"),
                scan_index_forward=False,
                limit=limit,
                last_evaluated_key=start,
                page_size=limit,
            )
            items = list(result)
            return [int(i.number) for i in items], items[-1].sk if result.last_evaluated_key and items else ""

        numbers, cursor = self._guard_page(query, after)
        return self.tickets_by_number(slug, numbers), cursor

    def client(self, slug: str, client_id: str) -> Client | None:
        """One GetItem."""
        item = self._get(models.ClientItem, keys.client(slug, client_id))
        return _client(item) if item else None

    def clients(self, slug: str, limit: int = 50, after: str = "") -> tuple[list[Client], str]:
        """Clients by address; one Query a page of GSI1."""
        items, cursor = self._page(
            models.ClientItem, "gsi1", keys.clients_view(slug), limit, after, forward=True
        )
        return [_client(i) for i in items], cursor

    def blocked_clients(self, slug: str, limit: int = 50, after: str = "") -> tuple[list[Client], str]:
        """Blocked clients by address; one Query a page of GSI2, which is sparse."""
        items, cursor = self._page(
            models.ClientItem, "gsi2", keys.blocked_view(slug), limit, after, forward=True
        )
        return [_client(i) for i in items], cursor

    def inbound(self, slug: str, record_id: str) -> InboundRecord | None:
        """One GetItem."""
        item = self._get(models.InboundItem, keys.inbound(slug, record_id))
        return _record(item) if item else None

    def inbound_list(self, slug: str, limit: int = 50, after: str = "") -> tuple[list[InboundRecord], str]:
        """Deliveries, the latest first; one Query a page of GSI1."""
        items, cursor = self._page(models.InboundItem, "gsi1", keys.inbound_view(slug), limit, after)
        return [_record(i) for i in items], cursor

    def job(self, slug: str, job_id: str) -> OutboundJob | None:
        """One GetItem."""
        item = self._get(models.OutboxItem, keys.outbox(slug, job_id))
        return _job(item) if item else None

    def jobs(self, slug: str, limit: int = 50, after: str = "") -> tuple[list[OutboundJob], str]:
        """Mails sent and to be sent, the latest first; one Query a page of GSI1."""
        items, cursor = self._page(models.OutboxItem, "gsi1", keys.outbox_view(slug), limit, after)
        return [_job(i) for i in items], cursor

    def failed_jobs(self, limit: int = 50, after: str = "") -> tuple[list[OutboundJob], str]:
        """Mails of all tenants that did not arrive, the latest first; one Query a page of the sparse GSI2."""
        items, cursor = self._page(models.OutboxItem, "gsi2", keys.FAILED_VIEW, limit, after)
        return [_job(i) for i in items], cursor

    def jobs_by_id(self, slug: str, job_ids: Sequence[str]) -> list[OutboundJob]:
        """One BatchGetItem per 100, in the order asked."""
        found = {i.id: _job(i) for i in self._batch_get([keys.outbox(slug, j) for j in job_ids])}
        return [found[j] for j in job_ids if j in found]

    def message(self, slug: str, message_id: str) -> KnownMessage | None:
        """One GetItem."""
        item = self._get(models.MessageItem, keys.message(slug, message_id))
        return _message(item) if item else None

    def folded(self, folded_token: str) -> FoldedToken | None:
        """One GetItem."""
        item = self._get(models.FoldItem, keys.folded(folded_token))
        if item is None:
            return None
        return FoldedToken(
            folded_token, item.slug, int(item.number), item.client_id, int(item.role), int(item.key_id)
        )

    def highest_ticket_number(self, slug: str) -> int:
        """Return the number that was given last, 0 for none; one GetItem."""
        item = self._get(models.CounterItem, keys.ticket_counter(slug))
        return int(item.n) if item else 0

    def once_answer(self, slug: str, key: str) -> str:
        """Return what ``once_end`` kept under *key*, ``""`` for nothing; one GetItem."""
        item = self._get(models.OnceItem, keys.once(slug, key))
        return (item.answer or "") if item else ""

    def numbers_with_word(self, slug: str, word: str, *, beginning: bool, limit: int = 1000) -> set[int]:
        """Return the tickets that hold *word*, or with *beginning* any word that starts like it.

        At most *limit* postings are read, of the newest tickets for a whole word: one Query a MB, about 1
        read unit per 80 postings (eventually consistent). *word* has two signs at least.
        """
        prefix = word if beginning else f"{word}#"

        def query() -> set[int]:
            found = models.PostingItem.query(
                keys.words(slug, word),
                models.PostingItem.sk.startswith(prefix),
                scan_index_forward=False,
                limit=limit,
                attributes_to_get=["pk", "sk", "kind"],
            )
            return {int(item.sk.rpartition("#")[2]) for item in found}

        return self._guard(query)

    # ---- writing -------------------------------------------------------------------------------

    def put_postings(self, slug: str, number: int, words: Iterable[str]) -> None:
        """Make ticket *number* findable by *words*; one BatchWriteItem per 25, 1 write unit a word."""

        def write() -> None:
            with Item.batch_write() as batch:
                for word in words:
                    pk, sk = keys.posting(slug, word, number)
                    batch.save(models.PostingItem(pk=pk, sk=sk))

        self._guard(write)

    def delete_postings(self, slug: str, number: int, words: Iterable[str]) -> None:
        """Make ticket *number* findable by *words* no more; one BatchWriteItem per 25, 1 write unit each."""

        def write() -> None:
            with Item.batch_write() as batch:
                for word in words:
                    pk, sk = keys.posting(slug, word, number)
                    batch.delete(models.PostingItem(pk=pk, sk=sk))

        self._guard(write)

    def raise_ticket_counter(self, slug: str, number: int) -> bool:
        """Let the next ticket get *number* or a higher one; one UpdateItem. False: it is past that."""
        pk, sk = keys.ticket_counter(slug)
        model = models.CounterItem
        item = model(pk=pk, sk=sk)
        try:
            self._guard(
                lambda: item.update(
                    actions=[model.n.set(number - 1), model.kind.set(model)],
                    condition=model.n.does_not_exist() | (model.n < number),
                )
            )
        except UpdateError as error:
            if error.cause_response_code == "ConditionalCheckFailedException":
                return False
            raise
        return True

    def copy_comments(self, comments: Sequence[Comment]) -> None:
        """Write comments that exist elsewhere already (a merge); one BatchWriteItem per 25."""

        def write() -> None:
            with Item.batch_write() as batch:
                for comment in comments:
                    batch.save(_comment_item(comment))

        self._guard(write)

    def next_ticket_number(self, slug: str) -> int:
        """Count up and return a ticket number that nobody else gets; one UpdateItem (1 write unit)."""
        pk, sk = keys.ticket_counter(slug)
        counter = models.CounterItem(pk=pk, sk=sk)
        self._guard(
            lambda: counter.update(
                actions=[models.CounterItem.n.add(1), models.CounterItem.kind.set(models.CounterItem)]
            )
        )
        return int(counter.n)

    def commit(self, change: Change) -> None:
        """Write all of *change* or nothing; one TransactWriteItems (2 write units per kB of each item).

        Raises:
            ChangeRefused: a condition did not hold; its ``parts`` say which.
            StoreUnavailable: conflicts or throttling outlasted the retries.
        """
        self._transact(lambda writes: self._operations(change, writes))

    def put_tenant(self, tenant: Tenant, *, create: bool = False) -> Tenant:
        """Write the tenant's settings if they are still the version that was read; one PutItem.

        Raises:
            Conflict: somebody else saved meanwhile, or (create) the slug is taken.
        """
        written = replace(tenant, version=tenant.version + 1)
        item = _tenant_item(written)
        condition = ABSENT if create else models.TenantItem.version == tenant.version
        try:
            self._guard(lambda: item.save(condition=condition))
        except PutError as error:
            if error.cause_response_code == "ConditionalCheckFailedException":
                what = (
                    "this name is taken" if create else "the settings were changed meanwhile; load them again"
                )
                raise Conflict(what, field="slug" if create else None) from error
            raise
        return written

    def put_client(self, client: Client, *, create: bool = False) -> Client:
        """Write a client if it is still the version that was read; one PutItem. Raises Conflict."""
        written = replace(client, version=client.version + 1)
        item = _client_item(written)
        condition = ABSENT if create else models.ClientItem.version == client.version
        try:
            self._guard(lambda: item.save(condition=condition))
        except PutError as error:
            if error.cause_response_code == "ConditionalCheckFailedException":
                what = (
                    "a client with this address exists already"
                    if create
                    else "the client was changed meanwhile"
                )
                raise Conflict(what, field="email" if create else None) from error
            raise
        return written

    def edit_ticket(self, ticket: Ticket, *, seen_version: int, people: bool = False) -> Ticket:
        """Write what people edit of *ticket* if nobody edited it since; one UpdateItem.

        Requester and participants only with *people*: mail adds followers without counting the version up.
        With *people* the request is a transaction that also lists the ticket under each participant.

        Raises:
            Conflict: the ticket was edited since version *seen_version*.
        """
        item = models.TicketItem(*keys.ticket(ticket.slug, ticket.number))
        model = models.TicketItem
        actions: list[Action] = [
            model.status.set(ticket.status.value),
            model.assignee.set(ticket.assignee),
            model.subject.set(ticket.subject),
            model.unread.set(ticket.unread),
            model.updated_at.set(ticket.updated_at),
            model.linked_number.set(ticket.linked_number),
            model.merged_into.set(ticket.merged_into),
            model.version.add(1),
            model.closed_at.set(ticket.closed_at) if ticket.closed_at else model.closed_at.remove(),
            *_view_actions(ticket.slug, ticket.number, ticket.updated_at, ticket.status, ticket.assignee),
        ]
        changed = Conflict("somebody else changed this ticket meanwhile; load it again")
        if people:
            actions += [
                model.client_id.set(ticket.client_id),
                model.participants.set(list(ticket.participants)),
                model.people_version.add(1),
                model.folded_key_ids.set(list(ticket.folded_key_ids)),
            ]

            def write(writes: _Writes) -> None:
                writes.update("ticket", item, actions, model.version == seen_version)
                _list_under(ticket.slug, ticket.number, ticket.participants, writes)

            try:
                self._transact(write)
            except ChangeRefused as error:
                raise changed from error
            return replace(ticket, version=seen_version + 1)
        try:
            self._guard(lambda: item.update(actions=actions, condition=model.version == seen_version))
        except UpdateError as error:
            if error.cause_response_code == "ConditionalCheckFailedException":
                raise changed from error
            raise
        return replace(ticket, version=seen_version + 1)

    def mark_read(self, slug: str, number: int) -> None:
        """Take the unread mark off; one UpdateItem."""
        item = models.TicketItem(*keys.ticket(slug, number))
        self._guard(
            lambda: item.update(actions=[models.TicketItem.unread.set(False)], condition=Item.pk.exists())
        )

    def claim(
        self, slug: str, job_id: str, now: datetime, until: datetime, claim_id: str = ""
    ) -> OutboundJob | None:
        """Take a waiting job for sending; one UpdateItem that returns it whole.

        From here until ``settle`` the mail counts as possibly handed over: a sender that dies in between
        leaves ``claimed_until`` behind, and the job is then ``unknown``, never sent a second time.

        Returns None when the job is not waiting (sent, settled, or another sender holds it).
        """
        item = models.OutboxItem(*keys.outbox(slug, job_id))
        model = models.OutboxItem
        waiting = model.state.is_in(DeliveryState.QUEUED.value, DeliveryState.DEFERRED.value)
        try:
            self._guard(
                lambda: item.update(
                    actions=[
                        model.state.set(DeliveryState.SENDING.value),
                        model.claimed_until.set(until),
                        model.claimed_by.set(claim_id),
                        model.attempts.add(1),
                        model.version.add(1),
                        model.gsi3sk.set(to_text(until)),
                        model.gsi3pk.set(keys.due_shard(job_id)),
                    ],
                    condition=waiting & (model.due_at <= now + timedelta(days=3650)),
                )
            )
        except UpdateError as error:
            if error.cause_response_code == "ConditionalCheckFailedException":
                return None
            raise
        return _job(item)

    def settle(self, job: OutboundJob, *, sent_now: bool = False) -> bool:
        """Write what came of a job; one request. False when somebody settled it meanwhile.

        With an id that SES gave the mail just now, the request is a transaction that also makes this id an
        alias: for threading (answers refer to it) and for feedback (events that carry no tags name it).
        """
        item = models.OutboxItem(*keys.outbox(job.slug, job.id))
        model = models.OutboxItem
        waiting = job.state in WAITING_STATES
        failed = job.state in FAILED_STATES
        actions: list[Action] = [
            model.state.set(job.state.value),
            model.attempts.set(job.attempts),
            model.error_code.set(job.error_code),
            model.error_detail.set(job.error_detail),
            model.remote_message_id.set(job.remote_message_id),
            model.transport.set(job.transport),
            model.shared_address.set(job.shared_address),
            model.due_at.set(job.due_at),
            model.version.add(1),
            model.claimed_until.remove(),
            model.accepted_at.set(job.accepted_at) if job.accepted_at else model.accepted_at.remove(),
            model.gsi3sk.set(to_text(job.due_at)) if waiting else model.gsi3sk.remove(),
            model.gsi3pk.set(keys.due_shard(job.id)) if waiting else model.gsi3pk.remove(),
            model.gsi2sk.set(job.id) if failed else model.gsi2sk.remove(),
            model.gsi2pk.set(keys.FAILED_VIEW) if failed else model.gsi2pk.remove(),
        ]
        condition = model.version == job.version
        if job.remote_message_id and (sent_now or job.state is DeliveryState.ACCEPTED):
            return self._settle_with_aliases(job, item, actions, condition)
        try:
            self._guard(lambda: item.update(actions=actions, condition=condition))
        except UpdateError as error:
            if error.cause_response_code == "ConditionalCheckFailedException":
                return False
            raise
        return True

    def _settle_with_aliases(
        self, job: OutboundJob, item: Any, actions: list[Action], condition: Any
    ) -> bool:
        def write(writes: _Writes) -> None:
            writes.update("job", item, actions, condition)
            pk, sk = keys.sent(job.remote_message_id)
            writes.save("sent", models.SentItem(pk=pk, sk=sk, slug=job.slug, job_id=job.id))
            if job.ticket_number:
                pk, sk = keys.message(job.slug, job.remote_message_id)
                alias = models.MessageItem(pk=pk, sk=sk, number=job.ticket_number, job_id=job.id)
                writes.save("message", alias)

        try:
            self._transact(write)
        except ChangeRefused:
            return False
        return True

    def postpone(self, slug: str, job_id: str, now: datetime, until: datetime) -> bool:
        """Leave a due job alone until then; one UpdateItem. False when it waits no more."""
        item = models.OutboxItem(*keys.outbox(slug, job_id))
        model = models.OutboxItem
        try:
            self._guard(
                lambda: item.update(
                    actions=[model.gsi3sk.set(to_text(until))],
                    condition=model.gsi3pk.exists() & (model.gsi3sk <= to_text(now)),
                )
            )
        except UpdateError as error:
            if error.cause_response_code == "ConditionalCheckFailedException":
                return False
            raise
        return True

    def sent_job(self, remote_message_id: str) -> tuple[str, str] | None:
        """Return (slug, job id) of the mail that SES gave this id; one GetItem."""
        item = self._get(models.SentItem, keys.sent(remote_message_id))
        return (item.slug, item.job_id) if item else None

    def due_jobs(self, now: datetime, limit: int = 500) -> Iterator[tuple[str, str]]:
        """Yield (slug, id) of jobs whose time has come; one Query a shard and page of the sparse GSI3."""
        for shard in range(keys.DUE_SHARDS):
            condition = Item.gsi3sk <= to_text(now)
            for item in self._guard(
                lambda shard=shard, condition=condition: list(  # type: ignore[misc]
                    models.OutboxItem.query(
                        f"DUE#{shard}",
                        condition,
                        index_name="gsi3",
                        limit=limit,
                        attributes_to_get=["pk", "sk", "kind"],
                    )
                )
            ):
                _, slug, _, job_id = item.pk.split("#", 3)
                yield slug, job_id

    def suppress(
        self, slug: str, identity: str, email: str, reason: str, detail: str, now: datetime, days: int
    ) -> None:
        """Withhold automatic mail from an address for *days*; one PutItem."""
        pk, sk = keys.suppression(slug, identity)
        item = models.SuppressionItem(
            pk=pk,
            sk=sk,
            gsi1pk=keys.suppressions_view(slug),
            gsi1sk=identity,
            email=email,
            reason=reason,
            detail=detail[:500],
            created_at=now,
            expires_at_epoch=int((now + timedelta(days=days)).timestamp()),
        )
        self._guard(item.save)

    def lift_suppression(self, slug: str, identity: str) -> None:
        """One DeleteItem; nothing happens when there is none."""
        pk, sk = keys.suppression(slug, identity)
        self._guard(models.SuppressionItem(pk=pk, sk=sk).delete)

    def suppressions(
        self, slug: str, limit: int = 50, after: str = ""
    ) -> tuple[list[dict[str, object]], str]:
        """The suppression list by address; one Query a page of GSI1."""
        items, cursor = self._page(
            models.SuppressionItem, "gsi1", keys.suppressions_view(slug), limit, after, forward=True
        )
        now = datetime.now(UTC).timestamp()
        return [
            {
                "email": i.email,
                "reason": i.reason,
                "detail": i.detail,
                "created_at": i.created_at,
                "expires_at": datetime.fromtimestamp(int(i.expires_at_epoch or 0), UTC),
            }
            for i in items
            if (i.expires_at_epoch or 0) > now
        ], cursor

    def count(self, slug: str, name: str, limit: int, window_seconds: int, now: datetime) -> bool:
        """Count one use against a cap; False when it is used up. One UpdateItem."""
        pk, sk = keys.cap(slug, name)
        model = models.CounterItem
        item = model(pk=pk, sk=sk)
        try:
            self._guard(
                lambda: item.update(
                    actions=_cap_actions(now, window_seconds),
                    condition=model.n.does_not_exist() | (model.n < limit),
                )
            )
        except UpdateError as error:
            if error.cause_response_code == "ConditionalCheckFailedException":
                return False
            raise
        return True

    def uncount(self, slug: str, name: str) -> None:
        """Take one use back, where it was counted; one UpdateItem."""
        pk, sk = keys.cap(slug, name)
        model = models.CounterItem
        item = model(pk=pk, sk=sk)
        try:
            self._guard(lambda: item.update(actions=[model.n.add(-1)], condition=model.n > 0))
        except UpdateError as error:
            if error.cause_response_code != "ConditionalCheckFailedException":
                raise

    def once_begin(
        self, slug: str, key: str, fingerprint: str, now: datetime, *, gone_after: timedelta | None = None
    ) -> str | None:
        """Begin a request with an Idempotency-Key; one PutItem, and one GetItem when it was seen before.

        Returns None when the request is new, else the answer given to it: ``""`` while it is still running.
        With *gone_after*, one that began longer ago has broken off: it begins anew (one more PutItem) unless
        it was carried out; then ``ANSWER_LOST`` is returned.

        Raises:
            InvalidInput: the key was used for another request.
        """
        pk, sk = keys.once(slug, key)
        item = models.OnceItem(
            pk=pk,
            sk=sk,
            fingerprint=fingerprint,
            begun_at=now,
            expires_at_epoch=int((now + timedelta(days=1)).timestamp()),
        )
        try:
            self._guard(lambda: item.save(condition=ABSENT))
        except PutError as error:
            if error.cause_response_code != "ConditionalCheckFailedException":
                raise
        else:
            return None
        seen = self._get(models.OnceItem, (pk, sk))
        if seen is None or seen.fingerprint != fingerprint:
            raise InvalidInput(
                "this Idempotency-Key was used for another request", code="idempotency_key_reused"
            )
        if seen.answer or gone_after is None or seen.begun_at is None or now - seen.begun_at < gone_after:
            return seen.answer or ""
        if seen.carried_out:
            return ANSWER_LOST
        model = models.OnceItem
        unchanged = (model.begun_at == seen.begun_at) & model.answer.does_not_exist()
        try:
            self._guard(lambda: item.save(condition=unchanged & model.carried_out.does_not_exist()))
        except PutError as error:
            if error.cause_response_code != "ConditionalCheckFailedException":
                raise
            return ""
        return None

    def once_end(self, slug: str, key: str, fingerprint: str, answer: str | None, now: datetime) -> None:
        """Keep the answer for a day, or (None) forget the key so that the caller may try again.

        A request that was carried out is not forgotten.
        """
        pk, sk = keys.once(slug, key)
        item = models.OnceItem(
            pk=pk,
            sk=sk,
            fingerprint=fingerprint,
            answer=answer,
            expires_at_epoch=int((now + timedelta(days=1)).timestamp()),
        )
        if answer is not None:
            self._guard(item.save)
            return
        try:
            self._guard(lambda: item.delete(condition=models.OnceItem.carried_out.does_not_exist()))
        except DeleteError as error:
            if error.cause_response_code != "ConditionalCheckFailedException":
                raise

    # ---- inside ---------------------------------------------------------------------------------

    def _operations(self, change: Change, writes: _Writes) -> None:
        slug = change.slug
        absent = ABSENT
        if change.record:
            old = change.replaces_record
            same = old is not None and old.slug == change.slug
            condition = models.InboundItem.replays == old.replays if old and same else absent
            writes.save("record", _record_item(change.record), condition)
            if old is not None and not same:
                # The operator's record becomes a tenant's: one delivery never has two.
                pk, sk = keys.inbound(old.slug, old.id)
                moved = models.InboundItem(pk=pk, sk=sk)
                writes.delete("record", moved, models.InboundItem.replays == old.replays)
        if change.ticket:
            number, people = change.ticket.number, change.ticket.participants
            writes.save("ticket", _ticket_item(change.ticket), absent)
            pk, sk = keys.client_ticket(slug, change.ticket.client_id, number)
            writes.save("client_ticket", models.ClientTicketItem(pk=pk, sk=sk, number=number))
            _list_under(slug, number, people[1:], writes, without=change.ticket.client_id)
        if change.patch:
            self._patch(change.patch, change, writes)
            if change.patch.participants is not None:
                _list_under(slug, change.patch.number, change.patch.participants[1:], writes)
        for comment in change.comments:
            promised = tuple(job.id for job in change.jobs if job.comment_id == comment.id)
            writes.save("comment", _comment_item(replace(comment, job_ids=promised)), absent)
        if change.once:
            noted = models.OnceItem(*keys.once(change.once.slug, change.once.key))
            mine = models.OnceItem.begun_at == change.once.begun_at
            writes.update("once", noted, [models.OnceItem.carried_out.set(True)], mine)
        if change.released:
            self._release(change.released, change.jobs, writes)
        if change.client:
            seen = change.seen_client
            client = change.client if seen is None else replace(change.client, version=seen + 1)
            unchanged = absent if seen is None else models.ClientItem.version == seen
            writes.save("client", _client_item(client), unchanged)
        number = change.ticket.number if change.ticket else change.patch.number if change.patch else 0
        if change.own_message_id:
            pk, sk = keys.message(slug, change.own_message_id)
            received = models.MessageItem(pk=pk, sk=sk, number=number, received=True, sender=change.sender)
            writes.save("message", received, absent)
        for job in change.jobs:
            writes.save("job", _job_item(job), absent)
            if job.ticket_number:
                pk, sk = keys.message(slug, job.message_id)
                alias = models.MessageItem(pk=pk, sk=sk, number=job.ticket_number, job_id=job.id)
                writes.save("job_message", alias)
        for fold in change.folded:
            pk, sk = keys.folded(fold.folded)
            item = models.FoldItem(
                pk=pk,
                sk=sk,
                slug=fold.slug,
                number=fold.number,
                client_id=fold.client_id,
                role=fold.role,
                key_id=fold.key_id,
            )
            writes.save("fold", item)
        now = datetime.now(UTC)
        for cap in change.caps:
            pk, sk = keys.cap(slug, cap.name)
            counter = models.CounterItem
            within = counter.n.does_not_exist() | (counter.n <= cap.limit - cap.amount)
            actions = _cap_actions(now, cap.window_seconds, cap.amount)
            writes.update(f"cap:{cap.name}", counter(pk=pk, sk=sk), actions, within)

    def _patch(self, patch: TicketPatch, change: Change, writes: _Writes) -> None:
        model = models.TicketItem
        actions: list[Action] = []
        if patch.comments:
            actions.append(model.comment_count.add(patch.comments))
        if patch.waiting:
            actions.append(model.waiting.add(patch.waiting))
        if patch.unread is not None:
            actions.append(model.unread.set(patch.unread))
        if patch.participants is not None:
            actions.append(model.participants.set(list(patch.participants)))
            actions.append(model.people_version.add(1))
        if patch.message_ids is not None:
            actions.append(model.message_ids.set(list(patch.message_ids)))
        if patch.folded_key_ids is not None:
            actions.append(model.folded_key_ids.set(list(patch.folded_key_ids)))
        if patch.preview is not None:
            actions.append(model.preview.set(patch.preview))
        if patch.updated_at is not None:
            tail = f"{to_text(patch.updated_at)}#{patch.number:013d}"
            actions += [
                model.updated_at.set(patch.updated_at),
                model.gsi1sk.set(tail),
                model.gsi2sk.set(tail),
            ]
        if patch.status is not None:
            actions += [
                model.status.set(patch.status.value),
                model.gsi2pk.set(keys.status_view(patch.slug, patch.status.value)),
                model.version.add(1),
                model.closed_at.set(patch.updated_at)
                if patch.status is TicketStatus.CLOSED and patch.updated_at is not None
                else model.closed_at.remove(),
            ]
        condition = Item.pk.exists()
        if change.seen_status is not None:
            condition = condition & (model.status == change.seen_status.value)
        if change.seen_people is not None and patch.participants is not None:
            condition = condition & (model.people_version == change.seen_people)
        writes.update("ticket", model(*keys.ticket(patch.slug, patch.number)), actions, condition)

    def _release(self, comment: Comment, jobs: Sequence[OutboundJob], writes: _Writes) -> None:
        model = models.CommentItem
        promised = [*comment.job_ids, *(job.id for job in jobs if job.comment_id == comment.id)]
        writes.update(
            "released",
            model(*keys.comment(comment.slug, comment.number, comment.id)),
            [
                model.visibility.set(comment.visibility.value),
                model.author_role.set(comment.author_role.value),
                model.needs_accept.set(False),
                model.job_ids.set(promised),
            ],
            model.needs_accept == True,  # noqa: E712 - builds an expression
        )

    def _transact(self, write: Callable[[_Writes], None]) -> None:
        for attempt in range(TRANSACTION_TRIES):
            writes = _Writes()
            write(writes)
            try:
                writes.commit(self._connection)
            except TransactWriteError as error:
                reasons = list(error.cancellation_reasons or [])
                refused = [
                    part
                    for part, reason in zip(writes.parts, reasons, strict=False)
                    if reason is not None and reason.code == "ConditionalCheckFailed"
                ]
                if refused:
                    raise ChangeRefused(refused) from error
                codes = {reason.code for reason in reasons if reason is not None}
                if "ValidationError" in codes or "ItemCollectionSizeLimitExceeded" in codes:
                    raise
                # TransactionConflict, TransactionInProgress, throttling: somebody else was first.
                self._sleep(min(1.0, 0.05 * 2**attempt) * random.uniform(0.5, 1.0))  # noqa: S311 - jitter
                continue
            except PynamoDBException as error:
                raise StoreUnavailable(f"DynamoDB: {_code(error) or type(error).__name__}") from error
            return
        raise StoreUnavailable("DynamoDB: the transaction kept conflicting")

    def _guard(self, call: Callable[[], T]) -> T:
        try:
            return call()
        except (PutError, UpdateError, DeleteError) as error:
            if _code(error) == "ConditionalCheckFailedException":
                raise
            raise StoreUnavailable(f"DynamoDB: {_code(error) or type(error).__name__}") from error
        except (GetError, QueryError, PynamoDBException) as error:
            raise StoreUnavailable(f"DynamoDB: {_code(error) or type(error).__name__}") from error

    def _get(self, model: type[Any], key: keys.Key) -> Any | None:
        def get() -> Any | None:
            try:
                return model.get(*key, consistent_read=True)
            except model.DoesNotExist:
                return None

        return self._guard(get)

    def _batch_get(self, wanted: Iterable[keys.Key]) -> list[Any]:
        listed = list(wanted)
        if not listed:
            return []
        return self._guard(lambda: list(Item.batch_get(listed, consistent_read=True)))

    def _page(
        self, model: type[Any], index: str, partition: str, limit: int, after: str, *, forward: bool = False
    ) -> tuple[list[Any], str]:
        def query() -> tuple[list[Any], str]:
            result = model.query(
                partition,
                index_name=index,
                limit=limit,
                scan_index_forward=forward,
                last_evaluated_key=_from_cursor(after, index, partition),
                page_size=limit,
            )
            items = list(result)
            last = result.last_evaluated_key
            return items, _to_cursor(last, index) if last else ""

        return self._guard_page(query, after)

    def _guard_page(self, query: Callable[[], T], after: str) -> T:
        """What DynamoDB says of a start key that no query of ours can have given is said of the cursor."""

        def page() -> T:
            try:
                return query()
            except QueryError as error:
                if after and _code(error) == "ValidationException":
                    raise _bad_cursor() from None
                raise

        return self._guard(page)


def _list_under(
    slug: str, number: int, people: Iterable[Participant], writes: _Writes, *, without: str = ""
) -> None:
    """List the ticket under each of *people*, so that they find it in the customer portal."""
    found = dict.fromkeys(ids.client_id(slug, identity_of(p.email)) for p in people if p.email)
    for client_id in found:
        if client_id != without:
            pk, sk = keys.client_ticket(slug, client_id, number)
            writes.save("client_ticket", models.ClientTicketItem(pk=pk, sk=sk, number=number))


def _to_cursor(last: dict[str, Any], index: str) -> str:
    import base64

    raw = json.dumps([last["pk"]["S"], last["sk"]["S"], last[f"{index}sk"]["S"]]).encode()
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode("ascii")


def _bad_cursor() -> InvalidInput:
    return InvalidInput("this cursor was not made by this list", field="cursor", code="bad_cursor")


def _from_cursor(cursor: str, index: str, partition: str) -> dict[str, Any] | None:
    """The index's partition comes from the caller's own scope, never from the cursor."""
    import base64
    import binascii

    if not cursor:
        return None
    try:
        pk, sk, index_sk = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
        if not all(isinstance(part, str) and part for part in (pk, sk, index_sk)):
            raise ValueError
    except (ValueError, TypeError, binascii.Error):
        raise _bad_cursor() from None
    return {
        "pk": {"S": pk},
        "sk": {"S": sk},
        f"{index}pk": {"S": partition},
        f"{index}sk": {"S": index_sk},
    }


def _code(error: PynamoDBException) -> str:
    """DynamoDB's code, ``""`` for a time-out: pynamodb's own property raises AttributeError there."""
    response = getattr(error.cause, "response", None) or {}
    return str(response.get("Error", {}).get("Code", ""))


def _lasts(item: Any) -> bool:
    """Tell whether *item* has not expired: TTL deletes up to days later."""
    return bool(int(item.expires_at_epoch or 0) > datetime.now(UTC).timestamp())


def _cap_actions(now: datetime, window_seconds: int, amount: int = 1) -> list[Action]:
    model = models.CounterItem
    return [
        model.n.add(amount),
        model.kind.set(model),
        # Twice the window: a counter must outlive it, and TTL may delete late but never early.
        model.expires_at_epoch.set(int(now.timestamp()) + 2 * window_seconds),
    ]


def _view_actions(
    slug: str, number: int, updated_at: datetime, status: TicketStatus, assignee: str
) -> list[Action]:
    model = models.TicketItem
    tail = f"{to_text(updated_at)}#{number:013d}"
    actions: list[Action] = [
        model.gsi1sk.set(tail),
        model.gsi2pk.set(keys.status_view(slug, status.value)),
        model.gsi2sk.set(tail),
    ]
    if assignee:
        actions += [
            model.gsi4pk.set(keys.assignee_view(slug, identity_of(assignee))),
            model.gsi4sk.set(f"{number:013d}"),
        ]
    else:
        actions += [model.gsi4pk.remove(), model.gsi4sk.remove()]
    return actions


# ---- items to domain and back ------------------------------------------------------------------------


def _plain_fields(item: Any, cls: type[Any], *, without: Sequence[str] = ()) -> dict[str, Any]:
    """The fields of *cls* that *item* holds as they are; numbers as int."""
    held = item.attribute_values
    values = {}
    for name in field_names(cls):
        value = held.get(name)
        if value is not None and name not in without:
            values[name] = int(value) if isinstance(value, float) else value
    return values


def _known(cls: type[T], data: dict[str, Any]) -> T:
    """Return a *cls* of what a list of it holds; fields that a later release added are passed over."""
    try:
        return cls(**data)
    except TypeError:
        return cls(**{name: data[name] for name in field_names(cls) if name in data})


def _tenant(item: Any) -> Tenant:
    values = _plain_fields(item, Tenant, without=("members", "smtp", "undeliverable"))
    smtp = None
    if item.smtp:
        data = dict(item.smtp)
        for name in ("tested_at", "breaker_probe_at"):
            data[name] = from_text(data[name]) if data.get(name) else None
        data["breaker"] = BreakerState(data.get("breaker", "closed"))
        smtp = _known(SmtpAccount, data)
    members = tuple(
        Member(m["email"], m.get("name", ""), Role(m["role"]), m.get("notify", True)) for m in item.members
    )
    return Tenant(**values, members=members, smtp=smtp, undeliverable=_ends(item.undeliverable))


def _ends(undeliverable: Any) -> dict[str, int]:
    """Of items of release 0.1.0, a list, nothing tells when a bounce stops to count."""
    if isinstance(undeliverable, Mapping):
        return {str(who): int(end) for who, end in undeliverable.items()}
    return dict.fromkeys(undeliverable, 0)


def _tenant_item(tenant: Tenant) -> models.TenantItem:
    pk, sk = keys.tenant(tenant.slug)
    values = {n: getattr(tenant, n) for n in field_names(Tenant)}
    values["members"] = list(tenant.members)
    values["undeliverable"] = dict(tenant.undeliverable)
    if tenant.smtp is None:
        del values["smtp"]
    return models.TenantItem(pk=pk, sk=sk, gsi1pk=keys.TENANTS_VIEW, gsi1sk=tenant.slug, **values)


def _client(item: Any) -> Client:
    return Client(**_plain_fields(item, Client))


def _client_item(client: Client) -> models.ClientItem:
    pk, sk = keys.client(client.slug, client.id)
    values = {n: getattr(client, n) for n in field_names(Client)}
    item = models.ClientItem(
        pk=pk, sk=sk, gsi1pk=keys.clients_view(client.slug), gsi1sk=identity_of(client.email), **values
    )
    if client.blocked:
        item.gsi2pk = keys.blocked_view(client.slug)
        item.gsi2sk = identity_of(client.email)
    return item


def _ticket(item: Any) -> Ticket:
    lists = ("participants", "message_ids", "folded_key_ids", "status")
    return Ticket(
        **_plain_fields(item, Ticket, without=lists),
        status=TicketStatus(item.status),
        participants=tuple(_known(Participant, p) for p in item.participants),
        message_ids=tuple(item.message_ids),
        folded_key_ids=tuple(item.folded_key_ids),
    )


def _ticket_item(ticket: Ticket) -> models.TicketItem:
    pk, sk = keys.ticket(ticket.slug, ticket.number)
    values = {n: getattr(ticket, n) for n in field_names(Ticket)}
    values["status"] = ticket.status.value
    for name in ("participants", "message_ids", "folded_key_ids"):
        values[name] = list(values[name])
    tail = f"{to_text(ticket.updated_at)}#{ticket.number:013d}"
    item = models.TicketItem(
        pk=pk,
        sk=sk,
        gsi1pk=keys.tickets_view(ticket.slug),
        gsi1sk=tail,
        gsi2pk=keys.status_view(ticket.slug, ticket.status.value),
        gsi2sk=tail,
        **values,
    )
    if ticket.assignee:
        item.gsi4pk = keys.assignee_view(ticket.slug, identity_of(ticket.assignee))
        item.gsi4sk = f"{ticket.number:013d}"
    return item


_LONG = ("text", "html", "quoted_text", "signature", "full_text")


def _comment(item: Any) -> Comment:
    without = ("author_role", "visibility", "files", "warnings", "job_ids", *_LONG)
    values = _plain_fields(item, Comment, without=without)
    values.update({name: getattr(item, name) or "" for name in _LONG})
    return Comment(
        **values,
        author_role=AuthorRole(item.author_role),
        visibility=Visibility(item.visibility),
        files=tuple(_known(StoredFile, f) for f in item.files),
        warnings=tuple(item.warnings),
        job_ids=tuple(item.job_ids),
    )


def _comment_item(comment: Comment) -> models.CommentItem:
    pk, sk = keys.comment(comment.slug, comment.number, comment.id)
    values = {n: getattr(comment, n) for n in field_names(Comment)}
    values["author_role"] = comment.author_role.value
    values["visibility"] = comment.visibility.value
    values["files"] = list(comment.files)
    values["warnings"] = list(comment.warnings)
    values["job_ids"] = list(comment.job_ids)
    for name in _LONG:
        if not values[name]:
            del values[name]
    return models.CommentItem(pk=pk, sk=sk, **values)


def _message(item: Any) -> KnownMessage:
    return KnownMessage(int(item.number), bool(item.received), item.sender, item.job_id)


def _record(item: Any) -> InboundRecord:
    without = ("outcome", "reasons", "warnings", "job_ids")
    return InboundRecord(
        **_plain_fields(item, InboundRecord, without=without),
        outcome=Outcome(item.outcome),
        reasons=tuple(_known(Reason, r) for r in item.reasons),
        warnings=tuple(item.warnings),
        job_ids=tuple(item.job_ids),
    )


def _record_item(record: InboundRecord) -> models.InboundItem:
    pk, sk = keys.inbound(record.slug, record.id)
    values = {n: getattr(record, n) for n in field_names(InboundRecord)}
    values["outcome"] = record.outcome.value
    for name in ("reasons", "warnings", "job_ids"):
        values[name] = list(values[name])
    return models.InboundItem(pk=pk, sk=sk, gsi1pk=keys.inbound_view(record.slug), gsi1sk=record.id, **values)


def _job(item: Any) -> OutboundJob:
    without = ("kind", "state", "references", "content", "files")
    return OutboundJob(
        **_plain_fields(item, OutboundJob, without=without),
        kind=MailKind(item.mail_kind),
        state=DeliveryState(item.state),
        references=tuple(item.references),
        content=json.loads(item.content) if item.content else {},
        files=tuple(_known(StoredFile, f) for f in item.files),
    )


def _job_item(job: OutboundJob) -> models.OutboxItem:
    pk, sk = keys.outbox(job.slug, job.id)
    values = {n: getattr(job, n) for n in field_names(OutboundJob) if n != "kind"}
    values["state"] = job.state.value
    values["references"] = list(job.references)
    values["files"] = list(job.files)
    values["content"] = json.dumps(dict(job.content), ensure_ascii=False)
    item = models.OutboxItem(
        pk=pk,
        sk=sk,
        gsi1pk=keys.outbox_view(job.slug),
        gsi1sk=job.id,
        mail_kind=job.kind.value,
        **values,
    )
    if job.state in FAILED_STATES:
        item.gsi2pk, item.gsi2sk = keys.FAILED_VIEW, job.id
    if job.state in WAITING_STATES:
        item.gsi3pk = keys.due_shard(job.id)
        item.gsi3sk = to_text(job.due_at)
    return item
