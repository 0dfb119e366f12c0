"""Tables that measuring makes for itself, in a private folder, and forgets."""

from __future__ import annotations

from dataclasses import replace

from pipeline.lake.tables import CAMPAIGN_ARMS, CAMPAIGN_ASSIGNMENTS, CUSTOMER_ID, Column, Kind, Partition, Table


def _table(name: str, *columns: Column, key: str = "customer_id") -> Table:
    return Table(name, "", columns, (key,), Partition.NIGHT)


_SEGMENT, _SPEND = Column("segment", Kind.TEXT, ""), Column("spend_amount", Kind.MONEY, "")
_ARM, _STRATUM = Column("arm", Kind.TEXT, ""), Column("stratum", Kind.TEXT, "")
MEMBERS_BY_RULE = _table("campaign_members_by_rule", CUSTOMER_ID, _SPEND, Column("is_member", Kind.FLAG, ""))
STRATA_SEGMENTS = _table("strata_segments", CUSTOMER_ID, _SEGMENT)
UNMEASURED, HELD_OUT, TAKEN, KNOWN, KNOWN_IDS = (
    _table(name, CUSTOMER_ID) for name in ("unmeasured_customers", "held_out_customers", "taken_customers", "known_customers", "known_ids")
)
CANDIDATES = _table("campaign_candidates", CUSTOMER_ID, _SPEND, _SEGMENT, Column("excluded_by", Kind.TEXT, ""))
STRATA = _table("campaign_strata", CUSTOMER_ID, _SEGMENT, _SPEND, _STRATUM, Column("place", Kind.INTEGER, ""))
QUOTAS = _table(
    "arm_quotas",
    _STRATUM,
    _ARM,
    Column("is_control", Kind.FLAG, ""),
    Column("after_place", Kind.INTEGER, ""),
    Column("until_place", Kind.INTEGER, ""),
    key="stratum",
)
OUTCOMES = _table("campaign_outcomes", CUSTOMER_ID, Column("order_count", Kind.INTEGER, ""), _SPEND, Column("has_visited", Kind.FLAG, ""))
SPEND_BEFORE = _table("spend_before", CUSTOMER_ID, _SPEND)
PEOPLE = _table("campaign_people", CUSTOMER_ID, _ARM, _SEGMENT, _SPEND)
PEOPLE_BY_SOURCE_ID = replace(PEOPLE, name="people_by_source_id")
PEOPLE_WITHOUT_SPEND = replace(PEOPLE, name="people_without_spend")
MEMBERS_WITH_ARM = _table("members_with_arm", Column("campaign_id", Kind.TEXT, ""), CUSTOMER_ID, _ARM)
LISTED_MEMBERS = replace(MEMBERS_WITH_ARM, name="listed_members")
ASSIGNED = replace(CAMPAIGN_ASSIGNMENTS, name="assigned_people")
LIVE_ASSIGNMENTS = replace(CAMPAIGN_ARMS, name="live_assignments")
ASSIGNMENTS_BY_SOURCE_ID = replace(CAMPAIGN_ARMS, name="assignments_by_source_id")
