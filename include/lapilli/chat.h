/* Chats: a conversation as the text that a model was trained on. Included by lapilli.h.
 *
 * A model's files hold a chat template: a program in a part of the Jinja language that makes one
 * text of messages, with the tokens that separate turns. It is evaluated as the transformers
 * library does it, in a sandbox: it can do nothing but make text, and it must come to an end. */
#ifndef LAPILLI_CHAT_H
#define LAPILLI_CHAT_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* All JSON; strings are UTF-8. */
typedef struct lp_chat_options {
    const char *messages; /* array of objects, usually with "role" ("system", "user", "assistant",
                             "tool") and "content"; the template says what else it looks at */
    const char *tools;    /* array of functions as JSON schemas; NULL: none */
    const char
        *variables; /* object of what else the template finds, e.g. {"enable_thinking": false},
                       {"documents": [...]}; NULL: nothing */
    int add_generation_prompt; /* the text ends with the beginning of the assistant's next turn */
    int64_t now; /* seconds since 1970 on the local clock (UTC plus the zone's offset), for
                    templates that print the date; 0: they find no clock */
} lp_chat_options;

#ifdef __cplusplus
}
#endif
#endif
