"""JSON schemas of the files that people write, so that an editor checks and completes them as they are typed.

They are made from what the readers of these files ask for: `editor_schema` has them read small valid files, and writes down every
question. A setting that a reader learns to know is in the schema with it.
"""

from pipeline.reporting.editor_schemas.recorded_files import KINDS, editor_schema

__all__ = ["KINDS", "editor_schema"]
