"""What a call of Glue's API may raise is an error of ours, and an interruption is none."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ConnectTimeoutError, NoCredentialsError, ReadTimeoutError
from botocore.parsers import ResponseParserError

from lake_pipeline.resources.glue.calls import Calls
from lake_pipeline.resources.glue.errors import GlueRefused, GlueUnavailable


class Client:
    """A client whose calls end by an error."""

    def __init__(self, error: BaseException) -> None:
        self.error = error

    def start_job_run(self, **_: Any) -> None:
        raise self.error


@pytest.mark.parametrize(
    ("error", "ours", "ambiguous"),
    [
        (ReadTimeoutError(endpoint_url="x"), GlueUnavailable, True),
        (ConnectTimeoutError(endpoint_url="x"), GlueUnavailable, True),
        (ResponseParserError("no XML"), GlueUnavailable, True),
        (NoCredentialsError(), GlueRefused, None),
    ],
    ids=lambda x: type(x).__name__ if isinstance(x, Exception) else "",
)
def test_errors_of_the_client_are_ours(
    error: Exception, ours: type[Exception], ambiguous: bool | None
) -> None:
    with pytest.raises(ours, match="StartJobRun of the job") as raised:
        Calls(Client(error)).once("start_job_run", "the job x")
    assert getattr(raised.value, "ambiguous", None) is ambiguous


def test_an_interruption_passes() -> None:
    with pytest.raises(KeyboardInterrupt):
        Calls(Client(KeyboardInterrupt())).once("start_job_run", "the job x")
