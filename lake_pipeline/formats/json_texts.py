"""JSON text in plain Python: what it says of its columns, and of their values.

It is what an engine uses that has no reader of its own, and gives the answers that DuckDB's gives. That is
RFC 8259 and a little more, which tools write: NaN and infinities, and a comma after a last element. Of a key that
an object has twice, the first counts.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

LONG_NUMBER = (
    r"[0-9.]{17}"  # what a double may not hold; where a text has one, all its long numbers stay as written
)
EXACT_FROM = 17
WHITE = re.compile(r"[ \t-\r]*")
LONG = re.compile(LONG_NUMBER)
SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")
STRING = r'"(?:[^"\\]|\\.)*"'
BRACKETS = re.compile(STRING + r"|[\[\]{}]|[^\[\]{}\",]+|,")
LENIENT = re.compile(
    STRING + r"|[\[{][ \t\r\n]*,|(?P<comma>,)(?=[ \t\r\n]*[\]}])"
    r"|(?P<constant>(?<![\w.+-])-?(?:nan|inf(?:inity)?)(?!\w))",
    re.IGNORECASE | re.DOTALL,
)
ESCAPES = {
    **{n: f"\\u{n:04X}" for n in range(32)},
    **str.maketrans(
        {'"': '\\"', "\\": "\\\\", "\b": "\\b", "\f": "\\f", "\n": "\\n", "\r": "\\r", "\t": "\\t"}
    ),
}


class PlainJson:
    """The answers that DuckDB gives, from the standard library's parser."""

    def json_structure(self, files: Sequence[Path]) -> list[dict[str, Any]]:
        """The keys of each file's objects, with the structure of their values: nested objects and lists."""
        return [structure_of(file) for file in files]

    def json_array_to_lines(self, source: Path, target: Path) -> int:
        """Rewrite a JSON array as JSON Lines, each element as it is written; their number.

        Raises ValueError for other JSON.
        """
        text = source.read_bytes().decode()
        count = 0
        with target.open("w", encoding="utf-8", newline="") as out:
            for start, end in elements(text):
                out.write(text[start:end].replace("\n", " ").replace("\r", " ") + "\n")
                count += 1
        return count


class Token(str):
    """A JSON number as it is written."""

    __slots__ = ()


class Pairs(list[tuple[str, Any]]):
    """A JSON object as it is written, with all its keys."""

    __slots__ = ()

    def first(self) -> dict[str, Any]:
        """The object; of a key that is there twice, the first."""
        return dict(reversed(self))


def _integer(digits: str) -> Token:
    return Token("0" if digits == "-0" else digits)


def _short(token: str) -> float | Token:
    value = float(token)
    return Token(token) if math.isinf(value) else value


def _exact(token: str) -> float | Token:
    return Token(token) if len(token) >= EXACT_FROM else _short(token)


def _refuse(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


def _decoder(number: Any, constant: Any = _refuse) -> json.JSONDecoder:
    return json.JSONDecoder(
        object_pairs_hook=Pairs, parse_float=number, parse_int=_integer, parse_constant=constant
    )


SHORT, EXACT = _decoder(_short), _decoder(_exact)
SPANS = json.JSONDecoder(parse_float=str, parse_int=str)


def parsed(text: str) -> Any:
    """The value of a JSON text: objects as `Pairs`, numbers as doubles or as `Token`. Raises ValueError."""
    long = LONG.search(text)
    try:
        found = (EXACT if long else SHORT).decode(text)
    except RecursionError as e:
        raise ValueError("it is nested too deeply") from e
    except ValueError:
        plain, constants = leniently(text)
        if plain == text and not constants:
            raise
        written = iter(constants)
        found = _decoder(_exact if long else _short, lambda _: Token(next(written))).decode(plain)
    if SURROGATE.search(text):
        _dumped(found).encode()
    return found


def leniently(text: str) -> tuple[str, list[str]]:
    """A text without commas after last elements, its constants as NaN; and the constants as they are written."""
    constants: list[str] = []

    def mend(found: re.Match[str]) -> str:
        if found["constant"]:
            constants.append(found["constant"])
            return "NaN"
        return "" if found["comma"] else found[0]

    return LENIENT.sub(mend, text), constants


def parsed_object(line: str) -> Pairs | None:
    """A line's JSON object; None for anything else."""
    try:
        found = parsed(line)
    except ValueError:
        return None
    return found if isinstance(found, Pairs) else None


def json_text(value: Any) -> str:
    """A JSON value as the text that a column of it has: strings as they are, numbers as DuckDB writes doubles."""
    if isinstance(value, str):
        return str(value)
    return repr(value) if isinstance(value, float) else _dumped(value)


def texts_of(line: str) -> str | None:
    """A line's object as a JSON object of nothing but the texts of its values; None where it is none."""
    found = parsed_object(line)
    if found is None:
        return None
    texts = {k: None if v is None else json_text(v) for k, v in found.first().items()}
    return json.dumps(texts, ensure_ascii=False)


def _dumped(value: Any) -> str:
    if isinstance(value, Token):
        return str(value)
    if isinstance(value, Pairs):
        return "{" + ",".join(f"{_dumped(k)}:{_dumped(v)}" for k, v in value) + "}"
    if isinstance(value, list):
        return "[" + ",".join(_dumped(v) for v in value) + "]"
    if isinstance(value, str):
        return f'"{value.translate(ESCAPES)}"'
    return number_text(value) if isinstance(value, float) else json.dumps(value)


def number_text(value: float) -> str:
    """A number as it is written within JSON: as in ECMAScript, with a point.

    >>> number_text(1e5), number_text(0.00001), number_text(1e22), number_text(-2.5)
    ('100000.0', '0.00001', '1e22', '-2.5')
    """
    if not value:
        return repr(value)
    sign, found, _ = Decimal(repr(value)).normalize().as_tuple()
    digits = "".join(map(str, found))
    point = Decimal(repr(value)).adjusted() + 1
    if len(digits) <= point <= 21:
        text = digits.ljust(point, "0") + ".0"
    elif 0 < point <= 21:
        text = f"{digits[:point]}.{digits[point:]}"
    elif -6 < point <= 0:
        text = "0." + "0" * -point + digits
    else:
        text = digits[0] + ("." + digits[1:] if digits[1:] else "") + f"e{point - 1}"
    return "-" * sign + text


def elements(text: str) -> list[tuple[int, int]]:
    """Where the elements of a JSON array start and end. Raises ValueError for other JSON.

    >>> elements('[{"a": 1}, 2]')
    [(1, 9), (11, 12)]
    """
    found = []
    at = _space(text, 0)
    if text[at : at + 1] != "[":
        raise json.JSONDecodeError("Expecting a JSON array", text, at)
    at = _space(text, at + 1)
    if text[at : at + 1] != "]":
        while True:
            end = _end(text, at)
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


def _end(text: str, at: int) -> int:
    """Where the value ends that starts there."""
    try:
        _, end = SPANS.raw_decode(text, at)
    except RecursionError as e:
        raise json.JSONDecodeError("It is nested too deeply", text, at) from e
    except ValueError:
        end = _balanced(text, at)
        try:
            parsed(text[at:end])
        except ValueError:
            pass
        else:
            return end
        raise
    if SURROGATE.search(text, at, end):
        parsed(text[at:end])
    return end


def _balanced(text: str, at: int) -> int:
    """Where the brackets are closed that are opened from there on; the end of a word where none are."""
    depth, end = 0, at
    while found := BRACKETS.match(text, end):
        token = found[0]
        if not depth and token in {",", "]", "}"}:
            break
        depth += (token in {"[", "{"}) - (token in {"]", "}"})
        end = found.end()
        if not depth and token in {"]", "}"}:
            break
    return len(text[:end].rstrip())


def _space(text: str, at: int) -> int:
    found = WHITE.match(text, at)
    assert found is not None
    return int(found.end())


def structure_of(file: Path) -> dict[str, Any]:
    """The structure of a file's objects, all of its lines together; lines that are no object say nothing."""
    found: dict[str, Any] = {}
    with file.open(encoding="utf-8", newline="\n") as lines:
        for line in lines:
            for key, value in parsed_object(line) or ():
                found[key] = joined(found.get(key), _structure(value))
    return {key: _named(value) for key, value in found.items()}


def _structure(value: Any) -> Any:
    if isinstance(value, Pairs):
        fields: dict[str, Any] = {}
        for key, field in value:
            fields[key] = joined(fields.get(key), _structure(field))
        return fields
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
