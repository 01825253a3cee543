"""Every parameter of `/v1/completions` and `/v1/chat/completions`; checks and documentation come from this table.

The names are those of OpenAI's API, of vLLM, of text-generation-inference, and of other servers that people come from.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from ..fields import Effect, Field
from .bounds import (
    MAX_BIAS,
    MAX_BIASES,
    MAX_CHOICES,
    MAX_LOGPROBS,
    MAX_MESSAGES,
    MAX_REPETITION_PENALTY,
    MAX_STOP_CHARACTERS,
    MAX_STOP_IDS,
    MAX_STOPS,
    MAX_TEMPERATURE,
    MAX_TEMPLATE_VARIABLES,
    MAX_TOKENS,
    MIN_REPETITION_PENALTY,
    SEEDS,
)

Route = Literal["completions", "chat"]
ROUTES: tuple[Route, ...] = ("completions", "chat")


@dataclass(frozen=True)
class Parameter(Field):
    """One parameter, on the routes that have it so; another line of the table may say what it is on the other."""

    on: tuple[Route, ...] = ROUTES


def is_integer(value: Any, low: int, high: int) -> bool:
    """Tell whether a value is an integer from `low` to `high`; true and false are none."""
    return isinstance(value, int) and not isinstance(value, bool) and low <= value <= high


def is_number(value: Any, low: float, high: float) -> bool:
    """Tell whether a value is a number from `low` to `high`; true and false are none."""
    return isinstance(value, int | float) and not isinstance(value, bool) and low <= value <= high


def _honoured(name: str, takes: str, valid: Callable[[Any], bool], text: str, *on: Route) -> Parameter:
    return Parameter(name, Effect.HONOURED, text, takes, valid, on=on or ROUTES)


def _number(name: str, low: float, high: float, text: str) -> Parameter:
    return _honoured(name, f"a number from {low:g} to {high:g}", lambda value: is_number(value, low, high), text)


def _integer(name: str, low: int, high: int, text: str, *on: Route) -> Parameter:
    takes = f"an integer from {low:,} to {high:,}"
    return _honoured(name, takes, lambda value: is_integer(value, low, high), text, *on)


def _flag(name: str, text: str, *on: Route) -> Parameter:
    return _honoured(name, "true or false", lambda value: isinstance(value, bool), text, *on)


def _object(name: str, takes: str, text: str, *on: Route) -> Parameter:
    return _honoured(name, takes, lambda value: isinstance(value, dict), text, *on)


def _agrees(name: str, *values: Any, text: str, on: tuple[Route, ...] = ROUTES) -> Parameter:
    return Parameter(name, Effect.AGREES, text, agrees=values, on=on)


def _ignored(*names: str) -> tuple[Parameter, ...]:
    return tuple(Parameter(name, Effect.IGNORED) for name in names)


def _refused(text: str, *names: str, on: tuple[Route, ...] = ROUTES) -> tuple[Parameter, ...]:
    return tuple(Parameter(name, Effect.REFUSED, text, on=on) for name in names)


_MODELS = "by default as the model's generation_config.json says"
_ANY = "an integer from -9,223,372,036,854,775,808 to 9,223,372,036,854,775,807"
_TOOLS = "tools are not taken yet: describe them in a message, and read the answer's text"
_SCHEMA = "answers are not held to a grammar or schema yet: ask for the form in a message, and check the answer's text"
_TEXT = "prompts and answers are text here"
_BODY = "put what it holds beside 'model'"
_LENGTH = "send 'max_tokens'"
_TEMPLATE = "send what the model's own chat template reads in 'chat_template_kwargs'"
_PROMPT_LOGPROBS = "log-probabilities of the prompt are not computed yet: leave it out"
_PENALTY = "send 'repetition_penalty', 'presence_penalty' or 'frequency_penalty'"
_SAMPLER = "tokens are drawn by 'temperature', 'top_p', 'top_k' and 'min_p' here"
_EXTRA = "answers have OpenAI's fields and no others here"

_HONOURED = (
    _honoured(
        "model",
        "the name of the model, as a string",
        lambda value: isinstance(value, str) and bool(value),
        "which model answers",
    ),
    _honoured(
        "prompt",
        "a string, a list of strings, a list of token ids, or a list of such lists",
        lambda _: True,
        "what is continued; each entry of a list for itself",
        "completions",
    ),
    _honoured(
        "messages",
        f"a list of 1 to {MAX_MESSAGES:,} messages, objects with a 'role'",
        lambda _: True,
        "the conversation that is answered; their content is text, as a string or as parts of type 'text'",
        "chat",
    ),
    _number("temperature", 0, MAX_TEMPERATURE, f"below 0.0001 always the likeliest token; {_MODELS}, or 1"),
    _honoured(
        "top_p",
        "a number above 0 and up to 1",
        lambda value: is_number(value, 0, 1) and value > 0,
        f"draws from the likeliest tokens whose probabilities add up to this; {_MODELS}, or 1",
    ),
    _honoured(
        "top_k",
        "a positive integer, or 0 or -1 for all tokens",
        lambda value: is_integer(value, -1, SEEDS),
        f"draws from so many of the likeliest tokens; {_MODELS}, or all",
    ),
    _number("min_p", 0, 1, f"draws from tokens at least this much as likely as the likeliest; {_MODELS}, or 0"),
    _honoured(
        "seed",
        _ANY,
        lambda value: is_integer(value, -SEEDS, SEEDS - 1),
        "of the random numbers, modulo 2^63: the same request draws the same numbers; by default another one each time",
    ),
    _number("presence_penalty", -2, 2, "subtracted from the logits of tokens that the answer has; 0 by default"),
    _number("frequency_penalty", -2, 2, "the same, times how often the answer has them; 0 by default"),
    _number(
        "repetition_penalty",
        MIN_REPETITION_PENALTY,
        MAX_REPETITION_PENALTY,
        f"divides the logits of tokens that prompt or answer have, as transformers does; {_MODELS}, or 1",
    ),
    _object(
        "logit_bias",
        f"an object of at most {MAX_BIASES:,} token ids with numbers from {-MAX_BIAS} to {MAX_BIAS}",
        "added to the logits of these tokens",
    ),
    _integer("n", 1, MAX_CHOICES, "answers to each prompt; 1 by default"),
    _integer("best_of", 1, MAX_CHOICES, "taken where it equals 'n': no more answers are made than are sent", "completions"),
    _honoured(
        "stop",
        f"a string, or a list of at most {MAX_STOPS} strings, of 1 to {MAX_STOP_CHARACTERS:,} characters",
        lambda value: isinstance(value, str | list),
        "ends the answer before the first of these strings",
    ),
    _honoured(
        "stop_token_ids",
        f"a list of at most {MAX_STOP_IDS:,} token ids",
        lambda value: isinstance(value, list),
        "tokens that end the answer, beside the model's own",
    ),
    _flag("ignore_eos", "true: the model's own end tokens do not end the answer; false by default"),
    _integer("min_tokens", 0, MAX_TOKENS, "no end token and none of 'stop_token_ids' before so many tokens; 0 by default"),
    _integer(
        "max_tokens",
        0,
        MAX_TOKENS,
        "tokens of each answer at most, by default what the model's context leaves; 0 only with 'echo'",
        "completions",
    ),
    _integer("max_tokens", 1, MAX_TOKENS, "tokens of each answer at most, by default what the model's context leaves", "chat"),
    Parameter("max_completion_tokens", Effect.ALIAS, same_as="max_tokens"),
    _integer(
        "logprobs",
        0,
        MAX_LOGPROBS,
        "log-probabilities of each token of the answer, and of so many of the likeliest; not with 'echo'",
        "completions",
    ),
    _flag("logprobs", "true: log-probabilities of each token of the answer; false by default", "chat"),
    _integer("top_logprobs", 0, MAX_LOGPROBS, "with 'logprobs', also of so many of the likeliest; 0 by default", "chat"),
    _flag("echo", "true: the text begins with the prompt; false by default", "completions"),
    _flag("stream", "true: the answer comes in pieces, as server-sent events; false by default"),
    _object(
        "stream_options",
        "an object that may hold 'include_usage'",
        "only with 'stream'; 'include_usage': true adds the counts of tokens in an event of their own, the last",
    ),
    _flag("add_generation_prompt", "false: the template does not begin an answer; true by default", "chat"),
    _flag("continue_final_message", "true: the last message is continued, and no answer is begun; false by default", "chat"),
    _object(
        "chat_template_kwargs",
        f"an object of at most {MAX_TEMPLATE_VARIABLES} variables",
        "what the model's chat template reads beside the messages",
        "chat",
    ),
    _honoured(
        "reasoning_effort",
        f"'none'; for another effort {_TEMPLATE}",
        lambda value: value == "none",
        "the chat template is told 'enable_thinking' and 'thinking': false, which changes prompts where it reads one of them",
        "chat",
    ),
    _flag("skip_special_tokens", "false: special tokens are part of the text; true by default"),
)

_AGREES = (
    _agrees("store", False, text="nothing is stored here"),
    _agrees("tools", [], text=_TOOLS),
    _agrees("tool_choice", "none", "auto", text=_TOOLS),
    _agrees("functions", [], text=_TOOLS),
    _agrees("function_call", "none", "auto", text=_TOOLS),
    _agrees("response_format", {"type": "text"}, text=_SCHEMA),
    _agrees("modalities", ["text"], text=_TEXT),
    _agrees("reasoning_effort", "none", text="nothing is reasoned before an answer here", on=("completions",)),
    _agrees("verbosity", "medium", text="answers are as long as the model makes them: ask for it in a message"),
    _agrees("suffix", "", text="nothing is filled in: write the prompt as the model's own page says"),
    _agrees("echo", False, text="messages are not sent back", on=("chat",)),
    _agrees(
        "add_special_tokens",
        True,
        text="texts get the tokenizer's special tokens; send token ids without them",
        on=("completions",),
    ),
    _agrees("add_special_tokens", False, text="the chat template writes the special tokens", on=("chat",)),
    _agrees("use_beam_search", False, text="there is no beam search"),
    _agrees("length_penalty", 1, text="it is of beam search, which there is none of"),
    _agrees("early_stopping", False, text="it is of beam search, which there is none of"),
    _agrees("include_stop_str_in_output", False, text="the text ends before the string that stopped it"),
    _agrees("no_stop_trim", False, text="the text ends before the string that stopped it"),
    _agrees("return_token_ids", False, text=_EXTRA),
    _agrees("return_tokens_as_token_ids", False, text=_EXTRA),
    _agrees("return_token_offsets", False, text=_EXTRA),
    _agrees("return_prompt_text", False, text=_EXTRA),
    _agrees("return_hidden_states", False, text=_EXTRA),
    _agrees("return_full_text", False, text="send 'echo' to '/v1/completions'"),
    _agrees("details", False, text="send 'logprobs'"),
    _agrees("decoder_input_details", False, text=_PROMPT_LOGPROBS),
    _agrees("include_reasoning", True, text="the text is all that the model wrote"),
    _agrees("separate_reasoning", False, text="the text is all that the model wrote"),
    _agrees("stream_interval", 1, text="each token is sent as it comes"),
    _agrees("watermark", False, text="nothing is marked"),
    _agrees("watermarking", False, text="nothing is marked"),
    _agrees("raw", False, text="send the text to '/v1/completions'"),
    _agrees("safe_prompt", False, text="nothing is added to the messages"),
)

_REFUSED = (
    *_refused("it is of '/v1/completions'; the conversation goes into 'messages' here", "prompt", on=("chat",)),
    *_refused("it is of '/v1/chat/completions'; the text goes into 'prompt' here", "messages", on=("completions",)),
    *_refused("the text goes into 'prompt' of '/v1/completions', or into 'messages'", "input", "inputs", "text", "texts"),
    *_refused("send 'system' as the first message", "system", "instructions", "guideline"),
    *_refused("send 'logprobs' with how many", "top_logprobs", "top_n_tokens", on=("completions",)),
    *_refused("send 'logprobs': true and 'top_logprobs'", "top_n_tokens", "n_probs", "logprob_start_len", on=("chat",)),
    *_refused("send 'logprobs' with how many", "n_probs", "logprob_start_len", on=("completions",)),
    *_refused("send 'n'", "best_of", on=("chat",)),
    *_refused(
        "there is no chat template on '/v1/completions'",
        "add_generation_prompt",
        "continue_final_message",
        "chat_template_kwargs",
        on=("completions",),
    ),
    *_refused("the model's own chat template is used: it is part of what is served", "chat_template", "template"),
    *_refused(_TEMPLATE, "reasoning", "thinking", "enable_thinking", "think", "documents"),
    *_refused("tokens of thinking are tokens of the answer: send 'max_tokens'", "thinking_token_budget", "reasoning_budget"),
    *_refused(_TOOLS, "tool_prompt", "tool_resources"),
    *_refused(_SCHEMA, "guided_json", "guided_regex", "guided_choice", "guided_grammar", "guided_decoding_backend"),
    *_refused(_SCHEMA, "guided_whitespace_pattern", "structured_outputs", "structural_tag", "grammar", "json_schema"),
    *_refused(_SCHEMA, "regex", "ebnf", "format", "json_mode"),
    *_refused(_TEXT, "audio", "images", "image", "media_io_kwargs", "mm_processor_kwargs", "prompt_embeds", "input_embeds"),
    *_refused("nothing is looked up in the web: put what is known into a message", "web_search_options", "plugins"),
    *_refused("nothing is moderated: ask a model that does", "moderation"),
    *_refused(_PROMPT_LOGPROBS, "prompt_logprobs", "logprob_token_ids", "token_ids_logprob"),
    *_refused("send 'logit_bias' with 100", "allowed_token_ids"),
    *_refused("send 'logit_bias' with -100", "bad_words", "bad_words_ids", "suppress_tokens", "banned_tokens"),
    *_refused("send 'logit_bias'", "logits_processors", "logits_processor", "sequence_bias", "custom_logit_processor"),
    *_refused(
        "a prompt is taken whole: cut it beforehand", "truncate_prompt_tokens", "truncation_side", "truncate", "num_keep"
    ),
    *_refused("a prompt is taken whole: cut it beforehand", "transforms", "middle_out"),
    *_refused(_LENGTH, "max_new_tokens", "max_length", "max_gen_len", "max_output_tokens", "n_predict", "num_predict"),
    *_refused("send 'min_tokens'", "min_new_tokens", "min_length"),
    *_refused("send 'stop'", "stop_sequences", "stopSequences", "stop_strings", "stop_regex"),
    *_refused("send 'stop_token_ids'", "eos_token_id"),
    *_refused("send 'temperature': 0 for the likeliest tokens, or another temperature", "do_sample"),
    *_refused("send 'n'", "num_return_sequences"),
    *_refused("send 'seed'", "random_seed", "sampling_seed"),
    *_refused(_PENALTY, "repeat_penalty", "repeat_last_n", "penalize_nl", "no_repeat_ngram_size", "encoder_repetition_penalty"),
    *_refused(_PENALTY, "dry_multiplier", "dry_base", "dry_allowed_length", "repetition_detection"),
    *_refused(_SAMPLER, "typical_p", "typical", "top_a", "tfs_z", "mirostat", "mirostat_tau", "mirostat_eta"),
    *_refused(_SAMPLER, "epsilon_cutoff", "eta_cutoff", "xtc_probability", "xtc_threshold", "dynatemp_range", "samplers"),
    *_refused(_SAMPLER, "penalty_alpha", "num_beams", "diversity_penalty", "custom_params"),
    *_refused("what was computed of a prompt is used again for the same API key only: use one each", "cache_salt"),
    *_refused("send the name in 'model'", "adapter_id", "lora_path", "lora", "models", "route", "provider"),
    *_refused("a request is computed in one place here", "kv_transfer_params", "ec_transfer_params", "bootstrap_room"),
    *_refused("the engine takes no arguments of its own", "vllm_xargs", "session_params", "extra_key"),
    *_refused(_EXTRA, "routed_experts_prompt_start"),
    *_refused(_BODY, "extra_body", "parameters", "options", "generation_config", "sampling_params"),
)

_IGNORED = (
    *_ignored("user", "metadata", "service_tier", "safety_identifier", "parallel_tool_calls", "priority", "request_id"),
    *_ignored("prompt_cache_key", "prompt_cache_options", "prompt_cache_retention", "cache_prompt", "use_cache", "keep_alive"),
    *_ignored("timeout", "max_retries", "num_retries", "extra_headers", "extra_query", "tags", "session_id", "rid"),
    *_ignored("spaces_between_special_tokens", "clean_up_tokenization_spaces", "return_mm_kwargs", "stream_reasoning"),
    *_ignored("wait_for_model", "use_gpu", "prediction"),
)

PARAMETERS = (*_HONOURED, *_AGREES, *_REFUSED, *_IGNORED)
TABLES: Mapping[Route, Mapping[str, Parameter]] = {
    route: {parameter.name: parameter for parameter in PARAMETERS if route in parameter.on} for route in ROUTES
}
