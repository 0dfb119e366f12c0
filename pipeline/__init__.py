"""customer-segments: a nightly batch pipeline that puts every customer into segments."""

# Semantic: see CHANGELOG.md. A number, and nothing computed: setup reads it without running anything.
__version__ = "0.2.0.dev0"
