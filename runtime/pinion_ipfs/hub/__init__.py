"""The hub: commits, lists of files and what is taken of them, whose tokens, its errors; manifests say it all in one file."""
