"""The HTML pages of a night: one self-contained file each, readable offline, in light and dark. Counts and names only, no customer."""
