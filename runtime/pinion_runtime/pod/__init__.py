"""What the pod knows of itself."""
