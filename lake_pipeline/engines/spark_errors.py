"""What Spark's exceptions say, in a sentence for people: which are thousands of lines of two languages' stacks."""

from __future__ import annotations

import re
from importlib import import_module

from lake_pipeline.engines.engine import QueryFailed
from lake_pipeline.errors import LakeError, Transient

# What Spark says when it lost machines, not when it cannot compute something.
LOST = (
    *("ExecutorLost", "FetchFailed", "Master removed", "SparkContext was shut down", "stopped SparkContext"),
    *("SparkContext has been shutdown", "All masters are unresponsive", "Remote RPC client disassociated"),
    *("Connection refused", "Error while sending or receiving", "Answer from Java side is empty"),
)
TRACEBACK = "Traceback (most recent call last):"
OURS = re.compile(r"^(lake_pipeline(?:\.\w+)+)\.(\w+)(?:: (.*))?$", re.DOTALL | re.MULTILINE)
JAVA = re.compile(r"^(?:: )?(?:Caused by: )?(?:[a-z]\w*\.)+\w+: (?=\S)")
MOST = 500


class SparkLost(Transient):
    """Spark lost what it was running on: repeat."""


def in_our_words(error: Exception) -> LakeError:
    """An exception of Spark, PySpark or their bridge as one of ours; what a task raised of ours is itself."""
    text = str(error)
    raised = _raised(text)
    if raised is not None:
        return raised
    said = sentence(text) or type(error).__name__
    if isinstance(error, ConnectionError) or any(mark in text for mark in LOST):
        return SparkLost(f"Spark lost machines, or its master: {said}")
    return QueryFailed(said)


def _raised(text: str) -> LakeError | None:
    """The error of ours at the end of a Python traceback."""
    found = OURS.search(_python_end(text))
    if found is None:
        return None
    kind = getattr(import_module(found[1]), found[2], None)
    if isinstance(kind, type) and issubclass(kind, LakeError):
        return kind((found[3] or "").strip())
    return None


def _python_end(text: str) -> str:
    """What stands below the stack of the last Python traceback, and above Java's."""
    if TRACEBACK not in text:
        return ""
    lines = text.rpartition(TRACEBACK)[2].split("\n\tat ")[0].split("\n")
    below = [n for n, line in enumerate(lines) if line[:1].strip()]  # a stack is indented
    return "\n".join(lines[below[0] :]).strip() if below else ""


def sentence(text: str) -> str:
    r"""The first line that says something: of a Python traceback its end, of Java's the message.

    >>> sentence("An error occurred while calling o1.x.\n: org.apache.spark.SparkException: Too big\n\tat a.b")
    'Too big'
    """
    python = _python_end(text)
    lines = [line.strip() for line in (python or text).split("\n\tat ")[0].splitlines()]
    lines = [line for line in lines if line and not line.startswith("An error occurred while calling")]
    first = lines[0] if lines else ""
    return (first if python else JAVA.sub("", first))[:MOST]
