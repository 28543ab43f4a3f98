/* What the files of `lapilli chat` share. */
#ifndef LP_CLI_CHAT_H
#define LP_CLI_CHAT_H

#include "conversation.h"
#include "draft.h"
#include "job.h"
#include "sampling.h"

typedef struct cli_chat {
    cli_job job;
    cli_sampling sampling;
    cli_draft draft;
    cli_conversation conversation;
    lp_chat_template *chat_template;
    uint64_t n_answers;  /* so far */
    uint32_t max_tokens; /* of an answer; 0: until it ends */
    bool json, terminal;
    bool told_forgotten; /* that old messages are left out */
    char *answer;        /* what was written of it; malloc'ed */
    size_t n_answer, room;
    bool no_memory;
} cli_chat;

/* Computes the assistant's next message, writes it as it comes, and adds it. CLI_OK, also if it was
 * interrupted; a failure has its message. */
int cli_chat_answer(cli_chat *chat);

/* A line that begins with "/". *end: the chat ends. */
int cli_chat_command(cli_chat *chat, char *line, bool *end);
void cli_chat_help(void);

/* Ctrl-C is a wish to stop the answer from now on, not the program. */
void cli_interrupts_begin(void);
/* How often it was pressed since this was asked last. */
int cli_interrupts_take(void);
/* Whether it was, without forgetting it. */
bool cli_interrupts_pending(void);

#endif
