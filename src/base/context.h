/* The context: where failures leave their detail and where log lines go. One thread at a time. */
#ifndef LP_BASE_CONTEXT_H
#define LP_BASE_CONTEXT_H

#include "lapilli/types.h"

typedef struct lp_context lp_context;

struct lp_context {
    lp_log_fn log;
    void *log_user;
    lp_log_level level;
    char message[1024]; /* detail of the latest failure; "" after none */
};

#if defined(__GNUC__)
#define LP_PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))
#else
#define LP_PRINTF(fmt, args)
#endif

/* Stores the detail and returns `status`, so that a failure is one line: return lp_fail(...). */
lp_status lp_fail(lp_context *ctx, lp_status status, const char *format, ...) LP_PRINTF(3, 4);

/* LP_E_MEMORY with what could not be allocated. */
lp_status lp_fail_memory(lp_context *ctx, const char *what);

void lp_log(lp_context *ctx, lp_log_level level, const char *format, ...) LP_PRINTF(3, 4);

const char *lp_status_text(lp_status status);

/* Returns the status of a failed expression. */
#define LP_TRY(expression)                                                                         \
    do {                                                                                           \
        lp_status lp_try_status_ = (expression);                                                   \
        if (lp_try_status_ != LP_OK)                                                               \
            return lp_try_status_;                                                                 \
    } while (0)

/* The same in a function with `lp_status status` and a `cleanup:` label. */
#define LP_CHECK(expression)                                                                       \
    do {                                                                                           \
        status = (expression);                                                                     \
        if (status != LP_OK)                                                                       \
            goto cleanup;                                                                          \
    } while (0)

#endif
