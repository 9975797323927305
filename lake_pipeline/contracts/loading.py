"""From a file to a `Contract`, or to everything that is wrong with the file."""

from __future__ import annotations

from pathlib import Path

from lake_pipeline.contracts.columns import read_columns, read_primary_key
from lake_pipeline.contracts.constraints import is_enum_metric
from lake_pipeline.contracts.document import Node, read
from lake_pipeline.contracts.model import Contract
from lake_pipeline.contracts.problems import ContractError, Problem, Reporter, Span
from lake_pipeline.contracts.rules import read_quality
from lake_pipeline.contracts.shape import check_shape
from lake_pipeline.contracts.terms import read_drift, read_owners, read_sla


def load(path: Path) -> Contract:
    """Read the contract in a YAML file; raises ContractError with every problem that the file has."""
    contract, problems = _examine(Path(path))
    if contract is None or problems:
        raise ContractError(Path(path), problems)
    return contract


def lint(path: Path) -> tuple[Problem, ...]:
    """Every problem of the contract in a YAML file, in the order of the file; empty when it is fine."""
    return _examine(Path(path))[1]


def _examine(path: Path) -> tuple[Contract | None, tuple[Problem, ...]]:
    text, fault = _read_text(path)
    report = Reporter(path, tuple(text.split("\n")))
    if fault:
        report.add(Span(1), fault, "A contract is a UTF-8 YAML file, usually defs/<dataset>/contract.yaml.")
        return None, report.problems()
    root = read(text, report)
    contract = _read_contract(root, path, report) if root else None
    return contract, report.problems()


def _read_text(path: Path) -> tuple[str, str]:
    try:
        return path.read_bytes().decode("utf-8-sig").replace("\r\n", "\n"), ""
    except OSError as error:
        return "", f"The contract cannot be read: {error.strerror or error}."
    except UnicodeDecodeError as error:
        return "", f"The contract is not UTF-8 (byte {error.start})."


def _read_contract(root: Node, path: Path, report: Reporter) -> Contract | None:
    check_shape(root, report)
    table = _read_table(root, report)
    owners, sla, drift = read_owners(root), read_sla(root, report), read_drift(root, report)
    if table is None:
        return None
    properties = table.each("properties")
    columns = read_columns(properties, report)
    key = read_primary_key(properties, report)
    on_columns = (rule for prop in properties for rule in prop.each("quality") if not is_enum_metric(rule))
    return Contract(
        name=table.text("name"),
        version=root.text("version"),
        columns=columns,
        description=_description(root, table),
        owners=owners,
        primary_key=key,
        quality=read_quality((*table.each("quality"), *on_columns), columns, report),
        sla=sla,
        drift=drift,
        path=path,
    )


def _read_table(root: Node, report: Reporter) -> Node | None:
    tables = root.each("schema")
    if not tables:
        report.add(root.at("schema"), "The contract has no schema.", "List one table under `schema:`.")
        return None
    for extra in tables[1:]:
        message = f'A dataset is one table; "{extra.text("name")}" is a second one.'
        report.add(extra.span, message, "Give it a folder and a contract of its own.")
    table = tables[0]
    if not table.text("name"):
        report.add(table.span, "The table has no name.", "Write `- name: orders`.")
    if not table.items and not table.each("properties"):
        report.add(table.at("properties"), "The table has no properties.", "List its columns there.")
    return table


def _description(root: Node, table: Node) -> str:
    """What the table is, then what it is for and what it is not good for: the text of the Dagster UI."""
    about = root.get("description") or root
    texts = [table.text("description"), about.text("purpose"), about.text("usage"), about.text("limitations")]
    return "\n\n".join(text for text in texts if text)
