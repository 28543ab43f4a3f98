// A hostile SentencePiece model (protobuf), alone and as Marian's, with a text that fits the seeds.
#include <stdint.h>

#include "tokenizer_run.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char text[] =
        " Alice  was\tthe \xff 12 <extra_id_1></s>\xef\xbc\xa1\xcc\x81 \xef\xbd\x81\n";
    static const char vocab[] = "{\"</s>\":0,\"<unk>\":1,\"a\":2,\"\xe2\x96\x81\":3,\"e\":4}";
    lp_context ctx = {0};
    lp_tokenizer_file parts[LP_N_PARTS];
    for (int i = 0; i < LP_N_PARTS; i++)
        parts[i] = (lp_tokenizer_file){.path = "fuzz"};
    for (int marian = 0; marian < 2; marian++) {
        lp_tokenizer *tokenizer = NULL;
        lp_tokenizer_part part = marian ? LP_PART_SOURCE : LP_PART_PIECES;
        parts[LP_PART_PIECES].data = NULL;
        parts[part].data = (const char *)data;
        parts[part].bytes = size;
        if (marian) {
            parts[LP_PART_VOCAB_JSON].data = vocab;
            parts[LP_PART_VOCAB_JSON].bytes = sizeof vocab - 1;
        } else {
            parts[LP_PART_MODEL_CONFIG].data = "{\"model_type\":\"t5\"}";
            parts[LP_PART_MODEL_CONFIG].bytes = 19;
        }
        lp_status status = lp_tokenizer_from_parts(&ctx, "fuzz", parts, &tokenizer);
        tokenizer_run(&ctx, status, tokenizer, text, sizeof text - 1);
    }
    return 0;
}
