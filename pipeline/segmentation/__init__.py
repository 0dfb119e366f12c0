"""Who is in which segment on a night, who moved and why, and who was where before.

Offers the writers of a night's tables (`write_memberships`, `write_next_actions`, `write_intervals`,
`write_moves`) and the questions that history
answers (`night_as_known`, `segment_members`, `customer_intervals`). It must not know what is published, or which night is live.
"""

from pipeline.segmentation.audiences import audience_digest, write_audiences
from pipeline.segmentation.history import (
    OTHER_NIGHT_TODO,
    NightAsKnown,
    SchemeNames,
    customer_intervals,
    night_as_known,
    register_memberships,
    restated_nights,
    scheme_names_on,
    segment_members,
    segment_sizes,
)
from pipeline.segmentation.intervals import write_intervals
from pipeline.segmentation.joined_columns import NightFeatures, columns_named, has_stays
from pipeline.segmentation.memberships import with_clusters_now, write_memberships
from pipeline.segmentation.moves import REASONS, write_moves
from pipeline.segmentation.next_actions import write_next_actions
from pipeline.segmentation.night_schemes import (
    audiences_of_night,
    clusters_of_night,
    computable_audiences,
    not_computed_on,
    schemes_and_audiences,
    schemes_beside,
    schemes_of_night,
)
from pipeline.segmentation.profiles import profiles_statement, strategy_rows

__all__ = [
    "OTHER_NIGHT_TODO",
    "REASONS",
    "NightAsKnown",
    "NightFeatures",
    "SchemeNames",
    "audience_digest",
    "audiences_of_night",
    "clusters_of_night",
    "columns_named",
    "computable_audiences",
    "customer_intervals",
    "has_stays",
    "night_as_known",
    "not_computed_on",
    "profiles_statement",
    "register_memberships",
    "restated_nights",
    "scheme_names_on",
    "schemes_and_audiences",
    "schemes_beside",
    "schemes_of_night",
    "segment_members",
    "segment_sizes",
    "strategy_rows",
    "with_clusters_now",
    "write_audiences",
    "write_intervals",
    "write_memberships",
    "write_moves",
    "write_next_actions",
]
