"""Answers: one model over HTTP, beside the servers that people use for it today."""
