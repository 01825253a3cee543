"""What every program of ours shares: arguments, its end, its version, pages of the docs made from code."""
