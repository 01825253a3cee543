"""The engine on transformers: the only room that knows torch."""
