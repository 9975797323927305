"""One call of Glue's API: its errors in our terms, and the policy by which it is repeated.

All repetition happens here and by a policy that is visible in the resource's configuration. botocore's own
retries would hide a second StartJobRun behind one call: `CLIENT_RETRIES` turns them off.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

from botocore import exceptions as failures
from botocore.parsers import ResponseParserError

from lake_pipeline.resources.glue.errors import GlueRefused, GlueUnavailable, JobMissing

T = TypeVar("T")
Tell = Callable[[str, str], None]  # a sentence, and its level of logging
CLIENT_RETRIES = {"mode": "standard", "total_max_attempts": 1}

# Codes after which the same call may succeed later. The first group changed nothing; the second may have.
BUSY = frozenset(
    {
        "ConcurrentModificationException",
        "ConcurrentRunsExceededException",
        "LimitExceededException",
        "RequestLimitExceeded",
        "RequestThrottled",
        "RequestThrottledException",
        "ResourceNumberLimitExceededException",  # the account's DPUs or runs: free again when others end
        "SlowDown",
        "Throttling",
        "ThrottlingException",
        "TooManyRequestsException",
    }
)
UNANSWERED = frozenset(
    {
        "InternalFailure",
        "InternalServerError",
        "InternalServiceException",
        "OperationTimeoutException",
        "RequestTimeout",
        "ServiceUnavailable",
    }
)
CREDENTIALS = "Check the credentials (region, profile, keys) of the process that runs Dagster."
# What to do about codes that repeating does not cure.
ADVICE = {
    "AccessDeniedException": "Allow glue:{action} on the job to the role of the process that runs Dagster.",
    "EntityNotFoundException": "Create it (`GlueJobs.ensure`), or correct the name, the region or the account.",
    "ExpiredTokenException": CREDENTIALS,
    "InvalidInputException": "Correct the job's options or arguments.",
    "InvalidSignatureException": CREDENTIALS,
    "UnrecognizedClientException": CREDENTIALS,
}
NO_ANSWER = (failures.HTTPClientError, failures.ConnectionError)  # timeouts and closed connections are kinds


@dataclass(frozen=True)
class Timing:
    """Clock (seconds, monotonic), sleep and chance (0 ≤ x < 1); tests bring their own."""

    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    chance: Callable[[], float] = random.random


@dataclass(frozen=True)
class Backoff:
    """Growing pauses in seconds: ``first * factor^n``, never above `most`; `jitter` is the share left to chance.

    >>> [Backoff(first=1, factor=2, most=5).delay(n) for n in range(4)]
    [1.0, 2.0, 4.0, 5.0]
    >>> Backoff(first=1, factor=2, most=5, jitter=0.5).delay(1, chance=0.0)
    1.0
    """

    first: float = 1.0
    factor: float = 2.0
    most: float = 30.0
    jitter: float = 0.0

    def delay(self, tries: int, chance: float = 1.0) -> float:
        """The pause after `tries` earlier ones."""
        grown = min(self.first * self.factor ** min(tries, 60), self.most)
        return grown * (1 - self.jitter * (1 - chance))


@dataclass(frozen=True)
class RetryPolicy:
    """Which calls are repeated, and after which pauses; the deadline of the work bounds them all."""

    backoff: Backoff = field(default_factory=lambda: Backoff(first=1.0, factor=2.0, most=30.0, jitter=0.5))
    busy: frozenset[str] = BUSY
    unanswered: frozenset[str] = UNANSWERED


def unsaid(_: str, __: str) -> None:
    """Tell nobody."""


@dataclass(frozen=True)
class Calls:
    """Glue's API as far as job runs need it. tell: hears why a call is repeated, at the 1st, 2nd, 4th, 8th … time."""

    client: Any
    policy: RetryPolicy = field(default_factory=RetryPolicy)
    timing: Timing = field(default_factory=Timing)
    tell: Tell = unsaid

    def once(self, operation: str, about: str, **parameters: Any) -> dict[str, Any]:
        """One call, e.g. ``once("get_job", 'the job "validate"', JobName="validate")``, never repeated."""
        action = "".join(part.capitalize() for part in operation.split("_"))
        try:
            answer: dict[str, Any] = getattr(self.client, operation)(**parameters)
        except failures.ClientError as e:
            raise self._translated(e, action, about) from e
        except failures.ParamValidationError as e:
            raise GlueRefused(f"{action} of {about} has a parameter that cannot be: {e}") from e
        except (failures.NoCredentialsError, failures.PartialCredentialsError) as e:
            raise GlueRefused(f"{action} of {about} has no credentials: {e}. {CREDENTIALS}") from e
        except NO_ANSWER as e:
            raise GlueUnavailable(f"{action} of {about} got no answer: {e}", ambiguous=True) from e
        except ResponseParserError as e:
            raise GlueUnavailable(f"{action} of {about} got an unreadable answer: {e}", ambiguous=True) from e
        except failures.BotoCoreError as e:
            raise GlueRefused(f"{action} of {about} could not be sent: {e}. {CREDENTIALS}") from e
        return answer

    def repeated(self, until: float, operation: str, about: str, **parameters: Any) -> dict[str, Any]:
        """A call that may be repeated without harm, until it succeeds or `until` (of the clock) passes."""
        return self.retry(lambda _: self.once(operation, about, **parameters), until)

    def retry(self, attempt: Callable[[int], T], until: float) -> T:
        """``attempt(0)``, ``attempt(1)``, … with pauses between, while Glue is unavailable and time is left."""
        tries = 0
        while True:
            try:
                return attempt(tries)
            except GlueUnavailable as e:
                wait = self.policy.backoff.delay(tries, self.timing.chance())
                tries += 1
                if self.timing.clock() + wait >= until:
                    raise GlueUnavailable(
                        f"{e} Gave up at the deadline after {tries} {'try' if tries == 1 else 'tries'}.",
                        ambiguous=e.ambiguous,
                    ) from e
                if tries & (tries - 1) == 0:
                    self.tell(f"{e} It is repeated in {wait:.0f} s ({tries} so far).", "WARNING")
                self.timing.sleep(wait)

    def _translated(
        self, error: failures.ClientError, action: str, about: str
    ) -> GlueUnavailable | GlueRefused:
        code = str(error.response.get("Error", {}).get("Code", "")).rpartition("#")[2]
        message = error.response.get("Error", {}).get("Message") or "no message"
        status = int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
        said = f"{action} of {about}: {code}: {message.rstrip('.')}."
        if code in self.policy.busy:
            return GlueUnavailable(said)
        if code in self.policy.unanswered or status >= 500:
            return GlueUnavailable(said, ambiguous=True)
        kind = JobMissing if code == "EntityNotFoundException" else GlueRefused
        advice = ADVICE.get(code, "Correct what it names; repeating does not help.")
        return kind(f"{said} {advice.format(action=action)}")
