"""What an AWS call's failure means to the caller. Messages hold the service's code, nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from servelo.errors import ConfigurationError, StoreUnavailable

# The deployment is wrong, and no retry mends it.
_DENIED = frozenset({"AccessDeniedException", "AccessDenied", "NotAuthorizedException.Iam", "403"})


def code_of(error: Exception) -> str:
    """Return the service's error code (``NoSuchKey``), ``""`` when there is none."""
    response = getattr(error, "response", None) or {}
    return str(response.get("Error", {}).get("Code", ""))


@contextmanager
def translated(service: str) -> Iterator[None]:
    """Turn what botocore raises inside the block into our errors.

    Raises:
        ConfigurationError: the function's role does not allow the call.
        StoreUnavailable: throttling, time-out, no connection, or an error of the service.
    """
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        yield
    except ClientError as error:
        code = code_of(error)
        if code in _DENIED:
            raise ConfigurationError(
                f"{service}: the role of this function does not allow the call"
            ) from error
        raise StoreUnavailable(f"{service}: {code or 'error'}") from error
    except BotoCoreError as error:
        raise StoreUnavailable(f"{service}: {type(error).__name__}") from error
