"""What a night tells people about segments and sales in few rows: for the morning page, and for whoever asks what to change."""

from __future__ import annotations

from pipeline.lake.tables.columns import SCHEME, SEGMENT
from pipeline.lake.tables.schema import Column, Kind, Partition, Table
from pipeline.lake.tables.segments import REASON

SEGMENT_FLOWS = Table(
    "segment_flows",
    "How many customers are in another segment than 1, 7 and 28 nights ago, and why: one row per way and reason. Who went and came back "
    "counts for none.",
    (
        Column("nights", Kind.INTEGER, "1, 7 or 28: how far back the night is compared.", required=True),
        SCHEME,
        Column("from_segment", Kind.TEXT, "Segment then; empty for customers or a scheme that was not there, or did not apply."),
        Column("to_segment", Kind.TEXT, "Segment tonight; empty for customers or a scheme that is not there, or does not apply."),
        Column("reason", Kind.TEXT, f"Of the last of their moves since: {REASON.description}", required=True),
        Column("since_night", Kind.DATE, "The newest stored night that lies so many nights back, or further.", required=True),
        Column("customer_count", Kind.INTEGER, "Customers.", required=True),
        Column("spend_amount", Kind.MONEY, "Their spend net of refunds in the window, as of tonight.", required=True),
        Column("lifetime_spend_amount", Kind.MONEY, "Their spend net of refunds ever.", required=True),
    ),
    ("nights", "scheme", "from_segment", "to_segment", "reason"),
    Partition.NIGHT,
    is_published=True,
    is_optional=True,
    people_counts=("customer_count",),
)
VALUE_CONCENTRATION = Table(
    "value_concentration",
    "How much of the window's spend the best 1, 2, ... 100 percent of its buyers hold, of those who spent more than they got back.",
    (
        Column("customer_percent", Kind.INTEGER, "Of the buyers, those who spent most: 1 to 100.", required=True),
        Column("customer_count", Kind.INTEGER, "So many customers that is, rounded up.", required=True),
        Column("spend_amount", Kind.MONEY, "Their spend net of refunds in the window.", required=True),
        Column("spend_share", Kind.NUMBER, "Share of the spend of all these buyers.", required=True),
    ),
    ("customer_percent",),
    Partition.NIGHT,
    is_optional=True,
)
SCORE_GRID = Table(
    "score_grid",
    "One row per recency score and score of frequency and spend that any customer has.",
    (
        Column("r_score", Kind.INTEGER, "Recency score, 5 most recent.", required=True),
        Column("fm_score", Kind.INTEGER, "Frequency and monetary score.", required=True),
        Column("customer_count", Kind.INTEGER, "Customers.", required=True),
        Column("spend_amount", Kind.MONEY, "Their spend net of refunds in the window.", required=True),
    ),
    ("r_score", "fm_score"),
    Partition.NIGHT,
    is_optional=True,
)
SALES_DAYS = Table(
    "sales_days",
    "Sales of the last 56 days and of the same days 52 weeks before: one row per day since the first order, also where nothing was sold.",
    (
        Column("order_day", Kind.DATE, "Local day of the orders.", required=True),
        Column("order_count", Kind.INTEGER, "Orders.", required=True),
        Column("customer_count", Kind.INTEGER, "Customers who ordered.", required=True),
        Column("new_customer_count", Kind.INTEGER, "Those of them whose first order-day it was.", required=True),
        Column("spend_amount", Kind.MONEY, "Spend of the day's orders, less what was given back of them since.", required=True),
    ),
    ("order_day",),
    Partition.NIGHT,
    is_optional=True,
)
OF_NIGHT = Column("of_night", Kind.DATE, "The night whose segments are looked at; what came of them is known by this one.", required=True)
TOLD_ON = Column("told_on", Kind.DATE, "The night that told it: the first of a month, or of other definitions.", required=True)
SEGMENT_INSIGHTS = Table(
    "segment_insights",
    "What the customers of a segment buy more, or less, than other customers of the scheme who buy as much: of those who ordered in the "
    "window, by a Mantel-Haenszel risk ratio over twentieths of order lines. Only what at least 10 of the segment bought has a row; "
    "a product only where it is told.",
    (
        SCHEME,
        SEGMENT,
        Column("subject_kind", Kind.TEXT, "`category`, `product`, `channel` or `discount`.", required=True),
        Column("subject", Kind.TEXT, "The category, product or channel; `at a discount` for a discount.", required=True),
        Column("customer_count", Kind.INTEGER, "Customers of the segment who bought it.", required=True),
        Column("share", Kind.NUMBER, "Their share of the segment's customers of whom anything of the kind is known.", required=True),
        Column("expected_share", Kind.NUMBER, "The share that others who buy as much would make expect: `share` / `lift`."),
        Column("lift", Kind.NUMBER, "How many times as common it is as among others who buy as much; empty where none of these has it."),
        Column("low", Kind.NUMBER, "Lower end of the 95 % interval of `lift`."),
        Column("high", Kind.NUMBER, "Upper end of it."),
        Column(
            "is_significant",
            Kind.FLAG,
            "Whether it is more common, and not by chance: of all that is told of a scheme, at most 5 % is expected to be.",
            required=True,
        ),
    ),
    ("scheme", "segment", "subject_kind", "subject"),
    Partition.NIGHT,
    is_published=True,
    is_optional=True,
    published_columns=(TOLD_ON,),
    people_counts=("customer_count",),
)
NEXT_CATEGORIES = Table(
    "next_categories",
    "Which category customers of a category buy first next: of those who ordered in the window, in the last 90 days.",
    (
        Column("category", Kind.TEXT, "A category that the customers had bought before these days.", required=True),
        Column("next_category", Kind.TEXT, "One that they had not.", required=True),
        Column("customer_count", Kind.INTEGER, "Customers who had the first and not the second, and bought it.", required=True),
        Column("share", Kind.NUMBER, "Their share of those who had the first and not the second.", required=True),
        Column("base_share", Kind.NUMBER, "The same of all who had anything, and not the second.", required=True),
        Column(
            "hit_rate",
            Kind.NUMBER,
            "Of those who bought a category first in these days, for how many it was among three named by the shares of 90 days before.",
            required=True,
        ),
        Column("base_hit_rate", Kind.NUMBER, "The same of the three most popular ones, by the better of two measures.", required=True),
        Column("is_better", Kind.FLAG, "Whether the first rate beats the second by more than chance.", required=True),
    ),
    ("category", "next_category"),
    Partition.NIGHT,
    is_optional=True,
)
SEGMENT_EFFECTIVENESS = Table(
    "segment_effectiveness",
    "What the customers of each segment did in the 90 days after an older night.",
    (
        SCHEME,
        SEGMENT,
        OF_NIGHT,
        Column("customer_count", Kind.INTEGER, "Customers of the segment on that night who had ordered by then.", required=True),
        Column("next_90_day_spend", Kind.NUMBER, "Mean spend of these in the next 90 days, less refunds, nobody below 0.", required=True),
        Column("repeat_share", Kind.NUMBER, "Share of them who ordered in the next 90 days.", required=True),
        Column("retention_share", Kind.NUMBER, "The same of those who had ordered in the 90 days up to that night."),
    ),
    ("scheme", "segment"),
    Partition.NIGHT,
    is_optional=True,
)
SCHEME_EFFECTIVENESS = Table(
    "scheme_effectiveness",
    "What each scheme tells about the 90 days after an older night, and what it adds to tenths of customers by spend in the window.",
    (
        SCHEME,
        OF_NIGHT,
        Column("customer_count", Kind.INTEGER, "Customers of the scheme on that night who had ordered by then.", required=True),
        Column("gini", Kind.NUMBER, "Normalised Gini of the next 90 days' spend by segment: 1 is foresight, 0 chance.", required=True),
        Column("gini_of_spend_tenths", Kind.NUMBER, "The same by tenths of spend.", required=True),
        Column("added_r2_spend", Kind.NUMBER, "What the scheme adds to the cross-fitted R2 of log spend by tenths.", required=True),
        Column("added_r2_spend_z", Kind.NUMBER, "The same in standard errors; below 2 it may be chance.", required=True),
        Column("added_r2_buying", Kind.NUMBER, "What it adds to the R2 of whether a customer orders.", required=True),
        Column("added_r2_buying_z", Kind.NUMBER, "The same in standard errors.", required=True),
        Column("adds", Kind.FLAG, "Whether it adds something beyond chance to either.", required=True),
    ),
    ("scheme",),
    Partition.NIGHT,
    is_optional=True,
)
SEGMENT_PROPOSALS = Table(
    "segment_proposals",
    "What might make segments better, each with the figure behind it and the command that shows its effect. Nothing is applied.",
    (
        Column(
            "kind",
            Kind.TEXT,
            "`split`, `merge`, `move_threshold`, `tells_nothing_new`, `refit`, `empty_segment`, `stop_campaign` or `shift_budget`.",
            required=True,
        ),
        Column("scheme", Kind.TEXT, "The scheme that is meant; of a proposal about a campaign, the campaign.", required=True),
        Column("segment", Kind.TEXT, "The segment; empty where the whole scheme is meant."),
        Column("with_segment", Kind.TEXT, "The segment to merge it with, or the campaign to move budget to."),
        Column("rule", Kind.TEXT, "The condition proposed, such as `m_score >= 4`; of a campaign, the arm."),
        Column("measured", Kind.NUMBER, "The figure behind the proposal, as `words` say.", required=True),
        Column("low", Kind.NUMBER, "Lower end of its interval."),
        Column("high", Kind.NUMBER, "Upper end of it."),
        Column("customer_count", Kind.INTEGER, "Of a split, the customers whom `rule` takes; of a merge, those of `segment`."),
        Column("other_customer_count", Kind.INTEGER, "Of a split, the others of the segment; of a merge, those of `with_segment`."),
        Column(
            "amount",
            Kind.NUMBER,
            "Mean spend of the first: in the window, of a merge in the 90 days. Of a campaign to stop its profit, of one to move budget to "
            "its profit per customer.",
        ),
        Column("other_amount", Kind.NUMBER, "The same of the others; of the campaign to take budget from."),
        Column("share", Kind.NUMBER, "Of a merge, the share of the first who ordered in the 90 days."),
        Column("other_share", Kind.NUMBER, "The same of the others."),
        Column("needed_count", Kind.INTEGER, "So many customers per segment would be needed to be sure; empty where there are enough."),
        Column(
            "is_sure",
            Kind.FLAG,
            "Whether the figure suffices, and a merge or another threshold shows in two periods; else it is a thing to watch.",
            required=True,
        ),
        Column("edit", Kind.TEXT, "What to change, in which file.", required=True),
        Column("command", Kind.TEXT, "What shows the effect of that edit before it is made.", required=True),
        Column("words", Kind.TEXT, "The proposal in a sentence.", required=True),
    ),
    ("kind", "scheme", "segment", "with_segment", "rule"),
    Partition.NIGHT,
    is_published=True,
    is_optional=True,
    published_columns=(TOLD_ON,),
    people_counts=("customer_count", "other_customer_count"),
)
SURVEY_SHARES = Table(
    "survey_shares",
    "What respondents answered: one row per survey, question, answer and segment; and of `all` respondents, be they customers or not.",
    (
        Column("survey", Kind.TEXT, "The event that holds the answers.", required=True),
        Column("question", Kind.TEXT, "The question.", required=True),
        Column("answer", Kind.TEXT, "The answer; empty for all answers that fewer than 10 respondents gave."),
        Column("scheme", Kind.TEXT, "Scheme of the segment; `all` where the row is about everybody.", required=True),
        Column("segment", Kind.TEXT, "Segment; `all` where the row is about everybody.", required=True),
        Column("answer_count", Kind.INTEGER, "Respondents of the segment whose last answer it is.", required=True),
        Column("respondent_count", Kind.INTEGER, "Respondents of the segment who answered the question.", required=True),
        Column("effective_count", Kind.NUMBER, "How many of equal weight say as much as these (Kish).", required=True),
        Column("share", Kind.NUMBER, "Share of the respondents, by weight, who gave the answer.", required=True),
        Column("low", Kind.NUMBER, "Lower end of the 95 % interval of the share (Wilson).", required=True),
        Column("high", Kind.NUMBER, "Upper end of it.", required=True),
    ),
    ("survey", "question", "answer", "scheme", "segment"),
    Partition.NIGHT,
    is_optional=True,
)
FIGURE_TABLES = (VALUE_CONCENTRATION, SCORE_GRID, SALES_DAYS)
"""What is told of the night alone."""
REFINEMENT_TABLES = (SEGMENT_INSIGHTS, NEXT_CATEGORIES, SEGMENT_EFFECTIVENESS, SCHEME_EFFECTIVENESS, SEGMENT_PROPOSALS, SURVEY_SHARES)
"""What changes slowly: told on the first night of a month, and where definitions changed."""
INSIGHT_TABLES = (SEGMENT_FLOWS, *FIGURE_TABLES, *REFINEMENT_TABLES)
