"""Three help desks, their people and a stranger do random things, legal and illegal; none gets another's.

Every text that anybody writes carries a word of its own (``tx00017x``). The model knows who wrote it and in
which conversation it ended; after each step every mail that went out and every answer of the API is looked
through for such words:

    a mail      only to members of a tenant that holds the text, or participants of its ticket, or its author
    its token   Reply-To is of the ticket's tenant; a team token for members only, a client's for that person
    an answer   only to a member of a tenant that holds the text, or a participant of its ticket
    internal    notes and held texts: never to anybody outside the team
    elsewhere   what a step is not about does not change: no item of another tenant is written
    at rest     no item of a tenant holds a text that is not in one of its conversations

Who is a member or a participant is asked of the store at that moment. The stranger knows every address, id,
number and reply address that there is.
"""

from __future__ import annotations

import inspect
import json
import os
import random
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from email.message import EmailMessage
from typing import Any

import hypothesis.strategies as st
import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from moto.core import DEFAULT_ACCOUNT_ID as ACCOUNT
from moto.dynamodb.models import dynamodb_backends

from servelo.domain import ids
from servelo.domain.inbound_record import Outcome
from servelo.domain.ticket import AuthorRole, Visibility
from servelo.mail import reply_token
from servelo.mail.address import identity, split_addr_spec
from servelo.mail.reply_token import TokenRole
from servelo.portal.routes import Route, Who, all_routes
from servelo.services.route_inbound import RouteOutcome
from tests.integration.api_desk import PASSWORD, Reply, link_in, new_desk, path_of
from tests.world import MAIL_DOMAIN, REGION, TABLE, mail

PROOF = bool(os.environ.get("SERVELO_PROOF"))
TENANTS = ("acme", "globex", "initech")
BOTH = "both@shared.example"  # a customer of every tenant
EVE = "eve@outsider.example"
CUSTOMERS = tuple(f"{name}@{slug}-customers.example" for slug in TENANTS for name in ("ann", "bob"))
MEMBERS = tuple(f"{name}@{slug}.example" for slug in TENANTS for name in ("admin", "tech"))
PEOPLE = (*CUSTOMERS, *MEMBERS, BOTH, EVE)
WORD = re.compile(r"tx\d{5}x")
MESSAGE_ID = re.compile(r"<([^<>\s]+@[^<>\s]+)>")
# Not played: what closes a tenant or a sign-in for the rest of the run.
LEFT_OUT = {"create_tenant", "change_tenant", "logout", "login", "refresh", "redrive_queue"}
ROUTES = tuple(r for r in all_routes() if r.who is Who.TEAM and r.name not in LEFT_OUT)
OWN_ROUTES = tuple(r for r in all_routes() if r.who is Who.CUSTOMER)

people = st.sampled_from(PEOPLE)
slugs = st.sampled_from(TENANTS)
index = st.integers(0, 10_000)


@dataclass
class Text:
    """One text: its author, and the conversations that hold it, as (slug, number); 0: only the record."""

    author: str
    verified: bool = True
    places: set[tuple[str, int]] = field(default_factory=set)
    team_only: bool = False  # an internal note, or held until a member accepts it
    held: bool = False  # the portal shows it to the address that it claims to come from; no mail does
    addressed: set[str] = field(default_factory=set)  # mailed by the team on purpose


class Isolation(RuleBasedStateMachine):
    """The machine; one world an example."""

    def __init__(self) -> None:
        super().__init__()
        self._around = new_desk()
        self.desk = self._around.__enter__()
        self.world = self.desk.world
        self.desk.services.tenants.create_tenant(
            slug="initech",
            name="Initech",
            admin_email="admin@initech.example",
            admin_name="Initech Admin",
            password=PASSWORD,
        )
        self.desk.services.tenants.add_member(
            "initech", "tech@initech.example", "Initech Tech", "technician", password=PASSWORD
        )
        self.world.send_all()
        self.texts: dict[str, Text] = {}
        self.looked_at = 0
        self.reply_addresses: list[tuple[str, str]] = []  # address, whom it was sent to
        self.message_ids: list[str] = []
        self.found: dict[str, list[tuple[str, str]]] = {}  # kind of id: (slug, id)
        self.sessions: dict[tuple[str, str], str] = {}
        self.outcomes: Counter[Outcome] = Counter()

    def teardown(self) -> None:
        try:
            self.check_at_rest()
        finally:
            self._around.__exit__(None, None, None)

    # ---- what is known ---------------------------------------------------------------------------------

    def is_member(self, slug: str, address: str) -> bool:
        tenant = self.world.store.tenant(slug)
        return tenant is not None and tenant.member(identity(address)) is not None

    def is_participant(self, slug: str, number: int, address: str) -> bool:
        ticket = self.world.store.ticket(slug, number) if number else None
        return ticket is not None and any(
            identity(p.email) == identity(address) for p in ticket.participants if p.email
        )

    def may_see(self, word: str, address: str) -> bool:
        text = self.texts[word]
        if any(self.is_member(slug, address) for slug, _ in text.places):
            return True
        if address in text.addressed or (address == text.author and text.verified):
            return True
        return not text.team_only and any(self.is_participant(s, n, address) for s, n in text.places)

    def new_word(self, author: str, **more: Any) -> str:
        word = f"tx{len(self.texts):05d}x"
        self.texts[word] = Text(author, **more)
        return word

    # ---- mails -----------------------------------------------------------------------------------------

    def receive(self, word: str, raw: bytes, *recipients: str, verified: bool = True) -> list[RouteOutcome]:
        """Let a mail arrive; learn where its text ended and whether it was team-only."""
        verdicts = {} if verified else {"spf": "FAIL", "dkim": "FAIL", "dmarc": "FAIL"}
        text = self.texts[word]
        text.verified = verified
        outcomes = self.world.receive(raw, *recipients, verdicts=verdicts, envelope_sender=text.author)
        for outcome in outcomes:
            self.outcomes[outcome.outcome] += 1
            if outcome.slug != "-":
                text.places.add((outcome.slug, outcome.ticket_number))
            if outcome.outcome in (Outcome.COMMENT_HELD, Outcome.NOTE_UNVERIFIED):
                text.team_only = True
            text.held = text.held or outcome.outcome is Outcome.COMMENT_HELD
            if outcome.outcome is Outcome.COMMENT_TEAM:
                assert verified, "an unproven mail spoke for the team"
                assert self.is_member(outcome.slug, text.author)
            if outcome.comment_id:
                self.learn(outcome.slug, "comment_id", outcome.comment_id)
            self.learn(outcome.slug, "inbound_id", outcome.delivery_id)
        return outcomes

    def learn(self, slug: str, kind: str, value: str) -> None:
        if (slug, value) not in self.found.setdefault(kind, []):
            self.found[kind].append((slug, value))

    @initialize()
    def each_tenant_has_a_ticket(self) -> None:
        for slug in TENANTS:
            self.new_mail(f"ann@{slug}-customers.example", slug, True)

    @rule(author=people, slug=slugs, verified=st.booleans())
    def new_mail(self, author: str, slug: str, verified: bool) -> None:
        word = self.new_word(author)
        raw = mail(from_=author, subject=f"Help {word}", text=f"{word} please.")
        (outcome,) = self.receive(word, raw, f"{slug}@{MAIL_DOMAIN}", verified=verified)
        assert outcome.slug == slug

    @rule(author=people, first=slugs, second=slugs)
    def one_mail_to_two(self, author: str, first: str, second: str) -> None:
        word = self.new_word(author)
        recipients = dict.fromkeys((f"{first}@{MAIL_DOMAIN}", f"{second}@{MAIL_DOMAIN}"))
        raw = mail(from_=author, to=", ".join(recipients), subject=f"Both {word}", text=word)
        outcomes = self.receive(word, raw, *recipients)
        assert {first, second} == {outcome.slug for outcome in outcomes}

    @rule(
        author=people,
        which=index,
        verified=st.booleans(),
        change=st.sampled_from(("as it is", "as it is", "folded", "one sign", "cut", "other part")),
        at=index,
    )
    def answer_by_token(self, author: str, which: int, verified: bool, change: str, at: int) -> None:
        """Anybody answers any reply address that was ever sent to anybody, or a forged one."""
        if not self.reply_addresses:
            return
        address, owner = self.reply_addresses[which % len(self.reply_addresses)]
        author = owner if at % 2 else author
        token = reply_token.token_of(split_addr_spec(address)[0]) or ""
        claim = reply_token.verify(token, self.world.ring)
        sent = {
            "as it is": token,
            "folded": token.lower(),
            "one sign": _other_sign(token, at),
            "cut": token[: 20 + at % (len(token) - 20)],
            "other part": self._mixed(token, at),
        }[change]
        before = self.is_participant(claim.slug, claim.ticket_number, author)
        word = self.new_word(author)
        untouched = self.items_but(claim.slug)
        raw = mail(from_=author, subject=f"Re: [#{claim.ticket_number}] Help", text=f"{word} more.")
        (outcome,) = self.receive(word, raw, f"reply+{sent}@{MAIL_DOMAIN}", verified=verified)
        if change in ("one sign", "cut", "other part") and sent.lower() != token.lower():
            assert outcome.slug == "-", "a forged token reached a tenant"
            assert not outcome.comment_id
        else:
            assert outcome.slug == claim.slug
        assert untouched == self.items_but(claim.slug)
        if outcome.outcome is Outcome.COMMENT_CLIENT:
            assert before or claim.client_id == ids.client_id(claim.slug, identity(author)), author

    def _mixed(self, token: str, at: int) -> str:
        """The head of one token and the tail of another: a claim of one ticket, a tag of another."""
        others = [reply_token.token_of(split_addr_spec(a)[0]) or "" for a, _ in self.reply_addresses]
        other = others[at % len(others)]
        return token[:-16] + other[-16:] if len(other) == len(token) else token[:-1]

    @rule(author=people, slug=slugs, which=index, number=st.integers(1, 4), verified=st.booleans())
    def answer_by_reference(self, author: str, slug: str, which: int, number: int, verified: bool) -> None:
        """Anybody refers to any mail of any tenant, and to any ticket number in the subject."""
        if not self.message_ids:
            return
        word = self.new_word(author)
        reference = self.message_ids[which % len(self.message_ids)]
        headers = {
            "In-Reply-To": f"<{reference}>",
            "References": f"<ticket-{number}.{slug}@{MAIL_DOMAIN}> <{reference}>",
        }
        raw = mail(from_=author, subject=f"Re: [#{number}] x {word}", text=word, headers=headers)
        was = {n: self.is_participant(slug, n, author) for n in range(1, 60)}
        (outcome,) = self.receive(word, raw, f"{slug}@{MAIL_DOMAIN}", verified=verified)
        assert outcome.slug == slug
        if outcome.outcome is Outcome.COMMENT_CLIENT:
            assert was.get(outcome.ticket_number), "a reference alone opened a ticket to somebody"

    @rule(author=people, slug=slugs, victim=people, verified=st.booleans())
    def forward(self, author: str, slug: str, victim: str, verified: bool) -> None:
        """A member's forward makes the original sender the requester; anybody else's does not."""
        word = self.new_word(author)
        text = (
            f"{word}\n\n---------- Forwarded message ---------\nFrom: Vic <{victim}>\n"
            "Date: Mon, Nov 23, 2026 at 1:00 PM\nSubject: Original\nTo: <x@y.example>\n\nTheir words.\n"
        )
        raw = mail(from_=author, subject=f"Fwd: {word}", text=text)
        (outcome,) = self.receive(word, raw, f"{slug}@{MAIL_DOMAIN}", verified=verified)
        if outcome.outcome is Outcome.TICKET_FORWARDED_BY_MEMBER:
            assert verified
            assert self.is_member(slug, author)

    @rule(victim=people, slug=slugs)
    def in_anothers_name(self, victim: str, slug: str) -> None:
        """The stranger writes with a From that is not theirs: it may be a ticket, it proves nothing."""
        word = self.new_word(EVE, verified=False)
        raw = mail(from_=victim, subject=f"I am {word}", text=word)
        self.receive(word, raw, f"{slug}@{MAIL_DOMAIN}", verified=False)

    # ---- the API ---------------------------------------------------------------------------------------

    @rule(
        caller=st.sampled_from((*MEMBERS, "operator@ops.example")), route=st.sampled_from(ROUTES), pick=index
    )
    def call_of_the_team(self, caller: str, route: Route, pick: int) -> None:
        """A member or the operator calls any route with anybody's ids."""
        claims = self.desk.claims(caller)
        slug = claims["custom:tenant"]
        path, owners, values = self._path(route, pick)
        word = self.new_word(caller)
        body = self._body(route, word, values)
        others = self.items_but(slug)
        reply = self.desk.call(route.method, path, body, as_=claims)
        self.check_answer(reply, caller, slug)
        if reply.status < 400:
            assert owners <= {slug}, f"{caller} reached {owners} by {route.method} {path}"
            self._placed(route, reply, word, slug, values, body)
        assert others == self.items_but(slug), f"{route.method} {path} wrote elsewhere"

    @rule(route=st.sampled_from((*ROUTES, *OWN_ROUTES)), pick=index, who=st.sampled_from(MEMBERS), lie=index)
    def call_of_nobody(self, route: Route, pick: int, who: str, lie: int) -> None:
        """Claims that nobody was given: another tenant in them, no tenant, another kind of token."""
        claims = self.desk.claims(who)
        elsewhere = TENANTS[(TENANTS.index(claims["custom:tenant"]) + 1) % 3]
        lies: list[Mapping[str, str] | None] = [
            None,
            {**claims, "custom:tenant": elsewhere},
            {**claims, "email": EVE},
            {**claims, "token_use": "access"},
            {**claims, "custom:tenant": ""},
            {**claims, "custom:tenant": f"{elsewhere}#TICKET"},
        ]
        path, _, values = self._path(route, pick)
        before = self.items_but("")
        body = self._body(route, self.new_word(EVE), values)
        reply = self.desk.call(route.method, path, body, as_=lies[lie % len(lies)])
        assert 401 == reply.status, f"{route.method} {path}"
        assert not WORD.search(reply.text)
        assert before == self.items_but("")

    @rule(person=st.sampled_from((*CUSTOMERS, BOTH, EVE)), slug=slugs)
    def ask_for_a_link(self, person: str, slug: str) -> None:
        """A link goes to the address that was named and opens that address's tickets."""
        before = len(self.world.mailbox.mails)
        self.desk.post("/api/auth/magic-link/request", {"slug": slug, "email": person})
        self.send()
        mails = list(zip(self.world.mailbox.mails, self.world.mailbox.recipients, strict=True))[before:]
        links = [(m, r) for m, r in mails if "#token=" in m.get_body(("plain",)).get_content()]  # type: ignore[union-attr]
        for sent, recipient in links:
            assert person == recipient
            token = link_in(sent).partition("#token=")[2]
            answer = self.desk.post("/api/auth/magic-link/verify", {"token": token})
            assert 200 == answer.status
            self.sessions[person, slug] = str(answer.json["session"])
            for forged in (_other_sign(token, len(self.texts)), token[:-4], token.lower()):
                if forged != token:
                    assert 401 == self.desk.post("/api/auth/magic-link/verify", {"token": forged}).status

    @rule(who=index, slug=slugs, route=st.sampled_from(OWN_ROUTES), pick=index)
    def call_of_a_customer(self, who: int, slug: str, route: Route, pick: int) -> None:
        """A customer's session calls its own and the other desks' routes with anybody's ids."""
        if not self.sessions:
            return
        person, home = sorted(self.sessions)[who % len(self.sessions)]
        path, owners, values = self._path(route, pick, slug=slug)
        word = self.new_word(person)
        body = self._body(route, word, values)
        others = self.items_but(home)
        reply = self.desk.call(route.method, path, body, bearer=self.sessions[person, home])
        self.check_answer(reply, person, "")
        if reply.status < 400:
            assert slug == home
            assert owners <= {home}
            if "{number}" in route.path:
                assert self.is_participant(home, int(values["number"]), person)
            self._placed(route, reply, word, home, values, body)
        assert others == self.items_but(home)

    @rule(slug=slugs, number=st.integers(1, 5), visibility=st.sampled_from(("public", "internal")))
    def answer_in_the_portal(self, slug: str, number: int, visibility: str) -> None:
        word = self.new_word(f"tech@{slug}.example", team_only=visibility == "internal")
        self.texts[word].places.add((slug, number))
        body = {"text": word, "visibility": visibility}
        claims = self.desk.claims(f"tech@{slug}.example")
        reply = self.desk.post(f"/api/tickets/{number}/comments", body, as_=claims)
        assert reply.status in (201, 404, 409), reply.text
        self.check_answer(reply, f"tech@{slug}.example", slug)

    # ---- what must hold --------------------------------------------------------------------------------

    @invariant()
    def nobody_was_mailed_what_is_not_theirs(self) -> None:
        if not hasattr(self, "sessions"):
            return
        self.send()
        mailbox = self.world.mailbox
        mails = list(zip(mailbox.mails, mailbox.recipients, strict=True))[self.looked_at :]
        self.looked_at += len(mails)
        for sent, recipient in mails:
            shown = _whole(sent)
            for word in set(WORD.findall(shown)):
                assert self.may_see(word, recipient), f"{recipient} was mailed {word} of {self.texts[word]}"
            self._check_reply_to(sent, recipient)
            self.message_ids += MESSAGE_ID.findall(f"{sent['Message-ID']} {sent.get('References', '')}")

    def _check_reply_to(self, sent: EmailMessage, recipient: str) -> None:
        address = str(sent.get("Reply-To", "")).rpartition("<")[2].rstrip(">")
        token = reply_token.token_of(split_addr_spec(address)[0]) if address else None
        if token is None:
            return
        claim = reply_token.verify(token, self.world.ring)
        self.reply_addresses.append((address, recipient))
        if claim.role is TokenRole.TEAM:
            assert self.is_member(claim.slug, recipient), f"a team token went to {recipient}"
        else:
            assert self.is_participant(claim.slug, claim.ticket_number, recipient), recipient

    def send(self) -> None:
        self.world.send_all()

    def check_answer(self, reply: Reply, caller: str, slug: str) -> None:
        """Hold an API answer against what its caller may see."""
        for word in set(WORD.findall(reply.text)):
            text = self.texts[word]
            if text.author == caller and (text.held or not text.places):
                continue  # their own words, just written or not yet accepted
            assert self.may_see(word, caller), f"{caller} was answered {word} of {text}"
        if reply.status < 400 and reply.text:
            for kind, value in _ids_in(json.loads(reply.text)):
                self.learn(slug, kind, value) if slug else None

    def check_at_rest(self) -> None:
        for item in self.world.items():
            pk = json.loads(item["pk"])["S"]
            if not pk.startswith("TENANT#") or pk.startswith("TENANT#-"):
                continue
            slug = pk.split("#")[1]
            for word in WORD.findall(json.dumps(item)):
                holders = {place[0] for place in self.texts[word].places}
                assert slug in holders or self.texts[word].author.endswith(f"@{slug}.example"), (word, pk)

    # ---- tools -----------------------------------------------------------------------------------------

    def items_but(self, slug: str) -> list[str]:
        """Every item of the tenants other than *slug*, without what time alone changes."""
        mine = f"TENANT#{slug}"
        kept = []
        # Straight from moto: a scan by HTTP at each step would be most of the run.
        for pk, items in dynamodb_backends[ACCOUNT][REGION].tables[TABLE].items.items():
            own = pk.value == mine or pk.value.startswith(f"{mine}#")
            if pk.value.startswith("TENANT#") and not own and not pk.value.startswith("TENANT#-"):
                kept += [repr(sorted(item.attrs.items())) for item in items.values()]
        return sorted(kept)

    def _path(self, route: Route, pick: int, slug: str = "") -> tuple[str, set[str], dict[str, str]]:
        """Return the route's path with ids of anybody, and which tenants those ids are of."""
        owners: set[str] = set()
        values: dict[str, str] = {}
        for place, name in enumerate(route.parameters):
            known = self.found.get(name, [])
            if name == "number":
                values[name] = str(1 + (pick >> place) % 5)
            elif name == "slug":
                values[name] = slug or TENANTS[pick % 3]
            elif name == "owner":
                values[name] = TENANTS[pick % 3]
            elif name == "email":
                values[name] = "nobody@nowhere.example"
            elif name == "queue":
                values[name] = "outbound"
            elif known:
                owner, values[name] = known[(pick >> place) % len(known)]
                owners.add(owner)
            else:
                values[name] = {"client_id": "f" * 16, "attachment_id": "0" * 26 + "-f0"}.get(name, "0" * 26)
        path = route.path
        for name, value in values.items():
            path = path.replace("{" + name + "}", path_of(value))
        if route.name == "preview_mail":
            path += "?kind=invoice"
        if route.name == "lift_suppression":
            path += "?email=ann%40acme-customers.example"
        return path, owners, values

    def _body(self, route: Route, word: str, values: Mapping[str, str]) -> dict[str, object] | None:
        bodies: dict[str, dict[str, object]] = {
            "open_ticket": {"email": BOTH, "subject": f"New {word}", "text": word},
            "write_comment": {"text": word},
            "begin_upload": {"filename": "f", "size_bytes": 1},
            "merge_ticket": {"into": 1 + int(values.get("number", "1")) % 5},
            "change_requester": {"email": BOTH},
            "change_ticket": {"status": "pending"},
            "add_client": {"email": BOTH},
            "add_member": {"email": f"new{len(self.texts)}@nowhere.example", "role": "technician"},
            "send_email": {"kind": "message", "recipient": BOTH, "text": word, "subject": word},
            "open_own_ticket": {"subject": f"Own {word}", "text": word},
            "write_own_comment": {"text": word},
            "begin_own_upload": {"filename": "f", "size_bytes": 1},
        }
        return bodies.get(route.name, {} if route.body is not None else None)

    def _placed(
        self,
        route: Route,
        reply: Reply,
        word: str,
        slug: str,
        values: Mapping[str, str],
        body: Mapping[str, object] | None,
    ) -> None:
        """Learn where the text of a call that was obeyed ended, and what a merge or a release moved."""
        text = self.texts[word]
        if route.name in ("open_ticket", "open_own_ticket"):
            text.places.add((slug, int(reply.json["number"])))
        elif route.name in ("write_comment", "write_own_comment"):
            text.places.add((slug, int(values["number"])))
        elif route.name == "send_email":
            text.places.add((slug, 0))
            text.addressed.add(BOTH)
        elif route.name == "merge_ticket" and body is not None:
            merged, into = (slug, int(values["number"])), (slug, int(str(body["into"])))
            for each in self.texts.values():
                if merged in each.places:
                    each.places.add(into)
        elif route.name == "accept_comment":
            comments, _ = self.world.store.conversation(slug, int(values["number"]), 100)
            for comment in comments:
                if comment.id == values["comment_id"] and comment.visibility is Visibility.PUBLIC:
                    for each in WORD.findall(comment.text):
                        self.texts[each].team_only = False
                    assert comment.author_role is not AuthorRole.TEAM


def _other_sign(token: str, at: int) -> str:
    place = at % len(token)
    return token[:place] + ("A" if token[place] not in "Aa" else "B") + token[place + 1 :]


def _whole(sent: EmailMessage) -> str:
    """Return everything that a mail shows: headers, and every part decoded."""
    parts = [str(value) for value in sent.values()]
    for part in sent.walk():
        if not part.is_multipart():
            parts.append((part.get_payload(decode=True) or b"").decode("utf-8", "replace"))  # type: ignore[union-attr]
    return "\n".join(parts)


def _ids_in(data: Any, name: str = "") -> list[tuple[str, str]]:
    """Return the ids that an answer holds, by the name of the path parameter that takes them."""
    if isinstance(data, list):
        return [found for each in data for found in _ids_in(each, name)]
    if not isinstance(data, dict):
        return []
    found = [pair for key, value in data.items() for pair in _ids_in(value, key)]
    for key in ("client_id", "comment_id"):
        if isinstance(data.get(key), str) and data[key]:
            found.append((key, data[key]))
    kind = {"files": "attachment_id", "deliveries": "email_id", "comments": "comment_id"}.get(name)
    if kind and isinstance(data.get("id"), str):
        found.append((kind, data["id"]))
    return found


def _choices(source: random.Random) -> dict[str, Any]:
    """Return one drawn value for each argument that a rule may take."""
    return {
        **{name: source.choice(PEOPLE) for name in ("author", "victim")},
        **{name: source.choice(TENANTS) for name in ("slug", "first", "second")},
        **{name: source.randrange(10_000) for name in ("which", "at", "pick", "lie")},
        "number": source.randrange(1, 5),
        "verified": source.random() < 0.7,
        "change": source.choice(("as it is", "as it is", "folded", "one sign", "cut", "other part")),
        "visibility": source.choice(("public", "internal")),
        "person": source.choice((*CUSTOMERS, BOTH, EVE)),
        "caller": source.choice((*MEMBERS, "operator@ops.example")),
    }


@pytest.mark.parametrize("seed", range(20 if PROOF else 1))
def test_a_long_day_of_all_rules(seed: int) -> None:
    """Every rule as often as any other, and long: hypothesis leaves rules out and likes short runs."""
    source = random.Random(seed)
    day = Isolation()
    rules = (
        *(Isolation.new_mail, Isolation.one_mail_to_two, Isolation.answer_by_reference, Isolation.forward),
        *(Isolation.in_anothers_name, Isolation.call_of_the_team, Isolation.call_of_nobody),
        *(Isolation.ask_for_a_link, Isolation.call_of_a_customer, Isolation.answer_in_the_portal),
        *(Isolation.answer_by_token,) * 3,
    )
    try:
        day.each_tenant_has_a_ticket()
        day.nobody_was_mailed_what_is_not_theirs()
        for _ in range(400 if PROOF else 120):
            chosen = source.choice(rules)
            drawn = _choices(source)
            drawn["who"] = source.choice(MEMBERS) if chosen is Isolation.call_of_nobody else drawn["which"]
            drawn["route"] = source.choice(OWN_ROUTES if chosen is Isolation.call_of_a_customer else ROUTES)
            wanted = inspect.signature(chosen).parameters
            chosen(day, **{name: value for name, value in drawn.items() if name in wanted})
            day.nobody_was_mailed_what_is_not_theirs()
        # A day without these would prove little.
        assert day.outcomes[Outcome.COMMENT_CLIENT]
        assert day.outcomes[Outcome.COMMENT_TEAM]
        assert day.outcomes[Outcome.COMMENT_HELD] + day.outcomes[Outcome.NOTE_UNVERIFIED]
        assert day.sessions
    finally:
        day.teardown()


TestIsolation = Isolation.TestCase
TestIsolation.settings = settings(
    max_examples=int(os.environ.get("SERVELO_PROOF_EXAMPLES", "150")) if PROOF else 3,
    stateful_step_count=60 if PROOF else 25,
    deadline=None,
    derandomize=not PROOF,
    phases=(Phase.generate,),  # a step costs too much for shrinking
    database=None,
    suppress_health_check=list(HealthCheck),
)
