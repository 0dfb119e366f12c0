"""Every table, declared once: columns with type and meaning, key, partition.

Arrow schemas, SQL types, the catalogue of tables, the map of personal data and the name of a table's suite of rules all derive
from these declarations. Each module declares the tables of one step of the night.
"""

from __future__ import annotations

from pipeline.lake.tables.columns import DAY
from pipeline.lake.tables.feature_caches import (
    AFFECTED_CUSTOMERS,
    BASE_STATES,
    CHANGED_STATES,
    CUSTOMER_ARCHIVES,
    CUSTOMER_STATES,
    CUSTOMER_VISITS,
)
from pipeline.lake.tables.features import (
    CUSTOMER_DAY_CATEGORIES,
    CUSTOMER_DAYS,
    CUSTOMER_FEATURES,
    MONTHLY_FEATURES,
    POPULATION_BASELINES,
    POPULATION_RHYTHM,
    SCORE_LIMITS,
)
from pipeline.lake.tables.ingestion import (
    CLEAN_TABLES,
    CUSTOMERS,
    ERASURES,
    EXTRACTIONS,
    LATE_DAYS,
    ORDER_LINES,
    RAW_CONSENTS,
    RAW_CUSTOMERS,
    RAW_ORDER_LINES,
    RAW_PROSPECTS,
    RAW_VISITS,
    REJECTED_ROWS,
    SOURCE_TABLES,
    VISITS,
)
from pipeline.lake.tables.quality import CLUSTER_DRIFTS, GATE_RESULTS, VALIDATION_RESULTS
from pipeline.lake.tables.schema import EVENT_DAY, KNOWN_ON, MONEY_DECIMALS, VERSION_COLUMNS, Column, Kind, Partition, Table
from pipeline.lake.tables.segments import (
    CUSTOMER_NEXT_ACTIONS,
    CUSTOMER_PREDICTIONS,
    CUSTOMER_SEGMENT_INTERVALS,
    CUSTOMER_SEGMENTS,
    SEGMENT_MOVES,
    SEGMENT_PROFILES,
    SEGMENT_STRATEGIES,
)

__all__ = [
    "AFFECTED_CUSTOMERS",
    "ALL_TABLES",
    "BASE_STATES",
    "CHANGED_STATES",
    "CLEAN_TABLES",
    "CLUSTER_DRIFTS",
    "CUSTOMERS",
    "CUSTOMER_ARCHIVES",
    "CUSTOMER_DAYS",
    "CUSTOMER_DAY_CATEGORIES",
    "CUSTOMER_FEATURES",
    "CUSTOMER_NEXT_ACTIONS",
    "CUSTOMER_PREDICTIONS",
    "CUSTOMER_SEGMENTS",
    "CUSTOMER_SEGMENT_INTERVALS",
    "CUSTOMER_STATES",
    "CUSTOMER_VISITS",
    "DAY",
    "ERASURES",
    "EVENT_DAY",
    "EXTRACTIONS",
    "GATE_RESULTS",
    "KNOWN_ON",
    "LATE_DAYS",
    "MONEY_DECIMALS",
    "MONTHLY_FEATURES",
    "ORDER_LINES",
    "POPULATION_BASELINES",
    "POPULATION_RHYTHM",
    "PUBLISHED_TABLES",
    "RAW_CONSENTS",
    "RAW_CUSTOMERS",
    "RAW_ORDER_LINES",
    "RAW_PROSPECTS",
    "RAW_VISITS",
    "REJECTED_ROWS",
    "SCORE_LIMITS",
    "SEGMENT_MOVES",
    "SEGMENT_PROFILES",
    "SEGMENT_STRATEGIES",
    "SOURCE_TABLES",
    "VALIDATION_RESULTS",
    "VERSION_COLUMNS",
    "VISITS",
    "Column",
    "Kind",
    "Partition",
    "Table",
]

ALL_TABLES = (
    RAW_CUSTOMERS,
    RAW_PROSPECTS,
    RAW_ORDER_LINES,
    RAW_CONSENTS,
    RAW_VISITS,
    EXTRACTIONS,
    LATE_DAYS,
    CUSTOMERS,
    ORDER_LINES,
    VISITS,
    REJECTED_ROWS,
    VALIDATION_RESULTS,
    GATE_RESULTS,
    CLUSTER_DRIFTS,
    CUSTOMER_DAYS,
    CUSTOMER_DAY_CATEGORIES,
    POPULATION_RHYTHM,
    POPULATION_BASELINES,
    CUSTOMER_FEATURES,
    CUSTOMER_SEGMENTS,
    CUSTOMER_SEGMENT_INTERVALS,
    SEGMENT_MOVES,
    SEGMENT_PROFILES,
    SEGMENT_STRATEGIES,
    CUSTOMER_NEXT_ACTIONS,
    CUSTOMER_PREDICTIONS,
)
PUBLISHED_TABLES = tuple(table for table in ALL_TABLES if table.is_published)
