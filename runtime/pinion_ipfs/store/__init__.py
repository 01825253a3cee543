"""The store: a genuine Hugging Face cache, with what content addressing needs beside it in `$HF_HOME/pinion`."""

from .blobs import BlobRecord
from .pins import Note, PinRecord
from .store import Store

__all__ = ["BlobRecord", "Note", "PinRecord", "Store"]
