"""AWS answered on the spot: what a function costs without the network.

Requests are built, signed and serialised by botocore as ever; just before one would be sent, the answer is
made here, from a dictionary of items. It knows the operations that router and sender use and refuses others.
"""

from __future__ import annotations

import base64
import json
from collections import Counter
from typing import Any

from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from botocore.handlers import BUILTIN_HANDLERS

Item = dict[str, Any]


class CannedAws:
    """A table, buckets and queues in memory. ``requests`` counts what was asked."""

    def __init__(self) -> None:
        self.items: dict[tuple[str, str], Item] = {}
        self.objects: dict[str, bytes] = {}
        self.queued: list[str] = []
        self.requests: Counter[str] = Counter()

    def install(self) -> None:
        """Answer every botocore client that is made from now on."""
        BUILTIN_HANDLERS.append(("before-send", self._answer))

    def _answer(self, request: AWSPreparedRequest, **_: Any) -> AWSResponse:
        target = _text(request.headers.get("X-Amz-Target", ""))
        if target.startswith("DynamoDB"):
            operation = target.partition(".")[2]
            self.requests[f"dynamodb {operation}"] += 1
            body = json.loads(_bytes(request.body))
            return _response(getattr(self, operation)(body), "application/x-amz-json-1.0", request.url)
        if target.startswith("AmazonSQS"):
            operation = target.partition(".")[2]
            self.requests[f"sqs {operation}"] += 1
            entries = json.loads(_bytes(request.body))["Entries"]
            self.queued += [entry["MessageBody"] for entry in entries]
            done = [
                {"Id": e["Id"], "MessageId": e["Id"], "MD5OfMessageBody": _md5(e["MessageBody"])}
                for e in entries
            ]
            return _response({"Successful": done, "Failed": []}, "application/x-amz-json-1.0", request.url)
        if request.method == "GET":
            self.requests["s3 GetObject"] += 1
            return _raw(self.objects[_key(request.url)], request.url)
        if request.method in ("PUT", "HEAD"):
            self.requests[f"s3 {request.method}"] += 1
            return _raw(b"", request.url)
        raise AssertionError(f"no canned answer for {request.method} {request.url} {target}")

    def BatchGetItem(self, body: Item) -> Item:  # noqa: N802 - the API's name
        ((table, wanted),) = body["RequestItems"].items()
        found = [self.items.get((k["pk"]["S"], k["sk"]["S"])) for k in wanted["Keys"]]
        return {"Responses": {table: [item for item in found if item]}, "UnprocessedKeys": {}}

    def GetItem(self, body: Item) -> Item:  # noqa: N802 - the API's name
        item = self.items.get((body["Key"]["pk"]["S"], body["Key"]["sk"]["S"]))
        return {"Item": item} if item else {}

    def UpdateItem(self, body: Item) -> Item:  # noqa: N802 - the API's name
        key = (body["Key"]["pk"]["S"], body["Key"]["sk"]["S"])
        item = self.items.setdefault(key, {**body["Key"], "kind": {"S": "counter"}, "n": {"N": "0"}})
        if key[0].endswith("#COUNTER"):
            item["n"] = {"N": str(int(item["n"]["N"]) + 1)}
        return {"Attributes": item}

    def PutItem(self, body: Item) -> Item:  # noqa: N802 - the API's name
        item = body["Item"]
        self.items[(item["pk"]["S"], item["sk"]["S"])] = item
        return {}

    def TransactWriteItems(self, body: Item) -> Item:  # noqa: N802 - the API's name
        for each in body["TransactItems"]:
            if "Put" in each:
                self.PutItem(each["Put"])
        return {}


def _response(data: Item, kind: str, url: str) -> AWSResponse:
    return _raw(json.dumps(data).encode(), url, kind)


def _raw(content: bytes, url: str, kind: str = "application/octet-stream") -> AWSResponse:
    headers = {"Content-Type": kind, "Content-Length": str(len(content)), "x-amzn-RequestId": "canned"}
    return AWSResponse(url, 200, headers, _Body(content))


class _Body:
    """What botocore reads an answer from."""

    def __init__(self, content: bytes) -> None:
        self._content, self._at = content, 0

    def stream(self, *_: Any, **__: Any) -> Any:
        yield self.read()

    def read(self, amount: int | None = None, **_: Any) -> bytes:
        end = len(self._content) if amount is None else self._at + amount
        piece = self._content[self._at : end]
        self._at = min(end, len(self._content))
        return piece

    def close(self) -> None:
        return None


def _bytes(body: Any) -> bytes:
    return body if isinstance(body, bytes) else body.encode() if isinstance(body, str) else body.read()


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


def _md5(text: str) -> str:
    import hashlib

    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()


def _key(url: str) -> str:
    from urllib.parse import unquote, urlsplit

    return unquote(urlsplit(url).path).lstrip("/")


def decode(value: Item) -> Any:
    """Return the plain value of a DynamoDB attribute value."""
    ((kind, raw),) = value.items()
    return float(raw) if kind == "N" else base64.b64decode(raw) if kind == "B" else raw
