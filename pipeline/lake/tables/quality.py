"""What was found when a night was checked."""

from __future__ import annotations

from pipeline.lake.tables.schema import Column, Kind, Partition, Table

VALIDATION_RESULTS = Table(
    "validation_results",
    "What each rule found when the night ran, as counts. A log of runs: out of turn, a night finds days that others checked.",
    (
        Column("source_table", Kind.TEXT, "Table that was checked.", required=True),
        Column("rule", Kind.TEXT, "Name of the rule.", required=True),
        Column("severity", Kind.TEXT, "`critical` stops the night; `warning` is reported.", required=True),
        Column("rejects_rows", Kind.FLAG, "Whether a row that breaks the rule is set aside.", required=True),
        Column("checked_count", Kind.INTEGER, "Rows that were checked.", required=True),
        Column(
            "failed_count",
            Kind.INTEGER,
            "Rows that broke the rule; of `table_keeps_enough_rows`, where too many were set aside, all of these; 1 of another rule about "
            "the whole table.",
            required=True,
        ),
        Column("is_passed", Kind.FLAG, "Whether the night may go on as far as this rule is concerned.", required=True),
    ),
    ("source_table", "rule"),
    Partition.NIGHT,
)
GATE_RESULTS = Table(
    "gate_results",
    "What each gate said of a night that was to be published. A log of runs: it tells what the night was compared with then.",
    (
        Column("gate", Kind.TEXT, "Name of the gate.", required=True),
        Column("subject", Kind.TEXT, "Scheme, table or attribute that was judged.", required=True),
        Column("state", Kind.TEXT, "`open`, `closed`, `overridden`, `not measured` or `off`; `closed` stops the night.", required=True),
        Column("measured", Kind.NUMBER, "Share, factor or days that was measured."),
        Column("limit", Kind.NUMBER, "Value up to which the gate is open; from which, for `too_few`."),
        Column("words", Kind.TEXT, "The same in words.", required=True),
        Column("reason", Kind.TEXT, "Why a person let the night pass a closed gate."),
    ),
    ("gate", "subject"),
    Partition.NIGHT,
)
CLUSTER_DRIFTS = Table(
    "cluster_drifts",
    "How far the night's customers are from those that each cluster model was fitted to: beyond a limit the model asks for a refit.",
    (
        Column("scheme", Kind.TEXT, "Name of the cluster scheme.", required=True),
        Column("measure", Kind.TEXT, "`feature` (population stability index), `distance` (to the centres) or `silhouette`.", required=True),
        Column("subject", Kind.TEXT, "Feature that was measured, or `all`.", required=True),
        Column("measured", Kind.NUMBER, "Index; times the distance at the fit; fall of the silhouette since then.", required=True),
        Column("limit", Kind.NUMBER, "Value above which the model asks for a refit.", required=True),
        Column("is_beyond", Kind.FLAG, "Whether it does.", required=True),
        Column("words", Kind.TEXT, "The same in words.", required=True),
    ),
    ("scheme", "measure", "subject"),
    Partition.NIGHT,
)
