"""Every kind of drift, under every policy that decides about it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import ibis
import pytest

from lake_pipeline.contracts import (
    Array,
    Boolean,
    Column,
    Contract,
    Date,
    Decimal,
    DriftPolicy,
    Integer,
    Number,
    Object,
    String,
    Timestamp,
    Type,
    classify,
)

ADDRESS = Object((Column("zip", String(), required=True), Column("floor", Integer())))
CONTRACT = Contract(
    "shop",
    "1.0.0",
    columns=(
        Column("id", String(), required=True),
        Column("price", Decimal(10, 2)),
        Column("address", ADDRESS),
        Column("lines", Array(Object((Column("sku", String()),)))),
    ),
)
NAMES = ("id", "price", "address", "lines")
TYPES = {
    "id": "string",
    "price": "decimal(10,2)",
    "address": "struct<zip: string, floor: int64>",
    "lines": "array<struct<sku: string>>",
}


def drift(observed: Any, **policy: str) -> list[tuple[str, str, bool]]:
    contract = replace(CONTRACT, drift=DriftPolicy(**policy))  # type: ignore[arg-type]
    return [(event.kind, event.column, event.breaking) for event in classify(contract, observed)]


def types(**changed: str | None) -> dict[str, str | None]:
    return TYPES | changed


def test_what_the_contract_says_is_no_drift() -> None:
    assert drift(NAMES) == []
    assert drift(TYPES) == []
    assert drift(ibis.schema(TYPES)) == []
    assert drift(CONTRACT.schema()) == []


def test_names_whose_types_are_unknown_are_compared_by_name_alone() -> None:
    assert drift(dict.fromkeys(NAMES)) == []


@pytest.mark.parametrize(("policy", "breaking"), [("keep", False), ("ignore", False), ("refuse", True)])
def test_an_added_column(policy: str, breaking: bool) -> None:
    assert drift((*NAMES, "coupon"), additive=policy) == [("column_added", "coupon", breaking)]


@pytest.mark.parametrize(("policy", "breaking"), [("keep", True), ("ignore", False), ("refuse", True)])
def test_an_added_column_with_a_reserved_name_cannot_be_kept(policy: str, breaking: bool) -> None:
    assert drift((*NAMES, "_rescued"), additive=policy) == [("column_added", "_rescued", breaking)]


@pytest.mark.parametrize(("policy", "breaking"), [("fill", False), ("refuse", True)])
def test_a_missing_optional_column(policy: str, breaking: bool) -> None:
    names = ("id", "address", "lines")
    assert drift(names, missing_optional=policy) == [("column_missing", "price", breaking)]


def test_a_missing_required_column_breaks_under_every_policy() -> None:
    assert drift(NAMES[1:]) == [("required_column_missing", "id", True)]
    lenient = {"additive": "ignore", "missing_optional": "fill", "types": "coerce"}
    assert drift(NAMES[1:], **lenient) == [("required_column_missing", "id", True)]


@pytest.mark.parametrize(("policy", "breaking"), [("by_name", False), ("refuse", True)])
def test_reordered_columns(policy: str, breaking: bool) -> None:
    assert drift(("price", "id", "address", "lines"), reordered=policy) == [
        ("columns_reordered", "", breaking)
    ]


def test_added_and_missing_columns_are_not_reordered_ones() -> None:
    assert drift(("new", "id", "address", "more", "lines")) == [
        ("column_missing", "price", False),
        ("column_added", "new", False),
        ("column_added", "more", False),
    ]


def test_formats_without_an_order_have_no_reordering() -> None:
    assert classify(CONTRACT, tuple(reversed(NAMES)), ordered=False) == ()


def test_a_column_that_stands_twice_breaks() -> None:
    assert drift((*NAMES, "price")) == [("column_duplicated", "price", True)]


def test_a_name_in_another_case_is_another_name_with_a_hint() -> None:
    missing, added = classify(CONTRACT, ("ID", "price", "address", "lines"))[:2]
    assert (missing.kind, added.kind) == ("required_column_missing", "column_case_changed")
    prise = classify(CONTRACT, ("id", "prise", "address", "lines"))[0]
    assert 'Did you mean "prise"?' in prise.detail


@pytest.mark.parametrize(("policy", "breaking"), [("coerce", False), ("strict", True)])
def test_a_changed_type(policy: str, breaking: bool) -> None:
    assert drift(types(id="int64"), types=policy) == [("type_changed", "id", breaking)]
    inside = types(address="struct<zip: string, floor: string>")
    assert drift(inside, types=policy) == [("type_changed", "address.floor", breaking)]


@pytest.mark.parametrize(("policy", "breaking"), [("by_name", False), ("refuse", True)])
def test_fields_added_and_missing(policy: str, breaking: bool) -> None:
    added = types(address="struct<zip: string, floor: int64, street: string>")
    assert drift(added, nested=policy) == [("nested_changed", "address.street", breaking)]
    missing = types(address="struct<zip: string>")
    assert drift(missing, nested=policy) == [("nested_changed", "address.floor", breaking)]
    in_array = types(lines="array<struct<sku: string, n: int8>>")
    assert drift(in_array, nested=policy) == [("nested_changed", "lines[].n", breaking)]


def test_a_missing_required_field_breaks_under_every_policy() -> None:
    assert drift(types(address="struct<floor: int64>")) == [("nested_changed", "address.zip", True)]


@pytest.mark.parametrize(
    ("column", "seen", "where"),
    [
        ("address", "string", "address"),
        ("address", "array<string>", "address"),
        ("lines", "struct<sku: string>", "lines"),
        ("lines", "array<string>", "lines[]"),
        ("id", "struct<a: string>", "id"),
        ("id", "array<string>", "id"),
        ("price", "map<string, int64>", "price"),
    ],
)
def test_what_cannot_become_the_other_breaks_under_every_policy(column: str, seen: str, where: str) -> None:
    assert drift(types(**{column: seen})) == [("nested_changed", where, True)]


@pytest.mark.parametrize("silent", ["null", "json", None])
def test_a_source_that_does_not_know_its_type_is_no_drift(silent: str | None) -> None:
    assert drift(types(id=silent, address=silent, lines=silent)) == []


# contract type, source types that it holds, source types that it does not
HOLDS: list[tuple[Type, list[str], list[str]]] = [
    (String(), ["string"], ["int64", "binary", "boolean", "date"]),
    (Integer(), ["int8", "int32", "int64", "uint32"], ["uint64", "float64", "string", "boolean"]),
    (Number(), ["float32", "float64", "int64"], ["decimal(10,2)", "string", "boolean"]),
    (
        Decimal(10, 2),
        ["decimal(10,2)", "decimal(8,1)"],
        ["decimal(10,3)", "decimal(11,2)", "float64", "int64"],
    ),
    (Boolean(), ["boolean"], ["int8", "string"]),
    (Date(), ["date"], ["timestamp", "string"]),
    (Timestamp(), ["timestamp", "timestamp('UTC')", "timestamp('Europe/Berlin', 9)"], ["date", "int64"]),
]


@pytest.mark.parametrize(("wanted", "held", "changed"), HOLDS, ids=[str(row[0]) for row in HOLDS])
def test_which_source_types_are_drift(wanted: Type, held: list[str], changed: list[str]) -> None:
    contract = Contract("t", "1", columns=(Column("x", wanted),))
    for name in held:
        assert classify(contract, {"x": name}) == (), name
    for name in changed:
        assert [event.kind for event in classify(contract, {"x": name})] == ["type_changed"], name


@pytest.mark.parametrize("policy", ["keep", "ignore", "refuse"])
@pytest.mark.parametrize(
    ("names", "kind"),
    [
        (("PRICE",), "column_duplicated"),
        (("more", "More"), "column_duplicated"),
        (("",), "column_added"),
        (("a\0b",), "column_added"),
        (tuple(f"c{n}" for n in range(1001)), "column_added"),
    ],
)
def test_names_that_no_policy_can_take(policy: str, names: tuple[str, ...], kind: str) -> None:
    found = drift((*NAMES, *names), additive=policy)
    assert (kind, True) in [(k, breaking) for k, _, breaking in found]
    assert len(found) <= 4, "a receipt does not list thousands"
