"""Weights that no engine of ours loads: what a file is by its name, and what serves it. Pure."""

from collections.abc import Iterable, Iterator
from pathlib import PurePosixPath

# By what a name ends with: what it is, and who serves it. The first that fits names the file.
_FORMATS = (
    (".gguf", "GGUF", "llama.cpp and Ollama serve it"),
    (".onnx", "ONNX", "ONNX Runtime, Triton and Text Embeddings Inference serve it"),
    ("openvino_model.bin", "OpenVINO", "OpenVINO Model Server serves it"),
    ("openvino_model.xml", "OpenVINO", "OpenVINO Model Server serves it"),
    (".h5", "TensorFlow", "transformers 4 reads it with from_tf=True, and save_pretrained writes safetensors then"),
    (".pb", "TensorFlow", "TensorFlow Serving serves it"),
    (".msgpack", "Flax", "transformers 4 reads it with from_flax=True, and save_pretrained writes safetensors then"),
    (".ot", "rust-bert", "rust-bert reads it"),
    (".tflite", "TensorFlow Lite", "LiteRT runs it"),
    (".mlmodel", "Core ML", "Core ML runs it"),
    (".nemo", "NeMo", "NVIDIA NeMo serves it"),
    (".engine", "TensorRT", "Triton serves it"),
    (".plan", "TensorRT", "Triton serves it"),
    (".joblib", "a pickle", "scikit-learn reads it"),
    (".pkl", "a pickle", "the program that wrote it reads it"),
)
PICKLES = (".bin", ".pt", ".pth", ".ckpt")
PICKLE = (
    "a pickle of PyTorch, and loading one can run any code: save_pretrained writes safetensors, and so does the hub's Space"
)
PICKLE += " safetensors/convert, as a pull request"


def other_formats(paths: Iterable[str]) -> str:
    """Return what else than safetensors is there, a file of each kind by name, and what serves it; '' for nothing known."""
    return "; ".join(dict.fromkeys(_other_formats(sorted(paths, key=lambda path: (path.count("/"), path)))))


def _other_formats(paths: list[str]) -> Iterator[str]:
    told = set()
    for path in paths:
        for end, kind, helper in _FORMATS:
            if path.lower().endswith(end):
                if kind not in told:
                    told.add(kind)
                    yield f"{path} is {kind}: {helper}"
                break
        else:
            if path.lower().endswith(PICKLES) and PICKLE not in told and not _is_of_training(path):
                told.add(PICKLE)
                yield f"{path} is {PICKLE}"


def _is_of_training(path: str) -> bool:
    name = PurePosixPath(path).name
    return name.startswith(("optimizer", "scheduler", "scaler", "rng_state", "training_args"))
