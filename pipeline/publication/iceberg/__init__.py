"""Iceberg beside Parquet: the files of the live publication, registered in a catalogue as they are.

Warehouses read tables of a catalogue; everybody else follows `current`. `registration` keeps the one in step with the other,
`iceberg_table` changes one table in one commit, `catalogs` opens a catalogue and says its errors in our words.
"""

from pipeline.publication.iceberg.registration import RegisteredTables, register_live, registered_tables

__all__ = ["RegisteredTables", "register_live", "registered_tables"]
