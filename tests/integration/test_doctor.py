"""``servelo doctor`` where DNS, SES, the stack or the portal is wrong: it names that thing and no other."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from servelo.operate import doctor
from tests.documents import check_remedy
from tests.patient import DKIM, DOMAIN, Patient, healthy
from tests.world import REGION

SPF = '"v=spf1 include:amazonses.com ~all"'
MX = f"inbound-smtp.{REGION}.amazonaws.com."


@pytest.fixture(scope="module")
def deployed() -> Iterator[tuple[Patient, Any]]:
    with healthy() as made:
        yield made, made.saved()


@pytest.fixture
def patient(deployed: tuple[Patient, Any]) -> Patient:
    made, saved = deployed
    made.restore(saved)
    return made


def test_a_deployment_in_good_health_has_no_findings_but_ok(patient: Patient):
    assert {} == patient.unwell()
    findings = patient.examined()
    assert {each.check for each in findings} >= {
        "stack",
        "portal",
        "version",
        "receipt rules",
        "mail bucket",
        "topic inbound",
        "queue inbound",
        "queue events",
        "function ApiFunction",
        "releases",
        "mapping SenderFunction",
        "schedule SweepFunctionEveryMinute",
        "table",
        "key ring",
        "data key",
        "smtp key",
        "identity",
        "sandbox",
        "dns MX",
        "dns DKIM 3",
        "dns bounce SPF",
        "alarm topic",
    }


def change(target: dict[Any, Any], key: Any, value: Any) -> None:
    target[key] = value


def account(patient: Patient) -> dict[str, Any]:
    return patient.ses.answers["GetAccount"]


def identity(patient: Patient) -> dict[str, Any]:
    return patient.ses.answers["GetEmailIdentity"]


def remove(patient: Patient, name: str, kind: str) -> None:
    del patient.dns.records[name, kind]


def records(patient: Patient, name: str, kind: str, *texts: str) -> None:
    patient.dns.records[name, kind] = list(texts)


# What is broken: how, the findings that must say so and no others, words that must stand in one of them.
BROKEN: dict[str, tuple[Callable[[Patient], object], set[str], str]] = {
    "deployment failed": (lambda p: setattr(p, "status", "ROLLBACK_COMPLETE"), {"stack"}, "FAILED event"),
    "deployment rolled back": (
        lambda p: setattr(p, "status", "UPDATE_ROLLBACK_COMPLETE"),
        {"stack"},
        "the release before it runs",
    ),
    "deployment runs": (lambda p: setattr(p, "status", "UPDATE_IN_PROGRESS"), {"stack"}, "Wait"),
    "portal away": (
        lambda p: change(p.outputs, "PortalAddress", "http://127.0.0.1:9"),
        {"portal"},
        "ApiFunction",
    ),
    "another page at the portal's name": (lambda p: p.portal.clear(), {"portal"}, "PortalUrl"),
    "another release deployed": (
        lambda p: change(p.portal, "info", {"version": "0.0.9"}),
        {"version"},
        "0.0.9",
    ),
    "mapping deleted": (
        lambda p: change(p.resources["AWS::Lambda::EventSourceMapping"], "SenderFunction", "0" * 36),
        {"mapping SenderFunction"},
        "sam deploy",
    ),
    "few functions at once": (lambda p: setattr(p.functions, "limit", 10), {"concurrency"}, "Service Quotas"),
    "table deleted": (
        lambda p: change(p.outputs, "TableName", "gone"),
        {"table"},
        "deploy the template",
    ),
    "identity not verified": (
        lambda p: change(identity(p), "VerifiedForSendingStatus", False),
        {"identity"},
        "DKIM",
    ),
    "DKIM pending": (
        lambda p: change(identity(p)["DkimAttributes"], "Status", "PENDING"),
        {"identity"},
        "DnsDkim1",
    ),
    "mail-from failed": (
        lambda p: change(identity(p)["MailFromAttributes"], "MailFromDomainStatus", "FAILED"),
        {"mail-from domain"},
        "DnsMailFromMx",
    ),
    "in the sandbox": (
        lambda p: change(account(p), "ProductionAccessEnabled", False),
        {"sandbox"},
        "Ask AWS",
    ),
    "sending paused by AWS": (
        lambda p: account(p).update(SendingEnabled=False, EnforcementStatus="SHUTDOWN"),
        {"sending"},
        "SHUTDOWN",
    ),
    "sending quota used up": (
        lambda p: change(account(p)["SendQuota"], "SentLast24Hours", 49000.0),
        {"sending quota"},
        "49000 of 50000",
    ),
    "sending switched off": (
        lambda p: change(p.ses.answers["GetConfigurationSet"], "SendingOptions", {"SendingEnabled": False}),
        {"sending"},
        "put-configuration-set-sending-options --sending-enabled",
    ),
    "events not sent to us": (
        lambda p: change(p.ses.answers["GetConfigurationSetEventDestinations"], "EventDestinations", []),
        {"sending events"},
        "bounces",
    ),
    "no MX": (lambda p: remove(p, DOMAIN, "MX"), {"dns MX"}, "inbound-smtp"),
    "MX of another region": (
        lambda p: records(p, DOMAIN, "MX", "10 inbound-smtp.us-east-1.amazonaws.com."),
        {"dns MX"},
        "us-east-1",
    ),
    "another MX first": (
        lambda p: records(p, DOMAIN, "MX", f"10 {MX}", "5 mx.hoster.example."),
        {"dns MX"},
        "mail goes to another server first",
    ),
    "no SPF": (lambda p: records(p, DOMAIN, "TXT", '"other"'), {"dns SPF"}, "v=spf1"),
    "two SPF": (lambda p: records(p, DOMAIN, "TXT", SPF, '"v=spf1 -all"'), {"dns SPF"}, "merge"),
    "SPF without SES": (lambda p: records(p, DOMAIN, "TXT", '"v=spf1 -all"'), {"dns SPF"}, "amazonses.com"),
    "no DMARC": (lambda p: remove(p, f"_dmarc.{DOMAIN}", "TXT"), {"dns DMARC"}, "v=DMARC1"),
    **{
        f"no DKIM {n}": (
            lambda p, n=name: remove(p, f"{n}._domainkey.{DOMAIN}", "CNAME"),
            {f"dns DKIM {number}"},
            f"{name}._domainkey.{DOMAIN} CNAME",
        )
        for n, (name, number) in enumerate(DKIM.values(), 1)
    },
    "DKIM of another account": (
        lambda p: records(p, f"aa._domainkey.{DOMAIN}", "CNAME", "old.dkim.amazonses.com."),
        {"dns DKIM 1"},
        "old.dkim.amazonses.com",
    ),
    "no bounce MX": (lambda p: remove(p, f"bounce.{DOMAIN}", "MX"), {"dns bounce MX"}, "feedback-smtp"),
    "no bounce SPF": (lambda p: remove(p, f"bounce.{DOMAIN}", "TXT"), {"dns bounce SPF"}, "v=spf1"),
    "name server fails": (
        lambda p: p.dns.failing.add(f"_dmarc.{DOMAIN}"),
        {"dns DMARC"},
        "--nameserver",
    ),
}


@pytest.mark.parametrize("what", BROKEN)
def test_the_doctor_names_what_is_broken_and_nothing_else(patient: Patient, what: str):
    break_it, expected, words = BROKEN[what]
    break_it(patient)
    found = patient.unwell()
    assert expected == set(found)
    for each in found.values():
        check_remedy(each.remedy)
    assert words in " ".join(f"{each.seen} {each.remedy}" for each in found.values())


def test_a_subscription_that_nobody_confirmed_is_said(patient: Patient, monkeypatch: pytest.MonkeyPatch):
    pending = [{"SubscriptionArn": "PendingConfirmation", "Endpoint": "you@example.com"}]
    whole = doctor._subscriptions
    topic = patient.physical("AlarmTopic")
    monkeypatch.setattr(
        doctor, "_subscriptions", lambda sns, arn: pending if arn == topic else whole(sns, arn)
    )
    assert "not confirmed" in patient.unwell()["alarm topic"].seen


def test_everything_broken_at_once_is_all_named(patient: Patient):
    for what in ("no MX", "no SPF", "in the sandbox", "table deleted", "deployment failed", "DKIM pending"):
        BROKEN[what][0](patient)
    assert {"dns MX", "dns SPF", "sandbox", "table", "stack", "identity"} == set(patient.unwell())


def test_on_the_local_stack_it_says_what_it_does_not_look_at(patient: Patient):
    patient.parameters["LocalStack"] = "true"
    findings = {each.check: each for each in patient.examined()}
    assert "not looked at" in findings["local stack"].seen
    assert not {"dns MX", "sandbox", "identity", "receipt rules"} & set(findings)


def test_a_name_server_that_says_nothing_is_told_from_a_missing_record(patient: Patient):
    ask = doctor.resolver(patient.dns.address)
    assert ask("nowhere.example", "MX") == []
    patient.dns.failing.add("broken.example")
    with pytest.raises(doctor.Unanswered):
        ask("broken.example", "MX")
    with pytest.raises(doctor.Unanswered):
        doctor.resolver("not a server")("a.example", "MX")
