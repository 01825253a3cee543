"""Decoders on transformers: texts that are continued token by token, many at a time where the model allows it."""
