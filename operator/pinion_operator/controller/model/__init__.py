"""What the worker asks for a ModelDeployment: all I/O of the kind, and what is remembered between passes."""
