"""The Kubernetes operator of Pinion."""
