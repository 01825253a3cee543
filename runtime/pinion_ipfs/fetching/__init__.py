"""Bringing a model to where it is served: from store, peers, backends or origin, verified, and pinned."""
