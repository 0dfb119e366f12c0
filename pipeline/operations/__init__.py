"""What is done with all of it: the steps of a night, backfills, refits, erasures.

The only place where ingestion, features, models, segmentation and publication meet. Commands and DAGs call nothing deeper.
"""
