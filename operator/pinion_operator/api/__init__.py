"""The custom resources as pydantic models: the single source of schema, defaults and validation."""
