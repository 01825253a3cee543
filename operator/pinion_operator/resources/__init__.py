"""Pure builders, one file per child kind: data in, a Kubernetes object out."""
