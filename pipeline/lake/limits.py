"""What a process takes of the machine unless its deployment says otherwise."""

MEMORY_LIMIT = "3GB"
