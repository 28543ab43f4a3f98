/* lapilli: runs transformers on any GPU with a Vulkan driver, and on the CPU.
 *
 *     lp_context *ctx = lp_context_create(NULL, NULL, LP_LOG_WARN);
 *     lp_devices *devices = NULL;
 *     lp_model *model = NULL;
 *     lp_session *session = NULL;
 *     size_t device = 0;
 *     lp_status status = lp_devices_create(ctx, &devices);
 *     if (status == LP_OK)
 *         status = lp_devices_choose(devices, NULL, &device, NULL);
 *     if (status == LP_OK)
 *         status = lp_model_open(ctx, "story.gguf", &model);
 *     if (status == LP_OK)
 *         status = lp_session_create(devices, device, model, NULL, &session);
 *     if (status == LP_OK)
 *         status = lp_session_feed_text(session, "Once upon a time", 16, LP_FEED_PROMPT);
 *     if (status == LP_OK)
 *         status = lp_session_generate(session, &options, &result);
 *     if (status != LP_OK)
 *         fprintf(stderr, "%s\n", lp_context_message(ctx));
 *     lp_session_destroy(session);    (in the reverse order of creation;
 *     lp_model_destroy(model);         every destroy function accepts NULL)
 *     lp_devices_destroy(devices);
 *     lp_context_destroy(ctx);
 *
 * Whoever creates destroys. Strings that a function returns belong to the object it was asked of
 * and live as long. The library never prints, never exits and never reads the environment. A
 * context and everything made with it belong to one thread at a time; different contexts are
 * independent. examples/generate.c is a whole program.
 *
 * On the CPU, work is shared among OpenMP threads, which by default spin for a while between
 * pieces: where other programs want the cores too, set OMP_WAIT_POLICY=passive before the program
 * starts. */
#ifndef LAPILLI_H
#define LAPILLI_H

#include "lapilli/chat.h"
#include "lapilli/check.h"
#include "lapilli/doctor.h"
#include "lapilli/pictures.h"
#include "lapilli/search.h"
#include "lapilli/types.h"

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define LP_API __attribute__((visibility("default")))
#else
#define LP_API
#endif

LP_API const char *lp_version(void); /* "0.1.0" */

/* ---- Context: messages and log ------------------------------------------------------------- */

typedef struct lp_context lp_context;

/* `log` may be NULL. Lines above `level` are not made. NULL when out of memory. */
LP_API lp_context *lp_context_create(lp_log_fn log, void *user, lp_log_level level);
LP_API void lp_context_destroy(lp_context *ctx);
/* What went wrong in the latest call that failed, one line naming what and where; "" if none. */
LP_API const char *lp_context_message(const lp_context *ctx);
LP_API const char *lp_status_text(lp_status status);

/* ---- Devices ------------------------------------------------------------------------------- */

typedef struct lp_devices lp_devices;

/* Everything that `lapilli devices` prints. Zero or "" where a device does not tell. */
typedef struct lp_device_info {
    const char *id;       /* "vulkan:0", "cpu", "reference" */
    const char *name;     /* "AMD Radeon RX 7800 XT (RADV NAVI32)" */
    const char *driver;   /* name and build; "" for the CPU */
    const char *type;     /* "discrete", "integrated", "virtual", "cpu" (a driver that computes on
                             the CPU), "host" (no Vulkan), "other" */
    const char *unusable; /* "" or why it cannot be used */
    int uma, fp16, bf16, storage16, storage8, int64, int_dot;
    const char *matrix_cores;                           /* "", "KHR", "KHR, NV2" */
    uint32_t subgroup_size, subgroup_min, subgroup_max; /* invocations */
    uint64_t shared_bytes, memory_bytes;
    uint32_t api_version; /* Vulkan's packed form; 0 for the CPU */
} lp_device_info;

/* Lists all devices: those of Vulkan, then `cpu`, then `reference`. No Vulkan loader or driver is
 * no error (lp_devices_vulkan_problem() tells). */
LP_API lp_status lp_devices_create(lp_context *ctx, lp_devices **devices);
/* Only `cpu` and `reference`: no Vulkan loader and no driver is opened, so that a broken one can do
 * no harm. */
LP_API lp_status lp_devices_create_host(lp_context *ctx, lp_devices **devices);
/* The same as lp_devices_create() with the Khronos validation layer, for tests; LP_E_MISSING
 * without it. */
LP_API lp_status lp_devices_create_validated(lp_context *ctx, lp_devices **devices);
LP_API void lp_devices_destroy(lp_devices *devices);
LP_API size_t lp_devices_count(const lp_devices *devices);
LP_API const lp_device_info *lp_devices_info(const lp_devices *devices, size_t index);
/* "" or why there is no Vulkan at all. */
LP_API const char *lp_devices_vulkan_problem(const lp_devices *devices);
/* Messages of the validation layer so far. */
LP_API uint32_t lp_devices_validation_errors(const lp_devices *devices);

/* Index of a device by `selector`: an id ("vulkan:1", "vulkan" for the best Vulkan device, "cpu",
 * "reference") or a part of a name, case ignored. NULL chooses: discrete over integrated over
 * virtual GPUs, those over CPU implementations of Vulkan, those over `cpu`. *reason (may be NULL)
 * says why in half a sentence. LP_E_MISSING lists what there is; LP_E_UNSUPPORTED says why the
 * chosen one is unusable. */
LP_API lp_status lp_devices_choose(lp_devices *devices, const char *selector, size_t *index,
                                   const char **reason);

/* ---- Models -------------------------------------------------------------------------------- */

typedef struct lp_model lp_model;

/* A GGUF file, or a Hugging Face folder (config.json, tokenizer.json, model.safetensors or
 * pytorch_model.bin, or shards of one). Weights are mapped, not read. Errors name file and tensor or
 * key. */
LP_API lp_status lp_model_open(lp_context *ctx, const char *path, lp_model **model);
/* The same for who wants to know what is in it: a tokenizer that is missing or cannot be read is a
 * warning, no error. lp_model_tokenizer() then gives "none"; sessions take and give ids of tokens, and
 * whatever needs texts fails. */
LP_API lp_status lp_model_look(lp_context *ctx, const char *path, lp_model **model);
LP_API void lp_model_destroy(lp_model *model);

/* Adds a LoRA adapter (Hu et al. 2021, arXiv:2106.09685), times `scale`: a GGUF file, or a folder that
 * Hugging Face's PEFT wrote. Several add up. To be done before anything is computed with the model:
 * sessions and checks made from then on have it. The model's weights stay as they are. Errors name
 * file and tensor or key. */
LP_API lp_status lp_model_adapt(lp_model *model, const char *path, float scale);

typedef struct lp_tensor_info {
    const char *name; /* canonical (GGUF) name */
    const char *type; /* "F16", "Q8_0", also of types that cannot be run */
    int n_dims;
    int64_t dims[4]; /* row-major, outermost first */
    uint64_t bytes;
} lp_tensor_info;

LP_API const char *lp_model_architecture(const lp_model *model); /* "llama" */
/* "llama 15M F16": architecture, size, most frequent type of its matrices. */
LP_API const char *lp_model_title(const lp_model *model);
/* Most frequent type (by bytes) of the matrices. */
LP_API const char *lp_model_type(const lp_model *model);
LP_API uint64_t lp_model_parameters(const lp_model *model);
LP_API uint64_t lp_model_bytes(const lp_model *model);
LP_API uint32_t lp_model_context(const lp_model *model);    /* tokens it was trained for */
LP_API uint32_t lp_model_vocabulary(const lp_model *model); /* V */
/* Tokens that a prompt ends with, at most two, or the model cannot answer: ChatGLM-6B's "[gMASK]" and
 * what begins the answer, which its tokenizer puts behind texts. Returns how many; of other models 0. */
LP_API size_t lp_model_prompt_end(const lp_model *model, int32_t tokens[2]);
/* Hyperparameters, in the order of the computation. */
LP_API size_t lp_model_n_facts(const lp_model *model);
LP_API lp_fact lp_model_fact(const lp_model *model, size_t index);
/* The file's metadata; none for folders. Long values are cut. */
LP_API size_t lp_model_n_metadata(const lp_model *model);
LP_API lp_fact lp_model_metadata(lp_model *model, size_t index);
LP_API size_t lp_model_n_tensors(const lp_model *model);
LP_API lp_tensor_info lp_model_tensor(const lp_model *model, size_t index);
LP_API const char *lp_model_tokenizer(const lp_model *model); /* its kind, for people */

enum {
    LP_TOKENS_SPECIAL = 1, /* BOS and EOS as the model wants them */
    LP_TOKENS_PARSE = 2    /* text like "<|end|>" becomes that token */
};
/* *tokens is malloc'ed: free() it. Any bytes are accepted. */
LP_API lp_status lp_model_tokenize(const lp_model *model, const char *text, size_t bytes,
                                   unsigned flags, int32_t **tokens, size_t *n_tokens);
/* Bytes of one token; may be a part of a character. */
LP_API lp_status lp_model_detokenize(const lp_model *model, int32_t token, const char **bytes,
                                     size_t *n_bytes);
LP_API int lp_model_is_end(const lp_model *model, int32_t token);
/* The token that begins every text, or -1: the model wants none. */
LP_API int32_t lp_model_bos(const lp_model *model);

/* Whether it is an encoder-decoder: its encoder reads a source text, which its decoder answers. */
LP_API bool lp_model_reads_source(const lp_model *model);
/* Whether it writes texts: a decoder or an encoder-decoder. An encoder only reads them whole. */
LP_API bool lp_model_generates(const lp_model *model);
/* How such a model's own files want answers searched for. */
LP_API lp_search_options lp_model_search(const lp_model *model);

/* ---- Tokenizers ---------------------------------------------------------------------------- */

typedef struct lp_tokenizer lp_tokenizer;

/* What lies at a path: a GGUF file (also one that holds only a vocabulary), a Hugging Face folder,
 * or a single file of one: tokenizer.json, vocab.txt, vocab.json (with merges.txt beside it), a
 * SentencePiece model. Nothing of it is kept open. A model has its own: lp_model_tokenize(). */
LP_API lp_status lp_tokenizer_open(lp_context *ctx, const char *path, lp_tokenizer **tokenizer);
LP_API void lp_tokenizer_destroy(lp_tokenizer *tokenizer);
LP_API uint32_t lp_tokenizer_size(const lp_tokenizer *tokenizer);    /* tokens */
LP_API const char *lp_tokenizer_kind(const lp_tokenizer *tokenizer); /* for people */
LP_API lp_special_tokens lp_tokenizer_special(const lp_tokenizer *tokenizer);
/* Whether a token ends generation. */
LP_API bool lp_tokenizer_is_end(const lp_tokenizer *tokenizer, int32_t token);
/* The token that the vocabulary spells like this, or -1. */
LP_API int32_t lp_tokenizer_find(const lp_tokenizer *tokenizer, const char *text, size_t bytes);

/* flags: LP_TOKENS_SPECIAL, LP_TOKENS_PARSE. *tokens is malloc'ed. Any bytes are accepted: one that
 * is no valid UTF-8 stays that byte where the vocabulary has tokens for bytes, and is an unknown
 * character otherwise (BERT drops it). */
LP_API lp_status lp_tokenize(lp_context *ctx, const lp_tokenizer *tokenizer, const char *text,
                             size_t bytes, unsigned flags, int32_t **tokens, size_t *n_tokens);
/* Two texts in one sequence, as in "[CLS] a [SEP] b [SEP]". *segments: what the segment embedding
 * gets for each token. Both are malloc'ed. */
LP_API lp_status lp_tokenize_pair(lp_context *ctx, const lp_tokenizer *tokenizer,
                                  lp_tokenizer_text a, lp_tokenizer_text b, unsigned flags,
                                  int32_t **tokens, int32_t **segments, size_t *n_tokens);
/* The text of tokens; control tokens are left out unless `special`. *text is malloc'ed and ended by
 * NUL; it may hold NULs and broken characters. LP_E_ARG for an id out of range. */
LP_API lp_status lp_decode(lp_context *ctx, const lp_tokenizer *tokenizer, const int32_t *tokens,
                           size_t n_tokens, bool special, char **text, size_t *bytes);
/* Bytes of one token within a text; nothing for control tokens. */
LP_API lp_status lp_detokenize(lp_context *ctx, const lp_tokenizer *tokenizer, int32_t token,
                               const char **bytes, size_t *n_bytes);
/* How the vocabulary spells a token. */
LP_API lp_status lp_token_text(lp_context *ctx, const lp_tokenizer *tokenizer, int32_t token,
                               const char **text, size_t *bytes);

/* ---- Sessions ------------------------------------------------------------------------------ */

typedef struct lp_session lp_session;

/* Loads the model's weights onto a device and makes room for a context. `options` may be NULL.
 * Model and devices must outlive the session and come from one context. */
LP_API lp_status lp_session_create(lp_devices *devices, size_t device, const lp_model *model,
                                   const lp_session_options *options, lp_session **session);
LP_API void lp_session_destroy(lp_session *session);

LP_API uint32_t lp_session_n_ctx(const lp_session *session);    /* tokens that fit */
LP_API uint32_t lp_session_n_tokens(const lp_session *session); /* tokens so far */

/* Appends tokens or text; nothing is computed yet. LP_E_LIMIT when they do not fit. */
LP_API lp_status lp_session_feed(lp_session *session, const int32_t *tokens, size_t n_tokens);
enum { LP_FEED_PROMPT = 1 /* the start of a text: BOS as the model wants it; of an encoder-decoder
                             the source text, and the token that its answers start with */ };
LP_API lp_status lp_session_feed_text(lp_session *session, const char *text, size_t bytes,
                                      unsigned flags);

/* Appends a prompt for the middle of a text (arXiv:2207.14255): what is generated then belongs between
 * `prefix` and `suffix`. LP_E_UNSUPPORTED names the token that a model without this training lacks. */
enum { LP_INFILL_SUFFIX_FIRST = 1 /* the order of some models ("SPM"); others: prefix, suffix */ };
LP_API lp_status lp_session_feed_infill(lp_session *session, const char *prefix,
                                        size_t prefix_bytes, const char *suffix,
                                        size_t suffix_bytes, unsigned flags);

/* Computes all that was fed and waits. logits: [V] of the last token, or NULL. */
LP_API lp_status lp_session_eval(lp_session *session, float *logits);

/* Appends tokens, and computes of each the log-probability (natural logarithm) given all before it:
 * scores[i] of tokens[i]. Memory does not grow with n_tokens. LP_E_ARG where nothing is before the
 * first. exp(-mean) is the perplexity. */
LP_API lp_status lp_session_score(lp_session *session, const int32_t *tokens, size_t n_tokens,
                                  double *scores);

/* How tokens are drawn from now on; restarts the random counter. Without it: greedy. */
LP_API lp_status lp_session_sampling(lp_session *session, const lp_sampling *sampling);

/* Speculative decoding (Leviathan et al. 2023, arXiv:2211.17192): from now on up to `most` tokens (1 to
 * 64) are guessed before each evaluation, which then looks at all of them. `draft`: a session of a
 * smaller model with the same vocabulary, on any device, which the caller leaves alone and destroys
 * later than this one; NULL: what followed the last tokens when they came before. min_p: the draft
 * guesses no token to which it gives a lower probability; 0: any. Every token is drawn from this
 * session's logits with the random number of its place, so the text is the one that there would be
 * without guesses, up to near ties between logits that are computed for many tokens or for one; to the
 * bit if this session is `deterministic`. most 0: no guesses any more. LP_E_SHAPE names the first token
 * in which the vocabularies differ; LP_E_UNSUPPORTED: drafts of encoder-decoders, and models whose
 * experts have a capacity. */
LP_API lp_status lp_session_draft(lp_session *session, lp_session *draft, uint32_t most, float min_p);
LP_API lp_draft_summary lp_session_drafted(const lp_session *session);

/* One more token, drawn on the device. `wanted`: how many the caller may still ask for, this one
 * included; steps in flight never go beyond. LP_E_LIMIT when the context is full. */
LP_API lp_status lp_session_next(lp_session *session, uint32_t wanted, int32_t *token);

/* Text until something ends it; the session can be fed again afterwards. */
LP_API lp_status lp_session_generate(lp_session *session, const lp_generate_options *options,
                                     lp_generation *result);
LP_API const char *lp_ending_text(lp_ending ending);

/* The text that an encoder-decoder's encoder reads, with the special tokens that it wants. All tokens
 * so far are forgotten. LP_E_UNSUPPORTED for other models, LP_E_LIMIT for more tokens than the
 * context has. */
LP_API lp_status lp_session_source(lp_session *session, const int32_t *tokens, size_t n_tokens);
LP_API lp_status lp_session_source_text(lp_session *session, const char *text, size_t bytes);

/* The neighbours of chunk `chunk` (from 0) of the session's text, for a model with retrieval (RETRO):
 * `n` texts of lengths[i] tokens each, one behind the other in `tokens`, instead of those that the
 * chunk had; 0: none, and the tokens behind that chunk see none. They must be there before the last
 * token of the chunk is computed, or that and all behind it is computed again. LP_E_UNSUPPORTED for
 * other models; LP_E_ARG for more neighbours, or longer ones, than the model takes, which the message
 * names; LP_E_LIMIT for a chunk that the context does not have. */
LP_API lp_status lp_session_neighbours(lp_session *session, uint32_t chunk, const int32_t *tokens,
                                       const uint32_t *lengths, uint32_t n);

/* An answer: its tokens without those that stand at its ends, its text, and its score
 * (lapilli/search.h). */
typedef struct lp_answer {
    const int32_t *tokens;
    size_t n_tokens;
    const char *text; /* ended by NUL; may hold NULs and broken characters */
    size_t bytes;
    double score;
} lp_answer;

typedef struct lp_answers {
    size_t n; /* options->n_best, or fewer if fewer ended */
    const lp_answer *at; /* the best one first */
} lp_answers;

/* The best answers to the source text. Returns nothing that the session keeps: call it as often as
 * you like. `stop` is asked after every token (not 0: LP_E_CANCELLED); it may be NULL. */
LP_API lp_status lp_session_search(lp_session *session, const lp_search_options *options,
                                   int (*stop)(void *user), void *user, lp_answers **answers);
LP_API void lp_answers_destroy(lp_answers *answers);

/* A session's tokens [first, first + n) into tokens[n]. */
LP_API lp_status lp_session_tokens(lp_session *session, uint32_t first, uint32_t n,
                                   int32_t *tokens);

/* Writes the tokens with their keys and values, after computing what was fed: the file is whole or
 * not there. */
LP_API lp_status lp_session_save(lp_session *session, const char *path);
/* Takes over from such a file the keys and values of the longest beginning that its tokens and the
 * session's have in common, so that they need not be computed; a session without tokens takes over
 * all of the file's. *n_common: how many tokens that are. The file may come from another device and
 * from a session with another length of context; one of another model or with another type of keys
 * and values is LP_E_SHAPE, a damaged one LP_E_FORMAT. */
LP_API lp_status lp_session_load(lp_session *session, const char *path, uint32_t *n_common);

/* Forgets all tokens after the first n. */
LP_API lp_status lp_session_rewind(lp_session *session, uint32_t n_tokens);

/* Forgets tokens [first, first + n): those behind move up and are computed anew, as if the others had
 * never been there. */
LP_API lp_status lp_session_forget(lp_session *session, uint32_t first, uint32_t n);

/* What the guard (lp_session_options.guard) has looked at so far. */
LP_API lp_guard_summary lp_session_guard(const lp_session *session);

/* Bytes on the device. */
LP_API lp_memory lp_session_memory(const lp_session *session);

/* What a session would take, from its plans alone: nothing is loaded, and no device is opened. */
LP_API lp_status lp_session_plan(lp_devices *devices, size_t device, const lp_model *model,
                                 const lp_session_options *options, lp_footprint *plan);
/* Bytes: of the device's largest heap of its own memory, of the host's for `cpu` and `reference`;
 * and the most that one allocation may have (0: nobody says). */
LP_API void lp_device_limits(const lp_devices *devices, size_t device, uint64_t *memory,
                             uint64_t *allocation);

/* ---- Whole texts: their vectors, and what masked words may be --------------------------------- */

/* Elements of a text's or a picture's vector, N. */
LP_API uint32_t lp_model_embedding_length(const lp_model *model);
/* How the model's files want texts to become vectors: modules.json and what it names, and
 * sentence_bert_config.json (sentence-transformers), ARCH.pooling_type (GGUF). Where they say nothing, encoders take the mean
 * and decoders the last token, both to length 1; CLIP's
 * towers project the token that ends a text, and the one in front of a picture's patches. LP_E_UNSUPPORTED names what is not there. */
LP_API lp_status lp_model_embedding(const lp_model *model, lp_embedding *embedding);
LP_API const char *lp_pooling_text(lp_pooling pooling); /* "mean" */
/* The token that stands for a masked word, or -1. */
LP_API int32_t lp_model_mask(const lp_model *model);
/* How the model's vocabulary spells a token. */
LP_API lp_status lp_model_token_text(const lp_model *model, int32_t token, const char **text,
                                     size_t *bytes);

/* The vector [N] of a whole text, all of the first segment. Any earlier tokens of the session are
 * forgotten. Any model but an encoder-decoder will do; those that were not trained for it give
 * poor vectors. LP_E_LIMIT when the text is longer than the context, LP_E_UNSUPPORTED for
 * LP_POOLING_POOLER without a pooler, LP_E_DEVICE when the result is not finite. */
LP_API lp_status lp_session_embed(lp_session *session, const int32_t *tokens, size_t n_tokens,
                                  lp_embedding embedding, float *vector);
/* The k likeliest tokens at each of n_places positions of a whole text, the likeliest first:
 * guesses[n_places][k]; the probabilities are the softmax over the vocabulary. LP_E_UNSUPPORTED
 * unless the model is an encoder with a head for masked tokens; LP_E_ARG for a place beyond the
 * text or a k beyond the vocabulary; otherwise as lp_session_embed(). */
LP_API lp_status lp_session_fill(lp_session *session, const int32_t *tokens, size_t n_tokens,
                                 const uint32_t *places, size_t n_places, uint32_t k,
                                 lp_guess *guesses);

/* ---- Pictures ------------------------------------------------------------------------------- */

/* A PNG, JPEG, BMP or PNM file, at most 16384 pixels a side and 2^25 in all. Grey becomes RGB,
 * transparency is dropped; a photo's EXIF orientation is not heeded. LP_E_FORMAT for what is no such
 * picture, LP_E_LIMIT for one that is too large. */
LP_API lp_status lp_image_open(lp_context *ctx, const char *path, lp_image **image);
/* From memory: rgb [height, width, 3], copied. */
LP_API lp_status lp_image_create(lp_context *ctx, uint32_t width, uint32_t height,
                                 const uint8_t *rgb, lp_image **image);
LP_API void lp_image_destroy(lp_image *image);
LP_API uint32_t lp_image_width(const lp_image *image);
LP_API uint32_t lp_image_height(const lp_image *image);
/* [height, width, 3], line by line; they belong to the picture. */
LP_API const uint8_t *lp_image_rgb(const lp_image *image);
/* Writes a PNG file: whole or not at all. LP_E_IO with the system's reason. */
LP_API lp_status lp_image_save(const lp_image *image, const char *path);
/* The same with texts in UTF-8 in it (iTXt). LP_E_ARG for a name that is empty, longer than 79 bytes or no
 * printable ASCII. */
LP_API lp_status lp_image_save_texts(const lp_image *image, const lp_fact *texts, size_t n_texts,
                                     const char *path);
/* A PNG file in memory: *data is malloc'ed. */
LP_API lp_status lp_image_encode(const lp_image *image, uint8_t **data, size_t *bytes);
/* Texts that were in a PNG file, in UTF-8; at most 64, none that is compressed. What they say is the
 * file's: it may be anything. They belong to the picture. */
LP_API size_t lp_image_n_texts(const lp_image *image);
LP_API lp_fact lp_image_text(const lp_image *image, size_t index);

/* What a model reads; CLIP's reads both. Without texts it has no tokenizer. */
LP_API bool lp_model_reads_pictures(const lp_model *model);
LP_API bool lp_model_reads_texts(const lp_model *model);
/* Labels that the model tells pictures apart by; 0: it has no head that does. */
LP_API uint32_t lp_model_n_labels(const lp_model *model);
LP_API const char *lp_model_label(const lp_model *model, uint32_t index); /* "goldfish" */

/* Pictures are prepared as the folder's preprocessor_config.json (or processor_config.json) says;
 * errors name it and the key. These calls forget any tokens of the session.
 *
 * The k likeliest labels, the likeliest first: guess.token is the label's index; the probabilities are
 * the softmax over all labels. LP_E_UNSUPPORTED for a model without labels. */
LP_API lp_status lp_session_classify(lp_session *session, const lp_image *image, uint32_t k,
                                     lp_guess *guesses);
/* The vector [lp_model_embedding_length()] of a picture, by lp_model_embedding() or any other pooling
 * of its patches' vectors. With CLIP's it lies in the space of lp_session_embed()'s. */
LP_API lp_status lp_session_embed_image(lp_session *session, const lp_image *image,
                                        lp_embedding embedding, float *vector);
/* Which of n_texts texts (each ended by NUL) goes with the picture: the k likeliest; guess.token is the
 * text's index; the probabilities are the softmax of exp(logit_scale) times the cosines (Radford et al.
 * 2021, arXiv:2103.00020). LP_E_UNSUPPORTED for a model that is not CLIP's. */
LP_API lp_status lp_session_match(lp_session *session, const lp_image *image,
                                  const char *const *texts, uint32_t n_texts, uint32_t k,
                                  lp_guess *guesses);

/* ---- Autoencoders of pictures ---------------------------------------------------------------- */

/* An encoder that makes latents of a picture, the numbers that diffusion models work on, and a decoder
 * that makes a picture of latents, on a device. */
typedef struct lp_autoencoder lp_autoencoder;

/* A folder of diffusers (config.json and diffusion_pytorch_model.safetensors of an AutoencoderKL or
 * AutoencoderTiny), or of TAESD's own files (encoder.safetensors, decoder.safetensors). Weights are F32,
 * F16 or BF16; they are computed with in f32. `cache_folder`: where compiled pipelines are kept, or
 * NULL. The devices must live as long. Errors name file and key or tensor: LP_E_MISSING, LP_E_SHAPE,
 * LP_E_UNSUPPORTED; LP_E_FORMAT for a weight that is no finite number. */
LP_API lp_status lp_autoencoder_open(lp_devices *devices, size_t device, const char *folder,
                                     const char *cache_folder, lp_autoencoder **autoencoder);
LP_API void lp_autoencoder_destroy(lp_autoencoder *autoencoder);
LP_API lp_autoencoder_info lp_autoencoder_describe(const lp_autoencoder *autoencoder);
/* latents [channels, height / factor, width / factor] f32: of an AutoencoderKL the means. LP_E_ARG for a
 * picture whose sides are no multiples of the factor, LP_E_LIMIT for one with a side above 8192. */
LP_API lp_status lp_autoencoder_encode(lp_autoencoder *autoencoder, const lp_image *image,
                                       float *latents);
/* The picture, height factor x width factor, of latents [channels, height, width]; what is darker than
 * black or lighter than white is cut. */
LP_API lp_status lp_autoencoder_decode(lp_autoencoder *autoencoder, const float *latents,
                                       uint32_t height, uint32_t width, lp_image **image);
/* Latents in a file, safetensors: the tensor "latents" [1, channels, height, width], F32 when written;
 * shape: those three numbers. What is written is so whole or not at all; *latents is malloc'ed. */
LP_API lp_status lp_latents_save(lp_context *ctx, const char *path, const float *latents,
                                 const uint32_t shape[3]);
LP_API lp_status lp_latents_open(lp_context *ctx, const char *path, float **latents,
                                 uint32_t shape[3]);

/* ---- Pictures of texts (lapilli/pictures.h says what a request is) ---------------------------- */

/* A model that makes pictures of texts, on a device: a text encoder, a denoiser and an autoencoder
 * (Rombach et al. 2022, arXiv:2112.10752). */
typedef struct lp_image_generator lp_image_generator;

/* A folder of a StableDiffusionPipeline of diffusers: model_index.json, text_encoder/ (CLIP's),
 * tokenizer/, unet/ (UNet2DConditionModel), vae/ (AutoencoderKL, AutoencoderTiny), scheduler/. A safety
 * checker is not heeded. Weights are F32, F16 or BF16; they are computed with in f32. `options`
 * NULL: none. The devices must live as long. Errors name file and key or
 * tensor: LP_E_MISSING, LP_E_SHAPE for parts that do not fit each other, LP_E_UNSUPPORTED. */
LP_API lp_status lp_image_generator_open(lp_devices *devices, size_t device, const char *folder,
                                         const lp_image_generator_options *options,
                                         lp_image_generator **generator);
LP_API void lp_image_generator_destroy(lp_image_generator *generator);

LP_API lp_image_generator_info lp_image_generator_describe(const lp_image_generator *generator);

/* SHA-256 of all weights as hexadecimal digits, a NUL behind them: reads them all. */
enum { LP_IMAGE_DIGEST = 65 };
LP_API void lp_image_generator_digest(const lp_image_generator *generator,
                                           char digest[LP_IMAGE_DIGEST]);

/* Names of samplers ("ddim", "euler", …), one after the other; NULL behind the last. */
LP_API const char *lp_image_sampler(size_t index);

/* *image is to be destroyed. LP_E_ARG for sizes, steps, guidance or a sampler that cannot be, LP_E_UNSUPPORTED
 * for a sampler without Karras' steps or an initial picture without an encoder, LP_E_DEVICE if a number that
 * comes out is not finite. */
LP_API lp_status lp_image_generator_run(lp_image_generator *generator,
                                        const lp_image_request *request, lp_image **image);
/* Where a word (or several) stands among a prompt's tokens, for the first time: *first and *n. LP_E_MISSING if
 * it does not. */
LP_API lp_status lp_image_generator_find(lp_image_generator *generator, const char *prompt,
                                         const char *word, uint32_t *first, uint32_t *n);
/* The picture of a step's latents; may be called while it is being told. */
LP_API lp_status lp_image_generator_decode(lp_image_generator *generator, const float *latents,
                                           const uint32_t shape[3], lp_image **image);

/* ---- Grammars (docs/GRAMMARS.md) -------------------------------------------------------------- */

/* How far a text follows a grammar in GBNF or, if `gbnf` is NULL, a JSON schema: text[*n_matched] is the
 * first byte with which no text of it goes on (`bytes` if there is none); *complete: all of the text is
 * one. With no bytes: whether the grammar can be used. LP_E_FORMAT, LP_E_LIMIT, LP_E_UNSUPPORTED name
 * its mistake by line and column, or by JSON pointer; LP_E_LIMIT also for texts that are too long for one
 * that is very ambiguous. */
LP_API lp_status lp_grammar_match(lp_context *ctx, const char *gbnf, const char *json_schema,
                                  const char *text, size_t bytes, size_t *n_matched,
                                  bool *complete);
/* The grammar that a JSON schema becomes, in GBNF. free(*gbnf). Errors as above. */
LP_API lp_status lp_grammar_from_schema(lp_context *ctx, const char *json_schema, char **gbnf);

/* ---- Chats (lapilli/chat.h says what a template is) ------------------------------------------- */

typedef struct lp_chat_template lp_chat_template;

/* The template in a model's file or folder; `name` NULL: the usual one (some files have others, for
 * tools or documents). LP_E_MISSING if there is none; LP_E_FORMAT, LP_E_UNSUPPORTED, with line and
 * column, for one that cannot be used. */
LP_API lp_status lp_chat_template_open(lp_context *ctx, const lp_model *model, const char *name,
                                       lp_chat_template **chat_template);
/* A template from its text; `where` names it in errors. */
LP_API lp_status lp_chat_template_parse(lp_context *ctx, const char *where, const char *source,
                                        size_t bytes, lp_chat_template **chat_template);
/* One that comes with the library: "chatml", "llama3", ... LP_E_MISSING lists them. */
LP_API lp_status lp_chat_template_builtin(lp_context *ctx, const char *name,
                                          lp_chat_template **chat_template);
LP_API size_t lp_n_chat_templates(void);
/* name: "llama3", value: for which models it is. */
LP_API lp_fact lp_chat_template_info(size_t index);
LP_API void lp_chat_template_destroy(lp_chat_template *chat_template);
LP_API const char *lp_chat_template_source(const lp_chat_template *chat_template);

/* The text that the template makes of a conversation; malloc'ed and ended by NUL. `model` gives the
 * spelling of special tokens (bos_token, eos_token, ...); NULL: the template finds none. LP_E_ARG for
 * messages that are no such JSON, or that the template refuses (in its own words); LP_E_LIMIT for a
 * template that does not come to an end. */
LP_API lp_status lp_chat_render(lp_context *ctx, const lp_chat_template *chat_template,
                                const lp_model *model, const lp_chat_options *options, char **text,
                                size_t *bytes);
/* Its tokens, malloc'ed: text like "<|im_end|>" becomes that token, also within messages; where the
 * model wants a token at the start of every text, it stands there once, whether the template has
 * written it or not. */
LP_API lp_status lp_chat_tokenize(const lp_model *model, const char *text, size_t bytes,
                                  int32_t **tokens, size_t *n_tokens);

/* ---- Checks (lapilli/check.h says what they do) ---------------------------------------------- */

/* Compares two devices of the list on a model. A device that computes wrongly is no failure:
 * report->agrees and ->sentence tell. Fails when the check could not be made (LP_E_CANCELLED if
 * progress asked to stop). */
LP_API lp_status lp_check(lp_devices *devices, size_t device, size_t against, const lp_model *model,
                          const lp_check_options *options, lp_report **report);
/* The same of a model that makes pictures, in a folder as of lp_image_generator_open(). Passes: the text
 * encoder on the prompt; the denoiser at the first, the middle and the last step, with the latents that
 * the other device comes to; the decoder on the last ones. Besides, both devices make the whole picture
 * by themselves: report->trajectory. Of the request, init and mask are not supported, progress is not
 * called; of the options, tokens, image, context, cache and int8 do not matter. */
LP_API lp_status lp_check_image(lp_devices *devices, size_t device, size_t against,
                                const char *folder, const lp_image_request *request,
                                const lp_check_options *options, lp_report **report);
/* Runs the node again that a check wrote to options->repro_folder, `n_runs` times, on a device of
 * the list with Vulkan. The report has one pass with one node. Kernels of a repro are programs: run
 * only those whose source you trust. */
LP_API lp_status lp_check_repro(lp_devices *devices, size_t device, const char *folder,
                                uint32_t n_runs, lp_report **report);
LP_API void lp_report_destroy(lp_report *report);
LP_API const char *lp_finding_text(lp_finding finding);
/* Faults that lp_session_options.plant and lp_check_options.plant can name, as NAME or NAME@NODE:
 * one node becomes wrong on purpose, to see that checks find it. None in ordinary builds; they are
 * there with -DLAPILLI_FAULTS=ON. */
LP_API size_t lp_n_faults(void);
LP_API const char *lp_fault_name(size_t index);
LP_API const char *lp_fault_text(size_t index);
/* The whole report, malloc'ed: as JSON; as one self-contained HTML page. */
LP_API lp_status lp_report_json(lp_context *ctx, const lp_report *report, char **json);
LP_API lp_status lp_report_html(lp_context *ctx, const lp_report *report, char **html);
/* What a check with lp_check_options.digests computed, as JSON that is the same to the byte
 * wherever the bits are the same and the device has the same names: digests of model, tokens,
 * kernels and every result. Malloc'ed. */
LP_API lp_status lp_certificate(lp_context *ctx, const lp_report *report, char **json);
/* Compares two certificates, in a table for people (malloc'ed); the names head its columns. *same:
 * every result has the same bits. LP_E_FORMAT, naming certificate and place, if one cannot be read.
 */
LP_API lp_status lp_certificate_diff(lp_context *ctx, const char *name_a, const char *text_a,
                                     const char *name_b, const char *text_b, int *same,
                                     char **text);

/* ---- Doctor (lapilli/doctor.h says what it does) --------------------------------------------- */

/* Examines one device of the list. `model` is compared, too: the one that ships; NULL: none. A
 * device that computes wrongly, or cannot be used, is no failure: (*diagnosis)->health tells. */
LP_API lp_status lp_doctor(lp_devices *devices, size_t device, const lp_model *model,
                           const lp_doctor_options *options, lp_diagnosis **diagnosis);
LP_API void lp_diagnosis_destroy(lp_diagnosis *diagnosis);
LP_API const char *lp_health_text(lp_health health); /* "good" */
/* Removes what doctor remembers of a device. *forgotten: whether there was anything. */
LP_API lp_status lp_doctor_forget(lp_devices *devices, size_t device, const char *cache_folder,
                                  int *forgotten);

/* ---- Synthetic models ---------------------------------------------------------------------- */

/* Writes a GGUF file of a known shape with random weights of sane scale and a tokenizer, for
 * benchmarks and bug reports without a download. type: any but LP_I32. LP_E_MISSING lists the shapes.
 * `shape` may also be a config.json, or a folder with one: any that lp_model_open() understands, except
 * models that read pictures. `path` is then a GGUF file if it ends in ".gguf", else a folder to be made,
 * with model.safetensors in F32, F16 or BF16 and the tokenizer that stands beside config.json. */
LP_API lp_status lp_synth(lp_context *ctx, const char *shape, lp_dtype type, uint64_t seed,
                          const char *path, lp_progress_fn progress, void *user);
LP_API size_t lp_synth_n_shapes(void);
/* name: "llama-15m", value: "dim 288, 6 layers, …". */
LP_API lp_fact lp_synth_shape(size_t index);
/* Writes a GGUF file from what lp_model_open() reads: names, layouts and metadata are those that
 * llama.cpp knows, the tokenizer goes along. Which matrices take options->type: all but routers,
 * positions and segments; the head gets Q8_0 with blocks of 32 and Q6_K with blocks of 256, with MXFP4
 * and experts all but their matrices get Q8_0; rows that are no multiple of 256 get a type with blocks of
 * 32, or F16. docs/FORMATS.md has the types; plain ones, Q8_0 and Q4_0 are llama.cpp's blocks, bit for
 * bit; those with searched scales are closer. A GGUF file's other metadata is kept; of it only tensor
 * types that are known are needed, not the architecture. The file appears when it is complete.
 * LP_E_UNSUPPORTED: GGUF has no way to say what the model needs; LP_E_ARG: quantised already, and
 * options->allow_requantize is not set. `result` may be NULL. */
LP_API lp_status lp_convert(lp_context *ctx, const char *from, const char *to,
                            const lp_convert_options *options, lp_convert_result *result);
/* Type by name, case ignored; LP_N_DTYPES if there is none. */
LP_API lp_dtype lp_dtype_by_name(const char *name);

#ifdef __cplusplus
}
#endif
#endif
