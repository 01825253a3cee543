"""Chat templates in the manners of well-known families, and chats to render with them."""

from typing import Any

TEMPLATES: dict[str, str] = {
    "chatml": """{% for message in messages %}
{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n' }}
{% endfor %}
{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}""",
    "llama 3": """{{- bos_token }}
{%- if date_string is not defined %}{% set date_string = "26 Jul 2024" %}{% endif %}
{%- if messages[0]['role'] == 'system' %}
    {%- set system = messages[0]['content'] | trim %}
    {%- set messages = messages[1:] %}
{%- else %}
    {%- set system = "" %}
{%- endif %}
{{- "<|head|>system<|tail|>\n\nToday: " + date_string + "\n" + system + "<|im_end|>" }}
{%- for message in messages %}
    {{- '<|head|>' + message.role + '<|tail|>\n\n' + message.content | trim + '<|im_end|>' }}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|head|>assistant<|tail|>\n\n' }}
{%- endif %}
""",
    "gemma": """{{ bos_token }}{% if messages[0]['role'] == 'system' %}
{{ raise_exception('System role not supported') }}{% endif %}
{%- for message in messages %}{% if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}
{{ raise_exception('Roles must alternate user/assistant/user/assistant/...') }}{% endif %}
{%- set role = 'model' if message['role'] == 'assistant' else message['role'] %}
{{ '<start>' + role + '\n' + message['content'] | trim + '<end>\n' }}{% endfor %}
{%- if add_generation_prompt %}{{ '<start>model\n' }}{% endif %}""",
    "mistral": """{{ bos_token }}{% for message in messages %}{% if message['role'] == 'user' %}
{{ '[INST] ' + message['content'] + ' [/INST]' }}{% elif message['role'] == 'assistant' %}
{{ ' ' + message['content'] + eos_token }}{% else %}{{ raise_exception('Only user and assistant roles are supported!') }}
{% endif %}{% endfor %}""",
    "tools": """{%- if tools %}{{ '<tools>' }}{% for tool in tools %}{{ '\n' ~ (tool | tojson) }}
{%- endfor %}{{ '</tools>\n' }}{% endif %}
{%- for message in messages %}
    {%- if message.role == 'assistant' and message.tool_calls %}
        {{- message.content }}
        {%- for call in message.tool_calls %}
            {{- '<call>{"name": "' ~ call.function.name ~ '", "args": ' ~ (call.function.arguments | tojson) ~ '}</call>' }}
            {%- for key, value in call.function.arguments.items() %}{{ key }}={{ value }};{% endfor %}
        {%- endfor %}
    {%- elif message.role == 'tool' %}<answer>{{ message.content }}</answer>
    {%- else %}{{ '<' ~ message.role ~ '>' ~ message.content }}{% endif %}
{%- endfor %}
{%- if documents %}{{ documents[0].title }}{% endif %}""",
    "generation": """{% for message in messages %}{% if message.role == 'assistant' %}
{% generation %}{% set inner = message.content %}{{ inner }}{{ eos_token }}{% endgeneration %}{{ inner is defined }}
{% else %}
{{ message.role }}: {{ message.content }}
{% endif %}{% endfor %}""",
    "functions": """{% set ns = namespace(last=-1, count=0) %}
{%- for message in messages %}
    {%- if message.role == 'tool' %}{% continue %}{% endif %}
    {%- if ns.count > 3 %}{% break %}{% endif %}
    {%- set ns.count = ns.count + 1 %}{% set ns.last = loop.index0 %}
    {{- message | tojson(indent=2) }}
{%- endfor %}
{{- strftime_now('%Y') }} {{ ns.last }} {{ dict(a=1, b=[1.5, none, true]) | tojson }} {{ dict.fromkeys('ab', 0) }}
{{- {'é': '<&>'} | tojson }} {{ [3, 1, 2] | sort | join(',') }}
{{- {'b': 1, 'a': 2} | tojson(separators=(',', ':'), sort_keys=true) }}
{{- {'é': 1} | tojson(ensure_ascii=true) }}{{ 'x' if thinking_budget is defined else 'y' }}{{ pad_token }}{{ image_token }}""",
    "reasoning": """{%- for message in messages %}
    {%- set content = message.content %}
    {%- if message.role == 'assistant' %}
        {%- set thought = message.reasoning_content if message.reasoning_content is string else '' %}
        {%- if '</think>' in content %}
            {%- set thought = content.split('</think>')[0].rstrip('\n').split('<think>')[-1].lstrip('\n') %}
            {%- set content = content.split('</think>')[-1].lstrip('\n') %}
        {%- endif %}
        {{- '<|im_start|>assistant\n' }}
        {%- if loop.last or thinking is defined %}{{ '<think>\n' + thought.strip('\n') + '\n</think>\n\n' }}{% endif %}
        {{- content + '<|im_end|>\n' }}
    {%- else %}
        {{- '<|im_start|>' + message.role + '\n' + content + '<|im_end|>\n' }}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|im_start|>assistant\n' }}
    {%- if enable_thinking is defined and enable_thinking is false %}{{ '<think>\n\n</think>\n\n' }}{% endif %}
{%- endif %}""",
    "harmony": """{% for message in messages %}{{ message.role }}|{{ message.thinking }}|{{ message['content'] }}
{% endfor %}""",
    "no content": "{{ bos_token }}{% for message in messages %}{{ message.role }}{% endfor %}",
    "syntax error": "{% for message in messages %}{{ message.content }",
    "undefined": "{{ messages[7].content }}",
    "type error": "{% for message in messages %}{{ message.content + 3 }}{% endfor %}",
    "forbidden attribute": "{{ ''.__class__.__mro__ }}",
    "forbidden change": "{{ messages.append(1) }}",
    "underscore": "{% set ns = namespace(__a=1) %}{{ ns.__a }}",
}

CHATS: dict[str, list[dict[str, Any]]] = {
    "user": [{"role": "user", "content": "Why do kettles sing?"}],
    "system": [{"role": "system", "content": " Be brief. "}, {"role": "user", "content": "Why?"}],
    "turns": [
        {"role": "user", "content": "Hi"},
        {"role": "assistant", "content": "Hello <&> \"you\" 'there'"},
        {"role": "user", "content": "  spaces \n\n and é 我 😀 "},
    ],
    "assistant last": [{"role": "user", "content": "Count"}, {"role": "assistant", "content": "one, two, "}],
    "reasoning": [
        {"role": "user", "content": "2+2"},
        {"role": "assistant", "content": "4", "reasoning_content": "two and two"},
        {"role": "user", "content": "3+3"},
        {"role": "assistant", "content": "<think>\nthree\n</think>\n\n6"},
    ],
    "older reasoning": [
        {"role": "user", "content": "x"},
        {"role": "assistant", "content": "y", "reasoning": "z", "name": None},
    ],
    "tools": [
        {"role": "user", "content": "Weather in Bern?"},
        {
            **{"role": "assistant", "content": ""},
            "tool_calls": [{"type": "function", "function": {"name": "weather", "arguments": {"city": "Bern", "days": 2}}}],
        },
        {"role": "tool", "content": "rain", "name": "weather"},
        {"role": "assistant", "content": "It rains."},
    ],
    "empty": [{"role": "user", "content": ""}],
    "wrong order": [{"role": "assistant", "content": "I begin."}, {"role": "assistant", "content": "And go on. "}],
    "parts": [
        {"role": "user", "content": "x"},
        {"role": "assistant", "content": [{"type": "text", "text": "a"}, {"text": "b "}]},
    ],
}

OPTIONS: dict[str, dict[str, Any]] = {
    "plain": {},
    "generation prompt": {"add_generation_prompt": True},
    "continued": {"continue_final_message": True},
    "continued reasoning": {"continue_final_message": "reasoning_content"},
    "variables": {
        "enable_thinking": False,
        "thinking_budget": 3,
        "date_string": "1 May 2026",
        "bos_token": "<BOS>",
        "thinking": 1,
    },
    "tools": {
        "tools": [{"type": "function", "function": {"name": "weather", "parameters": {"type": "object", "properties": {}}}}],
        "documents": [{"title": "Kettles", "text": "They sing."}],
    },
}
SPECIAL_TOKENS = {"bos_token": "<s>", "eos_token": "</s>", "pad_token": "<pad>", "image_token": "<image>"}
