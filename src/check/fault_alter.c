/* Faults that change a node's own dispatches: constants, parameters, addresses, group counts,
 * barriers. Issues that one was modelled on are named beside it ("llama.cpp" is
 * github.com/ggml-org/llama.cpp). */
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "check/fault_site.h"
#include "params.h"

/* ---- Linear --------------------------------------------------------------------------------- */

/* Specialization constants of linear_mv and linear_mm, and bits of FLAGS: src/ops/linear.c. */
enum { L_SIZE, L_LANES, L_ROWS, L_ACT = 6, L_FLAGS = 7 };
enum { L_HAS_GATE = 2, L_HAS_RESIDUAL = 8, L_X_WHOLE = 16, L_GROUPED = 128 };

/* The last one: before it the rows of experts may be grouped. */
static lp_dispatch *linear_dispatch(const lp_fault_site *s)
{
    return &s->plan->dispatches[s->first + s->n - 1];
}

/* The last group of outputs is not started. */
bool lp_plant_tail_unwritten(const lp_fault_site *s)
{
    lp_dispatch *d = linear_dispatch(s);
    const bool grouped = (d->spec[L_FLAGS] & L_GROUPED) != 0; /* its last tile may be empty */
    uint32_t *groups = d->groups[1] > 1 && !grouped ? &d->groups[1] : &d->groups[0];
    if (*groups < 2)
        return false;
    --*groups;
    return true;
}

/* Half the real size, or, where rows are not shared among invocations, two. llama.cpp #17389 (8
 * where 32 was asked for), #25734, #15846. */
bool lp_plant_wrong_subgroup_size(const lp_fault_site *s)
{
    lp_dispatch *d = linear_dispatch(s);
    if ((d->kernel->needs & LP_NEED_SUBGROUP_ARITH) == 0 || d->groups[1] > 1)
        return false;
    if (d->spec[L_LANES] == 1) {
        d->spec[L_SIZE] = 128;
        d->spec[L_LANES] = 2;
    } else {
        d->spec[L_LANES] /= 2;
    }
    const uint32_t per_group = d->spec[L_SIZE] / d->spec[L_LANES] * d->spec[L_ROWS];
    const uint32_t n = word(d, offsetof(lp_linear_params, n_outputs));
    d->groups[0] = (n + per_group - 1) / per_group;
    return true;
}

/* Rows of x that a linear reads. */
static uint32_t rows_of_x(const lp_dispatch *d)
{
    return word(d, offsetof(lp_linear_params, n_tokens)) /
           word(d, offsetof(lp_linear_params, rows_per_x));
}

/* More than eight tokens: all rows come from the first token. llama.cpp #28648: right or garbage
 * depending on how many tokens are in the batch. */
bool lp_plant_many_tokens(const lp_fault_site *s)
{
    lp_dispatch *d = linear_dispatch(s);
    if (rows_of_x(d) <= 8)
        return false;
    set_word(d, offsetof(lp_linear_params, x_stride), 0);
    return true;
}

/* Of the last 64 elements of K only the first counts. (Rows keep their padded length.) */
bool lp_plant_k_tail(const lp_fault_site *s)
{
    lp_dispatch *d = linear_dispatch(s);
    const uint32_t k = word(d, offsetof(lp_linear_params, n_inputs)), less = (k - 1) / 64 * 64 + 1;
    if (less == k)
        return false;
    set_word(d, offsetof(lp_linear_params, n_inputs), less);
    d->spec[L_FLAGS] &= ~(uint32_t)L_X_WHOLE;
    return true;
}

/* Rows of x one element too close together. */
bool lp_plant_row_stride(const lp_fault_site *s)
{
    lp_dispatch *d = linear_dispatch(s);
    if (rows_of_x(d) < 2)
        return false;
    set_word(d, offsetof(lp_linear_params, x_stride),
             word(d, offsetof(lp_linear_params, x_stride)) - 1);
    d->spec[L_FLAGS] &= ~(uint32_t)L_X_WHOLE;
    return true;
}

/* Another type of the same size or a smaller one, so that nothing outside is read. llama.cpp
 * #10710, #16961: one quantised type wrong, the others right. */
bool lp_plant_wrong_type(const lp_fault_site *s)
{
    static const char *const pairs[][2] = {
        {"f32", "f16"}, {"f16", "bf16"}, {"bf16", "f16"}, {"q8_0", "q4_0"}};
    lp_dispatch *d = linear_dispatch(s);
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++)
        for (unsigned k = 0; k < lp_n_kernels && strcmp(d->kernel->variant, pairs[i][0]) == 0; k++)
            if (strcmp(lp_kernels[k].family, d->kernel->family) == 0 &&
                lp_kernels[k].needs == d->kernel->needs &&
                strcmp(lp_kernels[k].variant, pairs[i][1]) == 0) {
                d->kernel = &lp_kernels[k];
                return true;
            }
    return false;
}

/* The same matrix of the layer before, or of the second layer in the first. */
bool lp_plant_stale_weights(const lp_fault_site *s)
{
    const lp_store *store = s->graph->store;
    const uint32_t slot = s->graph->tensors[node_of(s)->src[1]].slot;
    const char *name = slot != LP_NONE ? store->slots[slot].name : "";
    const char *rest = strncmp(name, "blk.", 4) == 0 ? strchr(name + 4, '.') : NULL;
    for (uint32_t i = 0; i < store->n_slots && rest != NULL; i++) {
        const lp_slot *other = &store->slots[i];
        const char *tail =
            strncmp(other->name, "blk.", 4) == 0 ? strchr(other->name + 4, '.') : NULL;
        const unsigned long layer = strtoul(name + 4, NULL, 10);
        if (tail == NULL || strcmp(tail, rest) != 0 || other->kind != LP_SLOT_WEIGHT ||
            strtoul(other->name + 4, NULL, 10) != (layer > 0 ? layer - 1 : 1) ||
            other->dtype != store->slots[slot].dtype ||
            !lp_shape_equal(other->shape, store->slots[slot].shape))
            continue;
        relocation(linear_dispatch(s), offsetof(lp_linear_params, w))->buffer = LP_BUFFER_SLOT(i);
        return true;
    }
    return false;
}

bool lp_plant_wrong_activation(const lp_fault_site *s)
{
    lp_dispatch *d = linear_dispatch(s);
    if (d->spec[L_ACT] == LP_ACT_NONE)
        return false;
    d->spec[L_ACT] = d->spec[L_ACT] == LP_ACT_SILU ? LP_ACT_GELU_TANH : LP_ACT_SILU;
    return true;
}

bool lp_plant_other_gelu(const lp_fault_site *s)
{
    lp_dispatch *d = linear_dispatch(s);
    if (d->spec[L_ACT] != LP_ACT_GELU_TANH && d->spec[L_ACT] != LP_ACT_GELU_ERF)
        return false;
    d->spec[L_ACT] = d->spec[L_ACT] == LP_ACT_GELU_TANH ? LP_ACT_GELU_ERF : LP_ACT_GELU_TANH;
    return true;
}

static bool drop_flag(const lp_fault_site *s, uint32_t flag)
{
    lp_dispatch *d = linear_dispatch(s);
    const bool has = (d->spec[L_FLAGS] & flag) != 0;
    d->spec[L_FLAGS] &= ~flag;
    return has;
}

bool lp_plant_residual_lost(const lp_fault_site *s)
{
    return drop_flag(s, L_HAS_RESIDUAL);
}

bool lp_plant_gate_lost(const lp_fault_site *s)
{
    return drop_flag(s, L_HAS_GATE);
}

/* ---- Experts -------------------------------------------------------------------------------- */

bool lp_plant_expert_lost(const lp_fault_site *s)
{
    lp_dispatch *d = first_dispatch(s);
    const uint32_t k = word(d, offsetof(lp_route_params, n_slots));
    set_word(d, offsetof(lp_route_params, n_slots), k - (k > 1));
    return k > 1;
}

bool lp_plant_routes_scale(const lp_fault_site *s)
{
    set_word(first_dispatch(s), offsetof(lp_route_params, scale),
             bits_of(1.25f * node_of(s)->p.route.scale));
    return true;
}

bool lp_plant_first_routes(const lp_fault_site *s)
{
    lp_dispatch *d = linear_dispatch(s);
    if (node_of(s)->src[6] == LP_NONE || word(d, offsetof(lp_linear_params, n_tokens)) <=
                                             word(d, offsetof(lp_linear_params, n_slots)))
        return false;
    if (d->spec[L_FLAGS] & L_GROUPED) /* then the dispatch before it reads them */
        set_word(first_dispatch(s), offsetof(lp_group_rows_params, routes_stride), 0);
    else
        set_word(d, offsetof(lp_linear_params, routes_stride), 0);
    return true;
}

bool lp_plant_expert_weights(const lp_fault_site *s)
{
    lp_dispatch *d = first_dispatch(s);
    if (word(d, offsetof(lp_combine_params, n_tokens)) < 2)
        return false;
    set_word(d, offsetof(lp_combine_params, routes_stride), 0);
    return true;
}

/* ---- Norm, embedding, rotation, cache ------------------------------------------------------- */

bool lp_plant_norm_eps(const lp_fault_site *s)
{
    set_word(first_dispatch(s), offsetof(lp_norm_params, eps), 0);
    return true;
}

bool lp_plant_norm_kind(const lp_fault_site *s)
{
    first_dispatch(s)->spec[1] ^= 1;
    return true;
}

bool lp_plant_gain_lost(const lp_fault_site *s)
{
    lp_dispatch *d = first_dispatch(s);
    lp_relocation *gain = relocation(d, offsetof(lp_norm_params, gain));
    if (gain == NULL)
        return false;
    *gain = d->relocations[--d->n_relocations]; /* the address stays zero: not there */
    return true;
}

bool lp_plant_next_token(const lp_fault_site *s)
{
    lp_dispatch *d = first_dispatch(s);
    lp_relocation *history = relocation(d, offsetof(lp_embed_params, history));
    if (history == NULL)
        return false;
    history->offset += sizeof(int32_t);
    set_word(d, offsetof(lp_embed_params, n_history),
             word(d, offsetof(lp_embed_params, n_history)) - 1);
    return true;
}

bool lp_plant_rope_pairs(const lp_fault_site *s)
{
    lp_dispatch *d = first_dispatch(s);
    if (word(d, offsetof(lp_rope_params, n_rotated)) < 4)
        return false; /* one pair: both orders are the same */
    d->spec[1] ^= 1;
    return true;
}

/* One row further in the table: the next position, and in long contexts another block of 256. */
bool lp_plant_rope_position(const lp_fault_site *s)
{
    lp_dispatch *d = first_dispatch(s);
    relocation(d, offsetof(lp_rope_params, table))->offset +=
        word(d, offsetof(lp_rope_params, n_rotated)) * sizeof(float);
    set_word(d, offsetof(lp_rope_params, table_rows),
             word(d, offsetof(lp_rope_params, table_rows)) - 1);
    return true;
}

bool lp_plant_kv_off_by_one(const lp_fault_site *s)
{
    lp_dispatch *d = first_dispatch(s);
    const lp_tensor *cache = &s->graph->tensors[node_of(s)->dst[0]];
    relocation(d, offsetof(lp_kv_write_params, cache))->offset +=
        lp_state_bytes(cache->dtype, cache->stride);
    set_word(d, offsetof(lp_kv_write_params, cache_rows),
             word(d, offsetof(lp_kv_write_params, cache_rows)) - 1);
    return true;
}

bool lp_plant_kv_last_row(const lp_fault_site *s)
{
    lp_dispatch *d = first_dispatch(s);
    set_word(d, offsetof(lp_kv_write_params, n_tokens),
             word(d, offsetof(lp_kv_write_params, n_tokens)) - 1);
    return true;
}

bool lp_plant_cursor_ahead(const lp_fault_site *s)
{
    const size_t at = node_of(s)->op == LP_OP_SAMPLE ? offsetof(lp_sample_params, advance)
                                                     : offsetof(lp_advance_params, advance);
    lp_dispatch *d = first_dispatch(s);
    set_word(d, at, word(d, at) + 1);
    return true;
}

/* ---- Attention ------------------------------------------------------------------------------ */

/* All dispatches but the one that merges splits: a word of their parameters. */
static void set_attention(const lp_fault_site *s, size_t at, uint32_t value)
{
    for (uint32_t i = 0; i < s->n; i++)
        if (strcmp(first_dispatch(s)[i].kernel->family, "attention_merge") != 0)
            set_word(&first_dispatch(s)[i], at, value);
}

bool lp_plant_softmax_scale(const lp_fault_site *s)
{
    set_attention(s, offsetof(lp_attention_params, scale), bits_of(1));
    return node_of(s)->p.attention.scale != 1.0f;
}

bool lp_plant_mask_ahead(const lp_fault_site *s)
{
    set_attention(s, offsetof(lp_attention_params, mask_shift),
                  (uint32_t)(node_of(s)->p.attention.mask_shift + 1));
    return node_of(s)->p.attention.mask != LP_MASK_FULL;
}

bool lp_plant_mask_behind(const lp_fault_site *s)
{
    set_attention(s, offsetof(lp_attention_params, mask_shift),
                  (uint32_t)(node_of(s)->p.attention.mask_shift - 1));
    return node_of(s)->p.attention.mask != LP_MASK_FULL;
}

bool lp_plant_window_lost(const lp_fault_site *s)
{
    set_attention(s, offsetof(lp_attention_params, window), 0);
    return node_of(s)->p.attention.window > 0;
}

/* Two addresses mixed up. */
bool lp_plant_values_from_keys(const lp_fault_site *s)
{
    const lp_tensor *tensors = s->graph->tensors;
    if (!lp_shape_equal(tensors[node_of(s)->src[1]].shape, tensors[node_of(s)->src[2]].shape))
        return false;
    for (uint32_t i = 0; i < s->n; i++) {
        lp_dispatch *d = &first_dispatch(s)[i];
        lp_relocation *values = relocation(d, offsetof(lp_attention_params, values));
        if (strcmp(d->kernel->family, "attention_merge") != 0)
            values->buffer = relocation(d, offsetof(lp_attention_params, keys))->buffer;
    }
    return true;
}

/* The last share of the keys is not looked at: only where keys are split over workgroups. */
bool lp_plant_split_lost(const lp_fault_site *s)
{
    lp_dispatch *d = first_dispatch(s);
    if (d->groups[2] < 2)
        return false;
    d->groups[2]--;
    return true;
}

/* Takes bits out of the constant that names a kernel's extras; false if none of them is set. */
static bool drop_extras(const lp_fault_site *s, uint32_t clear)
{
    enum { A_FLAGS = 7 };
    bool changed = false;
    for (uint32_t i = 0; i < s->n; i++) {
        lp_dispatch *d = &first_dispatch(s)[i];
        if (strcmp(d->kernel->family, "attention_merge") == 0 || (d->spec[A_FLAGS] & clear) == 0)
            continue;
        d->spec[A_FLAGS] &= ~clear;
        changed = true;
    }
    return changed;
}

bool lp_plant_softcap_lost(const lp_fault_site *s)
{
    return drop_extras(s, LP_ATTENTION_SOFTCAP);
}

bool lp_plant_bias_lost(const lp_fault_site *s)
{
    return drop_extras(s, LP_ATTENTION_SLOPES | LP_ATTENTION_TABLE);
}

bool lp_plant_sinks_lost(const lp_fault_site *s)
{
    return drop_extras(s, LP_ATTENTION_SINKS);
}

bool lp_plant_mask_kind(const lp_fault_site *s)
{
    return drop_extras(s, LP_ATTENTION_MASK);
}

bool lp_plant_source_length(const lp_fault_site *s)
{
    return drop_extras(s, LP_ATTENTION_SOURCE);
}

/* ---- Faults of the whole plan ---------------------------------------------------------------- */

static bool has_all_barriers(const lp_plan *plan)
{
    for (uint32_t i = 1; i < plan->n_dispatches; i++)
        if (!plan->dispatches[i].barrier)
            return false;
    return true;
}

/* Only where the next dispatch waits again, so that the hazard is this node's and nobody else's. */
bool lp_plant_missing_barrier(const lp_fault_site *s)
{
    lp_dispatch *d = first_dispatch(s);
    const uint32_t next = s->first + 1;
    if (s->first == 0 || !d->barrier || has_all_barriers(s->plan) ||
        (next < s->plan->n_dispatches && !s->plan->dispatches[next].barrier))
        return false;
    d->barrier = false;
    return true;
}

/* Moves activation `id`, with the views of it, by `by` bytes in everything that uses it. */
static void move_activation(const lp_fault_site *s, lp_tensor_id id, uint64_t by)
{
    lp_plan *plan = s->plan;
    const lp_tensor *tensors = s->graph->tensors;
    const uint64_t from = plan->arena.tensor_offset[id];
    const uint64_t bytes = lp_tensor_extent(&tensors[id]) * sizeof(float);
    for (uint32_t i = 0; i < plan->n_dispatches; i++) {
        lp_dispatch *d = &plan->dispatches[i];
        const lp_node *node = &s->graph->nodes[d->node];
        bool uses = false;
        for (int k = 0; k < LP_MAX_SRC; k++)
            uses |= node->src[k] != LP_NONE && tensors[node->src[k]].base == id;
        for (int k = 0; k < LP_MAX_DST; k++)
            uses |= node->dst[k] != LP_NONE && tensors[node->dst[k]].base == id;
        for (uint32_t r = 0; r < d->n_relocations && uses; r++)
            if (d->relocations[r].buffer == LP_BUFFER_ARENA &&
                d->relocations[r].offset - from < bytes)
                d->relocations[r].offset += by;
        for (uint32_t r = 0; r < d->n_reads + d->n_writes && uses; r++) {
            lp_range *range = r < d->n_reads ? &d->reads[r] : &d->writes[r - d->n_reads];
            if (range->buffer == LP_BUFFER_ARENA && range->offset - from < bytes)
                range->offset += by;
        }
    }
    for (uint32_t i = 0; i < s->graph->n_tensors; i++)
        if (tensors[i].slot == LP_NONE && tensors[i].base == id)
            plan->arena.tensor_offset[i] += by;
}

/* What the node adds at its end (the residual) was computed some nodes before; the output of one in
 * between gets the same memory. */
bool lp_plant_aliased_arena(const lp_fault_site *s)
{
    const lp_node *nodes = s->graph->nodes;
    const lp_tensor *tensors = s->graph->tensors;
    if (node_of(s)->src[4] == LP_NONE)
        return false;
    const lp_tensor_id residual = tensors[node_of(s)->src[4]].base;
    if (tensors[residual].slot != LP_NONE)
        return false;
    for (uint32_t i = s->node; i-- > 0;) {
        const lp_tensor_id id = nodes[i].dst[0];
        for (int k = 0; k < LP_MAX_DST; k++)
            if (nodes[i].dst[k] == residual)
                return false; /* nothing in between fits */
        if (id == LP_NONE || tensors[id].slot != LP_NONE || tensors[id].base != id ||
            tensors[id].output ||
            lp_tensor_extent(&tensors[id]) > lp_tensor_extent(&tensors[residual]))
            continue;
        const bool full = has_all_barriers(s->plan);
        const uint64_t *offset = s->plan->arena.tensor_offset;
        move_activation(s, id, offset[residual] - offset[id]);
        lp_plan_barriers(s->plan, full);
        return true;
    }
    return false;
}
