"""Database targets (sinks): PostgreSQL and SQLite tables, brought to the published night in one transaction.

`tables` declares them, `merge` and `forget` hold the statements, which both databases share; `postgresql` and `sqlite` only
connect, load rows and translate errors. Targets read publication folders, never the lake's own tables.
"""
