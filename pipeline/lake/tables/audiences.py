"""Who is in which audience, who entered and left and why, how large each is, and what to do about it.

A night writes these tables only where the company declares audiences: one that has none pays nothing for them.
"""

from __future__ import annotations

from pipeline.lake.tables.columns import CUSTOMER_ID, SINCE_DATE
from pipeline.lake.tables.schema import Column, Kind, Partition, Table
from pipeline.lake.tables.segments import CARD, REASON

AUDIENCE = Column("audience", Kind.TEXT, "Audience, by the name of its file.", required=True)
_TITLE = Column("title", Kind.TEXT, "Name shown to people.", required=True)
_PURPOSE = Column("purpose", Kind.TEXT, "What the audience is for.", required=True)

AUDIENCE_MEMBERS = Table(
    "audience_members",
    "One row per customer and audience that the customer is in. A customer whose rule is unknown is in none.",
    (CUSTOMER_ID, AUDIENCE),
    ("customer_id", "audience"),
    Partition.NIGHT,
    is_published=True,
    is_optional=True,
    published_columns=(SINCE_DATE,),
)
AUDIENCE_MOVES = Table(
    "audience_moves",
    "One row per customer and audience that the customer entered or left since the stored night before, with its reason.",
    (
        CUSTOMER_ID,
        AUDIENCE,
        Column("move", Kind.TEXT, "`entered` or `left`.", required=True),
        Column(
            "reason",
            Kind.TEXT,
            f"{REASON.description.removesuffix('.')}; or `expiry`: the audience is over.",
            required=True,
        ),
    ),
    ("customer_id", "audience"),
    Partition.NIGHT,
    is_published=True,
    is_optional=True,
)
AUDIENCES = Table(
    "audiences",
    "One row per audience of the night: its owner, its rule and its size. One that expired, or that cannot be computed, has none.",
    (
        AUDIENCE,
        _TITLE,
        _PURPOSE,
        Column("owner", Kind.TEXT, "Who answers for it.", required=True),
        Column("expires_date", Kind.DATE, "Last night on which it is published; empty where it does not expire."),
        Column("rule", Kind.TEXT, "Whom it takes, as the definition says it.", required=True),
        Column("customer_count", Kind.INTEGER, "Customers in it.", required=True),
        Column("customer_share", Kind.NUMBER, "Share of all customers; empty where there are none."),
        Column("spend_amount", Kind.MONEY, "Their spend net of refunds in the window.", required=True),
        Column("spend_share", Kind.NUMBER, "Share of the spend of all customers; empty where that is not above 0."),
        Column("unknown_count", Kind.INTEGER, "Customers of whom the rule is unknown, as a value is: they are not in it.", required=True),
    ),
    ("audience",),
    Partition.NIGHT,
    is_published=True,
    is_optional=True,
)
AUDIENCE_STRATEGIES = Table(
    "audience_strategies",
    "One row per audience and language: what it is called, and what to do about its customers where a card says so.",
    (
        AUDIENCE,
        Column(
            "language",
            Kind.TEXT,
            "Language of title and texts: each that anything of an audience is translated into; what is not is in the company's own.",
            required=True,
        ),
        _TITLE,
        _PURPOSE,
        *CARD,
    ),
    ("audience", "language"),
    Partition.NIGHT,
    is_published=True,
    is_optional=True,
)
AUDIENCE_TABLES = (AUDIENCE_MEMBERS, AUDIENCE_MOVES, AUDIENCES, AUDIENCE_STRATEGIES)
