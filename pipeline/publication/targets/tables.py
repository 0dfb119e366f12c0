"""Tables of the database target, and the view that a CRM reads; both databases share them.

    customer_segments           what is so now: one row per customer and scheme
    customer_segment_history    what was so: half-open intervals of days, an open end while it still is
    customer_profiles           one row per customer: the language, and what changes only when the customer does something
    customer_next_actions       one row per customer who may be written to: the card to act on, why, and since when
    customer_predictions        one row per customer of whom anything is predicted, with both figures
    segment_strategies          one row per scheme, segment and language: title and strategy card
    segment_moves               who moved and why on the last published days
    segment_profiles            one row per day, scheme and segment
    cluster_profiles            one row per cluster and feature: what sets it apart now
    publications                one row per day
    publication_state           the publication that all of this is of, and what tells whether somebody else wrote since
    segment_flows               how many customers are elsewhere than 1, 7 and 28 nights ago, and why; not of fewer than 10
    segment_insights            what each segment buys more, or less, than customers who buy as much
    segment_proposals           what might make segments better
    audience_members            one row per customer and audience, with the night since which; these four only once there are audiences
    audience_moves              who entered and left on the last published days, and why
    audiences                   one row per audience: owner, expiry, rule, size
    audience_strategies         one row per audience and language: title and strategy card
    customer_strategies         a view: one row per customer and scheme, with title in the customer's language, and the card if it fits
    customer_next_cards         a view: one row per next action, with title and card in the customer's language

Features are not here: they count days, so nearly every row of them is new every night. So is what is predicted, as long as
anything is; where nothing is, no row is. Titles and cards are stored once per segment and language, never once per customer.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, LiteralString

from pipeline.lake.tables import (
    AUDIENCE_MEMBERS,
    AUDIENCE_MOVES,
    AUDIENCE_STRATEGIES,
    AUDIENCES,
    CAMPAIGN_ARMS,
    CAMPAIGN_RESULTS,
    CAMPAIGN_SUMMARIES,
    CAMPAIGN_VALUES,
    CLUSTER_PROFILES,
    CUSTOMER_FEATURES,
    CUSTOMER_NEXT_ACTIONS,
    CUSTOMER_PREDICTIONS,
    CUSTOMER_SEGMENTS,
    DAY,
    SEGMENT_FLOWS,
    SEGMENT_INSIGHTS,
    SEGMENT_MOVES,
    SEGMENT_PROFILES,
    SEGMENT_PROPOSALS,
    SEGMENT_STRATEGIES,
    Column,
    Kind,
)


@dataclass(frozen=True, slots=True)
class TargetTable:
    """One table of the database target."""

    name: str
    columns: tuple[Column, ...]
    key: tuple[str, ...]

    @property
    def column_names(self) -> list[str]:
        return [column.name for column in self.columns]


PUBLICATIONS_WITH_MOVES: Final = 31
LANGUAGE: Final = Column("language", Kind.TEXT, "Language that the customer is spoken to in: one that cards are written in.", required=True)
_SLOW_COLUMNS: Final = (
    "customer_id",
    "is_prospect",
    "first_order_date",
    "last_order_date",
    "lifetime_order_count",
    "lifetime_spend_amount",
)

CURRENT: Final = TargetTable(CUSTOMER_SEGMENTS.name, CUSTOMER_SEGMENTS.columns, CUSTOMER_SEGMENTS.key)
HISTORY: Final = TargetTable(
    "customer_segment_history",
    (
        *(column for column in CUSTOMER_SEGMENTS.columns if column.name != "evidence"),
        Column("valid_from", Kind.DATE, "First published day on which the customer was in the segment.", required=True),
        Column("valid_to", Kind.DATE, "First published day on which that was over; empty while it is so."),
    ),
    (*CUSTOMER_SEGMENTS.key, "valid_from"),
)
NEXT_ACTIONS: Final = TargetTable(
    CUSTOMER_NEXT_ACTIONS.name, (*CUSTOMER_NEXT_ACTIONS.columns, *CUSTOMER_NEXT_ACTIONS.published_columns), CUSTOMER_NEXT_ACTIONS.key
)
NEXT_ACTION_COLUMNS: Final[dict[str, Column]] = {
    "scheme": Column("next_action_scheme", Kind.TEXT, "Scheme that the next action comes from; empty where there is none."),
    "segment": Column("next_action_segment", Kind.TEXT, "Segment that the next action comes from."),
    "since_date": Column("next_action_since_date", Kind.DATE, "Night since which the customer has been in that segment."),
}
CUSTOMERS: Final = TargetTable(
    "customer_profiles",
    (
        *(column for column in CUSTOMER_FEATURES.columns if column.name in _SLOW_COLUMNS),
        LANGUAGE,
        *NEXT_ACTION_COLUMNS.values(),
    ),
    ("customer_id",),
)
PREDICTIONS: Final = TargetTable(CUSTOMER_PREDICTIONS.name, CUSTOMER_PREDICTIONS.columns, CUSTOMER_PREDICTIONS.key)
STRATEGIES: Final = TargetTable(SEGMENT_STRATEGIES.name, SEGMENT_STRATEGIES.columns, SEGMENT_STRATEGIES.key)
MOVES: Final = TargetTable(SEGMENT_MOVES.name, (DAY, *SEGMENT_MOVES.columns), (DAY.name, *SEGMENT_MOVES.key))
PROFILES: Final = TargetTable(SEGMENT_PROFILES.name, (DAY, *SEGMENT_PROFILES.columns), (DAY.name, *SEGMENT_PROFILES.key))
CLUSTERS: Final = TargetTable(CLUSTER_PROFILES.name, CLUSTER_PROFILES.columns, CLUSTER_PROFILES.key)
PUBLICATIONS: Final = TargetTable(
    "publications",
    (
        DAY,
        Column("publication_id", Kind.TEXT, "Id of the publication folder with the same rows.", required=True),
        Column("membership_count", Kind.INTEGER, "Rows of customer_segments on that day.", required=True),
        Column("profile_count", Kind.INTEGER, "Rows of segment_profiles on that day.", required=True),
    ),
    (DAY.name,),
)
MEMBERS: Final = TargetTable(AUDIENCE_MEMBERS.name, (*AUDIENCE_MEMBERS.columns, *AUDIENCE_MEMBERS.published_columns), AUDIENCE_MEMBERS.key)
AUDIENCE_SIZES: Final = TargetTable(AUDIENCES.name, AUDIENCES.columns, AUDIENCES.key)
AUDIENCE_CARDS: Final = TargetTable(AUDIENCE_STRATEGIES.name, AUDIENCE_STRATEGIES.columns, AUDIENCE_STRATEGIES.key)
MEMBER_MOVES: Final = TargetTable(AUDIENCE_MOVES.name, (DAY, *AUDIENCE_MOVES.columns), (DAY.name, *AUDIENCE_MOVES.key))
TABLES_OF_MOVES: Final = {MOVES: SEGMENT_MOVES, MEMBER_MOVES: AUDIENCE_MOVES}
ARMS: Final = TargetTable(CAMPAIGN_ARMS.name, CAMPAIGN_ARMS.columns, CAMPAIGN_ARMS.key)
CAMPAIGN_FIGURES: Final = tuple(
    TargetTable(table.name, table.columns, table.key) for table in (CAMPAIGN_SUMMARIES, CAMPAIGN_RESULTS, CAMPAIGN_VALUES)
)
SEGMENT_FIGURES: Final = tuple(
    TargetTable(table.name, (*table.columns, *table.published_columns), table.key)
    for table in (SEGMENT_FLOWS, SEGMENT_INSIGHTS, SEGMENT_PROPOSALS)
)
OPTIONAL: Final = (MEMBERS, AUDIENCE_SIZES, AUDIENCE_CARDS, MEMBER_MOVES, ARMS, *CAMPAIGN_FIGURES, *SEGMENT_FIGURES)
TARGET_TABLES: Final = (CURRENT, HISTORY, CUSTOMERS, NEXT_ACTIONS, PREDICTIONS, STRATEGIES, MOVES, PROFILES, CLUSTERS, PUBLICATIONS)
STAGED: Final = {
    table: TargetTable(f"staged_{table.name}", table.columns, table.key)
    for table in (CURRENT, CUSTOMERS, NEXT_ACTIONS, PREDICTIONS, STRATEGIES, MOVES, PROFILES, CLUSTERS, *OPTIONAL)
}
GONE: Final = {
    table: TargetTable(f"gone_{table.name}", tuple(column for column in table.columns if column.name in table.key), table.key)
    for table in STAGED
}
CHANGED: Final = TargetTable(
    "changed_memberships", tuple(column for column in CUSTOMER_SEGMENTS.columns if column.name != "evidence"), CUSTOMER_SEGMENTS.key
)
STAGED_NIGHT: Final = TargetTable("night", PUBLICATIONS.columns, PUBLICATIONS.key)

INDEXES: Final[tuple[LiteralString, ...]] = (
    "CREATE UNIQUE INDEX customer_segment_history_open ON customer_segment_history (customer_id, scheme) WHERE valid_to IS NULL",
    "CREATE INDEX customer_segment_history_from ON customer_segment_history (valid_from)",
    "CREATE INDEX customer_segment_history_to ON customer_segment_history (valid_to)",
)
# Made once: a view that is dropped and made anew would lose who may read it. A card that assumes the customer to be late, gone or on
# time is shown only where the card of their lifecycle assumes the same: no two cards of a customer contradict each other.
CREATE_VIEWS: Final[dict[str, LiteralString]] = {
    "customer_strategies": """
    CREATE VIEW customer_strategies AS
    SELECT profile.customer_id, profile.language, profile.is_prospect, profile.first_order_date, profile.last_order_date,
        held.scheme, held.segment, held.valid_from, named.title, card.message, card.promotion, card.product_offer, card.price,
        card.channel, card.service, card.priority, card.budget_share
    FROM customer_profiles AS profile
    JOIN customer_segment_history AS held ON held.customer_id = profile.customer_id AND held.valid_to IS NULL
    LEFT JOIN segment_strategies AS named
        ON named.scheme = held.scheme AND named.segment = held.segment AND named.language = profile.language
    LEFT JOIN customer_segment_history AS lived
        ON lived.customer_id = profile.customer_id AND lived.scheme = 'lifecycle' AND lived.valid_to IS NULL
    LEFT JOIN segment_strategies AS rhythm
        ON rhythm.scheme = lived.scheme AND rhythm.segment = lived.segment AND rhythm.language = profile.language
    LEFT JOIN segment_strategies AS card
        ON card.scheme = held.scheme AND card.segment = held.segment AND card.language = profile.language
        AND (card.assumes IS NULL OR card.assumes = rhythm.assumes OR (card.assumes = 'late' AND rhythm.assumes = 'gone'))
    """,
    "customer_next_cards": """
    CREATE VIEW customer_next_cards AS
    SELECT profile.customer_id, profile.language, action.scheme, action.segment, action.since_date, action.reason, action.stake_amount,
        card.title, card.message, card.promotion, card.product_offer, card.price, card.channel, card.service, action.priority
    FROM customer_profiles AS profile
    JOIN customer_next_actions AS action ON action.customer_id = profile.customer_id
    LEFT JOIN segment_strategies AS card
        ON card.scheme = action.scheme AND card.segment = action.segment AND card.language = profile.language
    """,
}
