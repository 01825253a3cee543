"""One package per task; each has its protocol, its serving and its routes."""
