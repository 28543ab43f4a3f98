/* Chat templates: where they come from, and what they are given. */
#ifndef LP_TEXT_CHAT_H
#define LP_TEXT_CHAT_H

#include "lapilli/chat.h"
#include "tensor/gguf.h"
#include "text/tokenizer.h"

typedef struct lp_chat_template lp_chat_template;

/* From a text; `where` names it in errors. */
lp_status lp_chat_template_create(lp_context *ctx, const char *where, const char *source,
                                  size_t bytes, lp_chat_template **result);
/* From a GGUF file's metadata: tokenizer.chat_template, or tokenizer.chat_template.NAME; `path` is
 * for messages. LP_E_MISSING if it is not there. */
lp_status lp_chat_template_from_gguf(lp_context *ctx, const char *path, const lp_gguf *gguf,
                                     const char *name, lp_chat_template **result);
/* From a Hugging Face folder: chat_template.jinja (or additional_chat_templates/NAME.jinja),
 * chat_template.json, tokenizer_config.json. */
lp_status lp_chat_template_from_folder(lp_context *ctx, const char *folder, const char *name,
                                       lp_chat_template **result);
/* One that ships with the library. LP_E_MISSING lists them. */
lp_status lp_chat_template_from_name(lp_context *ctx, const char *name, lp_chat_template **result);
typedef struct lp_chat_builtin {
    const char *name, *models, *source;
} lp_chat_builtin;
const lp_chat_builtin *lp_chat_builtins(size_t *n);

void lp_chat_template_destroy(lp_chat_template *template);
const char *lp_chat_template_text(const lp_chat_template *template);

/* *text is malloc'ed and ended by NUL. `tokenizer` may be NULL: the template finds no special
 * tokens. */
lp_status lp_chat_template_render(lp_context *ctx, const lp_chat_template *template,
                                  const lp_tokenizer *tokenizer, const lp_chat_options *options,
                                  char **text, size_t *bytes);
/* Tokens of such a text: its special tokens are those tokens. Where the model wants a token at the
 * start of every text, it stands there once, whether the template writes it or not. *tokens is
 * malloc'ed. */
lp_status lp_chat_text_tokens(lp_context *ctx, const lp_tokenizer *tokenizer, const char *text,
                              size_t bytes, int32_t **tokens, size_t *n_tokens);

#endif
