"""What can go wrong with a Glue job run, as transient and terminal errors."""

from __future__ import annotations

from lake_pipeline.errors import Terminal, Transient, UsageError


class GlueUnavailable(Transient):
    """Glue is busy, throttles or does not answer. `ambiguous`: the call may have had its effect all the same."""

    def __init__(self, message: str, *, ambiguous: bool = False) -> None:
        super().__init__(message)
        self.ambiguous = ambiguous


class GlueRefused(Terminal):
    """Glue refused the call: permissions, credentials, an input it does not accept."""


class JobMissing(GlueRefused):
    """Glue knows no job, or no job run, of that name."""


class ArgumentRefused(UsageError):
    """A job run cannot be given this argument or option."""


class JobRunFailed(Terminal):
    """The job run ended without success, and would again."""


class JobRunLost(Transient):
    """The job run ended for a reason of Glue's own, or its script says that repeating helps."""


class JobRunOverdue(Terminal):
    """The job run was not over at the deadline and was stopped."""


class JobRunNotStopped(Terminal):
    """The job run did not stop when asked to; it may still cost money."""


class CompletionMissing(Terminal):
    """Glue says SUCCEEDED, but the script left no completion record of this run."""


class UnknownState(Terminal):
    """Glue answers with a state of a job run that this version does not know."""
