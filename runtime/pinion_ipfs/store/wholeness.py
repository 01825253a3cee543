"""What a model needs at least, judged by its own files: for a cache of which nobody has said what it should hold.

Names alone are looked at, and the JSON files that name others; the bytes are hashed by whoever asks.
"""

import json
import re
from collections.abc import Callable, Collection
from pathlib import PurePosixPath
from typing import Any

_SHARD = re.compile(r"-\d{5}-of-\d{5}\.[a-z]+$")
_WEIGHTS = ("model.safetensors", "pytorch_model.bin")  # in the order in which transformers looks for them
_OTHER_WEIGHTS = frozenset((".safetensors", ".h5", ".msgpack", ".ot", ".onnx", ".gguf"))
_WEIGHTED_MODULES = frozenset(
    ("Dense", "LayerNorm", "LSTM", "CNN", "WeightedLayerPooling", "StaticEmbedding", "WordEmbeddings")
)
_PLAIN_MODULES = frozenset(("Normalize", "Dropout"))

# The tokenizer's files of model types when there is no tokenizer.json, which does for all of them.
_TOKENIZERS: dict[tuple[str, ...], str] = {
    ("vocab.txt",): "bert bert-generation convbert distilbert dpr electra ernie funnel layoutlm lxmert mobilebert mpnet nezha "
    "nomic_bert realm rembert retribert splinter squeezebert visual_bert",
    ("vocab.json", "merges.txt"): "bart blenderbot codegen deberta gpt2 gpt_neo gptj ibert led longformer mvp opt qwen2 qwen3 "
    "roberta roberta-prelayernorm whisper clip",
    ("sentencepiece.bpe.model",): "camembert mbart nllb-moe xglm xlm-roberta xlm-roberta-xl xmod",
    ("spiece.model",): "albert bigbird_pegasus big_bird fnet longt5 mt5 pegasus reformer switch_transformers t5 umt5 xlnet",
    ("spm.model",): "deberta-v2",
    ("tokenizer.model",): "code_llama gemma gemma2 gemma3 gemma3_text llama mistral mixtral",
}
_TOKENIZER_OF = {kind: files for files, kinds in _TOKENIZERS.items() for kind in kinds.split()}


def missing_files(paths: Collection[str], read: Callable[[str], bytes]) -> list[str]:
    """Return what misses, by path or in words: configuration, weights, tokenizer, files of sentence-transformers' modules.

    `read` gives the bytes of one of `paths`.
    """
    model = _Model(frozenset(paths), read)
    folder = ""
    if "modules.json" in model.paths:
        folder = model.modules()
    model.transformer(folder)
    return model.missing


class _Model:
    def __init__(self, paths: frozenset[str], read: Callable[[str], bytes]) -> None:
        self.paths, self._read = paths, read
        self.missing: list[str] = []

    def modules(self) -> str:
        """Look at the modules' folders; return that of the first one, the transformer's, with its slash."""
        entries = self._json("modules.json", list)
        folders = [
            (f"{entry.get('path') or ''}/".lstrip("/"), str(entry.get("type"))) for entry in entries if type(entry) is dict
        ]
        for folder, kind in folders[1:]:
            name = kind.rpartition(".")[2]
            if name not in _PLAIN_MODULES:
                self._need(f"{folder}config.json")
            if name in _WEIGHTED_MODULES and not any(f"{folder}{file}" in self.paths for file in _WEIGHTS):
                self._need(f"{folder}{_WEIGHTS[0]}")
        return folders[0][0] if folders else ""

    def transformer(self, folder: str) -> None:
        """Look at a folder with a configuration, weights and a tokenizer."""
        config: dict[str, Any] = {}
        if self._need(f"{folder}config.json"):
            config = self._json(f"{folder}config.json", dict)
        self._weights(folder)
        self._tokenizer(folder, str(config.get("model_type", "")))

    def _weights(self, folder: str) -> None:
        for file in _WEIGHTS:
            if f"{folder}{file}" in self.paths:
                return
            index = f"{folder}{file}.index.json"
            if index in self.paths:
                shards = self._json(index, dict).get("weight_map")
                names = sorted(set(map(str, shards.values()))) if isinstance(shards, dict) else []
                for name in names:
                    self._need(f"{folder}{name}")
                if not names:
                    self.missing.append(f"{index} (it names no file)")
                return
        others = [path for path in self.paths if self._is_in(path, folder) and PurePosixPath(path).suffix in _OTHER_WEIGHTS]
        if any(_SHARD.search(path) for path in others):
            self.missing.append(f"{folder}{_WEIGHTS[0]}.index.json")
        elif not others:
            self.missing.append(f"{folder}{_WEIGHTS[0]}, or weights in another format")

    def _tokenizer(self, folder: str, model_type: str) -> None:
        if f"{folder}tokenizer.json" in self.paths:
            return
        if files := _TOKENIZER_OF.get(model_type):
            if absent := [file for file in files if f"{folder}{file}" not in self.paths]:
                self.missing.append(f"{folder}tokenizer.json, or {' and '.join(f'{folder}{file}' for file in absent)}")
            return
        known = {file for files in _TOKENIZERS for file in files} | {"preprocessor_config.json"}
        if not any(f"{folder}{file}" in self.paths for file in known):
            self.missing.append(f"{folder}tokenizer.json")

    def _need(self, path: str) -> bool:
        here = path in self.paths
        if not here and path not in self.missing:
            self.missing.append(path)
        return here

    def _json(self, path: str, kind: type) -> Any:
        """Return what a file holds; one that holds something else is noted, and an empty value returned."""
        try:
            value = json.loads(self._read(path))
        except (OSError, ValueError, RecursionError):
            value = None
        if not isinstance(value, kind):
            self.missing.append(f"{path} (what is there is damaged)")
            return kind()
        return value

    @staticmethod
    def _is_in(path: str, folder: str) -> bool:
        return path.startswith(folder) and "/" not in path[len(folder) :]
