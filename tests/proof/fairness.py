"""Fairness on the way out: three tenants' mail waits at once, and the mail server of one of them is dead.

    python -m tests.proof.fairness [--mails 10000] [--senders 20] [--dead silent,refuses,...]

Real are the deliver service, the SMTP client, and the mail servers on loopback: two sound ones in a process
of their own, and a dead one. Played are Lambda (as many senders as the template allows, each with a tenant
cache of its own, batches of the template's size), the table (in memory), SES, SQS, whose published rules for
fair queues ``FairQueue`` follows, and time.

Time is played because the figure is about waiting: what a busy machine adds would drown it. Work takes no
time; what is waited for takes what it takes in production: a dead server the client's own limits, a sound one
``--data-seconds`` for a mail and a third of a second for a new connection, SES a tenth of a second. A wait
ends, and its outcome is seen by others, when every sender has got as far. The sweep runs once a minute.

First the two sound tenants' mails go alone, then all three tenants' mails. Printed are ratios within the run;
exit status 1 when a mail was lost or doubled, or the sound tenants took more than 20 % longer than alone.
"""

from __future__ import annotations

import argparse
import heapq
import multiprocessing
import ssl
import sys
import tempfile
import threading
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from functions.sender.app import RESERVE_SECONDS

from servelo.adapters.smtp_transport import SmtpConnections, TimeLimits
from servelo.domain.outbound import DeliveryState, MailKind, OutboundJob
from servelo.domain.smtp import SmtpLogin
from servelo.domain.tenant import Member, Role, SmtpAccount, Tenant
from servelo.domain.ticket import Participant
from servelo.errors import ServeloError
from servelo.mail.reply_token import KeyRing, SigningKey
from servelo.services.compose import Composer
from servelo.services.deliver import Deliverer, Sweeper
from servelo.services.ports import Accepted, Change, MailTransport
from tests import smtp_servers
from tests.memory_store import MemoryStore
from tests.smtp_servers import HOST, PASSWORD, SILENCE, USERNAME, Authority
from tests.world import MAIL_DOMAIN, PlainVault, template

SOUND = ("acme", "globex")
DEAD = "dead"
SWEEP_EVERY_SECONDS = 60
ALLOWED = 1.2


def settings_of_the_template() -> tuple[int, int, int]:
    """Return (concurrent senders, batch size, time-out in seconds) of the sender function."""
    properties = template()["Resources"]["SenderFunction"]["Properties"]
    source = properties["Events"]["Jobs"]["Properties"]
    return source["ScalingConfig"]["MaximumConcurrency"], source["BatchSize"], properties["Timeout"]


class PlayedTime:
    """Seconds that pass only while every thread that takes part waits: the one that waits least goes on.

    One thread runs at a time, so that a run is the same each time.
    """

    def __init__(self, threads: int) -> None:
        self._now = 0.0
        self._lock = threading.Lock()
        self._running = threads
        self._waiting: list[tuple[float, int, threading.Event]] = []
        self._number = 0

    def seconds(self) -> float:
        return self._now

    def now(self) -> datetime:
        """``ports.Clock``."""
        return datetime(2026, 11, 23, 12, tzinfo=UTC) + timedelta(seconds=self._now)

    def wait(self, seconds: float) -> None:
        woken = threading.Event()
        with self._lock:
            self._number += 1
            heapq.heappush(self._waiting, (self._now + seconds, self._number, woken))
            self._running -= 1
            self._go_on()
        woken.wait()

    def leave(self) -> None:
        """The calling thread takes part no more."""
        with self._lock:
            self._running -= 1
            self._go_on()

    def _go_on(self) -> None:
        if not self._running and self._waiting:
            self._now, _, woken = heapq.heappop(self._waiting)
            self._running += 1
            woken.set()


class FairQueue:
    """SQS as its developer guide describes fair queues on a standard queue; a message's group is its tenant.

    A group is noisy while it holds more than a tenth of the messages in flight and at least 30, or more than
    a tenth of the recent processing time. Quiet groups' messages are delivered first; among noisy groups
    those of the group with the fewest in flight. Otherwise the oldest goes first.
    """

    RECENT_SECONDS = 60.0

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._waiting: dict[str, deque[tuple[int, str]]] = defaultdict(deque)
        self._later: list[tuple[float, str, str]] = []
        self._in_flight: Counter[str] = Counter()
        self._spent: deque[tuple[float, str, float]] = deque()
        self._number = 0

    def put(self, jobs: Sequence[tuple[str, str]], *, delay_seconds: int = 0) -> None:
        """``ports.JobQueue``."""
        with self._lock:
            for slug, job_id in jobs:
                if delay_seconds:
                    self._later.append((self._clock() + delay_seconds, slug, job_id))
                else:
                    self._number += 1
                    self._waiting[slug].append((self._number, job_id))

    def receive(self, most: int) -> list[tuple[str, str]]:
        """Take up to *most* messages; each is in flight until ``done``."""
        with self._lock:
            now = self._clock()
            for each in [each for each in self._later if each[0] <= now]:
                self._later.remove(each)
                self._number += 1
                self._waiting[each[1]].append((self._number, each[2]))
            taken = []
            while len(taken) < most and (slug := self._next(now)):
                _, job_id = self._waiting[slug].popleft()
                self._in_flight[slug] += 1
                taken.append((slug, job_id))
            return taken

    def done(self, slug: str, seconds: float) -> None:
        """Delete a message that was in flight for so long."""
        with self._lock:
            self._in_flight[slug] -= 1
            self._spent.append((self._clock(), slug, seconds))

    def noisy(self, slug: str) -> bool:
        """Whether the group is a noisy neighbour now."""
        in_flight = self._in_flight[slug]
        if in_flight >= 30 and in_flight > 0.1 * self._in_flight.total():
            return True
        everybody = sum(seconds for _, _, seconds in self._spent)
        own = sum(seconds for _, each, seconds in self._spent if each == slug)
        return own > 0.1 * everybody

    def _next(self, now: float) -> str:
        while self._spent and self._spent[0][0] < now - self.RECENT_SECONDS:
            self._spent.popleft()
        waiting = [slug for slug, messages in self._waiting.items() if messages]
        quiet = [slug for slug in waiting if not self.noisy(slug)]
        if quiet:
            return min(quiet, key=lambda slug: self._waiting[slug][0])
        return min(waiting, key=lambda slug: (self._in_flight[slug], self._waiting[slug][0]), default="")


class SharedAddress:
    """SES: takes every mail after *seconds*, and counts."""

    name = "ses"

    def __init__(self, time: PlayedTime, seconds: float) -> None:
        self._time = time
        self._seconds = seconds
        self.recipients: Counter[str] = Counter()

    def send(
        self, message: bytes, *, envelope_sender: str, recipient: str, tags: Mapping[str, str]
    ) -> Accepted:
        self._time.wait(self._seconds)
        self.recipients[recipient] += 1
        number = self.recipients.total()
        return Accepted(f"010f{number:08d}@eu-west-1.amazonses.com", "250 accepted")


PRODUCTION = TimeLimits()
# How long the client waits before it says so.
WAITS = {
    "connect_timeout": PRODUCTION.connect,
    "no_greeting": PRODUCTION.reply,
    "server_silent": PRODUCTION.reply,
    "tls_timeout": PRODUCTION.tls,
    "answer_lost": PRODUCTION.answer,
}
NEW_CONNECTION_SECONDS = 0.3


class TimedTransport:
    """A tenant's way out, whose outcome is known when the time that it takes in production has passed."""

    name = "smtp"

    def __init__(
        self, connections: SmtpConnections, way: MailTransport, time: PlayedTime, mail_seconds: float
    ) -> None:
        self._connections = connections
        self._way = way
        self._time = time
        self._mail_seconds = mail_seconds

    def send(
        self, message: bytes, *, envelope_sender: str, recipient: str, tags: Mapping[str, str]
    ) -> Accepted:
        opened = self._connections.opened
        try:
            accepted = self._way.send(
                message, envelope_sender=envelope_sender, recipient=recipient, tags=tags
            )
        except ServeloError as error:
            self._time.wait(WAITS.get(error.code, 0.1))
            raise
        new = self._connections.opened - opened
        self._time.wait(self._mail_seconds + new * NEW_CONNECTION_SECONDS)
        return accepted


@dataclass
class Seen:
    """What one run showed.

    Attributes:
        seconds: played ones, from the first receive to the last mail of the tenant, by slug.
        arrived: how often each recipient's mail was accepted, by any server.
        shared: mails of each tenant that took the shared address.
        contacts: connections that the dead server saw.
        states: of all jobs.
        told: mails to the admins of the dead tenant.
    """

    seconds: dict[str, float] = field(default_factory=dict)
    arrived: Counter[str] = field(default_factory=Counter)
    shared: Counter[str] = field(default_factory=Counter)
    contacts: int = 0
    states: Counter[DeliveryState] = field(default_factory=Counter)
    told: int = 0


class Run:
    """One run: promises the mails, lets the senders work until all have ended, and looks.

    *limits* bound the real waits; they are long enough for a sound server on a busy machine.
    """

    def __init__(
        self,
        servers: Mapping[str, int],
        trust: ssl.SSLContext,
        *,
        senders: int,
        limits: TimeLimits,
        mail_seconds: float = 0.8,
        shared_seconds: float = 0.1,
    ) -> None:
        self._store = MemoryStore()
        self._vault = PlainVault()
        self._servers = servers
        self._trust = trust
        self._senders = senders
        _, self._batch_size, self._timeout = settings_of_the_template()
        self._limits = limits
        self._mail_seconds = mail_seconds
        self._time = PlayedTime(senders + 1)
        self._shared = SharedAddress(self._time, shared_seconds)
        self.queue = FairQueue(self._time.seconds)
        self._broke: list[Exception] = []
        self._left: Counter[str] = Counter()
        self._jobs: set[str] = set()
        self._settled: set[str] = set()
        self.seen = Seen()

    def promise(self, slug: str, mails: int) -> list[tuple[str, str]]:
        """Write *mails* jobs of a tenant whose own account is at its server."""
        smtp = SmtpAccount(
            HOST, self._servers[slug], USERNAME, self._vault.encrypt(slug, PASSWORD), from_email=USERNAME
        )
        now = self._time.now()
        admin = Member(f"admin@{slug}.example", "", Role.ADMIN)
        tenant = self._store.put_tenant(Tenant(slug, slug, now, members=(admin,), smtp=smtp), create=True)
        composer = self._composer()
        jobs: list[OutboundJob] = [
            composer.plain(
                tenant,
                slug,
                MailKind.MESSAGE,
                Participant(f"{slug}{number}@customer.example", ""),
                {"text": f"Mail {number}.\n\nNothing to do."},
                subject=f"Mail {number}",
                cause=f"{slug}{number}",
                now=self._time.now(),
            )
            for number in range(mails)
        ]
        for start in range(0, mails, 50):
            self._store.commit(Change(slug=slug, jobs=tuple(jobs[start : start + 50])))
        self._left[slug] = mails
        self._jobs |= {job.id for job in jobs}
        return [(job.slug, job.id) for job in jobs]

    def go(self, waiting: Sequence[Sequence[tuple[str, str]]]) -> Seen:
        """Queue the tenants' mails by turns, start the senders, and wait until every mail has ended."""
        for position in range(max(map(len, waiting))):
            self.queue.put([jobs[position] for jobs in waiting if position < len(jobs)])
        works = [*[self._sender] * self._senders, self._sweeper]
        threads = [threading.Thread(target=self._take_part, args=(work,), daemon=True) for work in works]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if self._broke:
            raise self._broke[0]
        for slug in self._servers:
            after = ""
            while True:
                page, after = self._store.jobs(slug, 100, after)
                self.seen.states.update(job.state for job in page)
                self.seen.told += sum(job.automatic for job in page)
                if not after:
                    break
        self.seen.arrived.update(self._shared.recipients)
        return self.seen

    @property
    def _over(self) -> bool:
        return bool(self._broke) or not self._left.total()

    def _take_part(self, work: Callable[[], None]) -> None:
        try:
            self._time.wait(0.0)
            work()
        except Exception as error:
            self._broke.append(error)
        finally:
            self._time.leave()

    def _sender(self) -> None:
        kept: dict[str, Any] = {}  # as long as the sandbox lives
        while not self._over:
            batch = self.queue.receive(self._batch_size)
            if not batch:
                self._time.wait(0.5)
                continue
            began = self._time.seconds()
            end = began + self._timeout - RESERVE_SECONDS
            with SmtpConnections(
                ehlo_name=MAIL_DOMAIN,
                ssl_context=self._trust,
                allow_loopback=True,
                limits=self._limits,
                lookup=lambda _: ["127.0.0.1"],
                time_left=lambda end=end: end - self._time.seconds(),
            ) as connections:
                deliverer = self._deliverer(connections, kept)
                for slug, job_id in batch:
                    outcome = deliverer.deliver(slug, job_id)
                    self._note(slug, job_id, outcome.state, outcome.transport)
            # Lambda deletes a batch's messages when the whole batch is done.
            for slug, _ in batch:
                self.queue.done(slug, self._time.seconds() - began)

    def _transport(self, connections: SmtpConnections, slug: str, login: SmtpLogin) -> TimedTransport:
        way = connections.transport(slug, login)
        return TimedTransport(connections, way, self._time, self._mail_seconds)

    @staticmethod
    def _composer() -> Composer:
        return Composer(MAIL_DOMAIN, "", KeyRing((SigningKey(1, b"1" * 32),)))

    def _deliverer(self, connections: SmtpConnections, kept: dict[str, Any]) -> Deliverer:
        nothing: Any = None  # these mails have no attachments
        return Deliverer(
            store=self._store,
            queue=self.queue,
            files=nothing,
            raw_mails=nothing,
            vault=self._vault,
            shared=self._shared,
            smtp=lambda slug, login: self._transport(connections, slug, login),
            composer=self._composer,
            clock=self._time,
            mail_domain=MAIL_DOMAIN,
            shared_sender=f"notify@{MAIL_DOMAIN}",
            tenants=kept,
        )

    def _note(self, slug: str, job_id: str, state: str, transport: str) -> None:
        if job_id not in self._jobs or state in ("deferred", "sending", "queued"):
            return
        if job_id in self._settled:
            return
        self._settled.add(job_id)
        self._left[slug] -= 1
        if transport == "ses":
            self.seen.shared[slug] += 1
        if not self._left[slug]:
            self.seen.seconds[slug] = self._time.seconds()

    def _sweeper(self) -> None:
        sweeper = Sweeper(store=self._store, queue=self.queue, clock=self._time)
        while not self._over:
            self._time.wait(SWEEP_EVERY_SECONDS)
            sweeper.sweep()


# Real seconds: what a sound server may take on a busy machine, and what a dead one is waited for.
PATIENT = TimeLimits(connect=2.0, tls=20.0, reply=4.0, answer=4.0, answer_reserve=0.05, total=40.0)

# ---- the mail servers --------------------------------------------------------------------------------------

DEATHS: Mapping[str, Callable[[Authority], smtp_servers.Server]] = {
    "refuses": lambda authority: smtp_servers.nobody(),
    "hangs": lambda authority: smtp_servers.swallower(),
    "silent": lambda authority: smtp_servers.scripted_server(authority.good, {"connect": SILENCE}),
    "silent after sign-in": lambda authority: smtp_servers.scripted_server(authority.good, {"MAIL": SILENCE}),
    "silent after the data": lambda authority: smtp_servers.scripted_server(authority.good, {".": SILENCE}),
}


def _sound_servers(folder: str, pipe: Any) -> None:
    """Run the sound servers until told to stop; then say what they accepted."""
    authority = Authority(Path(folder))
    with ExitStack() as stack:
        running = {slug: stack.enter_context(smtp_servers.aiosmtpd_server(authority.good)) for slug in SOUND}
        pipe.send({slug: each.port for slug, each in running.items()})
        while pipe.recv() == "count":
            pipe.send([recipient for each in running.values() for _, recipient, _ in each.delivered])
            for each in running.values():
                each.delivered.clear()


@dataclass
class SoundServers:
    """The two sound tenants' servers. ``take`` returns what arrived since it was last asked."""

    ports: dict[str, int]
    trust: ssl.SSLContext
    pipe: Any

    def take(self) -> Counter[str]:
        self.pipe.send("count")
        return Counter(self.pipe.recv())


@contextmanager
def sound_servers() -> Iterator[SoundServers]:
    """Start the sound servers in a process of their own, so that they do not share the senders' processor."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    with tempfile.TemporaryDirectory() as folder:
        process = context.Process(target=_sound_servers, args=(folder, theirs), daemon=True)
        process.start()
        try:
            ports = ours.recv()
            trust = ssl.create_default_context(cafile=str(Path(folder) / "authority.pem"))
            yield SoundServers(ports, trust, ours)
        finally:
            ours.send("stop")
            process.join(10)


def play(
    sound: SoundServers,
    dead: AbstractContextManager[smtp_servers.Running] | None,
    authority: Authority | None,
    mails_each: int,
    **given: Any,
) -> Seen:
    """Let the sound tenants' mails go, with those of the dead tenant or without them."""
    trust = sound.trust
    if authority is not None:
        trust.load_verify_locations(cafile=str(authority.file))
    with ExitStack() as stack:
        servers = dict(sound.ports)
        running = stack.enter_context(dead) if dead is not None else None
        if running is not None:
            servers[DEAD] = running.port
        run = Run(servers, trust, **given)
        seen = run.go([run.promise(slug, mails_each) for slug in servers])
        seen.arrived.update(sound.take())
        if running is not None:
            seen.contacts = running.sessions
            seen.arrived.update(recipient for _, recipient, _ in running.delivered)
        return seen


def main(arguments: Sequence[str] | None = None) -> int:
    senders, batch, _ = settings_of_the_template()
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--mails", type=int, default=10_000, help="of all three tenants together")
    parser.add_argument("--senders", type=int, default=senders, help="at once; the template's by default")
    parser.add_argument("--dead", default=",".join(DEATHS), help="ways of being dead")
    parser.add_argument("--data-seconds", type=float, default=0.8, help="a sound server's answer to a mail")
    parser.add_argument("--shared-seconds", type=float, default=0.1, help="SES's answer to a mail")
    given = parser.parse_args(arguments)
    each = given.mails // 3
    wrong = 0
    run = {
        "senders": given.senders,
        "mail_seconds": given.data_seconds,
        "shared_seconds": given.shared_seconds,
        "limits": PATIENT,
    }
    with sound_servers() as sound, tempfile.TemporaryDirectory() as folder:
        authority = Authority(Path(folder))
        print(f"{each} mails for each tenant, {given.senders} senders, batches of {batch}", flush=True)
        alone = play(sound, None, None, each, **run)
        basis = max(alone.seconds.values())
        for name in given.dead.split(","):
            seen = play(sound, DEATHS[name](authority), authority, each, **run)
            ratio = max(seen.seconds[slug] for slug in SOUND) / basis
            whole = seen.seconds[DEAD] / basis
            customers = {who: times for who, times in seen.arrived.items() if "@customer." in who}
            unknown = seen.states[DeliveryState.UNKNOWN]
            doubled = sum(times > 1 for times in customers.values())
            lost = 3 * each - len(customers) - unknown
            states = {state.value: count for state, count in seen.states.items()}
            print(f"beside a dead server ({name}) the sound tenants take {ratio:.3f} times as long as alone")
            print(f"  the dead tenant's mails have all ended after {whole:.3f} times that time")
            print(f"  connections to the dead server: {seen.contacts}")
            print(f"  mails that took the shared address: {dict(seen.shared)}; told: {seen.told}")
            print(f"  states: {states}; lost: {lost}; doubled: {doubled}", flush=True)
            if ratio > ALLOWED or lost or doubled:
                wrong += 1
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
