/* lapilli tokenize, lapilli detokenize: what a model's tokenizer makes of text, and back. */
#include <stdlib.h>
#include <string.h>
#include "prompt.h"

enum { IDS = CLI_LONG_ONLY, COUNT, JSON_LINES, PAIR, NO_SPECIAL, NO_PARSE };

typedef struct settings {
    const char *model, *file, *pair;
    bool ids, count, json, json_lines, special;
    unsigned flags;
    int verbose;
} settings;

/* What a terminal may show of text[bytes]: control characters and broken UTF-8 as \xNN, within
 * quotes. `to` has room for 4 * bytes + 3. */
static size_t escape(const char *text, size_t bytes, char *to)
{
    size_t n = 0;
    to[n++] = '"';
    for (size_t at = 0; at < bytes;) {
        size_t length = cli_character(text + at, bytes - at);
        const char *name = text[at] == '\n' ? "\\n" : text[at] == '\t' ? "\\t" : NULL;
        if (name) {
            memcpy(to + n, name, 2);
            n += 2;
        } else if (length == 0) {
            n += (size_t)sprintf(to + n, "\\x%02X", (unsigned char)text[at]);
        } else {
            memcpy(to + n, text + at, length);
            n += length;
        }
        at += length ? length : 1;
    }
    to[n++] = '"';
    to[n] = '\0';
    return n;
}

/* Opens what -m names, or the model that ships. */
static lp_tokenizer *open_tokenizer(lp_context *ctx, const char *model, int *code)
{
    lp_tokenizer *tokenizer = NULL;
    char *shipped = model ? NULL : cli_default_model();
    *code = CLI_FAILED;
    if (model || shipped) {
        lp_status status = lp_tokenizer_open(ctx, model ? model : shipped, &tokenizer);
        *code = status == LP_OK ? CLI_OK : cli_failed(ctx, status);
    }
    free(shipped);
    return tokenizer;
}

/* The text of the command line, of -f, or of standard input. */
static bool read_text(const settings *s, int argc, char **argv, cli_prompt *text)
{
    if (s->file)
        return cli_prompt_file(text, s->file);
    if (optind < argc)
        return cli_prompt_literal(text, argv[optind]);
    return cli_prompt_file(text, "-");
}

static int print_ids(const int32_t *tokens, size_t n)
{
    for (size_t i = 0; i < n; i++)
        printf("%s%d", i ? " " : "", tokens[i]);
    putchar('\n');
    return CLI_OK;
}

/* A row per token: its place, its id, how the vocabulary spells it, the text that it stands for. */
static int print_table(lp_context *ctx, const lp_tokenizer *tokenizer, const int32_t *tokens,
                       const int32_t *segments, size_t n, size_t bytes)
{
    char a[27], b[27];
    printf("%6s %8s  %s%-24s %s\n", "", "id", segments ? "segment  " : "", "piece", "text");
    for (size_t i = 0; i < n; i++) {
        const char *piece = NULL, *text = NULL;
        size_t n_piece = 0, n_text = 0;
        lp_status status = lp_token_text(ctx, tokenizer, tokens[i], &piece, &n_piece);
        if (status == LP_OK)
            status = lp_detokenize(ctx, tokenizer, tokens[i], &text, &n_text);
        if (status != LP_OK)
            return cli_failed(ctx, status);
        char *shown = malloc(4 * (n_piece > n_text ? n_piece : n_text) + 3);
        if (!shown) {
            cli_error("out of memory");
            return CLI_FAILED;
        }
        printf("%6zu %8d  ", i, tokens[i]);
        if (segments)
            printf("%7d  ", segments[i]);
        size_t length = escape(piece, n_piece, shown) - 2;
        shown[length + 1] = '\0';
        printf("%s", shown + 1);
        if (n_text > 0) {
            printf("%*s ", cli_padding(shown + 1, 24), "");
            escape(text, n_text, shown);
            fputs(shown, stdout);
        }
        putchar('\n');
        free(shown);
    }
    printf("\n%s token%s for %s byte%s; %s\n", cli_count(n, a), n == 1 ? "" : "s",
           cli_count(bytes, b), bytes == 1 ? "" : "s", lp_tokenizer_kind(tokenizer));
    return CLI_OK;
}

static int print_json(lp_context *ctx, const lp_tokenizer *tokenizer, const int32_t *tokens,
                      const int32_t *segments, size_t n, size_t bytes)
{
    yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
    yyjson_mut_val *root = yyjson_mut_obj(doc), *list;
    yyjson_mut_doc_set_root(doc, root);
    cli_json_text(doc, root, "tokenizer", lp_tokenizer_kind(tokenizer));
    yyjson_mut_obj_add_uint(doc, root, "bytes", bytes);
    list = yyjson_mut_obj_add_arr(doc, root, "tokens");
    for (size_t i = 0; i < n; i++) {
        const char *piece = "", *text = "";
        size_t n_piece = 0, n_text = 0;
        lp_status status = lp_token_text(ctx, tokenizer, tokens[i], &piece, &n_piece);
        if (status == LP_OK)
            status = lp_detokenize(ctx, tokenizer, tokens[i], &text, &n_text);
        if (status != LP_OK) {
            yyjson_mut_doc_free(doc);
            return cli_failed(ctx, status);
        }
        yyjson_mut_val *row = yyjson_mut_arr_add_obj(doc, list);
        yyjson_mut_obj_add_int(doc, row, "id", tokens[i]);
        cli_json_bytes(doc, row, "piece", piece, n_piece);
        cli_json_bytes(doc, row, "text", text, n_text);
        if (segments)
            yyjson_mut_obj_add_int(doc, row, "segment", segments[i]);
    }
    return cli_json_print(doc);
}

/* One text, or two. */
static int tokenize(lp_context *ctx, const lp_tokenizer *tokenizer, const settings *s,
                    lp_tokenizer_text text)
{
    int32_t *tokens = NULL, *segments = NULL;
    size_t n = 0, bytes = text.bytes + (s->pair ? strlen(s->pair) : 0);
    lp_status status;
    if (s->pair) {
        lp_tokenizer_text other = {s->pair, strlen(s->pair)};
        status = lp_tokenize_pair(ctx, tokenizer, text, other, s->flags, &tokens, &segments, &n);
    } else {
        status = lp_tokenize(ctx, tokenizer, text.data, text.bytes, s->flags, &tokens, &n);
    }
    int code = CLI_OK;
    if (status != LP_OK)
        code = cli_failed(ctx, status);
    else if (s->count)
        printf("%zu\n", n);
    else if (s->ids)
        code = print_ids(tokens, n);
    else if (s->json)
        code = print_json(ctx, tokenizer, tokens, segments, n, bytes);
    else
        code = print_table(ctx, tokenizer, tokens, segments, n, bytes);
    free(tokens);
    free(segments);
    return code;
}

/* Many texts, one JSON string a line; the ids of each on a line. */
static int tokenize_lines(lp_context *ctx, const lp_tokenizer *tokenizer, const settings *s,
                          const cli_prompt *lines)
{
    size_t number = 0, at = 0;
    int code = CLI_OK;
    while (at < lines->bytes && code == CLI_OK && !cli_stop_signal()) {
        const char *line = lines->text + at, *end = memchr(line, '\n', lines->bytes - at);
        size_t bytes = end ? (size_t)(end - line) : lines->bytes - at;
        number++;
        at += bytes + 1;
        yyjson_doc *doc = yyjson_read(line, bytes, 0);
        yyjson_val *text = yyjson_doc_get_root(doc);
        if (yyjson_is_str(text)) {
            code = tokenize(ctx, tokenizer, s,
                            (lp_tokenizer_text){yyjson_get_str(text), yyjson_get_len(text)});
        } else {
            cli_error("line %zu: a JSON string is expected", number);
            code = CLI_FAILED;
        }
        yyjson_doc_free(doc);
    }
    return code;
}

static int run_tokenize(int argc, char **argv)
{
    static const struct option long_options[] = {
        {"model", required_argument, NULL, 'm'},
        {"file", required_argument, NULL, 'f'},
        {"pair", required_argument, NULL, PAIR},
        {"ids", no_argument, NULL, IDS},
        {"count", no_argument, NULL, COUNT},
        {"json", no_argument, NULL, 'j'},
        {"json-lines", no_argument, NULL, JSON_LINES},
        {"no-special", no_argument, NULL, NO_SPECIAL},
        {"no-parse", no_argument, NULL, NO_PARSE},
        {"verbose", no_argument, NULL, 'v'},
        {"help", no_argument, NULL, 'h'},
        {0},
    };
    cli_options options = {&cli_tokenize, "m:f:jv", long_options, argc, argv, 0};
    settings s = {.flags = LP_TOKENS_SPECIAL | LP_TOKENS_PARSE};
    for (int id; (id = cli_next(&options)) != CLI_NO_MORE;) {
        switch (id) {
        case 'm':
            if (!cli_parse_name(&cli_tokenize, "-m", optarg, &s.model))
                return CLI_USAGE;
            break;
        case 'f':
            if (!cli_parse_name(&cli_tokenize, "-f", optarg, &s.file))
                return CLI_USAGE;
            break;
        case PAIR:
            s.pair = optarg;
            break;
        case IDS:
            s.ids = true;
            break;
        case COUNT:
            s.count = true;
            break;
        case 'j':
            s.json = true;
            break;
        case JSON_LINES:
            s.json_lines = s.ids = true;
            break;
        case NO_SPECIAL:
            s.flags &= ~(unsigned)LP_TOKENS_SPECIAL;
            break;
        case NO_PARSE:
            s.flags &= ~(unsigned)LP_TOKENS_PARSE;
            break;
        case 'v':
            s.verbose++;
            break;
        default:
            return options.exit_code;
        }
    }
    if (argc - optind > 1 || (s.file && optind < argc))
        return cli_usage_error(&cli_tokenize, "one TEXT or one -f FILE is expected");
    if (s.ids + s.count + s.json > 1)
        return cli_usage_error(&cli_tokenize, "--ids, --count and --json exclude each other");

    lp_context *ctx = cli_context(s.verbose);
    cli_prompt text = {0};
    int code = CLI_FAILED;
    if (!ctx)
        return code;
    lp_tokenizer *tokenizer = open_tokenizer(ctx, s.model, &code);
    if (tokenizer) {
        code = CLI_FAILED;
        if (read_text(&s, argc, argv, &text))
            code = s.json_lines
                       ? tokenize_lines(ctx, tokenizer, &s, &text)
                       : tokenize(ctx, tokenizer, &s,
                                  (lp_tokenizer_text){text.text ? text.text : "", text.bytes});
    }
    free(text.text);
    lp_tokenizer_destroy(tokenizer);
    lp_context_destroy(ctx);
    return code;
}

const cli_command cli_tokenize = {
    .name = "tokenize",
    .summary = "show the tokens of a text",
    .usage = "[OPTION]... [TEXT]",
    .help =
        "Shows the tokens that a model sees of a text: ids, how the vocabulary spells them, and "
        "the\n"
        "text that they stand for. Without TEXT or -f it is read from standard input.\n"
        "\n"
        "  -m, --model MODEL  a GGUF file (a vocabulary is enough), a Hugging Face folder, or a\n"
        "                     tokenizer's file; default: the model that ships\n"
        "  -f, --file FILE    the text is in FILE; - is standard input\n"
        "      --pair TEXT    a second text behind the first, as in [CLS] a [SEP] b [SEP]\n"
        "      --ids          only the ids, separated by spaces\n"
        "      --count        only their number\n"
        "  -j, --json         as JSON\n"
        "      --json-lines   many texts: each line of the input is one JSON string, each line of\n"
        "                     the output its ids\n"
        "      --no-special   without the tokens that the model wants at the ends (BOS, EOS, CLS "
        "…)\n"
        "      --no-parse     names of special tokens in the text (<|end|>) are ordinary text\n"
        "  -v, --verbose      say more; twice: everything\n"
        "  -h, --help         this text\n",
    .run = run_tokenize,
};

/* --- detokenize ------------------------------------------------------------------------------- */

/* Ids out of text: numbers, with anything of " ,;[]" and newlines between them. */
static bool add_ids(const char *text, size_t bytes, int32_t **ids, size_t *n)
{
    size_t at = 0;
    while (at < bytes) {
        if (memchr(" ,;[]\t\r\n", text[at], 8)) {
            at++;
            continue;
        }
        int64_t id = 0;
        size_t start = at;
        while (at < bytes && text[at] >= '0' && text[at] <= '9' && id <= INT32_MAX)
            id = 10 * id + (text[at++] - '0');
        if (at == start || id > INT32_MAX) {
            size_t end = at;
            while (end < bytes && end - start < 20 && !memchr(" ,;[]\t\r\n", text[end], 8))
                end++;
            char shown[4 * 20 + 3];
            escape(text + start, end - start, shown);
            cli_error("%s is no token id", shown);
            return false;
        }
        if ((*n & (*n - 1)) == 0) { /* room for 1, 2, 4, 8 … */
            int32_t *more = realloc(*ids, (*n ? 2 * *n : 1) * sizeof **ids);
            if (!more) {
                cli_error("out of memory");
                return false;
            }
            *ids = more;
        }
        (*ids)[(*n)++] = (int32_t)id;
    }
    return true;
}

static int detokenize(lp_context *ctx, const lp_tokenizer *tokenizer, const settings *s,
                      const int32_t *ids, size_t n)
{
    char *text;
    size_t bytes;
    lp_status status = lp_decode(ctx, tokenizer, ids, n, s->special, &text, &bytes);
    if (status != LP_OK)
        return cli_failed(ctx, status);
    int code = CLI_OK;
    if (s->json_lines) {
        code = cli_json_line(text, bytes);
    } else if (s->json) {
        yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
        yyjson_mut_val *root = yyjson_mut_obj(doc);
        yyjson_mut_doc_set_root(doc, root);
        cli_json_text(doc, root, "tokenizer", lp_tokenizer_kind(tokenizer));
        yyjson_mut_obj_add_uint(doc, root, "tokens", n);
        cli_json_bytes(doc, root, "text", text, bytes);
        code = cli_json_print(doc);
    } else if (!cli_write(text, bytes) || !cli_write("\n", 1)) {
        code = CLI_FAILED;
    }
    free(text);
    return code;
}

/* Many texts, the ids of each on a line. */
static int detokenize_lines(lp_context *ctx, const lp_tokenizer *tokenizer, const settings *s,
                            const cli_prompt *lines)
{
    size_t at = 0;
    int code = CLI_OK;
    /* the last newline is gone already: what is behind the one before it is a line, too */
    while (lines->bytes > 0 && at <= lines->bytes && code == CLI_OK && !cli_stop_signal()) {
        const char *line = lines->text + at, *end = memchr(line, '\n', lines->bytes - at);
        size_t bytes = end ? (size_t)(end - line) : lines->bytes - at, n = 0;
        int32_t *ids = NULL;
        at += bytes + 1;
        code = add_ids(line, bytes, &ids, &n) ? detokenize(ctx, tokenizer, s, ids, n) : CLI_FAILED;
        free(ids);
    }
    return code;
}

static int run_detokenize(int argc, char **argv)
{
    static const struct option long_options[] = {
        {"model", required_argument, NULL, 'm'},
        {"file", required_argument, NULL, 'f'},
        {"special", no_argument, NULL, 's'},
        {"json", no_argument, NULL, 'j'},
        {"json-lines", no_argument, NULL, JSON_LINES},
        {"verbose", no_argument, NULL, 'v'},
        {"help", no_argument, NULL, 'h'},
        {0},
    };
    cli_options options = {&cli_detokenize, "m:f:sjv", long_options, argc, argv, 0};
    settings s = {0};
    for (int id; (id = cli_next(&options)) != CLI_NO_MORE;) {
        switch (id) {
        case 'm':
            if (!cli_parse_name(&cli_detokenize, "-m", optarg, &s.model))
                return CLI_USAGE;
            break;
        case 'f':
            if (!cli_parse_name(&cli_detokenize, "-f", optarg, &s.file))
                return CLI_USAGE;
            break;
        case 's':
            s.special = true;
            break;
        case 'j':
            s.json = true;
            break;
        case JSON_LINES:
            s.json_lines = true;
            break;
        case 'v':
            s.verbose++;
            break;
        default:
            return options.exit_code;
        }
    }
    if (s.file && optind < argc)
        return cli_usage_error(&cli_detokenize, "ids or -f FILE are expected, not both");
    if (s.json && s.json_lines)
        return cli_usage_error(&cli_detokenize, "--json and --json-lines exclude each other");

    lp_context *ctx = cli_context(s.verbose);
    cli_prompt text = {0};
    int32_t *ids = NULL;
    size_t n = 0;
    int code = CLI_FAILED;
    if (!ctx)
        return code;
    lp_tokenizer *tokenizer = open_tokenizer(ctx, s.model, &code);
    bool ok = tokenizer != NULL, from_file = s.file || optind == argc;
    if (ok && from_file)
        ok = cli_prompt_file(&text, s.file ? s.file : "-") &&
             (s.json_lines || add_ids(text.text, text.bytes, &ids, &n));
    for (int i = optind; ok && !from_file && i < argc; i++)
        ok = add_ids(argv[i], strlen(argv[i]), &ids, &n);
    if (tokenizer)
        code = !ok                         ? CLI_FAILED
               : s.json_lines && from_file ? detokenize_lines(ctx, tokenizer, &s, &text)
                                           : detokenize(ctx, tokenizer, &s, ids, n);
    free(ids);
    free(text.text);
    lp_tokenizer_destroy(tokenizer);
    lp_context_destroy(ctx);
    return code;
}

const cli_command cli_detokenize = {
    .name = "detokenize",
    .summary = "show the text of tokens",
    .usage = "[OPTION]... [ID]...",
    .help =
        "Writes the text of token ids and a newline. Without ids or -f they are read from "
        "standard\n"
        "input: numbers separated by spaces, commas or newlines, as lapilli tokenize --ids writes\n"
        "them.\n"
        "\n"
        "  -m, --model MODEL  a GGUF file (a vocabulary is enough), a Hugging Face folder, or a\n"
        "                     tokenizer's file; default: the model that ships\n"
        "  -f, --file FILE    the ids are in FILE; - is standard input\n"
        "  -s, --special      also the names of control tokens\n"
        "  -j, --json         as JSON\n"
        "  -v, --verbose      say more; twice: everything\n"
        "  -h, --help         this text\n",
    .run = run_detokenize,
};
