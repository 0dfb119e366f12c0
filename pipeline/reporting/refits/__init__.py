"""What a refit found, for the terminal and for whoever approves it."""
