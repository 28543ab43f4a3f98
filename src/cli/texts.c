/* Texts one by one: see texts.h. */
#include "texts.h"

#include <stdlib.h>
#include <string.h>

static size_t count_lines(const cli_prompt *file)
{
    size_t n = file->bytes > 0;
    for (size_t i = 0; i < file->bytes; i++)
        n += file->text[i] == '\n';
    return n;
}

bool cli_texts_read(cli_texts *texts, char *const *operands, int n_operands, const char *file)
{
    if (file && !cli_prompt_file(&texts->file, file))
        return false;
    const size_t n_lines = count_lines(&texts->file);
    texts->item = calloc((size_t)n_operands + n_lines + 1, sizeof(*texts->item));
    if (!texts->item) {
        cli_error("out of memory");
        return false;
    }
    for (int i = 0; i < n_operands; i++)
        texts->item[texts->n++] = (cli_text){.data = operands[i], .bytes = strlen(operands[i])};
    const char *at = texts->file.text, *end = at ? at + texts->file.bytes : at;
    for (size_t i = 0; i < n_lines; i++) {
        const char *newline = memchr(at, '\n', (size_t)(end - at));
        const char *stop = newline ? newline : end;
        texts->item[texts->n++] = (cli_text){.data = at, .bytes = (size_t)(stop - at)};
        at = stop + 1;
    }
    if (texts->n == 0)
        cli_error("there is no text");
    return texts->n > 0;
}

int cli_texts_tokenize(cli_texts *texts, const cli_job *job, bool parse)
{
    for (size_t i = 0; i < texts->n; i++) {
        cli_text *text = &texts->item[i];
        lp_status status = lp_model_tokenize(job->model, text->data, text->bytes,
                                             LP_TOKENS_SPECIAL | (parse ? LP_TOKENS_PARSE : 0),
                                             &text->tokens, &text->n_tokens);
        if (status != LP_OK)
            return cli_failed(job->ctx, status);
    }
    return CLI_OK;
}

void cli_texts_free(cli_texts *texts)
{
    for (size_t i = 0; i < texts->n; i++)
        free(texts->item[i].tokens);
    free(texts->item);
    free(texts->file.text);
}

void cli_print_text(const char *text, size_t bytes, size_t columns)
{
    size_t n = 0;
    for (size_t at = 0; at < bytes; n++) {
        size_t size = cli_character(text + at, bytes - at);
        if (n == columns) {
            fputs("...", stdout);
            return;
        }
        if (size > 0)
            fwrite(text + at, 1, size, stdout);
        else
            fputc('?', stdout);
        at += size > 0 ? size : 1;
    }
}
