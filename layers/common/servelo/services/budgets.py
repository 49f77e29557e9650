"""Budgets: how many mails one sender, one ticket or one day may cause, whatever arrives.

Every automatic mail is counted by atomic counters in the transaction that promises it (``ports.Cap``). What
has no budget left is not mailed and not lost: the ticket or comment is made, says so in a warning, and waits
unread; the team is told once an hour that more waits than it gets mails about. ``docs/routing.md`` lists the
numbers.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Sequence
from datetime import UTC, datetime

from servelo.domain.outbound import MailKind, OutboundJob
from servelo.domain.tenant import Tenant
from servelo.mail.address import identity, split_addr_spec
from servelo.mail.authentic import organisation
from servelo.records import dataclass
from servelo.services.compose import Composer
from servelo.services.ports import Cap

HOUR, DAY = 3600, 86400
CONFIRMATIONS_PER_ADDRESS_AN_HOUR = 5
CONFIRMATIONS_PER_DOMAIN_SHARD_AN_HOUR = 60
ANSWERS_PER_TICKET_AN_HOUR = 40
UPDATES_PER_FOLLOWER_AN_HOUR = 20
RELAYED_PER_SENDER_AN_HOUR = 60
RELAYED_PER_DOMAIN_AN_HOUR = 200
TOLD_PER_SENDER_AN_HOUR = 40
TOLD_PER_TENANT_SHARD_AN_HOUR = 60
FORWARDS_PER_SENDER_AN_HOUR = 20
FORWARDS_PER_SHARD_AN_HOUR = 30
VIRUS_NOTICES_AN_HOUR = 5
# One counter for many senders would make their transactions wait for each other.
SHARDS = 8

# Mail domains that strangers share: a member at gmail.com does not make all of gmail.com ours, and what one
# of its users does is not held against the others.
SHARED_PROVIDERS = frozenset(
    "gmail.com googlemail.com outlook.com hotmail.com live.com msn.com yahoo.com ymail.com icloud.com me.com "
    "mac.com aol.com gmx.de gmx.net web.de mail.ru yandex.ru proton.me protonmail.com zoho.com fastmail.com "
    "qq.com 163.com 126.com orange.fr free.fr t-online.de comcast.net".split()
)

_WORDS = {
    "auto": f"confirmations to this sender, {CONFIRMATIONS_PER_ADDRESS_AN_HOUR} an hour",
    "domain": "confirmations to the sender's domain",
    "ticket": f"comments of this ticket that cause mail, {ANSWERS_PER_TICKET_AN_HOUR} an hour",
    "ticket-held": f"held comments of this ticket that cause mail, {ANSWERS_PER_TICKET_AN_HOUR} an hour",
    "follow": f"updates to one person by customers' words, {UPDATES_PER_FOLLOWER_AN_HOUR} an hour",
    "relay": f"updates to others by this sender's words, {RELAYED_PER_SENDER_AN_HOUR} an hour",
    "relay-domain": f"updates to others by words from this domain, {RELAYED_PER_DOMAIN_AN_HOUR} an hour",
    "told": f"mails of one sender that the team is told of, {TOLD_PER_SENDER_AN_HOUR} an hour",
    "told-all": f"mails that the team is told of, {SHARDS * TOLD_PER_TENANT_SHARD_AN_HOUR} an hour",
    "forward": f"mails of one sender to the operator, {FORWARDS_PER_SENDER_AN_HOUR} an hour",
    "forward-all": f"mails to the operator, {SHARDS * FORWARDS_PER_SHARD_AN_HOUR} an hour",
    "more": "mails that say that more is waiting, one an hour",
    "virus": f"notices of a virus, {VIRUS_NOTICES_AN_HOUR} an hour",
    "explain": "explaining mails to this sender for this reason, one a day",
}


@dataclass(frozen=True, slots=True)
class Fitted:
    """The mails that are within budget, the counters that they use, and what is to be said of the others."""

    jobs: tuple[OutboundJob, ...] = ()
    caps: tuple[Cap, ...] = ()
    warnings: tuple[str, ...] = ()


def fit(
    composer: Composer,
    tenant: Tenant,
    jobs: Sequence[OutboundJob],
    *,
    sender: str,
    proven: bool,
    by_team: bool,
    now: datetime,
    number: int = 0,
    held: bool = False,
    used_up: Collection[str] = (),
) -> Fitted:
    """Drop of *jobs* those that have no budget left.

    *sender* is the identity of who wrote, *proven* whether they did; *number* the ticket of a comment, 0 for
    a new ticket; *used_up* are names of counters that refused a moment ago. The team's own words are bounded
    by the ticket alone. What is *held* until a team member accepts it is counted apart: else a stranger with
    a reply address could silence the others.
    """
    told = [job for job in jobs if job.kind is MailKind.NOTIFICATION]
    updates = [job for job in jobs if job.kind is MailKind.TICKET_UPDATE]
    others = [job for job in jobs if job not in told and job not in updates]
    caps: list[Cap] = []
    warnings: list[str] = []
    if number and jobs:
        whose = "ticket-held" if held else "ticket"
        on_ticket = Cap(f"{whose}#{number}#{_hour(now)}", ANSWERS_PER_TICKET_AN_HOUR, HOUR)
        if on_ticket.name in used_up:
            return Fitted(
                warnings=(
                    f"Nobody was told of this by mail: this ticket had {ANSWERS_PER_TICKET_AN_HOUR} "
                    "comments within one hour.",
                )
            )
        caps.append(on_ticket)
    if told and not by_team:
        telling = _told(sender, proven, now)
        if _any(telling, used_up):
            told = []
            warnings.append("The team was not told of this by mail: too much came within one hour.")
            more = Cap(f"more#{_hour(now)}", 1, HOUR)
            if more.name not in used_up:
                caps.append(more)
                told = list(composer.more_waiting(tenant, _hour_end(now), now))
        else:
            caps += telling
    if updates and not by_team:
        kept = [job for job in updates if _follower(job, now).name not in used_up]
        relaying = _relayed(sender, now, len(kept))
        if _any(relaying, used_up):
            kept = []
        if kept:
            caps += [*(_follower(job, now) for job in kept), *relaying]
        if len(kept) < len(updates):
            left = len(updates) - len(kept)
            warnings.append(f"Not mailed to {left} of the ticket's people: too many mails within one hour.")
        updates = kept
    return Fitted((*told, *updates, *others), tuple(caps), tuple(warnings))


def confirmations(sender: str, now: datetime) -> tuple[Cap, ...]:
    """Return the counters that a confirmation to *sender* uses."""
    person = digest(sender)
    domain = split_addr_spec(sender)[1]
    return (
        Cap(f"auto#{person}#{_hour(now)}", CONFIRMATIONS_PER_ADDRESS_AN_HOUR, HOUR),
        Cap(
            f"domain#{digest(domain)}#{_shard(person)}#{_hour(now)}",
            CONFIRMATIONS_PER_DOMAIN_SHARD_AN_HOUR,
            HOUR,
        ),
    )


def forwards(sender: str, proven: bool, now: datetime) -> tuple[Cap, ...]:
    """Return the counters that a forward to the operator uses; *sender* may be ``""``."""
    person, kind = _apart(sender, proven)
    return (
        Cap(f"forward#{person}#{_hour(now)}", FORWARDS_PER_SENDER_AN_HOUR, HOUR),
        Cap(f"forward-all#{kind}{_shard(person)}#{_hour(now)}", FORWARDS_PER_SHARD_AN_HOUR, HOUR),
    )


def explanation(sender: str, reason: str, now: datetime) -> tuple[Cap, ...]:
    """Return the counters that an explaining mail uses: one a day for the reason, and those of the domain."""
    once = Cap(f"explain#{reason}#{digest(sender)}#{int(now.timestamp()) // DAY}", 1, DAY)
    return (once, confirmations(sender, now)[1])


def virus_notice(now: datetime) -> Cap:
    """Return the counter that the notice of a virus uses."""
    return Cap(f"virus#{_hour(now)}", VIRUS_NOTICES_AN_HOUR, HOUR)


def operator_notice(now: datetime) -> Cap:
    """Return the counter of the mail that tells the operator that mail waits."""
    return Cap(f"more#{_hour(now)}", 1, HOUR)


def words(used_up: Iterable[str]) -> str:
    """Return what the counters of these names count, for a record's reasons."""
    found = {_WORDS.get(name.partition("#")[0], name.partition("#")[0]) for name in used_up}
    return "; ".join(sorted(found))


def digest(text: str) -> str:
    """Return *text* in a form that a counter's name may hold: no address stands in it."""
    return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()[:24]


def _told(sender: str, proven: bool, now: datetime) -> tuple[Cap, ...]:
    person, kind = _apart(sender, proven)
    return (
        Cap(f"told#{person}#{_hour(now)}", TOLD_PER_SENDER_AN_HOUR, HOUR),
        Cap(f"told-all#{kind}{_shard(person)}#{_hour(now)}", TOLD_PER_TENANT_SHARD_AN_HOUR, HOUR),
    )


def _apart(sender: str, proven: bool) -> tuple[str, str]:
    """Return the sender's digest and a mark: what anybody may forge uses up nothing of who is proven."""
    return (digest(sender), "") if proven else (digest(f"?{sender}"), "u")


def _relayed(sender: str, now: datetime, mails: int) -> tuple[Cap, ...]:
    """Who owns a domain may name anybody in Cc, and has as many addresses of it as they like."""
    caps = [Cap(f"relay#{digest(sender)}#{_hour(now)}", RELAYED_PER_SENDER_AN_HOUR, HOUR, mails)]
    domain = organisation(split_addr_spec(sender)[1])
    if domain and domain not in SHARED_PROVIDERS:
        name = f"relay-domain#{digest(domain)}#{_hour(now)}"
        caps.append(Cap(name, RELAYED_PER_DOMAIN_AN_HOUR, HOUR, mails))
    return tuple(caps)


def _follower(job: OutboundJob, now: datetime) -> Cap:
    name = f"follow#{digest(identity(job.recipient))}#{_hour(now)}"
    return Cap(name, UPDATES_PER_FOLLOWER_AN_HOUR, HOUR)


def _any(caps: Iterable[Cap], used_up: Collection[str]) -> bool:
    return any(cap.name in used_up for cap in caps)


def _shard(person: str) -> int:
    return int(person[:4], 16) % SHARDS


def _hour(now: datetime) -> int:
    return int(now.timestamp()) // HOUR


def _hour_end(now: datetime) -> datetime:
    return datetime.fromtimestamp((_hour(now) + 1) * HOUR, UTC)
