"""The only Kubernetes I/O."""
