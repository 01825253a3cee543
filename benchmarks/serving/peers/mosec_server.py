"""mosec as its documentation serves sentence-transformers: forked workers, dynamic batches of up to 32 requests."""

import os
from typing import Any

from mosec import Runtime, Server, Worker


class Embedding(Worker):
    def __init__(self) -> None:
        from sentence_transformers import SentenceTransformer

        self.model = SentenceTransformer(os.environ["MODEL"], device="cpu")

    def forward(self, data: list[dict[str, Any]]) -> list[dict[str, Any]]:
        vectors = self.model.encode([text for request in data for text in request["input"]], show_progress_bar=False)
        rows = iter(vectors.tolist())
        return [
            {
                "object": "list",
                "data": [{"object": "embedding", "index": i, "embedding": next(rows)} for i in range(len(request["input"]))],
            }
            for request in data
        ]


if __name__ == "__main__":
    server = Server()
    server.register_runtime({"/v1/embeddings": [Runtime(Embedding, num=2, max_batch_size=32, max_wait_time=5)]})
    server.run()
