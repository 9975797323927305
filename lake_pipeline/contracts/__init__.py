"""Data contracts: read, checked, compared with what arrives and with their own earlier versions.

>>> from lake_pipeline.contracts import load
>>> contract = load(defs / "orders" / "contract.yaml")  # doctest: +SKIP
>>> contract.schema()  # doctest: +SKIP
"""

from lake_pipeline.contracts.datatypes import (
    Array,
    Boolean,
    Date,
    Decimal,
    Integer,
    Number,
    Object,
    String,
    Timestamp,
    Type,
)
from lake_pipeline.contracts.diff import Change, diff
from lake_pipeline.contracts.drift import DriftEvent, classify
from lake_pipeline.contracts.loading import lint, load
from lake_pipeline.contracts.model import (
    Column,
    Contract,
    DriftPolicy,
    QualityRule,
    Ruleset,
    Severity,
    Sla,
)
from lake_pipeline.contracts.problems import ContractError, Problem

__all__ = [
    "Array",
    "Boolean",
    "Change",
    "Column",
    "Contract",
    "ContractError",
    "Date",
    "Decimal",
    "DriftEvent",
    "DriftPolicy",
    "Integer",
    "Number",
    "Object",
    "Problem",
    "QualityRule",
    "Ruleset",
    "Severity",
    "Sla",
    "String",
    "Timestamp",
    "Type",
    "classify",
    "diff",
    "lint",
    "load",
]
