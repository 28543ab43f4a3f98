/* Continues a text: generate MODEL PROMPT. The whole use of the library in one page. */
#include <lapilli.h>
#include <stdio.h>
#include <string.h>

static int print(void *user, const char *text, size_t bytes)
{
    (void)user;
    return fwrite(text, 1, bytes, stdout) != bytes; /* non-zero stops */
}

int main(int argc, char **argv)
{
    if (argc != 3) {
        fprintf(stderr, "usage: %s MODEL PROMPT\n", argv[0]);
        return 2;
    }
    lp_devices *devices = NULL;
    lp_model *model = NULL;
    lp_session *session = NULL;
    lp_generation result;
    size_t device = 0;
    lp_generate_options options = {.max_tokens = 100, .on_text = print};
    lp_context *ctx = lp_context_create(NULL, NULL, LP_LOG_ERROR);
    if (!ctx)
        return 1;

    lp_status status = lp_devices_create(ctx, &devices);
    if (status == LP_OK)
        status = lp_devices_choose(devices, NULL, &device, NULL); /* the best there is */
    if (status == LP_OK)
        status = lp_model_open(ctx, argv[1], &model);
    if (status == LP_OK)
        status = lp_session_create(devices, device, model, NULL, &session);
    if (status == LP_OK)
        status = lp_session_feed_text(session, argv[2], strlen(argv[2]), LP_FEED_PROMPT);
    if (status == LP_OK)
        status = lp_session_generate(session, &options, &result);
    if (status == LP_OK)
        printf("\n(%u tokens on %s)\n", result.n_tokens, lp_devices_info(devices, device)->name);
    else
        fprintf(stderr, "%s\n", lp_context_message(ctx));

    lp_session_destroy(session);
    lp_model_destroy(model);
    lp_devices_destroy(devices);
    lp_context_destroy(ctx);
    return status == LP_OK ? 0 : 1;
}
