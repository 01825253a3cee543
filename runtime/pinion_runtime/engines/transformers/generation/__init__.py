"""The decoder engine's parts: how the next token of each running sequence comes about."""
