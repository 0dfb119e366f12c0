"""From clean rows to one row per customer, as of the end of a night.

Offers `compute_rollups` and `compute_features`. A night computes anew only the customers to whom something happened;
the caches that make this possible may be deleted at any time. It must not know schemes, segments or models.
"""
