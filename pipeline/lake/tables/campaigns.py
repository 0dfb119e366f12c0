"""Campaigns: who was assigned to which arm, and what each arm is known to have achieved.

A company plans campaigns itself (`campaigns/*.toml`, assigned once, when it is started), or lists those of its CRM
(`sources/campaigns.sql` and `campaign_members.sql`). A night writes the tables of results only where there are campaigns of either kind.
"""

from __future__ import annotations

from pipeline.lake.tables.columns import CUSTOMER_ID
from pipeline.lake.tables.schema import Column, Kind, Partition, Table

CAMPAIGN_ID = Column("campaign_id", Kind.TEXT, "Campaign: the name of its file, or the id that the CRM gives it.", required=True)
ARM = Column("arm", Kind.TEXT, "Arm of the campaign.", required=True)
_IS_CONTROL = Column("is_control", Kind.FLAG, "Whether the arm is the one that nothing is done for.", required=True)
_DAYS = (
    Column("start_day", Kind.DATE, "First local day that counts.", required=True),
    Column("end_day", Kind.DATE, "Last local day that counts.", required=True),
)
_STRATUM = Column(
    "stratum", Kind.TEXT, "Stratum that the customer was drawn in: segment, then tenth of the audience by spend; empty where none was made."
)

CAMPAIGN_COLUMNS = (
    CAMPAIGN_ID,
    *_DAYS,
    Column("title", Kind.TEXT, "Name shown to people; by default the id."),
    Column("channel", Kind.TEXT, "How customers are reached, such as `mail`."),
    Column("cost_amount", Kind.MONEY, "What the campaign costs however many are reached; empty counts as nothing."),
    Column("cost_per_contact", Kind.MONEY, "What each customer of an arm costs that is not the control; empty counts as nothing."),
    Column("margin_share", Kind.NUMBER, "Share of the net amount that is left after what was sold was paid for, 0 to 1."),
    Column("primary_metric", Kind.TEXT, "`ordered`, `visited` or `spend`: what the campaign is judged by; by default `ordered`."),
    Column("scheme", Kind.TEXT, "Scheme whose segments are told apart; by default none."),
    Column("is_random", Kind.FLAG, "Whether the members' arms were drawn at random; empty counts as no."),
    Column("control_share", Kind.NUMBER, "Share of the members that were to be in the control, 0 to 1; empty where nobody says."),
)
MEMBER_COLUMNS = (
    CAMPAIGN_ID,
    CUSTOMER_ID,
    Column("arm", Kind.TEXT, "Arm of the campaign; by default `control` for the control and `treated` for all others."),
    Column("is_control", Kind.FLAG, "Whether nothing was done for the customer; empty counts as no."),
    Column("assigned_at", Kind.INSTANT, "When the customer was assigned."),
)
RAW_CAMPAIGNS = Table(
    "raw_campaigns",
    "Campaigns of the company's CRM, as the source gave them.",
    CAMPAIGN_COLUMNS,
    ("campaign_id",),
    Partition.SNAPSHOT,
)
RAW_CAMPAIGN_MEMBERS = Table(
    "raw_campaign_members",
    "Who is in which campaign of the CRM, as the source gave it.",
    MEMBER_COLUMNS,
    ("campaign_id", "customer_id"),
    Partition.SNAPSHOT,
)
CAMPAIGNS = Table("campaigns", "Campaigns of the CRM that passed validation.", CAMPAIGN_COLUMNS, ("campaign_id",), Partition.SNAPSHOT)
CAMPAIGN_MEMBERS = Table(
    "campaign_members",
    "Memberships in campaigns of the CRM that passed validation.",
    MEMBER_COLUMNS,
    ("campaign_id", "customer_id"),
    Partition.SNAPSHOT,
)
CAMPAIGN_ASSIGNMENTS = Table(
    "campaign_assignments",
    "Who is in which arm of a campaign of the company's own: drawn once, when it is started, and never again.",
    (
        CUSTOMER_ID,
        ARM,
        _IS_CONTROL,
        _STRATUM,
        Column("segment", Kind.TEXT, "Segment of the campaign's scheme on the night that it was drawn from; empty where it has no scheme."),
        Column("spend_amount", Kind.MONEY, "Spend in the window, net of refunds, on that night; what CUPED takes off.", required=True),
    ),
    ("customer_id",),
    Partition.CAMPAIGN,
)
CAMPAIGN_ARMS = Table(
    "campaign_arms",
    "One row per customer and campaign of the company's own that is not over: the customer's arm, and until when it is kept to.",
    (
        CUSTOMER_ID,
        CAMPAIGN_ID,
        ARM,
        _IS_CONTROL,
        Column("is_holdout", Kind.FLAG, "Whether it is the company-wide holdout, whose control takes part in nothing else.", required=True),
        Column("list_name", Kind.TEXT, "List that the campaign is for: an audience, or `scheme.segment`; empty for a rule."),
        Column("until_date", Kind.DATE, "Last day of the campaign.", required=True),
    ),
    ("customer_id", "campaign_id"),
    Partition.NIGHT,
    is_published=True,
    is_optional=True,
)
CAMPAIGN_SUMMARIES = Table(
    "campaign_summaries",
    "One row per campaign that is planned, running, or was due within the last year.",
    (
        CAMPAIGN_ID,
        Column("title", Kind.TEXT, "Name shown to people.", required=True),
        Column("origin", Kind.TEXT, "`own` for one of the company's files, `source` for one of its CRM.", required=True),
        Column(
            "state",
            Kind.TEXT,
            "`planned`, `running` (nothing is told yet, unless there are looks), `final`, `too few` (customers, or buyers), "
            "`not comparable` (no random control) or `sample ratio` (the arms are not as large as planned: nothing is told).",
            required=True,
        ),
        *_DAYS,
        Column("due_date", Kind.DATE, "First night that tells the final results.", required=True),
        Column("look", Kind.INTEGER, "Which of the early looks is told, 1 to 4; empty where there is none, or none yet."),
        Column("audience", Kind.TEXT, "Whom it is for, as its file says; empty for one of the CRM."),
        Column("scheme", Kind.TEXT, "Scheme whose segments are told apart; empty for none."),
        Column("channel", Kind.TEXT, "How customers are reached."),
        Column("primary_metric", Kind.TEXT, "What it is judged by: `ordered`, `visited` or `spend`.", required=True),
        Column("is_holdout", Kind.FLAG, "Whether it is the company-wide holdout.", required=True),
        Column("assigned_count", Kind.INTEGER, "Customers who were assigned."),
        Column("customer_count", Kind.INTEGER, "Customers who are measured."),
        Column(
            "left_count",
            Kind.INTEGER,
            "Customers who are not measured, in any arm: erased, gone, merged with somebody of another arm, or without consent.",
        ),
        Column("smallest_visible_lift", Kind.NUMBER, "Smallest relative lift of the metric found in 4 of 5 campaigns, as planned."),
        Column("reached_count", Kind.INTEGER, "Customers reached, by touchpoints `sent` or `delivered`; empty where none are known."),
        Column("opened_count", Kind.INTEGER, "Customers with an `opened`: at most, as mail programs open by themselves."),
        Column("clicked_count", Kind.INTEGER, "Customers with a `clicked`."),
        Column("redeemed_count", Kind.INTEGER, "Customers with a `redeemed`."),
    ),
    ("campaign_id",),
    Partition.NIGHT,
    is_published=True,
    is_optional=True,
    hidden_counts=(
        ("assigned_count",),
        ("customer_count", "left_count"),
        ("left_count", "assigned_count"),
        *((f"{kind}_count",) for kind in ("reached", "opened", "clicked", "redeemed")),
    ),
)
CAMPAIGN_RESULTS = Table(
    "campaign_results",
    "One row per campaign, arm, metric, method and segment: the arm against the control. Figures are empty where nothing may be told.",
    (
        CAMPAIGN_ID,
        ARM,
        Column("metric", Kind.TEXT, "`ordered`, `visited`, `spend` (per customer) or `spend_per_order`.", required=True),
        Column("method", Kind.TEXT, "`newcombe`, `welch`, `welch_cuped` or `ratio`.", required=True),
        Column("scheme", Kind.TEXT, "Scheme of the segment; `all` where the row is about everybody.", required=True),
        Column("segment", Kind.TEXT, "Segment; `all` where the row is about everybody.", required=True),
        Column("is_headline", Kind.FLAG, "Whether the row is the one to tell of its metric.", required=True),
        Column("state", Kind.TEXT, "State of the row, as of the campaign.", required=True),
        Column("customer_count", Kind.INTEGER, "Customers of the arm.", required=True),
        Column("control_count", Kind.INTEGER, "Customers of the control.", required=True),
        Column("arm_value", Kind.NUMBER, "Rate or mean of the arm."),
        Column("control_value", Kind.NUMBER, "Rate or mean of the control."),
        Column("difference", Kind.NUMBER, "Arm less control."),
        Column("low", Kind.NUMBER, "Lower end of its interval of 95 %, wider on early looks."),
        Column("high", Kind.NUMBER, "Upper end."),
        Column("standard_error", Kind.NUMBER, "Standard error of the difference; empty for rates."),
        Column("shrunk_difference", Kind.NUMBER, "Of a segment: the difference drawn towards that of everybody."),
        Column("shrunk_low", Kind.NUMBER, "Lower end of its interval, of all segments on average; of a single one, `low` to `high` holds."),
        Column("shrunk_high", Kind.NUMBER, "Upper end."),
        Column("p_value", Kind.NUMBER, "Of the primary metric alone: how often chance alone differs as much, 0 to 1."),
        Column("adjusted_p_value", Kind.NUMBER, "The same after Holm, over all arms."),
        Column("is_significant", Kind.FLAG, "Of the primary metric alone: whether chance alone is no explanation any more."),
        Column("segments_differ_p_value", Kind.NUMBER, "Of everybody: how often equal segments differ as much; below 0.05 they do."),
        Column("variance_left", Kind.NUMBER, "Share of the variance that CUPED leaves."),
        Column("buyer_count", Kind.INTEGER, "Customers of both who ordered.", required=True),
        Column("needed_count", Kind.INTEGER, "Buyers still lacking in the smaller of both where there are too few; else empty."),
    ),
    ("campaign_id", "arm", "metric", "method", "scheme", "segment"),
    Partition.NIGHT,
    is_published=True,
    is_optional=True,
    people_counts=("customer_count", "control_count", "buyer_count"),
)
CAMPAIGN_CHECKS = Table(
    "campaign_checks",
    "One row per campaign and check of whether its arms can be compared.",
    (
        CAMPAIGN_ID,
        Column(
            "check",
            Kind.TEXT,
            "`sample_ratio_assigned` and `sample_ratio_measured` (probability of sizes as far from the plan), `sample_ratio_lost` "
            "(probability that as many of those lost are of one arm), `spend_before` "
            "(probability of a difference as large between random arms; of others the standardised difference), `random_control`, "
            "`overlap` (share of the members who are in another campaign at the same time).",
            required=True,
        ),
        Column("arm", Kind.TEXT, "Arm that it is about; `all` for all of them.", required=True),
        Column("measured", Kind.NUMBER, "What was measured."),
        Column("limit_value", Kind.NUMBER, "What it is compared with; empty for what is only told."),
        Column("is_passed", Kind.FLAG, "Whether the check is passed.", required=True),
        Column("arm_value", Kind.NUMBER, "Of `spend_before`: mean of the arm; empty where either is of fewer than 10 customers."),
        Column("control_value", Kind.NUMBER, "The same of the control, or of all customers outside the campaign."),
    ),
    ("campaign_id", "check", "arm"),
    Partition.NIGHT,
    is_published=True,
    is_optional=True,
)
CAMPAIGN_VALUES = Table(
    "campaign_values",
    "One row per campaign and arm: what the arm brought that would not have come without it, in money. Only where the spend may be told.",
    (
        CAMPAIGN_ID,
        ARM,
        Column("customer_count", Kind.INTEGER, "Customers of the arm.", required=True),
        Column("method", Kind.TEXT, "`welch` or `welch_cuped`: which difference of the spend it goes by.", required=True),
        Column("incremental_amount", Kind.NUMBER, "Spend that would not have come without it.", required=True),
        Column("incremental_low", Kind.NUMBER, "Lower end of its interval.", required=True),
        Column("incremental_high", Kind.NUMBER, "Upper end.", required=True),
        Column("incremental_buyers", Kind.NUMBER, "Customers who would not have ordered without it.", required=True),
        Column("cost_amount", Kind.MONEY, "What the arm cost: contacts, and its part of the fixed cost.", required=True),
        Column("profit", Kind.NUMBER, "Margin of the incremental spend, less cost; empty where `margin_share` is not given."),
        Column("profit_low", Kind.NUMBER, "Lower end."),
        Column("profit_high", Kind.NUMBER, "Upper end."),
        Column("return_on_cost", Kind.NUMBER, "Profit over cost; empty where there was none."),
        Column("probability_paid", Kind.NUMBER, "Probability that it paid, 0 to 1."),
        Column("verdict", Kind.TEXT, "`paid`, `not sure` or `did not pay`, by the interval; empty where there is no profit."),
    ),
    ("campaign_id", "arm"),
    Partition.NIGHT,
    is_published=True,
    is_optional=True,
    people_counts=("customer_count",),
)
CAMPAIGN_NIGHT_TABLES = (CAMPAIGN_ARMS, CAMPAIGN_SUMMARIES, CAMPAIGN_RESULTS, CAMPAIGN_CHECKS, CAMPAIGN_VALUES)
CAMPAIGN_TABLES = (CAMPAIGNS, CAMPAIGN_MEMBERS, CAMPAIGN_ASSIGNMENTS, *CAMPAIGN_NIGHT_TABLES)
