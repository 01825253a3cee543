"""Bytes: addressing, packing, unpacking and fetching, each beside the program that people use for it today."""
