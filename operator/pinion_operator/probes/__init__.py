"""The only other I/O: runtime pods, the hub, IPFS backends."""
