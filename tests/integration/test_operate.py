"""The operator's command against a stack that moto plays: what it prints, what it changes, how it exits."""

import base64
import json
from pathlib import Path
from typing import Any

import boto3
import pytest

from servelo import __version__, bootstrap, cli
from servelo.adapters.stream_records import changed_words
from servelo.mail.reply_token import KeyState, TokenRole, sign, verify
from servelo.operate import data, deployment, doctor, keyring
from servelo.operate.doctor import Doctor, Health
from servelo.services.replay import Replay
from tests.integration.api_desk import new_desk
from tests.world import MAIL_DOMAIN, REGION, TABLE, World, aws, mail, reply

NOTHING = lambda count: None  # noqa: E731 - a progress that nobody watches


@pytest.fixture
def secret(world: World) -> str:
    return aws_secret({"initial": "x" * 64, "keys": []})


def aws_secret(value: object) -> str:
    made = boto3.client("secretsmanager", region_name=REGION).create_secret(
        Name="ring", SecretString=json.dumps(value)
    )
    return made["ARN"]


def test_rotation_keeps_old_tokens_and_revocation_ends_them(secret: str):
    client = boto3.client("secretsmanager", region_name=REGION)
    before = keyring.read(client, secret)
    old = sign("acme", 1, "00" * 8, TokenRole.CLIENT, before)
    assert keyring.rotate(client, secret).id == 2
    ring = keyring.read(client, secret)
    assert ring.signing_key.id == 2
    assert verify(old, ring).ticket_number == 1
    keyring.revoke(client, secret, 1)
    assert keyring.read(client, secret).find(1).state is KeyState.REVOKED
    with pytest.raises(Exception, match="revoked"):
        verify(old, keyring.read(client, secret))


def test_the_only_key_that_signs_cannot_be_revoked(secret: str):
    client = boto3.client("secretsmanager", region_name=REGION)
    with pytest.raises(Exception, match="rotate"):
        keyring.revoke(client, secret, 1)


def test_export_and_erase_of_a_client_take_all_of_theirs_and_nothing_else(world: World, tmp_path: Path):
    world.receive(mail(), "acme@serveloapp.com")
    world.receive(mail(from_="Grace <grace@other.example>", subject="Hers"), "acme@serveloapp.com")
    out = tmp_path / "ada.json"
    assert data.export_client("acme", "ADA@customer.example", out, store=world.store) == 1
    told = json.loads(out.read_text())
    assert told["tickets"][0]["comments"][0]["text"].strip() == "Please help."
    buckets = {"s3": world.s3, "file_bucket": "files", "mail_bucket": "mail"}
    where = {"dynamodb": aws("dynamodb"), "table": TABLE}
    erased = data.erase_client(
        "acme", "ada@customer.example", store=world.store, **where, **buckets, progress=NOTHING
    )
    assert erased == 1
    assert world.store.ticket("acme", 1) is None
    assert world.store.ticket("acme", 2) is not None
    assert "ada@customer.example" not in json.dumps(world.items())
    assert "grace@other.example" in json.dumps(world.items())


def test_erasing_a_person_leaves_the_tickets_of_others_without_that_persons_words(
    world: World, tmp_path: Path
):
    buckets = {"s3": world.s3, "file_bucket": "files", "mail_bucket": "mail"}
    where = {"dynamodb": aws("dynamodb"), "table": TABLE}
    # 1: Ada's, followed by Bob and by Carl, and Bob wrote there.
    crowd = {"Cc": "Bob Bobson <bob@other.example>, carl@third.example"}
    world.receive(mail(subject="Boiler", text="It drips.", headers=crowd), "acme@serveloapp.com")
    world.send_all()
    answer, to = reply(
        world.mailbox.to("admin@acme.example")[0], from_="Acme Admin <admin@acme.example>", text="We come."
    )
    world.receive(answer, to)
    world.send_all()
    answer, to = reply(
        world.mailbox.to("bob@other.example")[0],
        from_="Bob Bobson <bob@other.example>",
        text="My quagga too.",
    )
    world.receive(answer, to)
    world.send_all()
    # 2: Bob's own, with Ada in Cc.
    own = mail(
        from_="Bob Bobson <bob@other.example>", subject="Zebra", headers={"Cc": "ada@customer.example"}
    )
    world.receive(own, "acme@serveloapp.com")
    for record in _stream():
        found = changed_words(record)
        if found:
            world.store.put_postings(found.slug, found.number, found.words)
    assert {1} == world.store.numbers_with_word("acme", "quagga", beginning=False)
    erased = data.erase_client(
        "acme", "bob@other.example", store=world.store, **where, **buckets, progress=NOTHING
    )
    assert 1 == erased
    assert world.store.ticket("acme", 2) is None
    ticket = world.store.ticket("acme", 1)
    assert ["ada@customer.example", "carl@third.example"] == [p.email for p in ticket.participants]
    comments, _ = world.store.conversation("acme", 1, 50, "")
    assert ["It drips.", "We come."] == [c.text.strip() for c in comments[:2]]
    assert ("", "(erased)") == (comments[2].author_email, comments[2].author_name)
    everything = json.dumps(world.items()).lower()
    texts = [c.text for c in comments]
    jobs = [str(job.content) for job in world.store.jobs("acme", 50, "")[0]]
    for word in ("bob@other.example", "bobson", "quagga", "zebra"):
        assert word not in everything
        assert not [text for text in texts + jobs if word in text.lower()]
    assert {1} == world.store.numbers_with_word("acme", "boiler", beginning=False)
    raws = [o["Key"] for o in world.s3.list_objects_v2(Bucket="mail").get("Contents", ())]
    assert not [k for k in raws if b"quagga" in world.s3.get_object(Bucket="mail", Key=k)["Body"].read()]


def test_a_ticket_handed_to_another_is_neither_exported_nor_erased_for_who_had_it(tmp_path: Path):
    with new_desk() as desk:
        world = desk.world
        wrong = {"from_": "Wrong <wrong@w.example>", "text": "Only forwarded."}
        world.receive(mail(subject="Theirs", **wrong), "acme@serveloapp.com")
        handed = desk.post("/api/tickets/1/requester", {"email": "right@r.example"}, as_=desk.tech)
        assert 200 == handed.status
        desk.post("/api/tickets/1/comments", {"text": "Secret for right."}, as_=desk.tech)
        out = tmp_path / "wrong.json"
        assert 1 == data.export_client("acme", "wrong@w.example", out, store=world.store)
        (ticket,) = json.loads(out.read_text())["tickets"]
        assert ["Only forwarded."] == [c["text"].strip() for c in ticket["comments"]]
        assert "" == ticket["subject"]
        data.erase_client(
            "acme",
            "wrong@w.example",
            store=world.store,
            dynamodb=aws("dynamodb"),
            table=TABLE,
            s3=world.s3,
            file_bucket="files",
            mail_bucket="mail",
            progress=NOTHING,
        )
        kept = desk.get("/api/tickets/1", as_=desk.tech).json
        assert ["right@r.example"] == [p.email for p in world.store.ticket("acme", 1).participants]
        assert "Secret for right." in [c["text"] for c in kept["comments"]]
        assert "wrong@w.example" not in json.dumps(world.items())


def _stream() -> list[dict[str, Any]]:
    """Every item as the table's stream tells it."""
    found = []
    for item in aws("dynamodb").scan(TableName=TABLE)["Items"]:
        told = {
            name: {kind: base64.b64encode(value).decode() if kind == "B" else value}
            for name, typed in item.items()
            for kind, value in typed.items()
        }
        found.append({"eventName": "INSERT", "dynamodb": {"NewImage": told}})
    return found


def test_the_command_shows_why_a_mail_went_where_it_did_and_replays_it(
    world: World, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    replay = Replay(router=world.router, store=world.store, raw_mails=world.raw_mails, clock=world.clock)
    monkeypatch.setattr(deployment, "find", lambda *_: None)
    monkeypatch.setattr(deployment, "use", lambda _: None)
    monkeypatch.setattr(bootstrap, "store", lambda: world.store)
    monkeypatch.setattr(bootstrap, "replay", lambda: replay)
    world.receive(mail(), "acme@serveloapp.com")
    (unknown,) = world.receive(mail(), "newco@serveloapp.com", verdicts={"dmarc": "FAIL"})

    def said(*arguments: str) -> str:
        assert 0 == cli.main(["inbound", *arguments])
        return capsys.readouterr().out

    (listed,) = [json.loads(line) for line in said("list", "--tenant", "acme", "--json").splitlines()]
    assert ("ticket_created", 1) == (listed["outcome"], listed["ticket"])
    shown = json.loads(said("show", listed["id"], "--tenant", "acme", "--json"))
    assert ("inbound/ses000001", 2) == (shown["raw mail"], len(shown["mails"]))
    assert ["which address was written to", "slug", "the envelope recipient decides"] == shown["reasons"][0]
    text = said("show", unknown.delivery_id)
    assert "unknown_slug" in text
    assert "dmarc FAIL" in text
    assert "Create the tenant or correct the forward rule's address, then replay the mail." in text
    assert "does the tenant exist? false -> no" in text
    world.tenant("newco")
    dry = ("replay", "--failed", "--dry-run")
    assert "ticket_created" in said(*dry)
    assert "ticket_created" in said(*dry), "a dry run changes nothing"
    assert "ticket_created" in said("replay", unknown.delivery_id)
    assert "nothing" == said("replay", "--failed").strip()
    assert "already_handled" in said("replay", unknown.delivery_id, "--tenant", "newco")
    assert 2 == cli.main(["inbound", "replay"])


def test_erasing_a_tenant_leaves_the_other_untouched(world: World, tmp_path: Path):
    world.tenant("globex")
    world.receive(mail(), "acme@serveloapp.com")
    world.receive(mail(), "globex@serveloapp.com")
    where = {"dynamodb": aws("dynamodb"), "table": TABLE, "s3": world.s3, "file_bucket": "files"}
    before = [i for i in world.items() if "globex" in json.dumps(i)]
    written = data.export_tenant("acme", tmp_path / "acme.json", **where, progress=NOTHING)
    assert written == len((tmp_path / "acme.json").read_text().splitlines())
    erased = data.erase_tenant("acme", **where, mail_bucket="mail", progress=NOTHING)
    assert erased == written
    assert world.items() == before


def test_importing_tickets_twice_makes_each_once(world: World, tmp_path: Path):
    file = tmp_path / "old.csv"
    file.write_text(
        "id,email,name,subject,text,status,created_at\n"
        "17,joe@old.example,Joe,Old question,It was like this,closed,2020-01-02T03:04:05\n"
        "18,joe@old.example,Joe,Another,Second,open,\n",
        encoding="utf-8",
    )
    now = world.clock.now()
    assert data.import_tickets("acme", file, store=world.store, now=now, progress=NOTHING) == (2, 0)
    assert data.import_tickets("acme", file, store=world.store, now=now, progress=NOTHING) == (0, 2)
    assert [t.subject for t in world.store.tickets("acme")[0]] == ["Another", "Old question"]


def test_a_bad_line_of_an_import_is_named(world: World, tmp_path: Path):
    file = tmp_path / "clients.csv"
    file.write_text("email,name\nfine@x.example,A\nnot an address,B\n", encoding="utf-8")
    with pytest.raises(Exception, match="line 3"):
        data.import_clients("acme", file, store=world.store, now=world.clock.now(), progress=NOTHING)


def a_deployment(**outputs: str) -> deployment.Deployment:
    return deployment.Deployment(
        "servelo", REGION, {"TableName": TABLE, **outputs}, {"MailDomain": MAIL_DOMAIN}, "CREATE_COMPLETE"
    )


def test_a_check_that_cannot_look_says_so_and_the_others_go_on():
    class Refusing:
        def __getattr__(self, name: str):
            def refuse(**_: object):
                raise PermissionError("AccessDenied")

            return refuse

    page = json.dumps({"info": {"version": __version__}}).encode()
    refused = Doctor(a_deployment(), lambda _: Refusing(), lambda *_: [], lambda _: page)
    findings = list(refused.examine())
    assert {f.check for f in findings if "AccessDenied" in f.seen} >= {"table", "sandbox", "identity"}
    assert {f.check for f in findings if f.health is Health.OK} >= {"stack", "portal", "version"}


def test_a_missing_stack_is_named_with_what_to_do(world: World):
    from servelo.errors import ConfigurationError

    with pytest.raises(ConfigurationError, match="--stack"):
        deployment.find("nowhere", REGION, boto3.client("cloudformation", region_name=REGION))


def test_findings_as_json_are_one_object_a_line():
    lines = doctor.as_json(
        [doctor.Finding("a", Health.OK, "b"), doctor.Finding("c", Health.BROKEN, "d", "e")]
    )
    assert [json.loads(line)["health"] for line in lines.splitlines()] == ["ok", "broken"]
