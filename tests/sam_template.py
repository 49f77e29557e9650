"""``template.yaml`` as CloudFormation sees it: SAM's own transform, with places for artefacts.

``python -m tests.sam_template`` prints it as JSON, for tools that do not know SAM.
"""

from __future__ import annotations

import copy
import json
import os
from functools import cache
from pathlib import Path
from typing import Any
from unittest import mock

from samcli.yamlhelper import yaml_parse
from samtranslator.translator.transform import transform

TEMPLATE = Path(__file__).resolve().parents[1] / "template.yaml"


class _ManagedPolicies:
    """The managed policies that SAM adds by name."""

    def load(self) -> dict[str, str]:
        names = (
            "AWSLambdaBasicExecutionRole",
            "AWSLambdaSQSQueueExecutionRole",
            "AWSLambdaDynamoDBExecutionRole",
        )
        known = {name: f"arn:aws:iam::aws:policy/service-role/{name}" for name in names}
        return {**known, "AWSXRayDaemonWriteAccess": "arn:aws:iam::aws:policy/AWSXRayDaemonWriteAccess"}


@cache
def source() -> dict[str, Any]:
    """Return the template as written, short tags in their long form."""
    return dict(yaml_parse(TEMPLATE.read_text(encoding="utf-8")))


@cache
def transformed() -> dict[str, Any]:
    """Return what is deployed to AWS."""
    document = copy.deepcopy(source())
    for resource in document["Resources"].values():
        for name in ("CodeUri", "ContentUri"):
            if name in resource.get("Properties", {}):
                resource["Properties"][name] = "s3://bucket/key"
    with mock.patch.dict(os.environ, {"AWS_DEFAULT_REGION": "eu-west-1"}):
        return dict(transform(document, {}, _ManagedPolicies()))


def resources(kind: str) -> dict[str, dict[str, Any]]:
    """Return logical id -> resource of a CloudFormation type, after the transform."""
    return {name: each for name, each in transformed()["Resources"].items() if each["Type"] == kind}


def properties(kind: str) -> dict[str, dict[str, Any]]:
    """Return logical id -> properties of a CloudFormation type, after the transform."""
    return {name: each.get("Properties", {}) for name, each in resources(kind).items()}


if __name__ == "__main__":
    print(json.dumps(transformed(), indent=1, default=str))
