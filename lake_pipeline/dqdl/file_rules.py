"""Rules on the files that a dataset was read from. Without a path, on all of them; no file: failed."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any, cast

from lake_pipeline.dqdl.conditions import TESTS, instant_of, meets
from lake_pipeline.dqdl.files import File, below, normal
from lake_pipeline.dqdl.measure import Finding, Measure, Row, analyzes, found, judge, measures, ratio
from lake_pipeline.dqdl.nodes import Condition, Size, Text
from lake_pipeline.dqdl.subject import RuleError, Subject
from lake_pipeline.errors import did_you_mean

ALGORITHMS = {"MD5": "md5", "SHA-1": "sha1", "SHA-256": "sha256"}
SHOWN = 3


@measures("FileFreshness")
def file_freshness(subject: Subject) -> Measure:
    """The share of files whose time of modification meets the condition."""
    condition = cast(Condition, subject.rule.condition)
    _no_specials(condition)
    zone = subject.rule.tag("timeZone")
    moments = [instant_of(o, subject.now, zone) for o in condition.operands]
    test = MOMENTS[condition.op]
    return _share(subject, "FileFreshness", lambda file: test(modified(file), *moments))


@measures("FileSize")
def file_size(subject: Subject) -> Measure:
    """The share of files whose size meets the condition."""
    condition = cast(Condition, subject.rule.condition)
    _no_specials(condition)
    sizes = [o.bytes for o in condition.operands if isinstance(o, Size)]
    return _share(subject, "FileSize", lambda file: bool(TESTS[condition.op](file.size, *sizes)))


@analyzes("FileFreshness")
def file_ages(subject: Subject) -> Measure:
    """The age in hours of the newest and of the oldest file."""
    return _extremes(subject, "FileFreshness", lambda f: (subject.now - modified(f)).total_seconds() / 3600)


@analyzes("FileSize")
def file_sizes(subject: Subject) -> Measure:
    """The least and the greatest size in bytes."""
    return _extremes(subject, "FileSize", lambda f: float(f.size))


@measures("FileUniqueness")
def file_uniqueness(subject: Subject) -> Measure:
    """The share of files whose content no other file has."""

    def decide(_: Row) -> Finding:
        files = chosen(subject, subject.rule.names)
        counted = Counter(contents(files))
        alone = sum(1 for count in counted.values() if count == 1)
        return judge(subject, "Dataset.*.FileUniqueness", ratio(alone, len(files)))

    return Measure(decide)


@measures("FileMatch")
def file_match(subject: Subject) -> Measure:
    """Every file has a checksum that is listed; or, with two paths, both have the same files."""
    names = subject.rule.names
    algorithm = subject.rule.tag("hashAlgorithm") or "SHA-256"
    if algorithm.upper() not in ALGORITHMS:
        hint = did_you_mean(algorithm.upper(), ALGORITHMS)
        raise RuleError(f'unknown hashAlgorithm "{algorithm}"; known: {", ".join(ALGORITHMS)}.{hint}')
    if len(names) == 2:
        return Measure(lambda row: _same_files(subject, algorithm.upper()))
    if subject.rule.condition is None:
        raise RuleError("FileMatch has no metric of its own; give it checksums or two paths")
    test = _listed(subject.rule.condition)
    return _share(subject, "FileMatch", lambda file: test(checksum(file, algorithm.upper())))


def _listed(condition: Condition) -> Callable[[str], bool]:
    _no_specials(condition)
    texts = [o for o in condition.operands if isinstance(o, Text)]
    if condition.op.endswith("matches"):
        try:
            pattern = re.compile(texts[0].raw)
        except re.error as error:
            raise RuleError(f'"{texts[0].raw}" is no regular expression: {error}') from error
        return lambda digest: (pattern.fullmatch(digest) is None) == condition.op.startswith("not")
    wanted = {o.listed.lower() for o in texts}
    return lambda digest: (digest in wanted) == (condition.op in ("=", "in"))


def _same_files(subject: Subject, algorithm: str) -> Finding:
    """Two files have the same checksum; of two folders, the files of the same relative names have."""
    first, second = (_by_name(chosen(subject, (path,)), path) for path in subject.rule.names)
    metric = "Dataset.*.FileMatch.Compliance"
    if not first or not second:
        missing = subject.rule.names[0] if not first else subject.rule.names[1]
        return Finding(False, {}, f"There is no file at {missing}")
    names = sorted({*first, *second})
    different = [
        name
        for name in names
        if name not in first
        or name not in second
        or checksum(first[name], algorithm) != checksum(second[name], algorithm)
    ]
    share = 1.0 - len(different) / len(names)
    shown = [name or first[name].uri for name in different]  # of two single files, the first
    reason = f"Files that differ: {_some(shown)}" if different else None
    return Finding(not different, {metric: share}, reason)


def _by_name(files: Sequence[File], path: str) -> dict[str, File]:
    """The files by their names below the path; the file of that very path by no name."""
    return {normal(f.uri).removeprefix(normal(path).rstrip("/")): f for f in files}


def chosen(subject: Subject, paths: Sequence[str]) -> list[File]:
    """The files that the rule is about: at its path, of the pattern, the most recent ones."""
    if subject.files is None:
        raise RuleError(f"{subject.rule.type} needs the files of the dataset, and none were given")
    files = list(subject.files) if not paths else below(subject.files, paths[0])
    pattern = subject.rule.tag("uriRegex")
    if pattern is not None:
        try:
            files = [f for f in files if re.search(pattern, f.uri)]
        except re.error as error:
            raise RuleError(f'uriRegex "{pattern}" is no regular expression: {error}') from error
    recent = subject.rule.tag("recentFiles")
    if recent is None:
        return files
    if not recent.isdigit() or not 0 < int(recent) < 10**9:
        raise RuleError(f'recentFiles = "{recent}" is no positive number')
    return sorted(files, key=lambda f: (modified(f), f.uri), reverse=True)[: int(recent)]


def modified(file: File) -> datetime:
    """When a file was modified, in UTC."""
    return file.modified if file.modified.tzinfo else file.modified.replace(tzinfo=UTC)


def checksum(file: File, algorithm: str) -> str:
    """A checksum of a file's content, in lower case."""
    digest = getattr(file, ALGORITHMS[algorithm], None)
    if not isinstance(digest, str) or not digest:
        raise RuleError(f"the {algorithm} checksum of {file.uri} is not known")
    return digest.lower()


def contents(files: Sequence[File]) -> list[Any]:
    """What tells the files' contents apart: the first kind of checksum that all of them have."""
    for name in (*reversed(ALGORITHMS.values()), "etag"):
        digests = [getattr(file, name, None) for file in files]
        if all(digests):
            return [(file.size, str(digest).lower()) for file, digest in zip(files, digests, strict=True)]
    raise RuleError("the files have no kind of checksum that is known of all of them")


def _share(subject: Subject, rule_type: str, passes: Callable[[File], bool]) -> Measure:
    """Judged when it is decided, and not when it is planned: which files there are depends on the group."""
    return Measure(lambda row: _of_share(subject, rule_type, passes))


def _of_share(subject: Subject, rule_type: str, passes: Callable[[File], bool]) -> Finding:
    files = chosen(subject, subject.rule.names)
    metric = f"Dataset.*.{rule_type}.Compliance"
    if not files:
        return Finding(False, {}, "There is no file to judge")
    failing = [file.uri for file in files if not passes(file)]
    share = ratio(len(files) - len(failing), len(files))
    fast = (subject.rule.tag("failFast") or "").lower() == "true"
    threshold = None if fast else subject.rule.threshold
    passed = not failing if threshold is None else meets(threshold, share, subject.history_of(metric))
    reason = (
        f"Value: {share!r} does not meet the constraint requirement: {len(failing)} of {len(files)} files "
        f"do not meet: {subject.rule.condition}: {_some(failing)}"
        + (f" (the threshold is {threshold})" if threshold is not None else "")
    )
    return Finding(passed, {metric: share}, None if passed else reason)


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more


def _extremes(subject: Subject, rule_type: str, value: Callable[[File], float]) -> Measure:
    def decide(_: Row) -> Finding:
        values = [value(file) for file in chosen(subject, subject.rule.names)]
        if not values:
            raise RuleError("there is no file to measure")
        metric = f"Dataset.*.{rule_type}"
        return found({f"{metric}.Minimum": min(values), f"{metric}.Maximum": max(values)})

    return Measure(decide)


def _no_specials(condition: Condition) -> None:
    if condition.specials:
        raise RuleError(f"a file is not compared with {', '.join(sorted(condition.specials))}")


MOMENTS: dict[str, Callable[..., bool]] = {
    **TESTS,
    "=": lambda value, other: value == other,
    "!=": lambda value, other: value != other,
    "in": lambda value, *listed: value in listed,
    "not in": lambda value, *listed: value not in listed,
}
