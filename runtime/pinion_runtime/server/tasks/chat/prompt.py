"""From messages to token ids: normalised, written by the model's template in its own process, tokenised without more."""

from ....errors import InvalidInput
from ....model.chat_messages import InvalidMessage, normalise_messages
from ....model.template_protocol import TemplateFailure
from ....model.template_runner import TemplateError
from ....pod.state import TextServing
from ...errors import ApiError, Code, invalid
from ..generation.prompts import prompt_ids
from ..texts import Inputs
from .messages import Messages
from .protocol import TemplateOptions

_FIELD = "messages"
_RETRY_SECONDS = 1.0


async def chat_ids(messages: Messages, template: TemplateOptions, serving: TextServing, most: int) -> list[int]:
    """Return the prompt's token ids, of which there may be `most`; raise the ApiError that tells why there are none."""
    text = await chat_prompt(messages, template, serving)
    # What the template writes is the whole prompt: a tokenizer that begins every text would begin it twice.
    (ids,) = await prompt_ids(Inputs(_FIELD, (text,), (), is_list=False), serving, most, special_tokens=False)
    return ids


async def chat_prompt(messages: Messages, template: TemplateOptions, serving: TextServing) -> str:
    """Return the prompt; raise the ApiError that tells why there is none."""
    try:
        normalised = normalise_messages(list(messages), knows_developer=serving.chat.probe.knows_developer)
        return await serving.chat.templates.render(
            normalised,
            variables=template.variables,
            add_generation_prompt=template.add_generation_prompt,
            continue_final_message=template.continue_final_message,
        )
    except InvalidMessage as error:
        raise invalid(f"{error}.", param=error.place) from None
    except TemplateError as error:
        raise _refusal(error) from error
    except InvalidInput as error:
        raise invalid(f"{error}.", param="chat_template_kwargs") from None


def _refusal(error: TemplateError) -> ApiError:
    if error.kind is TemplateFailure.DIED:
        return ApiError(503, Code.INTERNAL, f"{error}; it is started again.", retry_after=_RETRY_SECONDS)
    return invalid(f"{error}.", param=_FIELD)
