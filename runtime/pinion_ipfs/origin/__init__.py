"""Fetching from the hub in a child process of its own: it can be killed, and its buffers are bounded."""

from .job import OriginFile, OriginJob
from .parent import OriginProcess

__all__ = ["OriginFile", "OriginJob", "OriginProcess"]
