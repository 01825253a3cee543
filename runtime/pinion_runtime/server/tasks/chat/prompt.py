"""From messages to token ids: normalised, written by the model's template in its own process, tokenised without more."""

import asyncio

from ....errors import InvalidInput
from ....model.chat_messages import InvalidMessage, normalise_messages
from ....model.template_protocol import TemplateFailure
from ....model.template_runner import TemplateError
from ....pod.state import TextServing
from ...errors import ApiError, Code, invalid
from ..generation.prompts import check_count
from .messages import Messages
from .protocol import TemplateOptions

_FIELD = "messages"
_RETRY_SECONDS = 1.0
_LOOP_CHARACTERS = 2048  # a longer prompt is tokenised on a thread


async def chat_ids(messages: Messages, template: TemplateOptions, serving: TextServing, most: int) -> list[int]:
    """Return the prompt's token ids, of which there may be `most`; raise the ApiError that tells why there are none.

    Control tokens that a caller typed are text in it.
    """
    chat = serving.chat
    variables = chat.encoder.mark(dict(template.variables or {}))
    documents = variables.pop("documents", None)
    try:
        normalised = normalise_messages(list(messages), knows_developer=chat.probe.knows_developer)
        text = await chat.templates.render(
            chat.encoder.mark(normalised),
            variables=variables,
            documents=documents,
            add_generation_prompt=template.add_generation_prompt,
            continue_final_message=template.continue_final_message,
        )
        encode = chat.encoder.encode
        ids = encode(text) if len(text) <= _LOOP_CHARACTERS else await asyncio.to_thread(encode, text)
    except InvalidMessage as error:
        raise invalid(f"{error}.", param=error.place) from None
    except TemplateError as error:
        raise _refusal(error) from error
    except InvalidInput as error:
        raise invalid(f"{error}.", param=_FIELD) from None
    check_count(len(ids), _FIELD, most)
    return ids


def _refusal(error: TemplateError) -> ApiError:
    if error.kind is TemplateFailure.DIED:
        return ApiError(503, Code.INTERNAL, f"{error}; it is started again.", retry_after=_RETRY_SECONDS)
    met_a_bound = error.kind in (TemplateFailure.TOO_SLOW, TemplateFailure.TOO_LARGE)
    return invalid(f"{error}.", param=_FIELD, code=Code.CHAT_TEMPLATE_LIMIT if met_a_bound else Code.INVALID_REQUEST)
