"""The rule language: text > checked syntax tree > SQL for any engine. Nothing of a rule is ever evaluated as code."""

from pipeline.definitions.rules.language import Vocabulary, parse_rule, parse_score
from pipeline.definitions.rules.parameters import Parameter, require_parameters
from pipeline.definitions.rules.text import parameters_of, references_of
from pipeline.definitions.rules.values import Value, rule_value

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
