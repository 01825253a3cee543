"""How much one request may ask for: every number of the generating routes that is not the model's or the pod's."""

from ....model.stop_strings import MOST_STOP_CHARACTERS as MAX_STOP_CHARACTERS
from ....model.stop_strings import MOST_STOPS as MAX_STOPS
from ....model.template_runner import MOST_VARIABLES as MAX_TEMPLATE_VARIABLES

__all__ = ["MAX_STOPS", "MAX_STOP_CHARACTERS", "MAX_TEMPLATE_VARIABLES"]

MAX_CHOICES = 128  # for one prompt, as OpenAI
MAX_TOTAL_CHOICES = 2048  # prompts times choices
MAX_STOP_BYTES = 256 << 10  # of the field: 16 strings of 1,024 characters, each escaped as a pair, have 192 KiB
MAX_STOP_IDS = 1024
MAX_BIASES = 1024
MAX_BIAS = 100
MAX_LOGPROBS = 20
MAX_TOKENS = (1 << 31) - 1  # of an answer, beside what the context leaves
MAX_TEMPERATURE = 2
MIN_REPETITION_PENALTY, MAX_REPETITION_PENALTY = 0.01, 100
SEEDS = 1 << 63  # a seed is from -SEEDS to SEEDS - 1
MAX_MESSAGES = 4096
MAX_VALUES = 1 << 18  # JSON values in all messages
MAX_DEPTH = 64  # of objects and lists in one another
