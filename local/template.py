"""What the built template says about the things that the local AWS leaves out.

Read from the very file that `sam deploy` was given, so that there is no second description: HTTP API routes
and their authorizer, the SES receipt rule and event destination, and table properties.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml


@dataclass(frozen=True, slots=True)
class Route:
    """One route of the HTTP API. ``function`` is a logical id; ``authorizer`` is None for an open one."""

    method: str
    path: str
    function: str
    authorizer: Authorizer | None

    @property
    def key(self) -> str:
        return f"{self.method} {self.path}"


@dataclass(frozen=True, slots=True)
class Authorizer:
    """A JWT authorizer: who must have issued a token, and for whom."""

    issuer: str
    audience: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ReceiptRule:
    """Where SES stores a mail and tells of it. Without a scan every verdict is DISABLED."""

    recipients: tuple[str, ...]
    scan_enabled: bool
    bucket: str
    prefix: str
    topic_arn: str


class BuiltTemplate:
    """The template as built, with its parameters and the names its resources got.

    *physical_ids* maps logical ids to what ``Ref`` gives once the stack is there.
    """

    def __init__(
        self, path: Path, parameters: Mapping[str, str], physical_ids: Mapping[str, str], region: str
    ):
        self._document: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
        defaults = {
            name: str(each.get("Default", "")) for name, each in self._document.get("Parameters", {}).items()
        }
        self._values = {**defaults, **physical_ids, **parameters, "AWS::Region": region}

    def resources(self, resource_type: str) -> dict[str, dict[str, Any]]:
        """Return logical id -> properties of every resource of a type."""
        return {
            name: resource.get("Properties", {})
            for name, resource in self._document["Resources"].items()
            if resource["Type"] == resource_type
        }

    def functions(self) -> dict[str, dict[str, Any]]:
        """Return the functions that are built from this repository (a function of inline code is not)."""
        return {
            name: properties
            for name, properties in self.resources("AWS::Serverless::Function").items()
            if "CodeUri" in properties
        }

    def resolve(self, value: Any) -> str:
        """Return the text that a Ref, Sub or literal stands for.

        Raises:
            KeyError: it names something the stack has not.
            TypeError: another intrinsic function, which nothing here needs.
        """
        if isinstance(value, str):
            return value
        if isinstance(value, dict) and "Ref" in value:
            return self._values[value["Ref"]]
        if isinstance(value, dict) and isinstance(value.get("Fn::Sub"), str):
            return re.sub(r"\$\{([^}]+)\}", lambda match: self._values[match[1]], value["Fn::Sub"])
        raise TypeError(f"not a Ref, Sub or literal: {value!r}")

    def routes(self) -> list[Route]:
        """Return every HTTP API route, each with its authorizer or None."""
        found = []
        for function, properties in self.functions().items():
            for event in properties.get("Events", {}).values():
                if event["Type"] != "HttpApi":
                    continue
                where = event["Properties"]
                authorizers, default = self._authorizers(where["ApiId"]["Ref"])
                name = where.get("Auth", {}).get("Authorizer", default)
                authorizer = None if name in (None, "NONE") else authorizers[name]
                found.append(Route(where["Method"].upper(), where["Path"], function, authorizer))
        return found

    def _authorizers(self, api: str) -> tuple[dict[str, Authorizer], str | None]:
        auth = self.resources("AWS::Serverless::HttpApi")[api].get("Auth", {})
        found = {}
        for name, each in auth.get("Authorizers", {}).items():
            jwt = each["JwtConfiguration"]
            audience = tuple(self.resolve(one) for one in jwt["audience"])
            found[name] = Authorizer(self.resolve(jwt["issuer"]), audience)
        return found, auth.get("DefaultAuthorizer")

    def receipt_rule(self) -> ReceiptRule:
        """Return the SES receipt rule, which is one with one S3 action."""
        (properties,) = self.resources("AWS::SES::ReceiptRule").values()
        rule = properties["Rule"]
        (action,) = (each["S3Action"] for each in rule["Actions"])
        return ReceiptRule(
            recipients=tuple(self.resolve(each) for each in rule["Recipients"]),
            scan_enabled=bool(rule.get("ScanEnabled", False)),
            bucket=self.resolve(action["BucketName"]),
            prefix=action.get("ObjectKeyPrefix", ""),
            topic_arn=self.resolve(action["TopicArn"]),
        )

    def ses_events(self) -> tuple[str, str, frozenset[str]]:
        """Return configuration set, topic and kinds (``Bounce``, ...) of SES's sending events."""
        (properties,) = self.resources("AWS::SES::ConfigurationSetEventDestination").values()
        destination = properties["EventDestination"]
        kinds = frozenset(each[:1].upper() + each[1:] for each in destination["MatchingEventTypes"])
        topic_arn = self.resolve(destination["SnsDestination"]["TopicARN"])
        return self.resolve(properties["ConfigurationSetName"]), topic_arn, kinds
