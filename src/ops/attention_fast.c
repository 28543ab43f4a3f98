/* Attention of few rows on the `cpu` device, one after the other: online softmax over tiles of
 * keys, in float. */
#include <math.h>

#include "ops/attention.h"

#define FAST_KEYS 16

/* Elements [first, first + n) of a row of Q8_0, block by block. */
static void quants_to_floats(const uint8_t *row, uint64_t stride, uint64_t first, uint64_t n,
                             float *to)
{
    for (uint64_t i = first, end; i < first + n; i = end) {
        const float scale = lp_state_scale(row, stride, i);
        end = (i / LP_Q8_0_BLOCK + 1) * LP_Q8_0_BLOCK;
        end = end < first + n ? end : first + n;
        for (uint64_t j = i; j < end; j++)
            to[j - first] = scale * (float)(int8_t)row[j];
    }
}

const float *lp_attention_load(const lp_simd *simd, const lp_view *cache, int64_t row,
                               int64_t column, int64_t n, float *tile)
{
    uint64_t start = (uint64_t)row * cache->stride, at = start + (uint64_t)column;
    if (cache->dtype == LP_F32)
        return (const float *)cache->data + at;
    if (cache->dtype == LP_F16)
        lp_simd_to_f32(simd, LP_F16, (const uint16_t *)cache->data + at, tile, (size_t)n);
    else
        quants_to_floats((const uint8_t *)cache->data + lp_state_bytes(cache->dtype, start),
                         cache->stride, (uint64_t)column, (uint64_t)n, tile);
    return tile;
}

/* The score of key j, of s = scale q k. */
float lp_attention_score(const lp_node *node, const lp_attention_row *at, int64_t j, float s)
{
    const float softcap = node->p.attention.softcap;
    if (softcap > 0)
        s = softcap * tanhf(s / softcap);
    return s + (float)lp_attention_bias(at, j);
}

/* The next keys from `from` on that the row sees, at most FAST_KEYS. */
static int64_t next_keys(const lp_node *node, const lp_attention_row *at, int64_t from,
                         int64_t keys[FAST_KEYS])
{
    int64_t n = 0;
    for (int64_t j = from; j < at->end && n < FAST_KEYS; j++)
        if (lp_attention_sees(node, at, j))
            keys[n++] = j;
    return n;
}

/* Head `h` of token t against all of its keys. */
void lp_attention_fast_row(const lp_cpu_call *call, int64_t t, int64_t h)
{
    const lp_view *keys = &call->src[1], *values = &call->src[2];
    const lp_simd *simd = call->simd;
    const int64_t dk = keys->shape.dim[2], dv = values->shape.dim[2];
    const lp_attention_row at = lp_attention_row_of(call, t, h);
    float largest = at.sink, sum = at.sink > -INFINITY ? 1 : 0, out[LP_MAX_HEAD] = {0};
    float row[LP_MAX_HEAD];
    int64_t tile[FAST_KEYS], n;
    for (int64_t from = at.first; (n = next_keys(call->node, &at, from, tile)) > 0;
         from = tile[n - 1] + 1) {
        float p[FAST_KEYS], top = largest;
        for (int64_t j = 0; j < n; j++) {
            const float *k = lp_attention_load(simd, keys, tile[j], at.group * dk, dk, row);
            p[j] = lp_attention_score(call->node, &at, tile[j],
                                      call->node->p.attention.scale * simd->dot(at.q, k, dk));
            top = p[j] > top ? p[j] : top;
        }
        if (top > largest) {
            float shrink = expf(largest - top);
            sum *= shrink;
            for (int64_t i = 0; i < dv; i++)
                out[i] *= shrink;
            largest = top;
        }
        for (int64_t j = 0; j < n; j++) {
            float weight = expf(p[j] - largest);
            const float *v = lp_attention_load(simd, values, tile[j], at.group * dv, dv, row);
            sum += weight;
            simd->add(out, weight, v, dv);
        }
    }
    for (int64_t i = 0; i < dv; i++)
        at.y[i] = sum == 0 ? 0.0f : out[i] / sum;
}
