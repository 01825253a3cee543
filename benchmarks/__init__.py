"""What we claim, as programs anyone can run: each prints a ratio against a named peer measured in the same run."""
