"""A language model for the mirror: of a real architecture with a real tokenizer, tiny, untrained, and the same each time."""

import os
import shutil
from pathlib import Path
from typing import Any

CHAT = "pinion-tests/tiny-chat"
POSITIONS = 2048
_END = "<|end|>"
_SPECIAL = ("<|begin|>", _END, "<|pad|>")
_TEMPLATE = (
    "{{ bos_token }}{% for message in messages %}{{ message.role + ': ' + message.content + '\\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ 'assistant: ' }}{% endif %}"
)
_TEXT = (
    "The kettle sings before the water boils. A heron stands in the shallow river and waits for the fish to forget it. "
    "user: assistant: system: In the year 1887 two ships left the harbour."
)


def make_tiny_chat(folder: Path) -> None:
    """Write the repository's folder where there is none; takes some seconds, for it imports torch."""
    if (folder / "config.json").is_file():
        return
    partial = folder.with_name(f".{folder.name}.{os.getpid()}")
    partial.mkdir(parents=True)
    try:
        _write(partial)
        for file in partial.iterdir():
            file.chmod(0o644)  # the mirror runs as another user
        partial.rename(folder)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _write(folder: Path) -> None:
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    rust = _tokenizer()
    begin, end, pad = _SPECIAL
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=rust, bos_token=begin, eos_token=end, pad_token=pad, chat_template=_TEMPLATE
    )
    tokenizer.save_pretrained(folder)
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=64,
        num_hidden_layers=3,
        num_attention_heads=4,
        num_key_value_heads=2,
        intermediate_size=128,
        max_position_embeddings=POSITIONS,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    torch.manual_seed(0)
    model = LlamaForCausalLM(config)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim > 1:  # weights of trained models are larger than those of an initialisation
                parameter.mul_(10)
    model.save_pretrained(folder)


def _tokenizer() -> Any:
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    rust = Tokenizer(models.BPE())
    rust.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    rust.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=400, special_tokens=list(_SPECIAL), initial_alphabet=alphabet, show_progress=False)
    rust.train_from_iterator([_TEXT], trainer)
    return rust
