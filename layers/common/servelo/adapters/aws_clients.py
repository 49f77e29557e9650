"""AWS clients: botocore's own, made from one session, without the work that it repeats for every request.

Measured on a small mail's five requests: building the User-Agent and resolving the endpoint rule set took
two fifths of botocore's time, and neither answer ever changes. What is replaced is replaced on the instance,
and only where this botocore has it: with another version the client works as it always did.

boto3 is left out on purpose: its clients are these very ones, and importing it costs 15 ms of a cold start.
"""

from __future__ import annotations

from functools import cache
from typing import Any

# What the program and the operator's command talk to; botocore would list all 400 it knows to find one.
SERVICES = ("cloudformation cognito-idp dynamodb kms lambda s3 secretsmanager ses sesv2 sns sqs sts").split()
# Their endpoint depends on nothing but the region: one table by its name, queues by their address.
_ONE_ENDPOINT = frozenset({"dynamodb", "kms", "secretsmanager", "sesv2", "sqs"})


@cache
def session() -> Any:
    """Return the one botocore session of this process: it holds the credentials and the parsed models."""
    from botocore.loaders import Loader
    from botocore.session import get_session

    class DirectLoader(Loader):
        def list_available_services(self, type_name: str) -> list[str]:
            return SERVICES

    made = get_session()
    made.register_component("data_loader", DirectLoader())
    return made


def client(service: str, region: str, **options: Any) -> Any:
    """Return a new client of *service*, one of ``SERVICES``; *options* go to botocore's ``Config``."""
    from botocore.config import Config

    made = session().create_client(
        service, region, config=Config(user_agent=session().user_agent(), **options)
    )
    if service in _ONE_ENDPOINT:
        _remember_endpoints(made)
    return made


def _remember_endpoints(made: Any) -> None:
    """Let *made* resolve the endpoint of each operation once."""
    resolver = getattr(made, "_ruleset_resolver", None)
    resolve = getattr(resolver, "construct_endpoint", None)
    if resolver is None or resolve is None:
        return
    found: dict[str, Any] = {}

    def construct_endpoint(operation_model: Any, call_args: Any, request_context: Any) -> Any:
        name = operation_model.name
        if name not in found:
            found[name] = resolve(
                operation_model=operation_model, call_args=call_args, request_context=request_context
            )
        return found[name]

    resolver.construct_endpoint = construct_endpoint
