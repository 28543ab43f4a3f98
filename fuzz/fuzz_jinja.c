// A hostile template, with a conversation, tools and options as a chat has them. It must come to an end;
// a refusal says where in one line, a text is valid UTF-8.
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "text/jinja.h"
#include "text/utf8.h"

static const char variables[] =
    "{\"bos_token\": \"<s>\", \"eos_token\": \"</s>\", \"add_generation_prompt\": true, \"messages\": ["
    "{\"role\": \"system\", \"content\": \"Be brief.\"}, {\"role\": \"user\", \"content\": \"Hi \u00e9\u65e5\"},"
    "{\"role\": \"assistant\", \"content\": \"<think>a</think>b\", \"tool_calls\": [{\"type\": \"function\","
    "\"function\": {\"name\": \"f\", \"arguments\": {\"x\": [1, 2.5, null, true]}}}]},"
    "{\"role\": \"tool\", \"content\": \"42\"}], \"tools\": [{\"type\": \"function\", \"function\": {\"name\": \"f\","
    "\"description\": \"d\", \"parameters\": {\"type\": \"object\", \"properties\": {\"x\": {\"type\": \"array\"}},"
    "\"required\": [\"x\"]}}}], \"n\": 3, \"names\": [\"b\", \"A\"]}";

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    lp_context ctx = {0};
    lp_jinja_template *template;
    char *text = NULL;
    size_t bytes = 0;
    yyjson_doc *doc = yyjson_read(variables, sizeof variables - 1, 0);
    yyjson_val *root = yyjson_doc_get_root(doc);
    if (!root)
        abort();
    lp_status status = lp_jinja_parse(&ctx, "fuzz", (const char *)data, size, &template);
    if (status == LP_OK)
        status = lp_jinja_render(&ctx, template, &root, 1, 1700000000, &text, &bytes);
    if (status == LP_OK && (!text || text[bytes] || lp_utf8_valid_bytes(text, bytes) != bytes))
        abort();
    if (status != LP_OK && (text || !ctx.message[0] || strchr(ctx.message, '\n')))
        abort();
    lp_jinja_destroy(template);
    free(text);
    yyjson_doc_free(doc);
    return 0;
}
