"""From clean rows to one row per customer, as of the end of a night.

Offers `compute_rollups` and `compute_features`. Only customers whom something happened to are computed anew; what makes
that possible are caches, which may be deleted at any time. It knows no scheme and no segment.
"""
