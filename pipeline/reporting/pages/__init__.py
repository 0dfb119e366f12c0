"""Pages for people: self-contained HTML files that need no network."""
