"""What the commands of `pinion-ipfs` do; `cli` parses their arguments."""
