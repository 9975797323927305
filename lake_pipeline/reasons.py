"""Why something was rejected: the stable reason codes, as a table.

Other people's tools match on these codes; a code is never renamed and never reused.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Level = Literal["file", "row", "partition"]
Stage = Literal["INGEST_VALIDATION", "TRANSFORM", "DATA_QUALITY"]

INGEST_VALIDATION: Stage = "INGEST_VALIDATION"
TRANSFORM: Stage = "TRANSFORM"
DATA_QUALITY: Stage = "DATA_QUALITY"

CODES: dict[str, tuple[Level, str]] = {
    "UNSUPPORTED_SUFFIX": ("file", "The file's name ends in no suffix that the dataset's formats have."),
    "EMPTY_FILE": ("file", "The file has no bytes, or none but white space."),
    "FILE_TOO_SMALL": ("file", "The file is smaller than the dataset's file_size.min."),
    "FILE_TOO_LARGE": ("file", "The file is larger than the dataset's file_size.max."),
    "BAD_ENCODING": ("file", "The file is not in the encoding that the format promises."),
    "BAD_COMPRESSION": ("file", "The file cannot be decompressed, or ends in the middle."),
    "HEADER_MISMATCH": ("file", "A required column is missing, or the header is ambiguous."),
    "WRONG_DELIMITER": ("file", "The header is delimited by another character than the format says."),
    "MALFORMED_JSON": ("file", "The file is not the JSON that the format promises."),
    "BAD_PARQUET": ("file", "The file cannot be read as Parquet."),
    "DUPLICATE_CONTENT": ("file", "Another file of the partition has the very same content."),
    "CHECKSUM_MISMATCH": ("file", "The content is not what the producer's manifest or an earlier run saw."),
    "NOT_IN_MANIFEST": ("file", "The producer's manifest does not list the file."),
    "MISSING_FILE": ("file", "The producer's manifest lists the file, and it has not landed."),
    "PARTITION_MISMATCH": ("file", "The file, or a row of it, belongs to another partition than its folder."),
    "BREAKING_DRIFT": ("file", "The file's columns differ from the contract in a way the policy refuses."),
    "REJECT_BUDGET_EXCEEDED": ("file", "More of the file's rows were rejected than reject_budget allows."),
    "MALFORMED_ROW": ("row", "The record cannot be parsed: columns too many or too few, quotes, NUL bytes."),
    "CAST_FAILED": ("row", "The value is not of the column's type."),
    "REQUIRED_NULL": ("row", "A required column has no value."),
    "NOT_ALLOWED": ("row", "The value is not one of the allowed ones."),
    "OUT_OF_RANGE": ("row", "The value is below the minimum or above the maximum."),
    "PATTERN_MISMATCH": ("row", "The value does not match the pattern."),
    "LENGTH_OUT_OF_RANGE": ("row", "The text is too short or too long."),
    "DUPLICATE_KEY": ("row", "Another row of the partition has the same deduplication key and was kept."),
    "DATA_QUALITY_FAILURE": (
        "partition",
        "The partition's candidate failed an audit; nothing was published.",
    ),
    "TRANSFORM_FAILURE": ("partition", "The transform raised an error, or broke the law of the balance."),
}


@dataclass(frozen=True)
class Reason:
    """One reason: a code of the table, the column and value it is about where there are any, and a sentence."""

    code: str
    message: str
    column: str = ""
    value: str | None = None

    def __post_init__(self) -> None:
        if self.code not in CODES:
            raise ValueError(f"{self.code} is no reason code")

    def as_dict(self) -> dict[str, str | None]:
        """As it is stored in a quarantine row."""
        return {"code": self.code, "column": self.column, "value": self.value, "message": self.message}
