"""The engine processes and what the front knows of them."""
