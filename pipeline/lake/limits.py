"""How much of the machine a process takes, unless its deployment says otherwise."""

MEMORY_LIMIT = "3GB"
