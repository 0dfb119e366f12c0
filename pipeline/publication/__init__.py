"""May the night be published? Then: a publication folder behind one pointer, the database target, and the way back.

Offers `audit_night`, `publish`, `roll_back`, `current_publication` and the gates that judge a night. It reads what ingestion,
features and models have stored of a night; it does not know how segments were computed, and nobody below it knows what is live.
"""
