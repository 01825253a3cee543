"""The model server: from an empty pod to answers."""
