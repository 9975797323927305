"""What is to be known of JSON text before its columns are, in plain Python, for where no engine is at hand."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

WHITE = re.compile(r"[ \t\r\n]*")


class PlainJson:
    """The answers that DuckDB gives, from the standard library's parser."""

    def json_structure(self, files: Sequence[Path]) -> list[dict[str, Any]]:
        """The keys of each file's objects, with the structure of their values: nested objects and lists."""
        return [structure_of(file) for file in files]

    def json_array_to_lines(self, source: Path, target: Path) -> int:
        """Rewrite a JSON array as JSON Lines, each element as it is written; their number.

        Raises ValueError for other JSON.
        """
        text = source.read_text(encoding="utf-8")
        count = 0
        with target.open("w", encoding="utf-8", newline="") as out:
            for start, end in elements(text):
                out.write(text[start:end].replace("\n", " ").replace("\r", " ") + "\n")
                count += 1
        return count


def elements(text: str) -> list[tuple[int, int]]:
    """Where the elements of a JSON array start and end.

    >>> elements('[{"a": 1}, 2]')
    [(1, 9), (11, 12)]
    """
    decoder, found = json.JSONDecoder(), []
    at = _space(text, 0)
    if text[at : at + 1] != "[":
        raise json.JSONDecodeError("Expecting a JSON array", text, at)
    at = _space(text, at + 1)
    if text[at : at + 1] != "]":
        while True:
            _, end = decoder.raw_decode(text, at)
            found.append((at, end))
            at = _space(text, end)
            if text[at : at + 1] == "]":
                break
            if text[at : at + 1] != ",":
                raise json.JSONDecodeError("Expecting ',' delimiter", text, at)
            at = _space(text, at + 1)
    if (end := _space(text, at + 1)) != len(text):
        raise json.JSONDecodeError("Extra data", text, end)
    return found


def _space(text: str, at: int) -> int:
    found = WHITE.match(text, at)
    assert found is not None
    return int(found.end())


def structure_of(file: Path) -> dict[str, Any]:
    """The structure of a file's objects, all of its lines together; lines that are no object say nothing."""
    found: Any = {}
    with file.open(encoding="utf-8", newline="\n") as lines:
        for line in lines:
            try:
                value = json.loads(line)
            except ValueError:
                continue
            if isinstance(value, dict):
                found = {**found, **{k: joined(found.get(k), _structure(v)) for k, v in value.items()}}
    return {key: _named(value) for key, value in found.items()}


def _structure(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _structure(v) for k, v in value.items()}
    if isinstance(value, list):
        element = None
        for item in value:
            element = joined(element, _structure(item))
        return [element]
    return None if value is None else "JSON"


def joined(a: Any, b: Any) -> Any:
    """The structure that two values have together; None is of a value that says nothing."""
    if a is None or b is None:
        return b if a is None else a
    if isinstance(a, dict) and isinstance(b, dict):
        return {**a, **{k: joined(a.get(k), v) for k, v in b.items()}}
    if isinstance(a, list) and isinstance(b, list):
        return [joined(a[0], b[0])]
    return "JSON"


def _named(structure: Any) -> Any:
    if isinstance(structure, dict) and structure:
        return {k: _named(v) for k, v in structure.items()}
    if isinstance(structure, list):
        return [_named(structure[0])]
    return "JSON"
