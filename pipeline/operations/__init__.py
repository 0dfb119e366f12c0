"""What an operator does: the steps of a night, backfills, refits, plans applied, rollbacks, erasures.

The only place where ingestion, features, models, segmentation and publication meet: commands and DAGs call nothing deeper. Every
call names its deployment or its night; nothing in here knows whether a terminal or Airflow called it.
"""
