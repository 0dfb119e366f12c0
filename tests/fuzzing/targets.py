"""All that is fuzzed."""

from __future__ import annotations

from fuzzing.definition_targets import DEFINITION_TARGETS
from fuzzing.lake_targets import LAKE_TARGETS
from fuzzing.rule_targets import RULE_TARGETS
from fuzzing.table_targets import TABLE_TARGETS

TARGETS = (*RULE_TARGETS, *DEFINITION_TARGETS, *TABLE_TARGETS, *LAKE_TARGETS)
