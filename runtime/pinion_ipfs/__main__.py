"""`python -m pinion_ipfs` is `pinion-ipfs`."""

import sys

from .cli import main

if __name__ == "__main__":
    sys.exit(main())
