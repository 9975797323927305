"""Which failures of other people's libraries pass by themselves: throttling, 5xx, timeouts, lost connections.

Iceberg's catalogs and file systems let the errors of botocore, SQLAlchemy, requests and pyarrow through. They
are told apart here by what they say, not by their classes, so that no client has to be there.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from lake_pipeline.errors import LakeError, Terminal, Transient

PASSING_STATUS = {408, 409, 425, 429}  # and 5xx
# Codes of AWS that stand for a passing state whatever their HTTP status is.
PASSING_CODES = {
    "BandwidthLimitExceeded",
    "ConcurrentModificationException",
    "EC2ThrottledException",
    "InternalError",
    "InternalFailure",
    "InternalServiceException",
    "LimitExceededException",
    "OperationTimeoutException",
    "PriorRequestNotComplete",
    "ProvisionedThroughputExceededException",
    "RequestLimitExceeded",
    "RequestThrottled",
    "RequestThrottledException",
    "RequestTimeout",
    "RequestTimeoutException",
    "ServiceUnavailable",
    "SlowDown",
    "Throttling",
    "ThrottledException",
    "ThrottlingException",
    "TooManyRequestsException",
    "TransactionInProgressException",
}
# Base classes of connections that fail, by module and name: botocore and requests are not imported here.
PASSING_CLASSES = {
    ("botocore.exceptions", "ConnectionError"),
    ("botocore.exceptions", "HTTPClientError"),
    ("requests.exceptions", "ConnectionError"),
    ("requests.exceptions", "Timeout"),
    ("pyiceberg.exceptions", "ServerError"),
    ("pyiceberg.exceptions", "ServiceUnavailableError"),
}
# pyarrow's S3 file system: "AWS Error SLOW_DOWN during …", "AWS Error UNKNOWN (HTTP status 503) during …".
ARROW = re.compile(
    r"AWS Error (?:(?:SLOW_DOWN|THROTTLING|REQUEST_TIMEOUT|SERVICE_UNAVAILABLE|INTERNAL_FAILURE|NETWORK_CONNECTION)"
    r"|\w+ \(HTTP status (?:5\d\d|429|408)\))"
)
BUSY = re.compile(r"database (?:table )?is (?:locked|busy)|disk I/O error")
DENIED = re.compile(r"authentication|does not exist|no such|permission|pg_hba")


class CatalogUnavailable(Transient):
    """The catalog, or the storage below its tables, did not answer as it should: repeat later."""


class CatalogRefused(Terminal):
    """The catalog cannot be opened as `LAKE_CATALOG` names it."""


@contextmanager
def opening(catalog: str) -> Iterator[None]:
    """Turn every failure to open the catalog that does not pass by itself into `CatalogRefused`."""
    try:
        yield
    except LakeError:
        raise
    except Exception as e:  # of whatever driver the URI asks for
        shown = re.sub(r"(://[^/@:]*):[^/@]*@", r"\1:…@", catalog)
        raise CatalogRefused(
            f'The catalog "{shown}" cannot be opened: {type(e).__name__}: {first_line(e)}. LAKE_CATALOG is "glue" '
            f"or the URI of a database that this user may write, with its driver installed beside the project; "
            f"without it the catalog is a file in the lake's own folder."
        ) from e


@contextmanager
def passing(what: str) -> Iterator[None]:
    """Turn failures that pass by themselves into `CatalogUnavailable`; all others go through as they are."""
    try:
        yield
    except LakeError:
        raise
    except Exception as e:
        if not is_passing(e):
            raise
        raise CatalogUnavailable(f"{what}: {type(e).__name__}: {first_line(e)}") from e


def is_passing(error: BaseException) -> bool:
    """Whether a failure, or what caused it, passes by itself."""
    seen: set[int] = set()
    found: BaseException | None = error
    while found is not None and id(found) not in seen:
        if _is_passing(found):
            return True
        seen.add(id(found))
        found = found.__cause__
    return False


def _is_passing(error: BaseException) -> bool:
    if isinstance(error, ConnectionError | TimeoutError | PoolTimeout):
        return True
    if isinstance(error, DBAPIError):
        return error.connection_invalidated or _is_passing_sql(error)
    answer = getattr(error, "response", None)
    if isinstance(answer, dict):  # botocore's ClientError
        status = answer.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        code = answer.get("Error", {}).get("Code", "")
        return code in PASSING_CODES or status in PASSING_STATUS or status >= 500
    if any((c.__module__, c.__name__) in PASSING_CLASSES for c in type(error).__mro__):
        return True
    return isinstance(error, OSError) and ARROW.search(str(error)) is not None


def _is_passing_sql(error: DBAPIError) -> bool:
    """A database that is locked, or does not answer; not one that refuses the user or knows no such table."""
    if type(error.orig).__module__.startswith("sqlite3"):
        return BUSY.search(str(error.orig)) is not None
    return isinstance(error, OperationalError | InterfaceError) and not DENIED.search(str(error.orig))


def first_line(error: BaseException) -> str:
    """A message without what libraries put below its first line."""
    return str(error).split("\n", 1)[0]
