"""What a refit found, for the terminal, for a machine, and in Markdown for whoever approves it: shown from the stored judgement."""
