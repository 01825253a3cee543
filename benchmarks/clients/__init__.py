"""Clients that people use, against `pinion-serve`."""
