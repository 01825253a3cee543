"""Where bytes are kept, one module per kind; they do not know each other."""
