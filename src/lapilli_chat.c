/* The public API of chat templates. */
#include "lapilli.h"

#include "lapilli_private.h"
#include "models/network.h"
#include "text/chat.h"

lp_status lp_chat_template_open(lp_context *ctx, const lp_model *model, const char *name,
                                lp_chat_template **template)
{
    const lp_network *network = lp_model_network(model);
    if (network->gguf != NULL)
        return lp_chat_template_from_gguf(ctx, network->path, network->gguf, name, template);
    return lp_chat_template_from_folder(ctx, network->path, name, template);
}

lp_status lp_chat_template_parse(lp_context *ctx, const char *where, const char *source,
                                 size_t bytes, lp_chat_template **template)
{
    return lp_chat_template_create(ctx, where, source, bytes, template);
}

lp_status lp_chat_template_builtin(lp_context *ctx, const char *name, lp_chat_template **template)
{
    return lp_chat_template_from_name(ctx, name, template);
}

size_t lp_n_chat_templates(void)
{
    size_t n;
    lp_chat_builtins(&n);
    return n;
}

lp_fact lp_chat_template_info(size_t index)
{
    size_t n;
    const lp_chat_builtin *rows = lp_chat_builtins(&n);
    return (lp_fact){.name = rows[index].name, .value = rows[index].models};
}

const char *lp_chat_template_source(const lp_chat_template *template)
{
    return lp_chat_template_text(template);
}

lp_status lp_chat_render(lp_context *ctx, const lp_chat_template *template, const lp_model *model,
                         const lp_chat_options *options, char **text, size_t *bytes)
{
    if (model != NULL)
        LP_TRY(lp_model_needs_tokenizer(model));
    return lp_chat_template_render(ctx, template, model ? lp_model_vocab(model) : NULL, options,
                                   text, bytes);
}

lp_status lp_chat_tokenize(const lp_model *model, const char *text, size_t bytes, int32_t **tokens,
                           size_t *n_tokens)
{
    LP_TRY(lp_model_needs_tokenizer(model));
    return lp_chat_text_tokens(lp_model_context_of(model), lp_model_vocab(model), text, bytes,
                               tokens, n_tokens);
}
