"""AWS clients: botocore's own, made from one session, without the work that it repeats for every request.

Measured on a small mail's five requests: building the User-Agent and resolving the endpoint rule set took
two fifths of botocore's time, and neither answer ever changes. What is replaced is replaced on the instance,
and only where this botocore has it: with another version the client works as it always did.

boto3 is left out on purpose: its clients are these very ones, and importing it costs 15 ms of a cold start.
"""

from __future__ import annotations

import base64
import gzip
import json
import os
import re
from collections.abc import Callable
from functools import cache
from typing import Any

import orjson  # a request of twelve items in 15 microseconds instead of 220

# What the program and the operator's command talk to; botocore would list all 400 it knows to find one.
SERVICES = (
    "cloudformation cloudwatch cognito-idp dynamodb events kms lambda s3 secretsmanager ses sesv2 sns sqs sts"
).split()
# Their endpoint depends on nothing but the region: one table by its name, queues by their address.
_ONE_ENDPOINT = frozenset({"dynamodb", "kms", "secretsmanager", "sesv2", "sqs"})


# Regions of AWS's ordinary partition; China's and the governments' have other names and other domains.
_ORDINARY_REGION = re.compile(r"^(us|eu|ap|sa|ca|me|af|il|mx)\-\w+\-\d+$")
# What botocore's file of 1.2 MB says of them that a client with an endpoint rule set still asks for.
_ENDPOINTS = {
    "version": 3,
    "partitions": [
        {
            "partition": "aws",
            "partitionName": "AWS Standard",
            "dnsSuffix": "amazonaws.com",
            "regionRegex": _ORDINARY_REGION.pattern,
            "regions": {},
            "services": {
                # Of us-east-1 botocore asks for S3 under its older, global name.
                "s3": {
                    "partitionEndpoint": "aws-global",
                    "isRegionalized": True,
                    "defaults": {"signatureVersions": ["s3v4"]},
                    "endpoints": {
                        "aws-global": {
                            "credentialScope": {"region": "us-east-1"},
                            "hostname": "s3.amazonaws.com",
                        }
                    },
                }
            },
            "defaults": {
                "hostname": "{service}.{region}.{dnsSuffix}",
                "protocols": ["https"],
                "signatureVersions": ["v4"],
                "variants": [],
            },
        }
    ],
}


@cache
def session(ordinary: bool = True) -> Any:
    """Return the one botocore session of this process: it holds the credentials and the parsed models.

    *ordinary*: for regions of AWS's ordinary partition.
    """
    from botocore.loaders import JSONFileLoader, Loader
    from botocore.session import get_session

    class ModelFiles(JSONFileLoader):
        """botocore's descriptions of services as plain dictionaries: in half the time that ordered ones take.

        Dictionaries keep their order as well; botocore's habit is older than that.
        """

        def load_file(self, file_path: str) -> Any:
            for ending, unpacked in ((".json", bytes), (".json.gz", gzip.decompress)):
                try:
                    with open(file_path + ending, "rb") as file:
                        return orjson.loads(unpacked(file.read()))
                except FileNotFoundError:
                    continue
            return None

    class DirectLoader(Loader):
        FILE_LOADER_CLASS = ModelFiles

        def list_available_services(self, type_name: str) -> list[str]:
            return SERVICES

        def load_data_with_path(self, name: str) -> tuple[Any, str]:
            if name == "endpoints" and ordinary:
                return _ENDPOINTS, ""
            found: tuple[Any, str] = super().load_data_with_path(name)
            return found

    made = get_session()
    made.register_component("data_loader", DirectLoader())
    return made


def client(service: str, region: str, **options: Any) -> Any:
    """Return a new client of *service*, one of ``SERVICES``; *options* go to botocore's ``Config``."""
    from botocore.config import Config

    from servelo.adapters import aws_requests

    if "AWS_LAMBDA_FUNCTION_NAME" in os.environ and not any(
        name.lower().endswith("_proxy") for name in os.environ
    ):
        options["proxies"] = {}  # as botocore would find, after asking the environment a dozen times
    from_ = session(_ORDINARY_REGION.fullmatch(region) is not None)
    made = from_.create_client(service, region, config=Config(user_agent=from_.user_agent(), **options))
    if service in _ONE_ENDPOINT:
        _remember_endpoints(made, by="")
    if service == "s3":
        _remember_endpoints(made, by="Bucket")
        _plain_objects(made)
    if service == "sqs":
        plain_json(made)
    aws_requests.speed_up(made)
    return made


def _remember_endpoints(made: Any, by: str) -> None:
    """Let *made* resolve the endpoint of each operation once, or for each value of its parameter *by*."""
    resolver = getattr(made, "_ruleset_resolver", None)
    resolve = getattr(resolver, "construct_endpoint", None)
    if resolver is None or resolve is None:
        return
    found: dict[tuple[str, str], Any] = {}

    def construct_endpoint(operation_model: Any, call_args: Any, request_context: Any) -> Any:
        name = operation_model.name, call_args.get(by, "")
        if name not in found:
            found[name] = resolve(
                operation_model=operation_model, call_args=call_args, request_context=request_context
            )
        return found[name]

    resolver.construct_endpoint = construct_endpoint


def _plain_objects(made: Any) -> None:
    """Let a client of S3 answer GetObject with the object, without the forty things its header may say."""
    from botocore.handlers import handle_expires_header

    made.meta.events.unregister("before-parse.s3.*", handle_expires_header)  # one that nobody reads
    endpoint = getattr(made, "_endpoint", None)
    if endpoint is not None and hasattr(endpoint, "_response_parser_factory"):
        endpoint._response_parser_factory = _Parsers(endpoint._response_parser_factory, _ObjectParser)


def plain_json(made: Any) -> None:
    """Let a client of DynamoDB or SQS write and read JSON as it is, without a walk along the service's model.

    pynamodb's parameters are DynamoDB's own typed values already, and the queue's are text and numbers.
    Parameters are not checked before they are sent. In answers binary values stay base64 text. Errors are
    read by botocore as ever.
    """
    from botocore.serialize import JSONSerializer

    serializer, endpoint = getattr(made, "_serializer", None), getattr(made, "_endpoint", None)
    if type(getattr(serializer, "_serializer", serializer)) is not JSONSerializer:
        return  # another protocol, or another botocore
    if endpoint is None or not hasattr(endpoint, "_response_parser_factory"):
        return
    made._serializer = _JsonSerializer(made.meta.service_model.metadata)
    endpoint._response_parser_factory = _Parsers(endpoint._response_parser_factory, _JsonParser)


class _JsonSerializer:
    def __init__(self, metadata: Any) -> None:
        self._prefix = metadata["targetPrefix"]
        self._fixed = {"Content-Type": f"application/x-amz-json-{metadata['jsonVersion']}"}
        if "awsQueryCompatible" in metadata:  # SQS: errors keep the names they had in its older protocol
            self._fixed["x-amzn-query-mode"] = "true"

    def serialize_to_request(self, parameters: Any, operation_model: Any) -> dict[str, Any]:
        return {
            "url_path": "/",
            "query_string": {},
            "method": "POST",
            "headers": {"X-Amz-Target": f"{self._prefix}.{operation_model.name}", **self._fixed},
            "body": _encoded(parameters),
        }


class _Parsers:
    """Stands where botocore makes a parser for each answer."""

    def __init__(self, factory: Any, ours: Callable[[Any], Any]) -> None:
        self._factory = factory
        self._ours = ours

    def create_parser(self, protocol: str) -> Any:
        return self._ours(self._factory.create_parser(protocol))


class _JsonParser:
    def __init__(self, parser: Any) -> None:
        self._parser = parser

    def parse(self, response: Any, shape: Any) -> Any:
        if response["status_code"] >= 300:
            return self._parser.parse(response, shape)
        parsed = orjson.loads(response["body"] or b"{}")
        parsed["ResponseMetadata"] = _metadata(response, "x-amzn-requestid")
        return parsed


class _ObjectParser:
    def __init__(self, parser: Any) -> None:
        self._parser = parser

    def parse(self, response: Any, shape: Any) -> Any:
        if response["status_code"] != 200 or getattr(shape, "name", "") != "GetObjectOutput":
            return self._parser.parse(response, shape)
        return {"Body": response["body"], "ResponseMetadata": _metadata(response, "x-amz-request-id")}


def _metadata(response: Any, request_id: str) -> dict[str, Any]:
    headers = response["headers"]
    return {
        "RequestId": headers.get(request_id, ""),
        "HTTPStatusCode": response["status_code"],
        "HTTPHeaders": headers,
    }


def _base64(value: bytes) -> str:
    return base64.b64encode(value).decode("ascii")


_ENCODER = json.JSONEncoder(default=_base64, separators=(",", ":"), check_circular=False)
_ONLY_JSON = orjson.OPT_PASSTHROUGH_DATACLASS | orjson.OPT_PASSTHROUGH_DATETIME


def _encoded(parameters: Any) -> bytes:
    """Return *parameters* as JSON. Raises TypeError for what JSON cannot hold."""
    try:
        return orjson.dumps(parameters, _base64, _ONLY_JSON)
    except TypeError:  # it refuses lone surrogates and integers of more than 64 bits; AWS may judge of them
        return _ENCODER.encode(parameters).encode()
