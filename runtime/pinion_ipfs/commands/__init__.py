"""What the commands of `pinion-ipfs` do; `pinion_ipfs.cli` parses their arguments."""
