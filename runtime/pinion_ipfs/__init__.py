"""The IPFS backend router: content addresses, the store, backends, and the fetch of a model."""
