"""Who would move if the definitions as they are now took the place of those that are live, before anything changes."""
