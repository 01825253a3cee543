"""A real one-node Kubernetes for machines that have none: used by `make demo`, by the tests and by people."""
