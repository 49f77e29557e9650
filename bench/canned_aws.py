"""AWS answered on the spot: what a function costs without the network.

Requests are built, signed and serialised by botocore as ever; just before one would be sent, the answer is
made here, from a dictionary of items and its views. It knows what router, sender and portal ask for
and refuses the rest. Conditions always hold, updates within a transaction change nothing: what is measured is
our side of it. Capacity units are computed from the items' sizes as DynamoDB bills them.
"""

from __future__ import annotations

import base64
import bisect
import json
import marshal
import os
import re
import time
from collections import Counter, defaultdict
from typing import Any

from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from botocore.handlers import BUILTIN_HANDLERS

Item = dict[str, Any]


class Table:
    """Items by key, and the views of the four indexes, in memory.

    Items are kept packed: a ticket with its Message-ID takes some 2 kB, so that a million of them fit.
    """

    def __init__(self) -> None:
        self._items: dict[tuple[str, str], bytes] = {}
        # Sort keys in order, by partition; of an index: (its sort key, pk, sk), by (number, its partition).
        self._partitions: dict[str, list[str]] = {}
        self._views: defaultdict[tuple[str, str], list[tuple[str, str, str]]] = defaultdict(list)

    def get(self, key: tuple[str, str]) -> Item | None:
        packed = self._items.get(key)
        return None if packed is None else marshal.loads(packed)  # noqa: S302 - our own, of this process

    def put(self, item: Item) -> None:
        """Keep *item*, in the place of an earlier one with its key."""
        pk, sk = key = item["pk"]["S"], item["sk"]["S"]
        old = self.get(key)
        if old is None:
            bisect.insort(self._partitions.setdefault(pk, []), sk)
        self._items[key] = marshal.dumps(item)
        for index in ("gsi1", "gsi2", "gsi3", "gsi4"):
            before, after = _view(old, index), _view(item, index)
            if before == after:
                continue
            if before:
                view = self._views[(index, before[0])]
                del view[bisect.bisect_left(view, (before[1], pk, sk))]
            if after:
                bisect.insort(self._views[(index, after[0])], (after[1], pk, sk))

    def keys(self, index: str, partition: str) -> list[tuple[str, str, str]]:
        """Return (sort key, pk, sk) of the items in a partition of the table or of an index, in order."""
        if index:
            return self._views[(index, partition)]
        return [(sk, partition, sk) for sk in self._partitions.get(partition, ())]


class CannedAws:
    """A table, buckets, queues and secrets in memory.

    ``requests`` counts what was asked; ``seconds`` is the processor time that answering took.
    """

    def __init__(self) -> None:
        self.table = Table()
        self.objects: dict[str, bytes] = {}
        self.queued: list[str] = []
        self.secrets: dict[str, str] = {}
        self.seconds = 0.0
        self.requests: Counter[str] = Counter()
        self.read_units = 0.0
        self.write_units = 0.0

    def forget_counts(self) -> None:
        self.requests.clear()
        self.read_units = self.write_units = 0.0

    def install(self) -> None:
        """Answer every botocore client that is made from now on; nothing is sent anywhere."""
        os.environ.update(
            AWS_ACCESS_KEY_ID="bench",
            AWS_SECRET_ACCESS_KEY="bench",  # noqa: S106 - signs what nobody receives
            AWS_DEFAULT_REGION="eu-west-1",
            AWS_REGION="eu-west-1",
        )
        BUILTIN_HANDLERS.append(("before-send", self._timed))

    def _timed(self, request: AWSPreparedRequest, **_: Any) -> AWSResponse:
        began = time.process_time()
        try:
            return self._answer(request)
        finally:
            self.seconds += time.process_time() - began

    def _answer(self, request: AWSPreparedRequest) -> AWSResponse:
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
        if target.startswith("secretsmanager"):
            self.requests["secretsmanager GetSecretValue"] += 1
            secret = json.loads(_bytes(request.body))["SecretId"]
            return _response(
                {"SecretString": self.secrets[secret]}, "application/x-amz-json-1.1", request.url
            )
        if "/v2/email/outbound-emails" in request.url:
            self.requests["ses SendEmail"] += 1
            return _response(
                {"MessageId": f"ses{self.requests['ses SendEmail']}"}, "application/json", request.url
            )
        if request.method == "GET":
            self.requests["s3 GetObject"] += 1
            return _raw(self.objects[_key(request.url)], request.url)
        if request.method in ("PUT", "HEAD"):
            self.requests[f"s3 {request.method}"] += 1
            return _raw(b"", request.url)
        raise AssertionError(f"no canned answer for {request.method} {request.url} {target}")

    def BatchGetItem(self, body: Item) -> Item:  # noqa: N802 - the API's name
        ((table, wanted),) = body["RequestItems"].items()
        found = [self.table.get((k["pk"]["S"], k["sk"]["S"])) for k in wanted["Keys"]]
        self.read_units += sum(read_units(item or {}) for item in found)
        return {"Responses": {table: [item for item in found if item]}, "UnprocessedKeys": {}}

    def GetItem(self, body: Item) -> Item:  # noqa: N802 - the API's name
        item = self.table.get((body["Key"]["pk"]["S"], body["Key"]["sk"]["S"]))
        self.read_units += read_units(item or {}) * (1 if body.get("ConsistentRead") else 0.5)
        return {"Item": item} if item else {}

    def UpdateItem(self, body: Item) -> Item:  # noqa: N802 - the API's name
        key = (body["Key"]["pk"]["S"], body["Key"]["sk"]["S"])
        item = self.table.get(key) or {**body["Key"], "kind": {"S": "counter"}, "n": {"N": "0"}}
        if key[0].endswith("#COUNTER"):
            item["n"] = {"N": str(int(item["n"]["N"]) + 1)}
        self.table.put(item)
        self.write_units += kilobytes(item)
        return {"Attributes": item}

    def PutItem(self, body: Item) -> Item:  # noqa: N802 - the API's name
        self.table.put(body["Item"])
        self.write_units += kilobytes(body["Item"])
        return {}

    def TransactWriteItems(self, body: Item) -> Item:  # noqa: N802 - the API's name
        for each in body["TransactItems"]:
            ((kind, write),) = each.items()
            if kind == "Put":
                self.table.put(write["Item"])
                self.write_units += 2 * kilobytes(write["Item"])
            else:
                self.write_units += 2 * kilobytes(
                    self.table.get((write["Key"]["pk"]["S"], write["Key"]["sk"]["S"])) or {}
                )
        return {}

    def Query(self, body: Item) -> Item:  # noqa: N802 - the API's name
        names, values = body["ExpressionAttributeNames"], body["ExpressionAttributeValues"]
        condition = body["KeyConditionExpression"]
        (equal,) = re.findall(r"(#\d+) = (:\d+)", condition)
        partition = values[equal[1]]["S"]
        begins = re.search(r"begins_with ?\(#\d+, (:\d+)\)", condition)
        prefix = values[begins[1]]["S"] if begins else ""
        index = body.get("IndexName", "")
        if index:
            assert names[equal[0]] == f"{index}pk"
        keys = self.table.keys(index, partition)
        first, last = 0, len(keys)
        if prefix:
            first = bisect.bisect_left(keys, (prefix, "", ""))
            last = bisect.bisect_left(keys, (prefix + "\U0010ffff", "", ""))
        start = body.get("ExclusiveStartKey")
        forward = body.get("ScanIndexForward", True)
        if start:
            at = (start[f"{index}sk" if index else "sk"]["S"], start["pk"]["S"], start["sk"]["S"])
            first, last = (
                (bisect.bisect_right(keys, at), last) if forward else (first, bisect.bisect_left(keys, at))
            )
        limit = body.get("Limit", 1000)
        chosen = (
            keys[first : min(last, first + limit)] if forward else keys[max(first, last - limit) : last][::-1]
        )
        found = [self.table.get((pk, sk)) or {} for _, pk, sk in chosen]
        units = -(-sum(size_of(item) for item in found) // 4096) or 1
        self.read_units += units * (1 if body.get("ConsistentRead") else 0.5)
        answer: Item = {"Items": found, "Count": len(found), "ScannedCount": len(found)}
        if len(chosen) == limit and last - first > limit:
            sort_key, pk, sk = chosen[-1]
            answer["LastEvaluatedKey"] = {"pk": {"S": pk}, "sk": {"S": sk}}
            if index:
                answer["LastEvaluatedKey"] |= {f"{index}pk": {"S": partition}, f"{index}sk": {"S": sort_key}}
        return answer


def _view(item: Item | None, index: str) -> tuple[str, str] | None:
    if item is None or f"{index}pk" not in item:
        return None
    return item[f"{index}pk"]["S"], item[f"{index}sk"]["S"]


def size_of(item: Item) -> int:
    """Attribute names and values, in bytes (developer guide, "item sizes"); binary values come as base64."""
    size = 0
    for name, typed in item.items():
        ((kind, value),) = typed.items()
        size += len(name) + (len(value) * 3 // 4 if kind == "B" else len(str(value).encode()))
    return size


def kilobytes(item: Item) -> int:
    return max(1, -(-size_of(item) // 1024))


def read_units(item: Item) -> int:
    """Units of a consistent read."""
    return max(1, -(-size_of(item) // 4096))


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
