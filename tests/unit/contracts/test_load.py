"""What a valid contract becomes."""

from __future__ import annotations

import datetime
import decimal
from collections.abc import Callable
from pathlib import Path

import ibis
import pytest

from lake_pipeline.contracts import (
    Array,
    Contract,
    Date,
    Decimal,
    DriftPolicy,
    Integer,
    Number,
    Object,
    String,
    Timestamp,
    lint,
    load,
)
from lake_pipeline.errors import UsageError

Write = Callable[..., Path]
PIECES_ENUM = """\
        enum:
          - value: 1
          - value: 12
            label: a dozen
"""
NESTED = """\
      - name: address
        logicalType: object
        properties:
          - name: zip
            logicalType: string
            required: true
            logicalTypeOptions: {maxLength: 5}
          - name: since
            logicalType: date
      - name: lines
        logicalType: array
        items:
          logicalType: object
          properties:
            - name: sku
              logicalType: string
            - name: tags
              logicalType: array
              items: {logicalType: integer}
    quality:
"""


def test_the_terms_are_read(valid: Contract) -> None:
    assert (valid.name, valid.version) == ("shop", "1.2.3")
    assert valid.description == "Things sold.\n\nTo test.\n\nNone known."
    assert valid.owners == ("team:shop-data", "ann@lake.example")
    assert valid.sla.available_by == datetime.time(7, 30)
    assert valid.sla.timezone == "Europe/Berlin"
    assert valid.sla.properties == (("timeOfAvailability", "07:30"),)
    assert valid.drift == DriftPolicy(additive="ignore", types="strict")


def test_columns_keep_their_constraints(valid: Contract) -> None:
    identity, price, pieces, sold_at = valid.columns
    assert (identity.type, identity.pattern, identity.min_length, identity.max_length) == (
        String(),
        "^x[0-9]+$",
        2,
        9,
    )
    assert (price.type, price.required) == (Decimal(10, 2), True)
    assert (price.minimum, price.maximum) == (decimal.Decimal("0.01"), decimal.Decimal("99999.99"))
    assert (pieces.type, pieces.unique, pieces.enum) == (Integer(), True, (1, 12))
    assert (pieces.classification, pieces.tags) == ("public", ("stock",))
    assert sold_at.type == Timestamp("yyyy-MM-dd HH:mm:ss", "Europe/Berlin")


def test_a_bound_without_an_offset_is_read_in_the_columns_zone(valid: Contract) -> None:
    expected = datetime.datetime(2019, 12, 31, 23, tzinfo=datetime.UTC)
    assert valid.column("sold_at").minimum == expected


def test_a_key_column_is_required(valid: Contract) -> None:
    assert valid.primary_key == ("id",)
    assert valid.column("id").required


def test_the_key_follows_its_positions(write: Write) -> None:
    path = write(
        "        primaryKey: true\n",
        "        primaryKey: true\n        primaryKeyPosition: 2\n",
        "        unique: true\n",
        "        primaryKey: true\n        primaryKeyPosition: 1\n",
    )
    assert load(path).primary_key == ("pieces", "id")


def test_the_schema_is_in_the_contracts_order(valid: Contract) -> None:
    assert valid.schema() == ibis.schema(
        {"id": "string", "price": "decimal(10,2)", "pieces": "int64", "sold_at": "timestamp('UTC', 6)"}
    )


def test_nested_types(write: Write) -> None:
    contract = load(write("    quality:\n", NESTED))
    address, lines = contract.column("address"), contract.column("lines")
    assert isinstance(address.type, Object)
    assert address.type.fields[0].required
    assert address.type.fields[0].max_length == 5
    assert address.type.fields[1].type == Date()
    assert isinstance(lines.type, Array)
    assert str(lines.type) == "array<object<sku: string, tags: array<integer>>>"
    assert contract.schema()["lines"] == ibis.dtype("array<struct<sku: string, tags: array<int64>>>")


@pytest.mark.parametrize(
    "form",
    [
        (
            "        quality:\n          - metric: invalidValues\n            mustBe: 0\n"
            "            arguments: {validValues: [1, 12]}\n"
        ),
        "        customProperties:\n          - property: enum\n            value: [1, 12]\n",
    ],
    ids=["quality metric", "custom property"],
)
def test_the_other_forms_of_enum(write: Write, form: str) -> None:
    assert load(write(PIECES_ENUM, form)).column("pieces").enum == (1, 12)


def test_an_enum_of_dates_and_of_numbers(write: Write) -> None:
    dates = write("logicalType: integer", "logicalType: date", "value: 1\n", 'value: "2026-02-25"\n')
    assert lint(dates)[0].message.endswith("`12` is no date, like 2026-02-25.")
    numbers = load(write("logicalType: integer", "logicalType: number"))
    assert (numbers.column("pieces").type, numbers.column("pieces").enum) == (Number(), (1, 12))


def test_checks_are_one_per_rule_with_stable_names(valid: Contract) -> None:
    assert [(check.name, str(check.rule), check.severity) for check in valid.checks] == [
        ("RowCount", "RowCount > 0", "warning"),
        ("IsComplete_price", 'IsComplete "price"', "warning"),
    ]


def test_repeated_rules_get_numbers(write: Write) -> None:
    contract = load(write("RowCount > 0,", "RowCount > 0, RowCount < 9, RowCount > 1,"))
    names = [check.name for check in contract.checks]
    assert names == ["RowCount", "RowCount_2", "RowCount_3", "IsComplete_price"]


def test_a_rule_on_a_column_is_a_rule_of_the_contract(write: Write) -> None:
    rule = (
        "        unique: true\n        quality:\n          - type: custom\n            engine: dqdl\n"
        "            implementation: 'Rules = [ IsUnique \"pieces\" ]'\n"
    )
    check = load(write("        unique: true\n", rule)).checks[-1]
    assert (check.name, check.severity) == ("IsUnique_pieces", "error")


def test_column_lines_point_into_the_file(valid: Contract) -> None:
    assert valid.path is not None
    lines = valid.path.read_text().splitlines()
    for name, line in valid.column_lines.items():
        assert lines[line - 1].strip() == f"- name: {name}"


def test_an_unknown_column_is_wrong_use(valid: Contract) -> None:
    with pytest.raises(UsageError, match=r'no column "prise"\. Did you mean "price"\?'):
        valid.column("prise")


def test_windows_line_ends_and_a_byte_order_mark(write: Write, valid: Contract) -> None:
    path = write()
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes().replace(b"\n", b"\r\n"))
    assert load(path) == valid


def test_anchors_and_merges_are_yaml_too(write: Write) -> None:
    path = write(
        "      - name: id\n        logicalType: string\n",
        "      - name: id\n        <<: &text {logicalType: string}\n      - name: note\n        <<: *text\n"
        "      - name: key\n        logicalType: string\n",
    )
    assert load(path).column("note").type == String()


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("Prices are in euro.", "Prices are in dollars."),
        ("To test.", "To learn."),
        ("classification: public", "classification: secret"),
        ("version: 1.2.3", "version: 1.2.4"),
        ('value: "07:30"', 'value: "08:30"'),
        ("name: shop-data", "name: other-data"),
        ("RowCount > 0,", "RowCount   >   0,"),
    ],
)
def test_the_hash_ignores_what_changes_no_meaning(write: Write, valid: Contract, old: str, new: str) -> None:
    assert load(write(old, new)).hash == valid.hash


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("decimal(10,2)", "decimal(12,2)"),
        ("minimum: 0.01", "exclusiveMinimum: 0.01"),
        ("maxLength: 9", "maxLength: 8"),
        ("required: true", "required: false"),
        ("unique: true", "unique: false"),
        ("value: 12", "value: 13"),
        ("'^x[0-9]+$'", "'^y[0-9]+$'"),
        ("primaryKey: true", "required: true"),
        ("Europe/Berlin", "Europe/Paris"),
        ("severity: warning", "severity: error"),
        ("RowCount > 0", "RowCount > 1"),
        ("additive: ignore", "additive: keep"),
        ("- name: pieces", "- name: parts"),
    ],
)
def test_the_hash_follows_the_meaning(write: Write, valid: Contract, old: str, new: str) -> None:
    changed = load(write(old, new)).hash
    assert changed != valid.hash
    assert len(changed) == 64
