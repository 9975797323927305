# ruff: noqa: INP001, T201  (a script; it prints what it wrote)
"""Write docs/reference/ from the code: `python docs/make_reference.py`, or with `--check` only compare.

A page per subject, each from the one place that decides it. `tests/docs` fails when a page is stale.
"""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import typer
from environment_defaults import AWS, DEFAULTS, glue_variables
from meanings import cast_page, sql_page
from rendering import attributes, code, prose, shown_arrow, simple_table, summary, table, variables, walk

from lake_pipeline.cli.app import app
from lake_pipeline.contracts import Column, DriftPolicy, columns, constraints, formats, model
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
)
from lake_pipeline.contracts.drift import DriftEvent
from lake_pipeline.contracts.on_fail import SEVERITY_OF
from lake_pipeline.contracts.shape import API_VERSIONS
from lake_pipeline.contracts.terms import POLICIES
from lake_pipeline.datasets import transforms
from lake_pipeline.datasets.config import DEFAULT_SUFFIXES, DatasetConfig
from lake_pipeline.dqdl.measure import MEASURES
from lake_pipeline.dqdl.rules import RULE_TYPES
from lake_pipeline.flow import quarantine
from lake_pipeline.flow.state import Balance
from lake_pipeline.flow.status import Status, state_of
from lake_pipeline.health.targets import Targets
from lake_pipeline.reasons import CODES
from lake_pipeline.settings import ZONES, Settings
from lake_pipeline.storage import lake

FOLDER = Path(__file__).parent / "reference"
NOTE = "<!-- Made from the code by `python docs/make_reference.py`. Do not edit. -->"


def commands() -> Iterator[str]:
    """The command `lake`, from typer."""
    root: Any = typer.main.get_command(app)
    yield "# Commands"
    yield (
        "Every command that prints results takes `--json` and then prints one JSON document on standard output. "
        "Exit codes: 0 when all that was asked for was done or published, 1 when something was refused or failed, "
        "2 for wrong use."
    )
    for words, command in walk(root, ("lake",)):
        context = command.context_class(command, info_name=words[-1])
        yield f"## {' '.join(words)}"
        places = [p.get_help_record(context)[0] for p in command.params if p.param_type_name == "argument"]
        shown = [re.sub(r" <.+>$", "", place) for place in places]
        yield f"`{' '.join([*words, *shown, '[OPTIONS]'])}`"
        yield command.help
        rows = [record for p in command.params if (record := p.get_help_record(context))]
        yield table(("argument or option", "what it is"), [(code(name), text) for name, text in rows])


def defs_yaml() -> Iterator[str]:
    """The attributes of `defs.yaml`, from the JSON schema of `DatasetConfig`."""
    schema = DatasetConfig.model_json_schema()
    yield "# defs.yaml"
    yield (
        "How a lake runs a dataset. The file says `type: lake_pipeline.LakeDataset`, and under `attributes:` what "
        "follows. An unknown attribute is an error. What the data means is in the [contract](contract.md)."
    )
    yield table(("attribute", "value", "default", "meaning"), attributes(schema))
    used = [n for n in ("Csv", "Jsonl", "Json", "Parquet", "Partitions", "Python") if n in schema["$defs"]]
    used += [n for n in schema["$defs"] if n not in used]
    for name in used:
        yield f"## {name}"
        yield prose(schema["$defs"][name].get("description", ""))
        yield table(("attribute", "value", "default", "meaning"), attributes(schema["$defs"][name]))
    yield "## Suffixes"
    yield "A format takes files by these suffixes, plain or followed by `.gz` or `.zst`, unless it lists its own."
    yield table(
        ("format", "suffixes"), [(code(f), " ".join(map(code, s))) for f, s in DEFAULT_SUFFIXES.items()]
    )
    yield "## Landing templates"
    yield (
        "`landing` is a path below the raw zone, with `{yyyy}`, `{mm}`, `{dd}` and `{hh}` for the partition. The "
        "folder decides to which partition a file belongs. Where the template names the file too, a date in its name "
        "must agree with the folder. `*` matches within one path segment."
    )
    yield "## Transform steps"
    yield (
        "`transform` is a list of steps, each a mapping with one key. SQL is Spark SQL, translated for the engine. "
        "Or it is `python: module:function`."
    )
    steps = [getattr(transforms, name.capitalize()) for name in transforms.STEPS]
    yield table(("step", "what it does"), [split_step(step) for step in steps])


def split_step(step: Any) -> tuple[str, str]:
    """A step's form and what it does, from its docstring, e.g. '``upper: [columns]``.'."""
    form, _, rest = summary(step).lstrip("`").partition("`")
    return code(form), rest.lstrip(".:; ").strip()


TYPES: tuple[tuple[str, Any, str], ...] = (
    ("string", String, "`logicalType: string`"),
    ("integer", Integer, "`logicalType: integer`"),
    ("number", Number, "`logicalType: number`"),
    ("decimal(p,s)", Decimal, "`logicalType: number` and `physicalType: decimal(12,2)`"),
    ("boolean", Boolean, "`logicalType: boolean`"),
    ("date", Date, "`logicalType: date`"),
    ("timestamp", Timestamp, "`logicalType: timestamp`"),
    ("object", Object, "`logicalType: object` and `properties:`"),
    ("array", Array, "`logicalType: array` and `items:`"),
)


def contract() -> Iterator[str]:
    """How a contract is spelled."""
    yield "# Contract"
    yield (
        f"Contracts are [ODCS](https://bitol-io.github.io/open-data-contract-standard/) v3 in YAML; `apiVersion` is one "
        f"of {', '.join(map(code, API_VERSIONS))}. `lake contract lint` lists every problem with its line. An option of "
        "the standard that this lake would not enforce is refused."
    )
    yield "## Types"
    yield table(
        ("type", "in the contract", "what it holds"), [(t, where, summary(c)) for t, c, where in TYPES]
    )
    yield "Which texts each type accepts is in [casts](casts.md)."
    yield "## Constraints"
    yield summary(Column)
    yield "`required: true`, `unique: true`, `primaryKey: true` and `enum` stand on the column, the others under `logicalTypeOptions`:"
    rows = [(code(t), " ".join(map(code, options)) or "none") for t, options in constraints.OPTIONS.items()]
    yield table(("logicalType", "logicalTypeOptions"), rows)
    spelling = prose((columns.__doc__ or "").split("\n\n", 1)[1])
    yield spelling.replace("as `constraints.OPTIONS` lists them", "as the table above lists them")
    yield prose((Column.__doc__ or "").split("\n\n", 1)[1])
    yield "## Formats of dates and timestamps"
    yield (
        "`format` is a JDK pattern of these fields; text is quoted: `dd/MM/yyyy HH:mm:ss`, `yyyyMMdd'T'HHmmss`. "
        "`defaultTimezone` is the zone of values without an offset, UTC when absent."
    )
    yield table(("field", "part"), [(code(f), part) for f, (_, part, _) in formats.FIELDS.items()])
    yield "## Drift policy"
    yield "What to do when a file's columns are not the contract's: the custom property `drift`, a mapping."
    defaults = DriftPolicy()
    policies = [
        (code(key), " ".join(map(code, values)), code(getattr(defaults, key)))
        for key, values in POLICIES.items()
    ]
    yield table(("key", "values", "default"), policies)
    yield prose((DriftPolicy.__doc__ or "").split("\n\n", 2)[2])
    kinds = re.findall(
        r'"(\w+)"', inspect.getsource(sys.modules[DriftEvent.__module__]).split("Kind = ")[1].split("]")[0]
    )
    yield (
        "Every difference is an event in the receipt and in Dagster's metadata; kinds are "
        + ", ".join(map(code, kinds))
        + "."
    )
    yield "## Quality"
    yield (
        "A `quality` entry of `type: custom` and `engine: dqdl` holds a ruleset in `implementation`; `severity` is "
        "`error`, which refuses the partition, or `warning`; its custom property `on_fail` says it finer: [rules](rules.md)."
    )
    meanings = [(code(a), code(severity), ON_FAIL[a]) for a, severity in SEVERITY_OF.items()]
    yield table(("on_fail", "severity", "when a rule fails"), meanings)
    yield "A severity that contradicts `on_fail`, and under `quarantine_rows` a rule that judges no row, are problems."
    yield "## The rest"
    yield (
        "`team` gives the assets' owners in Dagster: `team.name`, and members whose `username` is an e-mail address. "
        "`slaProperties` with `timeOfAvailability` says when a partition is due on the day after it, and `valueExt` in "
        "which time zone; `frequency` says when a dataset without partitions is due again: see [operations](../guides/operations.md#freshness)."
    )
    yield prose((model.__doc__ or "").split("\n\n", 1)[1])


ON_FAIL = {
    "refuse": "the partition is refused; the default",
    "quarantine_rows": "the rows that fail it go to quarantine, and all rules are judged on the rows that stay",
    "warn": "it is reported; the default of severity `warning`",
}


def rules() -> Iterator[str]:
    """The rule types of DQDL."""
    yield "# Rules"
    yield (
        "Rule types of [DQDL](https://docs.aws.amazon.com/glue/latest/dg/dqdl.html), all with an example in "
        "[DQDL](../dqdl.md). In the gate, history is that of the partitions before, and files are the landed files of "
        "the partition. Rules that judge rows can send the rows that fail them to quarantine."
    )
    rows = [
        (
            code(rule.name),
            "yes" if rule.name in MEASURES else "not yet",
            " or ".join(map(str, rule.signatures)),
            " ".join(dict.fromkeys(k for s in rule.signatures for k in s.kinds)),
            "yes" if rule.where else "",
            "yes" if rule.threshold else "",
            "yes" if rule.row_level else "",
        )
        for rule in RULE_TYPES.values()
        if not rule.analyzer_only
    ]
    yield table(
        ("rule type", "evaluated", "takes", "condition", "`where`", "`with threshold`", "judges rows"), rows
    )


def reason_codes() -> Iterator[str]:
    """The reason codes, from `reasons.CODES`."""
    yield "# Reason codes"
    yield "Why a file, a row or a partition was rejected. A code is never renamed and never reused."
    for level in ("file", "row", "partition"):
        yield f"## Of a {level}"
        rows = [(code(c), meaning) for c, (its, meaning) in CODES.items() if its == level]
        yield table(("code", "meaning"), rows)


def status_page() -> Iterator[str]:
    """The JSON of `lake status`."""
    yield "# Status"
    yield "`lake status --json` prints a list with one object for each dataset and partition. These fields are stable."
    sample = Status("orders", "2026-03-01", "published", Balance()).as_dict()
    kinds = {str: "text", int: "number", bool: "`true` or `false`", list: "list of texts"}
    rows = [(code(name), kinds[type(value)], STATUS[name]) for name, value in sample.items()]
    yield table(("field", "value", "meaning"), rows)
    yield "`state` is " + prose(state_of.__doc__ or "").replace("``", "`")
    yield (
        "Besides them, `breaker` is `closed`, `open` or `half-open`: the state of the dataset's "
        "[circuit breaker](../guides/operations.md#the-circuit-breaker)."
    )


STATUS = {
    "dataset": "the dataset's name",
    "partition": "the partition's key; `all` for a dataset without partitions",
    "state": "`published`, `refused`, `failed` or `pending`",
    "landed_rows": "records in the landed files that count",
    "curated_rows": "rows that readers of `curated` see, counted in the table",
    "quarantined_rows": "rows in `quarantine`, those of refused files included, counted in the table",
    "deduplicated_rows": "rows that lost their key to another",
    "filtered_rows": "rows that a filter of the transform dropped",
    "balanced": "whether landed = curated + quarantined + deduplicated + filtered",
    "reasons": "why it was refused or failed",
    "contract_version": "the contract's version at the newest attempt to publish",
    "at": "when that was, UTC",
}


def quarantine_page() -> Iterator[str]:
    """The columns of the quarantine's tables."""
    yield "# Quarantine"
    yield prose(quarantine.__doc__ or "")
    yield table(
        ("column", "type", "meaning"),
        [(code(f.name), shown_arrow(f.type), QUARANTINE[f.name]) for f in quarantine.SCHEMA],
    )


QUARANTINE = {
    "_partition": "the partition's key",
    "kind": "`row` or `file`",
    "stage": "`INGEST_VALIDATION`, `TRANSFORM` or `DATA_QUALITY`",
    "reasons": "every reason, see [reason codes](reason-codes.md); `column` names the column, or for a refused partition the check",
    "source_uri": "the landed object",
    "source_version": "its version, or its etag where there are no versions",
    "_source": "the object's id; with `_record` it names the row in every zone",
    "_record": "the record's number in the object, from 1; with gaps in delimited text above 32 MB that has records of several lines; empty where records cannot be told apart",
    "line": "the line in the file, from 1, where the format has lines and the row was rejected as it was read",
    "raw": "the row's text as it stands in the file; of a refused partition, the typed row as JSON",
    "rows": "1 for a row; for a file its records, 0 where they cannot be told",
    "contract_version": "the contract's version",
    "run_id": "the Dagster run",
    "first_seen": "when it was rejected first",
    "last_seen": "when it was rejected last",
}


def storage_page() -> Iterator[str]:
    """Where everything is stored."""
    yield "# Storage"
    yield "Zones are folders below `LAKE_ROOT`, or buckets: " + ", ".join(map(code, ZONES)) + "."
    yield prose((lake.__doc__ or "").split("\n\n")[1]).rstrip(":") + "."
    _, rows = simple_table(lake.__doc__ or "")
    yield table(("name", "what it is"), [(code(a), b) for a, b in rows])
    yield (
        "Tables are Iceberg, partitioned by `_partition`; their metadata is in `<zone>/<ds>/metadata/`. The machine's "
        "own folder `LAKE_HOME` holds the catalog `catalog.db`, Dagster's home `dagster/`, further datasets `defs/` and "
        "scratch space `spool/`."
    )


def environment() -> Iterator[str]:
    """The environment variables."""
    yield "# Environment"
    yield "Read when a command starts, or when Dagster loads definitions or starts a run."
    yield table(("variable", "default", "meaning"), variables(Settings, DEFAULTS))
    yield "Who is told, and how; see [operations](../guides/operations.md):"
    yield table(("variable", "default", "meaning"), variables(Targets, DEFAULTS))
    yield "The Dagster resource of AWS Glue's job runs; see [AWS Glue](../guides/glue.md):"
    yield table(("variable", "default", "meaning"), glue_variables())
    yield "On S3, the usual variables of AWS count as well:"
    yield table(("variable", "meaning"), AWS)
    yield "`DAGSTER_HOME` names another instance of Dagster than the one in `LAKE_HOME`."


PAGES: dict[str, Callable[[], Iterator[str]]] = {
    "commands": commands,
    "defs-yaml": defs_yaml,
    "contract": contract,
    "rules": rules,
    "sql": sql_page,
    "casts": cast_page,
    "reason-codes": reason_codes,
    "status": status_page,
    "quarantine": quarantine_page,
    "storage": storage_page,
    "environment": environment,
}


def pages() -> dict[str, str]:
    """Every page's text by its file's name."""
    return {
        f"{name}.md": NOTE + "\n\n" + "\n\n".join(part for part in page() if part).strip() + "\n"
        for name, page in PAGES.items()
    }


def stale() -> list[str]:
    """The pages that are not what the code says, and files that are no pages."""
    made = pages()
    there = {p.name: p.read_text(encoding="utf-8") for p in FOLDER.glob("*.md")}
    return sorted(name for name in made.keys() | there.keys() if made.get(name) != there.get(name))


def main() -> int:
    """Write the pages that changed, or say which are stale."""
    changed = stale()
    if "--check" in sys.argv:
        print(
            "\n".join(f"stale: docs/reference/{name}" for name in changed) or "docs/reference is up to date"
        )
        return int(bool(changed))
    made = pages()
    for name in changed:
        if name in made:
            (FOLDER / name).write_text(made[name], encoding="utf-8")
            print(f"wrote docs/reference/{name}")
        else:
            (FOLDER / name).unlink()
    return 0


if __name__ == "__main__":
    sys.exit(main())
