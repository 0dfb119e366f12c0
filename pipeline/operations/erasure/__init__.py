"""Erasure: an id leaves everything that is stored, and no later night brings it back."""
