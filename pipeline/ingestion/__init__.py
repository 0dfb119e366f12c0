"""From the source to clean rows.

`extract` reads one snapshot of the source and stores what differs from what was known. `validate_sources` divides those raw
rows into clean and rejected ones. Rows of erased customers never come in. It must not know what rows are used for.
"""
