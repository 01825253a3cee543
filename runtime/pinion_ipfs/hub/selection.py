"""Which files of a repository are taken when nobody says otherwise. Pure: paths in, paths out.

What is chosen has the CID, so a rule never changes: a better one has a number of its own, and who has chosen once keeps to the
rule that he chose by.
"""

import re
from collections.abc import Callable, Iterable, Sequence
from pathlib import PurePosixPath

FIRST, CURRENT = 1, 2  # the rules that there are; the second leaves out what training and other programs left

SINGLE, INDEX = "model.safetensors", "model.safetensors.index.json"
SHARD = re.compile(r"model-(\d{5})-of-(\d{5})\.safetensors")

# Other renditions of weights that a repository may hold beside safetensors; one format is enough.
_OTHER_WEIGHTS = (".bin", ".h5", ".ot", ".msgpack")
_OTHER_FOLDERS = ("onnx", "openvino")

# What no engine of ours reads, wherever it lies in a repository that has safetensors.
_UNREAD_SUFFIXES = frozenset(
    (
        *(".gguf", ".ggml", ".onnx", ".onnx_data", ".pt", ".pth", ".ckpt", ".tflite", ".mlmodel", ".nemo", ".engine", ".plan"),
        *(".pb", ".pkl", ".pickle", ".joblib", ".npy", ".npz", ".parquet", ".arrow", ".sqlite", ".db"),
        *(".mp4", ".mov", ".avi", ".mkv", ".webm", ".gif", ".png", ".jpg", ".jpeg", ".webp", ".bmp", ".svg", ".pdf"),
        *(".wav", ".mp3", ".flac", ".ogg", ".m4a"),
        *(".zip", ".tar", ".gz", ".tgz", ".bz2", ".xz", ".7z", ".rar", ".zst"),
    )
)
_UNREAD_FOLDERS = frozenset((*_OTHER_FOLDERS, "coreml", "runs", "wandb", "__pycache__"))
# Of a training that was interrupted, or went on: its checkpoints, and states that only it can use.
_TRAINING_FOLDER = re.compile(r"(checkpoint|global_step)[-_]?\d+|.*\.(mlpackage|mlmodelc)")
_TRAINING_FILE = re.compile(r"(optimizer|scheduler|training_args)\.bin|events\.out\.tfevents\..*|trainer_state\.json")

# Names of a whole model's weights, in this precision or that, whole or in parts, in the layout of one program or another.
_VARIANT = re.compile(r"(model|pytorch_model|consolidated)([._-].*)?\.safetensors(\.index.*)?")


def choose(paths: Sequence[str], rule: int) -> set[str]:
    """Return the paths that a rule takes of a repository."""
    if rule not in (FIRST, CURRENT):
        raise ValueError(f"no rule {rule} for the choice of files")
    parsed = {path: PurePosixPath(path) for path in paths}
    with_safetensors = {path.parent for path in parsed.values() if path.suffix == ".safetensors"}
    if not with_safetensors:
        return set(paths)
    wanted = {text: path for text, path in parsed.items() if _is_of_one_format(path, with_safetensors)}
    if rule == CURRENT:
        is_read = _reading(wanted.values())
        wanted = {text: path for text, path in wanted.items() if not _is_left_over(path) and is_read(path)}
    return set(wanted)


def _is_of_one_format(path: PurePosixPath, with_safetensors: set[PurePosixPath]) -> bool:
    if len(path.parts) > 1 and path.parts[0] in _OTHER_FOLDERS:
        return False
    # Per folder: some modules of a sentence-transformers model exist as .bin alone.
    return not (path.suffix in _OTHER_WEIGHTS and path.parent in with_safetensors)


def _is_left_over(path: PurePosixPath) -> bool:
    folders = path.parts[:-1]
    return (
        path.suffix.lower() in _UNREAD_SUFFIXES
        or any(name in _UNREAD_FOLDERS or _TRAINING_FOLDER.fullmatch(name) for name in folders)
        or _TRAINING_FILE.fullmatch(path.name) is not None
    )


def _reading(paths: Iterable[PurePosixPath]) -> Callable[[PurePosixPath], bool]:
    """Return what tells whether weights are those that their folder is loaded from, and no other variant of them.

    One file comes before several. What has a name of its own, as an adapter has, is kept: it may be told, not passed over.
    """
    names: dict[PurePosixPath, set[str]] = {}
    for path in paths:
        names.setdefault(path.parent, set()).add(path.name)

    def is_read(path: PurePosixPath) -> bool:
        beside = names[path.parent]
        if not _VARIANT.fullmatch(path.name) or not beside & {SINGLE, INDEX}:
            return True
        if SINGLE in beside:
            return path.name == SINGLE
        # An index may name its files as it likes; where they have the usual names, others are of another variant.
        usual = any(SHARD.fullmatch(name) for name in beside)
        return path.name == INDEX or not usual or SHARD.fullmatch(path.name) is not None

    return is_read
