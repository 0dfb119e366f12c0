"""The rule language: text > checked syntax tree > SQL for any engine. Nothing of a rule is ever evaluated as code.

Offers `parse_rule` and `parse_score`, what they may name (`Vocabulary`, `Parameter`), and `rule_value`, which gives what
a checked rule says of one customer. It does not know schemes, segments, or how a rule's SQL is run.
"""

from pipeline.definitions.rules.calls import Call, call_of, calls_in, nodes_outside_calls
from pipeline.definitions.rules.comparisons import MIRRORED
from pipeline.definitions.rules.definition_texts import rule_texts
from pipeline.definitions.rules.joined_columns import PREDICTIONS, ListColumn, StayColumn, column_words, joined_column, joined_kind
from pipeline.definitions.rules.language import MAX_LITERAL_DIGITS, aggregates_of, parse_rule, parse_score, parse_value
from pipeline.definitions.rules.names_in_text import audiences_of, lists_of, parameters_of, references_of
from pipeline.definitions.rules.parameters import Parameter, require_parameters
from pipeline.definitions.rules.quantiles import Quantile, parameter_value, take_quantiles
from pipeline.definitions.rules.values import Value, rule_value
from pipeline.definitions.rules.vocabulary import Vocabulary

__all__ = [
    "MAX_LITERAL_DIGITS",
    "MIRRORED",
    "PREDICTIONS",
    "Call",
    "ListColumn",
    "Parameter",
    "Quantile",
    "StayColumn",
    "Value",
    "Vocabulary",
    "aggregates_of",
    "audiences_of",
    "call_of",
    "calls_in",
    "column_words",
    "joined_column",
    "joined_kind",
    "lists_of",
    "nodes_outside_calls",
    "parameter_value",
    "parameters_of",
    "parse_rule",
    "parse_score",
    "parse_value",
    "references_of",
    "require_parameters",
    "rule_texts",
    "rule_value",
    "take_quantiles",
]
