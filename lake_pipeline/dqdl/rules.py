"""The table of DQDL's rule types: what each takes, and what may stand with it.

A new rule type is a row here and, to be evaluated, a function registered for its name with
:func:`lake_pipeline.dqdl.measure.measures`.
"""

from __future__ import annotations

from dataclasses import dataclass

NUMBER, STRING, DATE, DURATION, SIZE = "number", "string", "date", "duration", "size"
MANY = 1_000_000


@dataclass(frozen=True, slots=True)
class Signature:
    """One way to write a rule type: from ``least`` to ``most`` parameters and the kinds of condition."""

    least: int
    most: int
    kinds: tuple[str, ...] = ()
    optional: bool = False

    def takes(self, params: int) -> bool:
        """Whether this many parameters fit."""
        return self.least <= params <= self.most

    def __str__(self) -> str:
        count = f"at least {self.least}" if self.most == MANY else str(self.least)
        if self.least != self.most != MANY:
            count = f"{self.least} to {self.most}"
        one = self.most == 1 or (self.least == 1 and self.most == MANY)
        return f"{count} parameter{'s' * (not one)}"


@dataclass(frozen=True, slots=True)
class RuleType:
    """A row of the table. ``slug_params``: how many parameters name the rule (0: a digest of them)."""

    name: str
    signatures: tuple[Signature, ...]
    where: bool = False
    row_level: bool = False
    threshold: bool = False
    analyzer_only: bool = False
    slug_params: int | None = None

    def signature(self, params: int) -> Signature | None:
        """The signature that takes this many parameters."""
        return next((s for s in self.signatures if s.takes(params)), None)


def _sig(least: int, most: int | None = None, *kinds: str, optional: bool = False) -> Signature:
    return Signature(least, least if most is None else most, kinds, optional)


_ROWS = (
    RuleType("RowCount", (_sig(0, 0, NUMBER),), where=True),
    RuleType("ColumnCount", (_sig(0, 0, NUMBER),)),
    RuleType("ColumnExists", (_sig(1),)),
    RuleType("ColumnNamesMatchPattern", (_sig(1),)),
    RuleType("Completeness", (_sig(1, 1, NUMBER),), where=True, row_level=True),
    RuleType("IsComplete", (_sig(1),), where=True, row_level=True),
    RuleType("Uniqueness", (_sig(1, MANY, NUMBER),), where=True, row_level=True),
    RuleType("IsUnique", (_sig(1, MANY),), where=True, row_level=True),
    RuleType("UniqueValueRatio", (_sig(1, 1, NUMBER),), where=True, row_level=True),
    RuleType("DistinctValuesCount", (_sig(1, 1, NUMBER),), where=True),
    RuleType("IsPrimaryKey", (_sig(1, MANY),), where=True, row_level=True),
    RuleType("Mean", (_sig(1, 1, NUMBER),), where=True),
    RuleType("Sum", (_sig(1, 1, NUMBER),), where=True),
    RuleType("StandardDeviation", (_sig(1, 1, NUMBER),), where=True),
    RuleType("Variance", (_sig(1, 1, NUMBER),), where=True),
    RuleType("Entropy", (_sig(1, 1, NUMBER),), where=True),
    RuleType("ColumnCorrelation", (_sig(2, 2, NUMBER),), where=True),
    RuleType("ColumnLength", (_sig(1, 1, NUMBER),), where=True, row_level=True),
    RuleType("ColumnValues", (_sig(1, 1, STRING, NUMBER, DATE),), where=True, row_level=True, threshold=True),
    RuleType("ColumnDataType", (_sig(1, 1, STRING),), where=True, row_level=True, threshold=True),
    RuleType("DataFreshness", (_sig(1, 1, DURATION),), where=True, row_level=True),
    RuleType(
        "CustomSql", (_sig(1, 1, NUMBER, optional=True),), row_level=True, threshold=True, slug_params=0
    ),
    RuleType("RowCountMatch", (_sig(1, 1, NUMBER),)),
    RuleType("SchemaMatch", (_sig(1, 1, NUMBER),)),
    RuleType("ReferentialIntegrity", (_sig(2, 2, NUMBER),), row_level=True, slug_params=1),
    RuleType("DatasetMatch", (_sig(2, 3, NUMBER),), row_level=True, slug_params=1),
    RuleType("AggregateMatch", (_sig(2, 2, NUMBER),)),
    RuleType("DuplicateRowCount", (_sig(0, MANY, NUMBER),), where=True, row_level=True),
    RuleType("Range", (_sig(1, 1, NUMBER),), where=True),
    RuleType("DetectAnomalies", (_sig(1, MANY),)),
    RuleType("FileFreshness", (_sig(0, 1, DATE),), threshold=True),
    RuleType("FileSize", (_sig(0, 1, SIZE),), threshold=True),
    RuleType("FileUniqueness", (_sig(0, 1, NUMBER),)),
    RuleType("FileMatch", (_sig(0, 1, STRING), _sig(2))),
    RuleType("AllStatistics", (_sig(1),), analyzer_only=True),
)
RULE_TYPES = {row.name: row for row in _ROWS}
