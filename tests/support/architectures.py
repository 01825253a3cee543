"""Tiny models of every architecture of transformers that takes texts, from their own configurations with small sizes."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.support.models import save_word_pieces

VOCABULARY = 275  # of the tokenizer that is put beside them
PARAMETERS = 3_000_000  # what has more with these sizes has parts for images or sound

_LAYERS = ("num_hidden_layers", "n_layer", "n_layers", "num_layers", "encoder_layers", "decoder_layers", "num_decoder_layers")
_HEADS = ("num_attention_heads", "n_head", "n_heads", "num_heads", "encoder_attention_heads", "decoder_attention_heads")
_KEYS = (
    "num_key_value_heads",
    "num_kv_heads",
    "num_encoder_layers",
    "num_encoder_attention_heads",
    "num_decoder_attention_heads",
)
_WIDTHS = ("hidden_size", "d_model", "dim", "n_embd", "embedding_size", "emb_dim", "embed_dim", "moe_intermediate_size")
_INNER = ("intermediate_size", "ffn_dim", "d_ff", "n_inner", "encoder_ffn_dim", "decoder_ffn_dim", "d_inner", "ffn_hidden_size")
SIZES = {
    **dict.fromkeys((*_LAYERS, *_HEADS, *_KEYS), 2),
    **dict.fromkeys(_WIDTHS, 32),
    **dict.fromkeys((*_INNER, "hidden_dim"), 64),
    **dict.fromkeys(("head_dim", "d_kv", "d_head"), 16),
    **dict.fromkeys(("max_position_embeddings", "n_positions", "max_sequence_length"), 256),
    "vocab_size": VOCABULARY,
}
# What the sizes alone do not make, or would make so that its special way of computing never happens.
SPECIAL: dict[str, dict[str, Any]] = {
    "big_bird": {"block_size": 4, "num_random_blocks": 1},
    "bigbird_pegasus": {"block_size": 4, "num_random_blocks": 1},
    "esm": {"vocab_size": VOCABULARY, "mask_token_id": 4},
    "esmc": {"mask_token_id": 4},
    "funnel": {"num_hidden_layers": None, "block_sizes": [1, 1, 1], "num_decoder_layers": 1, "d_model": 32, "n_head": 2},
    "gpt_neo": {"attention_types": [[["global", "local"], 1]], "num_layers": 2, "window_size": 8},
    "led": {"attention_window": 8, "max_encoder_position_embeddings": 256, "max_decoder_position_embeddings": 64},
    "longformer": {"attention_window": 8},
    "longt5": {"local_radius": 7, "encoder_attention_type": "transient-global", "global_block_size": 4},
    "luke": {"entity_vocab_size": 20, "entity_emb_size": 8},
    "nystromformer": {"num_landmarks": 8, "segment_means_seq_len": 8},
    "prophetnet": {"num_hidden_layers": None, "num_encoder_layers": 2, "num_decoder_layers": 2},
    "reformer": {"axial_pos_embds": False, "attn_layers": ["local", "lsh"], "num_buckets": 4, "lsh_attn_chunk_length": 8},
    "roc_bert": {"shape_vocab_size": 20, "pronunciation_vocab_size": 20},
    "xlnet": {"max_position_embeddings": None},
}


def architectures() -> Iterator[tuple[str, Any, Any]]:
    """Yield the model_type, configuration class and model class of all that take token ids."""
    from transformers import CONFIG_MAPPING

    for name in CONFIG_MAPPING:
        try:
            config_class, model_class = classes_of(name)
            if model_class is not None and model_class.main_input_name == "input_ids":
                yield name, config_class, model_class
        except (ImportError, ValueError):
            continue  # needs a package for images or sound


def classes_of(name: str) -> tuple[Any, Any]:
    """Return the configuration class of a model_type and the class that computes vectors of tokens, None without one."""
    from transformers import CONFIG_MAPPING
    from transformers.models.auto.modeling_auto import MODEL_FOR_TEXT_ENCODING_MAPPING, MODEL_MAPPING

    config_class = CONFIG_MAPPING[name]
    found = MODEL_FOR_TEXT_ENCODING_MAPPING.get(config_class, None) or MODEL_MAPPING.get(config_class, None)
    return config_class, found[0] if isinstance(found, tuple | list) else found


def make_tiny(folder: Path, name: str, config_class: Any, model_class: Any) -> str:
    """Write a model folder with a pooling of means; return why it can't be made, "" when it is."""
    import torch

    try:
        config = _config(name, config_class)
        with torch.device("meta"):
            parameters = sum(parameter.numel() for parameter in model_class(config).parameters())
        if parameters > PARAMETERS:
            return f"it has {parameters} parameters"
        torch.manual_seed(3)
        model = model_class(config)
    except Exception as error:  # of a hundred classes, each with errors of its own
        return " ".join(str(error).split())[:100] or type(error).__name__
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim > 1:
                parameter.mul_(3.0)  # trained weights are larger than those of an initialisation
    model.save_pretrained(folder)
    save_word_pieces(folder)
    modules = [("", "Transformer"), ("1_Pooling", "Pooling")]
    entries = [
        {"idx": place, "name": str(place), "path": path, "type": f"sentence_transformers.models.{kind}"}
        for place, (path, kind) in enumerate(modules)
    ]
    (folder / "modules.json").write_text(json.dumps(entries))
    (folder / "1_Pooling").mkdir()
    (folder / "1_Pooling" / "config.json").write_text('{"word_embedding_dimension": 32, "pooling_mode_mean_tokens": true}')
    (folder / "sentence_bert_config.json").write_text('{"max_seq_length": 200}')
    return ""


def _config(name: str, config_class: Any) -> Any:
    default = config_class()
    sizes = {key: value for key, value in SIZES.items() if type(getattr(default, key, None)) is int}
    sizes |= {"pad_token_id": 0}
    for key, value in SPECIAL.get(name, {}).items():
        if value is None:
            sizes.pop(key, None)
        else:
            sizes[key] = value
    return config_class(**sizes)
