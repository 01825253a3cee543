"""What the worker asks for an IpfsBackend: all I/O of the kind, and what is remembered between passes."""
