/* Messages, command line, standard streams and signals of the command. */
#define _DEFAULT_SOURCE /* sigaction, isatty */
#include "cli.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* --- Messages --------------------------------------------------------------------------------- */

void cli_error(const char *format, ...)
{
    va_list args;
    fputs("lapilli: ", stderr);
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fputc('\n', stderr);
}

int cli_usage_error(const cli_command *command, const char *format, ...)
{
    va_list args;
    fprintf(stderr, "lapilli %s: ", command->name);
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fprintf(stderr, "; see lapilli %s --help\n", command->name);
    return CLI_USAGE;
}

int cli_failed(const lp_context *ctx, lp_status status)
{
    if (status == LP_E_CANCELLED && cli_stop_signal())
        return 128 + cli_stop_signal();
    const char *message = lp_context_message(ctx);
    cli_error("%s", *message ? message : lp_status_text(status));
    return CLI_FAILED;
}

static void print_log(void *user, lp_log_level level, const char *line)
{
    static const char *const levels[] = {"", "warning: ", "", ""};
    (void)user;
    cli_error("%s%s", levels[level], line);
}

lp_context *cli_context(int verbose)
{
    lp_log_level level = verbose == 0 ? LP_LOG_WARN : verbose == 1 ? LP_LOG_INFO : LP_LOG_DEBUG;
    lp_context *ctx = lp_context_create(print_log, NULL, level);
    if (!ctx)
        cli_error("out of memory");
    return ctx;
}

/* --- Command line ----------------------------------------------------------------------------- */

int cli_next(cli_options *o)
{
    enum { MAX_SHORT = 64 };
    char short_options[MAX_SHORT];
    /* the colon makes getopt silent and tell a missing argument from an unknown option */
    snprintf(short_options, sizeof(short_options), ":%sh", o->short_options);
    int id = getopt_long(o->argc, o->argv, short_options, o->long_options, NULL);
    const char *text = o->argv[optind > 0 ? optind - 1 : 0];
    switch (id) {
    case -1:
        return CLI_NO_MORE;
    case 'h':
        printf("Usage: lapilli %s %s\n%s", o->command->name, o->command->usage, o->command->help);
        o->exit_code = CLI_OK;
        return CLI_END_NOW;
    case ':':
        o->exit_code = cli_usage_error(o->command, "%s needs an argument", text);
        return CLI_END_NOW;
    case '?':
        if (optopt > 0 && optopt < CLI_LONG_ONLY && strncmp(text, "--", 2) != 0)
            o->exit_code = cli_usage_error(o->command, "there is no option -%c", optopt);
        else if (optopt > 0)
            o->exit_code = cli_usage_error(o->command, "%s takes no argument", text);
        else
            o->exit_code =
                cli_usage_error(o->command, "there is no option %s, or it is ambiguous", text);
        return CLI_END_NOW;
    default:
        return id;
    }
}

bool cli_parse_u64(const cli_command *command, const char *name, const char *text, uint64_t min,
                   uint64_t max, uint64_t *value)
{
    char low[27], high[27], *end;
    errno = 0;
    unsigned long long number = strtoull(text, &end, 10);
    /* strtoull accepts spaces and signs, and makes large numbers of negative ones */
    if (*text < '0' || *text > '9' || *end || errno || number < min || number > max) {
        cli_usage_error(command, "%s wants a whole number from %s to %s, not \"%s\"", name,
                        cli_count(min, low), cli_count(max, high), text);
        return false;
    }
    *value = number;
    return true;
}

bool cli_parse_float(const cli_command *command, const char *name, const char *text, float min,
                     float max, float *value)
{
    char *end;
    float number = strtof(text, &end);
    if (end == text || *end || !(number >= min && number <= max)) { /* NaN, too */
        cli_usage_error(command, "%s wants a number from %g to %g, not \"%s\"", name, (double)min,
                        (double)max, text);
        return false;
    }
    *value = number;
    return true;
}

bool cli_parse_name(const cli_command *command, const char *option, const char *text,
                    const char **name)
{
    *name = text;
    if (*text)
        return true;
    cli_usage_error(command, "%s wants a name that is not empty", option);
    return false;
}

bool cli_parse_cache_type(const cli_command *command, const char *text, lp_dtype *type)
{
    *type = lp_dtype_by_name(text);
    if (*type == LP_F16 || *type == LP_F32 || *type == LP_Q8_0)
        return true;
    cli_usage_error(command, "--cache-type is f16, f32 or q8_0, not \"%s\"", text);
    return false;
}

const char *cli_cache_type(lp_dtype type)
{
    return type == LP_F32 ? "f32" : type == LP_Q8_0 ? "q8_0" : "f16";
}

/* --- Standard streams and signals ---------------------------------------------------------------
 */

static volatile sig_atomic_t stop_signal; /* set once, by the handler */

static void on_signal(int number)
{
    stop_signal = number;
}

int cli_stop_signal(void)
{
    return stop_signal;
}

void cli_prepare(void)
{
    /* A closed stream's number would go to the next file that is opened, and output into that file.
     * Opened the wrong way round, so that using it fails with the usual error. */
    for (int fd = 0; fd <= 2; fd++)
        if (fcntl(fd, F_GETFD) < 0 && errno == EBADF)
            if (open("/dev/null", fd == 0 ? O_WRONLY : O_RDONLY) != fd)
                _exit(CLI_FAILED);

    /* The first signal asks to stop, the second one ends. A reader that has gone is an error of
     * writing (EPIPE), not a sudden death with work on the device. */
    struct sigaction stop = {.sa_handler = on_signal, .sa_flags = (int)SA_RESETHAND};
    sigemptyset(&stop.sa_mask);
    struct sigaction inherited;
    if (sigaction(SIGINT, NULL, &inherited) == 0 && inherited.sa_handler != SIG_IGN)
        sigaction(SIGINT, &stop, NULL); /* ignored in background jobs: so it stays */
    sigaction(SIGTERM, &stop, NULL);
    struct sigaction ignore = {.sa_handler = SIG_IGN};
    sigemptyset(&ignore.sa_mask);
    sigaction(SIGPIPE, &ignore, NULL);
}

static int write_error; /* of stdout; kept, because stdio reports it only once */

static void note_write_error(void)
{
    if (!write_error)
        write_error = errno ? errno : EIO;
}

bool cli_write(const char *text, size_t bytes)
{
    errno = 0;
    if (fwrite(text, 1, bytes, stdout) != bytes || fflush(stdout) != 0)
        note_write_error();
    return write_error == 0;
}

int cli_finish(int code)
{
    errno = 0;
    if (fflush(stdout) != 0 || ferror(stdout))
        note_write_error();
    if (write_error == EPIPE)
        return CLI_READER_GONE;
    if (write_error && code != CLI_USAGE) {
        cli_error("standard output: %s", strerror(write_error));
        return CLI_FAILED;
    }
    return stop_signal ? 128 + stop_signal : code;
}

/* --- Numbers and JSON ---------------------------------------------------------------------------
 */

char *cli_count(uint64_t count, char *text)
{
    char digits[20], *p = text;
    int n = 0;
    do {
        digits[n++] = (char)('0' + count % 10);
        count /= 10;
    } while (count);
    while (n > 0) {
        *p++ = digits[--n];
        if (n > 0 && n % 3 == 0)
            *p++ = ',';
    }
    *p = '\0';
    return text;
}

char *cli_bytes(uint64_t bytes, char *text)
{
    static const char *const units[] = {"KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
    if (bytes < 1024) {
        snprintf(text, 16, "%u B", (unsigned)bytes);
        return text;
    }
    double value = (double)bytes / 1024;
    int unit = 0;
    while (value >= 1023.95 && unit < 5) {
        value /= 1024;
        unit++;
    }
    snprintf(text, 16, "%.1f %s", value, units[unit]);
    return text;
}

/* Length of the UTF-8 character at the start of p[bytes] (RFC 3629), or 0 if there is none. */
static size_t utf8_length(const uint8_t *p, size_t bytes)
{
    if (bytes > 0 && p[0] < 0x80)
        return 1;
    size_t n = bytes == 0 ? 1 : p[0] >= 0xf0 ? 4 : p[0] >= 0xe0 ? 3 : 2;
    if (n > bytes || p[0] < 0xc2 || p[0] > 0xf4)
        return 0;
    for (size_t i = 1; i < n; i++)
        if ((p[i] & 0xc0) != 0x80)
            return 0;
    bool overlong = (p[0] == 0xe0 && p[1] < 0xa0) || (p[0] == 0xf0 && p[1] < 0x90);
    bool surrogate = p[0] == 0xed && p[1] >= 0xa0, beyond = p[0] == 0xf4 && p[1] >= 0x90;
    return overlong || surrogate || beyond ? 0 : n;
}

/* A copy, valid UTF-8, of text[n]; NULL when out of memory, which printing the document reports. */
static yyjson_mut_val *json_string(yyjson_mut_doc *doc, const char *text, size_t n)
{
    char *clean = malloc(3 * n + 1), *to = clean;
    if (!clean)
        return NULL;
    for (size_t i = 0; i < n;) {
        const char *p = text + i;
        size_t length = utf8_length((const uint8_t *)p, n - i);
        memcpy(to, length ? p : "\xef\xbf\xbd", length ? length : 3);
        to += length ? length : 3;
        i += length ? length : 1;
    }
    yyjson_mut_val *value = yyjson_mut_strncpy(doc, clean, (size_t)(to - clean));
    free(clean);
    return value;
}

size_t cli_character(const char *text, size_t bytes)
{
    const uint8_t *p = (const uint8_t *)text;
    size_t n = utf8_length(p, bytes);
    bool control = n == 1 ? p[0] < 0x20 || p[0] == 0x7f : n == 2 && p[0] == 0xc2 && p[1] < 0xa0;
    return control ? 0 : n;
}

int cli_padding(const char *text, int columns)
{
    for (const uint8_t *p = (const uint8_t *)text; *p; p++) {
        bool first = (p[0] & 0xc0) != 0x80;
        bool wide = (p[0] >= 0xe3 && p[0] <= 0xed) || p[0] == 0xf0 ||
                    (p[0] == 0xef && (p[1] == 0xbc || (p[1] == 0xbd && p[2] < 0xa1)));
        columns -= first + wide;
    }
    return columns > 0 ? columns : 0;
}

void cli_json_bytes(yyjson_mut_doc *doc, yyjson_mut_val *object, const char *key, const char *text,
                    size_t bytes)
{
    yyjson_mut_obj_add(object, json_string(doc, key, strlen(key)), json_string(doc, text, bytes));
}

void cli_json_text(yyjson_mut_doc *doc, yyjson_mut_val *object, const char *key, const char *text)
{
    cli_json_bytes(doc, object, key, text, strlen(text));
}

void cli_json_fact(yyjson_mut_doc *doc, yyjson_mut_val *object, lp_fact fact)
{
    char *end;
    double number = strtod(fact.value, &end);
    size_t n = strlen(fact.value);
    yyjson_mut_val *key = json_string(doc, fact.name, strlen(fact.name)), *value;
    if (fact.is_number && !*end && isfinite(number))
        value = yyjson_mut_rawcpy(doc, fact.value); /* every digit as it is */
    else if (n >= 2 && fact.value[0] == '"' && fact.value[n - 1] == '"')
        value = json_string(doc, fact.value + 1, n - 2);
    else
        value = json_string(doc, fact.value, n);
    yyjson_mut_obj_add(object, key, value);
}

int cli_json_print(yyjson_mut_doc *doc)
{
    size_t n = 0;
    char *text = doc ? yyjson_mut_write(doc, YYJSON_WRITE_PRETTY_TWO_SPACES, &n) : NULL;
    yyjson_mut_doc_free(doc);
    if (!text) {
        cli_error("out of memory");
        return CLI_FAILED;
    }
    cli_write(text, n);
    cli_write("\n", 1);
    free(text);
    return CLI_OK;
}

int cli_json_line(const char *text, size_t bytes)
{
    yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
    yyjson_mut_val *value = doc ? json_string(doc, text, bytes) : NULL;
    char *line = value ? yyjson_mut_val_write(value, 0, NULL) : NULL;
    yyjson_mut_doc_free(doc);
    if (!line) {
        cli_error("out of memory");
        return CLI_FAILED;
    }
    puts(line);
    free(line);
    return CLI_OK;
}
