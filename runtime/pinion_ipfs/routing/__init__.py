"""The router: which backend is asked, and what is told of it."""
