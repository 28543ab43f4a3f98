/* See model_fixtures.h. */
#include "support/model_fixtures.h"

#include "support/model_files.h"

#define ROW(name, gguf, ways, has_configs, has_mutants)                                            \
    {                                                                                              \
        .folder = FIXTURE(name), .expected = FIXTURE(name "/expected.safetensors"), .twin = gguf,  \
        .n_gpu_ways = ways, .configs = has_configs, .mutants = has_mutants                         \
    }
#define FOLDER(name, ways) ROW(name, NULL, ways, true, true)
#define TWIN(name, ways)   ROW(name, FIXTURE(name ".gguf"), ways, true, true) /* and a folder */
/* Published settings only; nothing of it is changed. */
#define PLAIN(name, ways)      ROW(name, NULL, ways, false, true)
#define PLAIN_TWIN(name, ways) ROW(name, FIXTURE(name ".gguf"), ways, false, true)
/* What it computes depends on the context that a session has. */
#define BY_CONTEXT(name, ways) ROW(name, NULL, ways, true, false)
#define ENCODER(name, ways)                                                                        \
    {                                                                                              \
        .folder = FIXTURE(name), .expected = FIXTURE(name "/expected.safetensors"),                \
        .n_gpu_ways = ways, .encoder = true, .configs = true, .mutants = true                      \
    }

const model_fixture model_fixtures[] = {
    PLAIN_TWIN("gpt2", 5),
    PLAIN("gpt2-f16", 2),
    PLAIN_TWIN("llama2", 1),
    PLAIN_TWIN("llama3", 2),
    PLAIN("llama3-sharded", 0),
    PLAIN("mistral", 2),
    TWIN("gpt_neox", 2),
    FOLDER("gpt_neox-sequential", 1),
    FOLDER("gptj", 2),
    FOLDER("gpt_neo", 2),
    FOLDER("opt", 1),
    FOLDER("opt-post", 1),
    FOLDER("galactica", 1),
    TWIN("bloom", 2),
    FOLDER("bloom-176b", 1),
    TWIN("mpt", 2),
    FOLDER("mpt-storywriter", 1),
    TWIN("falcon-7b", 1),
    TWIN("falcon-40b", 2),
    FOLDER("falcon-11b", 1),
    TWIN("qwen2", 1),
    FOLDER("qwen2-window", 1),
    TWIN("qwen3", 2),
    TWIN("gemma", 1),
    TWIN("gemma2", 2),
    FOLDER("gemma3", 2),
    FOLDER("gemma3-v5", 1),
    TWIN("mixtral", 2),
    FOLDER("olmo2", 1),
    FOLDER("gpt_oss", 2),
    TWIN("gpt_oss-mxfp4", 2),
    FOLDER("deepseek_v2", 1),
    FOLDER("deepseek_v2-groups", 1),
    TWIN("deepseek_v3", 2),
    FOLDER("qwen2_moe", 1),
    FOLDER("qwen3_moe", 1),
    FOLDER("llama-linear", 0),
    BY_CONTEXT("llama-dynamic", 0),
    FOLDER("llama-yarn", 1),
    FOLDER("llama-yarn-v5", 0),
    FOLDER("glm_130b", 1),
    FOLDER("retro", 3),
    PLAIN("lstm_lm", 2),
    PLAIN("gru_lm", 2),
    FOLDER("sparse_transformer", 2),
    FOLDER("solu", 1),
    ENCODER("bert", 1),
    ENCODER("roberta", 1),
    ENCODER("xlm-roberta", 1),
    ENCODER("distilbert", 1),
    ENCODER("electra", 1),
    ENCODER("modernbert", 2),
    FOLDER("olmo", 1),
    FOLDER("phi", 1),
    FOLDER("phi3", 1),
    BY_CONTEXT("phi3-longrope", 0),
    TWIN("cohere", 1),
    FOLDER("cohere-norm", 1),
    FOLDER("gpt_bigcode", 1),
    FOLDER("starcoder2", 1),
    FOLDER("stablelm", 1),
    FOLDER("stablelm-parallel", 1),
    FOLDER("granite", 1),
    FOLDER("smollm3", 1),
    FOLDER("glm", 1),
    FOLDER("glm4", 1),
    FOLDER("chatglm", 2),
    FOLDER("chatglm2", 1),
    FOLDER("nemotron", 1),
    FOLDER("codegen", 1),
    FOLDER("persimmon", 1),
    FOLDER("llama4", 2),
};
const size_t n_model_fixtures = sizeof model_fixtures / sizeof model_fixtures[0];

const model_fixture seq2seq_fixtures[] = {
    FOLDER("t5", 3),
    FOLDER("flan-t5", 1),
    FOLDER("bart", 2),
    FOLDER("marian", 1),
    FOLDER("switch", 1),
    FOLDER("transformer", 1),
    FOLDER("transformer-torch", 1),
    PLAIN("luong", 2),
    PLAIN("luong-dot", 0),
    PLAIN("bahdanau", 2),
};
const size_t n_seq2seq_fixtures = sizeof seq2seq_fixtures / sizeof seq2seq_fixtures[0];

const model_fixture picture_fixtures[] = {
    FOLDER("vit", 2),
    FOLDER("deit", 1),
    FOLDER("clip", 2),
    FOLDER("clip-eos", 0),
    FOLDER("clip_text_model", 1),
    FOLDER("clip_vision_model", 1),
    FOLDER("clip_vision-projection", 0),
    FOLDER("vit-pooler", 1),
    FOLDER("t5encoder", 1),
    FOLDER("t5encoder-relu", 0),
};
const size_t n_picture_fixtures = sizeof picture_fixtures / sizeof picture_fixtures[0];

const model_fixture *model_fixture_at(size_t i)
{
    if (i < n_model_fixtures)
        return &model_fixtures[i];
    i -= n_model_fixtures;
    if (i < n_seq2seq_fixtures)
        return &seq2seq_fixtures[i];
    i -= n_seq2seq_fixtures;
    return i < n_picture_fixtures ? &picture_fixtures[i] : NULL;
}
