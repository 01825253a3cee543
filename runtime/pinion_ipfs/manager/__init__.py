"""The model manager: whole models into the store and its backends, found again, and laid out again by CID alone."""
