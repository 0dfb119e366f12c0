"""Database targets: PostgreSQL and SQLite tables that follow the published night in one transaction."""
