"""DQDL, AWS Glue's Data Quality Definition Language: parsed, printed, evaluated and proposed.

>>> ruleset = parse('Rules = [ RowCount > 0, IsComplete "order_id" ]')
>>> [rule.slug for rule in ruleset.rules]
['RowCount', 'IsComplete_order_id']
"""

from __future__ import annotations

from lake_pipeline.dqdl.evaluate import evaluate, evaluate_by
from lake_pipeline.dqdl.failing import failing_rows
from lake_pipeline.dqdl.files import File, FileInfo
from lake_pipeline.dqdl.lint import problems
from lake_pipeline.dqdl.nodes import Composite, Rule, Ruleset
from lake_pipeline.dqdl.outcomes import Analysis, Evaluation, Outcome
from lake_pipeline.dqdl.parser import parse
from lake_pipeline.dqdl.past import Earlier, History, Past, looks_back
from lake_pipeline.dqdl.recommend import recommend
from lake_pipeline.dqdl.rows import row_level
from lake_pipeline.dqdl.tokens import DQDLSyntaxError

__all__ = [
    "Analysis",
    "Composite",
    "DQDLSyntaxError",
    "Earlier",
    "Evaluation",
    "File",
    "FileInfo",
    "History",
    "Outcome",
    "Past",
    "Rule",
    "Ruleset",
    "evaluate",
    "evaluate_by",
    "failing_rows",
    "looks_back",
    "parse",
    "problems",
    "recommend",
    "row_level",
]
