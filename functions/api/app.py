"""Api: the portal's pages and the HTTP API.

Trigger  HTTP API, payload 2.0. Every route of the API is declared in ``servelo.portal``; the JWT authorizer
         has checked the token of team and operator before this function is asked.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from servelo import bootstrap
from servelo.observability import logger
from servelo.portal.app import Portal

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

portal = Portal(bootstrap.portal_services)


@logger.inject_lambda_context
def lambda_handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    return portal.handle(event)


bootstrap.prepare(bootstrap.portal_services)
