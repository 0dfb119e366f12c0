"""Results for people: the terminal summary and pages."""
