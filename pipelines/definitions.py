"""What Dagster loads: `workspace.yaml` and `[tool.dg]` both name this module."""

from pipelines.build import build_definitions

defs = build_definitions()
