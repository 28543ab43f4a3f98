/* Follows a grammar byte by byte: what may come next, and whether the text may end.
 *
 * A state is the set of all stacks that a pushdown automaton for the grammar could have after the
 * text so far. Stacks that agree in their top share it, and what lies below is a state again (a
 * graph-structured stack: Tomita 1985; Scott and Johnstone 2010, "GLL parsing"): so ambiguity costs
 * no more than its merged graph. States are kept once each, by number; equal states have equal
 * numbers, so transitions, and what others derive from a state, can be remembered. */
#ifndef LP_TEXT_RECOGNIZER_H
#define LP_TEXT_RECOGNIZER_H

#include "text/grammar.h"

typedef struct lp_recognizer lp_recognizer;

/* A state's number; 0: no text of the grammar begins like this. Every other state can be finished:
 * a grammar's rules all have finite texts. */
typedef uint32_t lp_grammar_state;
#define LP_GRAMMAR_DEAD 0u

/* The deepest nesting that is followed, in rules that are not at their end; deeper is as good as
 * not in the grammar. */
#define LP_GRAMMAR_MAX_DEPTH 1000u

/* `grammar` must outlive it. */
lp_status lp_recognizer_create(lp_context *ctx, const lp_grammar *grammar, lp_recognizer **result);
void lp_recognizer_destroy(lp_recognizer *recognizer);

/* Before the first byte. */
lp_grammar_state lp_recognizer_start(const lp_recognizer *recognizer);

/* The state behind one more byte; from a dead state a dead one. LP_E_LIMIT when the grammar is so
 * ambiguous that states take too much memory or, since lp_recognizer_begin(), too long. */
lp_status lp_recognizer_step(lp_recognizer *recognizer, lp_grammar_state from, uint8_t byte,
                             lp_grammar_state *to);

/* Whether the text may end here, and whether it may go on. */
bool lp_recognizer_may_end(const lp_recognizer *recognizer, lp_grammar_state of);
bool lp_recognizer_may_go_on(const lp_recognizer *recognizer, lp_grammar_state of);

/* The start of a piece of work, which has a limit. When there are many states, *forgot: all but the
 * start are forgotten, and numbers from before mean nothing any more. */
lp_status lp_recognizer_begin(lp_recognizer *recognizer, bool *forgot);

#endif
