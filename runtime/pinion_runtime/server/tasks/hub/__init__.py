"""`POST /` and `POST /embed`: the shapes of the hub's own clients and of text-embeddings-inference."""
