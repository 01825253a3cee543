"""Pods among each other: what they offer, in whose turn who asks the origin, and the content server in a process of its own."""
