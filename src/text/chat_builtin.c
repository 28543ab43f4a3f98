/* Chat templates for models whose files have none: the ways of separating turns that are most in
 * use. They know no tools. */
#include "text/chat.h"

/* A message after the other, each with something before and behind it. */
#define TURNS(before, behind, assistant)                                                           \
    "{%- for message in messages %}{{ " before " ~ message.content|trim ~ " behind                 \
    " }}{% endfor -%}{%- if add_generation_prompt %}{{ " assistant " }}{% endif -%}"

const lp_chat_builtin *lp_chat_builtins(size_t *n)
{
    static const lp_chat_builtin rows[] = {
        {"chatml", "Qwen, Yi, SmolLM, OpenHermes and many others",
         TURNS("'<|im_start|>' ~ message.role ~ '\\n'", "'<|im_end|>\\n'",
               "'<|im_start|>assistant\\n'")},
        {"gemma", "Gemma 1 to 3: the system prompt goes into the first user's turn",
         "{{- bos_token }}{%- set ns = namespace(system='') %}{%- for message in messages %}"
         "{%- if message.role == 'system' %}"
         "{%- set ns.system = ns.system ~ message.content|trim ~ '\\n\\n' %}{%- else %}"
         "{{- '<start_of_turn>' ~ ('model' if message.role == 'assistant' else message.role) ~ "
         "'\\n' ~ "
         "ns.system ~ message.content|trim ~ '<end_of_turn>\\n' }}{%- set ns.system = '' %}"
         "{%- endif %}{%- endfor %}"
         "{{- '<start_of_turn>model\\n' if add_generation_prompt }}"},
        {"llama2", "Llama 2, Mistral 7B",
         "{%- set ns = namespace(system='') %}{%- for message in messages %}"
         "{%- if message.role == 'system' %}"
         "{%- set ns.system = '<<SYS>>\\n' ~ message.content|trim ~ '\\n<</SYS>>\\n\\n' %}"
         "{%- elif message.role == 'user' %}"
         "{{- bos_token ~ '[INST] ' ~ ns.system ~ message.content|trim ~ ' [/INST]' }}"
         "{%- set ns.system = '' %}"
         "{%- else %}{{- ' ' ~ message.content|trim ~ ' ' ~ eos_token }}{%- endif %}{%- endfor %}"},
        {"llama3", "Llama 3 to 3.3",
         "{{- bos_token }}" TURNS(
             "'<|start_header_id|>' ~ message.role ~ '<|end_header_id|>\\n\\n'", "'<|eot_id|>'",
             "'<|start_header_id|>assistant<|end_header_id|>\\n\\n'")},
        {"phi3", "Phi 3",
         TURNS("'<|' ~ message.role ~ '|>\\n'", "'<|end|>\\n'", "'<|assistant|>\\n'")},
        {"vicuna", "Vicuna, and models that know no tokens for turns",
         "{%- for message in messages %}{%- if message.role == 'system' %}"
         "{{- message.content|trim ~ '\\n\\n' }}{%- else %}"
         "{{- message.role|upper ~ ': ' ~ message.content|trim }}"
         "{{- eos_token ~ '\\n' if message.role == 'assistant' else '\\n' }}{%- endif %}"
         "{%- endfor %}{{- 'ASSISTANT:' if add_generation_prompt }}"},
        {"zephyr", "Zephyr, TinyLlama, StableLM 2",
         TURNS("'<|' ~ message.role ~ '|>\\n'", "eos_token ~ '\\n'", "'<|assistant|>\\n'")},
    };
    *n = sizeof rows / sizeof *rows;
    return rows;
}
