"""From the source to clean rows: one snapshot, kept as versions of what each night knew, divided into clean and rejected rows.

Offers `extract` and `validate_sources`. What was erased never comes in again. It does not know what rows are used for.
"""
