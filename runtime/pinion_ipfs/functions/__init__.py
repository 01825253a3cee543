"""The functions that scripts and notebooks call, synchronous and async: each through a router, on one event loop of ours."""
