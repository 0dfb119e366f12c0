"""The rule language: text > checked syntax tree > SQL for any engine. Nothing of a rule is ever evaluated as code."""

from pipeline.rules.language import Vocabulary, parse_rule, parse_score
from pipeline.rules.parameters import Parameter, require_parameters
from pipeline.rules.text import parameters_of, references_of
from pipeline.rules.values import Value, rule_value

__all__ = [
    "Parameter",
    "Value",
    "Vocabulary",
    "parameters_of",
    "parse_rule",
    "parse_score",
    "references_of",
    "require_parameters",
    "rule_value",
]
