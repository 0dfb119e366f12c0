"""What is live, and what became of the newest night."""
