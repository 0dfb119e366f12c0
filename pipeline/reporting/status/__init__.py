"""The status of a lake: what is live, and what became of the newest night. Read from stored files alone, so it works at any time."""
