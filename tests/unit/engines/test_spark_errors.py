"""What people read of Spark's failures: a sentence, and the right kind of error."""

from __future__ import annotations

import pytest

from lake_pipeline.engines.engine import QueryFailed
from lake_pipeline.engines.spark_errors import SparkLost, in_our_words
from lake_pipeline.errors import LakeError, Transient
from lake_pipeline.storage.objects import ObjectChanged, StorageUnavailable

PYTHON = """
  An exception was thrown from the Python worker. Please see the stack trace below.
Traceback (most recent call last):
  File "/x/worker.py", line 1247, in main
    process()
  File "/x/scan.py", line 9, in rows
    raise {kind}("no")
{said}
"""
JAVA = """An error occurred while calling z:org.apache.spark.api.python.PythonRDD.collectAndServe.
: org.apache.spark.SparkException: Job aborted due to stage failure: Task 0 in stage 2.0 failed 1 times, most \
recent failure: Lost task 0.0 in stage 2.0 (TID 3): {cause}
\tat org.apache.spark.api.python.BasePythonRunner$ReaderIterator.handle(PythonRunner.scala:572)
\tat java.base/java.lang.Thread.run(Thread.java:840)

Driver stacktrace:
\tat org.apache.spark.scheduler.DAGScheduler.failJobAndIndependentStages(DAGScheduler.scala:2856)
"""
CHANGED = (
    'lake_pipeline.storage.objects.ObjectChanged: "a.csv" was overwritten after it was listed; run again.'
)


def python(said: str) -> str:
    return PYTHON.format(kind="X", said=said)


@pytest.mark.parametrize(
    ("text", "kind", "message"),
    [
        (python("ValueError: bad value: 1"), QueryFailed, "ValueError: bad value: 1"),
        (python(CHANGED), ObjectChanged, CHANGED.partition(": ")[2]),
        (JAVA.format(cause="org.apache.spark.api.python.PythonException: " + python(CHANGED).strip()), ObjectChanged, CHANGED.partition(": ")[2]),
        (python("lake_pipeline.storage.objects.StorageUnavailable: two\nlines"), StorageUnavailable, "two\nlines"),
        (python("lake_pipeline.storage.objects.Nothing: x"), QueryFailed, "lake_pipeline.storage.objects.Nothing: x"),
        (JAVA.format(cause="ExecutorLostFailure (executor 1 exited)"), SparkLost, "ExecutorLostFailure (executor 1 exited)"),
        ("[UNRESOLVED_COLUMN] A column `x` cannot be resolved.; line 1 pos 7;\n'Project ['x]\n", QueryFailed, "[UNRESOLVED_COLUMN] A column `x` cannot be resolved.; line 1 pos 7;"),
        ("Cannot call methods on a stopped SparkContext.\nThis stopped SparkContext was created at:", SparkLost, "Cannot call methods"),
    ],
)  # fmt: skip
def test_a_failure_in_a_sentence(text: str, kind: type[LakeError], message: str) -> None:
    said = in_our_words(RuntimeError(text))
    assert type(said) is kind
    assert message in str(said)
    assert "\tat " not in str(said)
    assert "Traceback" not in str(said)
    assert isinstance(said, Transient) == issubclass(kind, Transient)


def test_a_dead_jvm_is_a_lost_cluster() -> None:
    assert isinstance(in_our_words(ConnectionRefusedError(111, "Connection refused")), SparkLost)
