"""Triggers, store, queue and worker; the only importer of kopf."""
