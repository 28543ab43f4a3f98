/* Tokens that are looked for in text before the model sees it: control tokens and those that users
 * added. From the left, the longest one; rules as in Hugging Face's tokenizers. */
#include "text/tokenizer_build.h"

#include "text/unicode.h"

static bool stands_alone(const char *text, size_t bytes, size_t start, size_t end)
{
    uint32_t code = 0;
    if (lp_utf8_decode_last(text, start, &code) > 0 && lp_code_is_word(code))
        return false;
    return lp_utf8_decode(text + end, bytes - end, &code) == 0 || !lp_code_is_word(code);
}

static bool counts(const lp_token *token, const char *text, size_t bytes, size_t start, size_t end,
                   unsigned flags)
{
    if (token->type != LP_TOKEN_USER && !(flags & LP_TOKENIZE_PARSE_SPECIAL))
        return false;
    if (token->flags & LP_TOKEN_AT_START && start > 0)
        return false;
    return !(token->flags & LP_TOKEN_SINGLE_WORD) || stands_alone(text, bytes, start, end);
}

int32_t lp_find_added(const lp_tokenizer *tokenizer, const lp_trie *tokens, const char *text,
                      size_t bytes, size_t done, size_t *at, unsigned flags, size_t *start,
                      size_t *end)
{
    if (tokens->n_nodes == 0)
        return -1;
    while (*at < bytes) {
        size_t length = 0;
        int32_t id = lp_trie_longest(tokens, text + *at, bytes - *at, &length);
        if (id < 0) {
            ++*at;
            continue;
        }
        const lp_token *token = &tokenizer->vocab.tokens[id];
        uint32_t code;
        unsigned n;
        *start = *at;
        *at += length;
        if (!counts(token, text, bytes, *start, *at, flags))
            continue;
        *end = *at;
        while (token->flags & LP_TOKEN_LEFT_STRIP && *start > done &&
               (n = lp_utf8_decode_last(text + done, *start - done, &code)) > 0 &&
               lp_utf8_is_space(code))
            *start -= n;
        while (token->flags & LP_TOKEN_RIGHT_STRIP &&
               (n = lp_utf8_decode(text + *end, bytes - *end, &code)) > 0 && lp_utf8_is_space(code))
            *end += n;
        *at = *end;
        return id;
    }
    return -1;
}
