"""The rule language: text > checked syntax tree > SQL for any engine. Nothing of a rule is ever evaluated as code."""

from pipeline.rules.language import parse_rule
from pipeline.rules.values import Value, rule_value

__all__ = ["Value", "parse_rule", "rule_value"]
