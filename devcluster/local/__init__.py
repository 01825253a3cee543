"""The `local` provider: a real one-node Kubernetes on this machine, without Docker and without a registry."""
