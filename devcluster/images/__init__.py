"""Images without a registry: from Dockerfiles by BuildKit, or packed as OCI archives in Python."""
