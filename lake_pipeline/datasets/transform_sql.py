"""The SQL of a transform, checked before there is data: that every engine runs it, and understands it alike."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import ibis.expr.datatypes as dt

from lake_pipeline.datasets.transforms import Derive, Filter, Rename, Step


def sql_problems(
    steps: Iterable[Step], landed: Iterable[tuple[str, dt.DataType]], contract: dict[str, dt.DataType]
) -> Iterator[str]:
    """What is wrong with the SQL of steps. landed: the columns they begin with; contract: those they make."""
    of_sql = [step for step in steps if isinstance(step, Derive | Filter | Rename)]
    if all(isinstance(step, Rename) for step in of_sql):
        return
    from ibis.backends.sql.datatypes import PySparkType  # late: only where there is SQL
    from sqlglot import exp

    from lake_pipeline.dqdl import lint
    from lake_pipeline.dqdl.sql_kinds import columns_of
    from lake_pipeline.dqdl.subject import RuleError

    known = dict(landed)
    for step in of_sql:
        if isinstance(step, Rename):
            known |= {new: known[old] for new, old in step.columns.items() if old in known}
            continue
        texts = {"filter": step.condition} if isinstance(step, Filter) else step.columns
        for name, text in texts.items():
            type_ = dt.boolean if isinstance(step, Filter) else contract.get(name)
            where = "filter" if isinstance(step, Filter) else f"derive: {name}"
            try:
                if isinstance(step, Filter):
                    lint.condition(text, columns_of(known.items()))
                elif type_ is not None:
                    to = exp.DataType.build(str(PySparkType.to_string(type_)), dialect="spark")
                    lint.value(text, to, columns_of(known.items()))
            except RuleError as error:
                yield f"{where}: {text}: {error}"
            if type_ is not None and isinstance(step, Derive):
                known[name] = type_
