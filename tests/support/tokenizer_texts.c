/* See tokenizer_texts.h. */
#include "support/tokenizer_texts.h"

/* A byte-level BPE that fits every fixture's 67 tokens. */
const char tokenizer_byte_level[] =
    "{\"version\":\"1.0\",\"added_tokens\":[{\"id\":0,\"content\":\"<|end|>\",\"special\":true}],"
    "\"pre_tokenizer\":{\"type\":\"ByteLevel\",\"add_prefix_space\":false,\"use_regex\":true},"
    "\"decoder\":{\"type\":\"ByteLevel\"},\"model\":{\"type\":\"BPE\",\"vocab\":{\"<|end|>\":0,"
    "\"a\":1,\"b\":2,\"t\":3,\"h\":4,\"e\":5,\"\xc4\xa0\":6,\"1\":7,\"th\":8,\"the\":9,"
    "\"\xc4\xa0the\":10},"
    "\"merges\":[\"t h\",\"th e\",\"\xc4\xa0 the\"]}}";
/* SentencePiece's BPE as tokenizer.json files hold it: merges instead of scores. */
const char tokenizer_pieces[] =
    "{\"version\":\"1.0\",\"added_tokens\":[{\"id\":0,\"content\":\"<unk>\",\"special\":true},{"
    "\"id\":1,\"content\":\"<s>\",\"special\":true},{\"id\":2,\"content\":\"</"
    "s>\",\"special\":true}],\"normalizer\":{\"type\":\"Sequence\",\"normalizers\":[{\"type\":"
    "\"Prepend\",\"prepend\":\"\xe2\x96\x81\"},{\"type\":\"Replace\",\"pattern\":{\"String\":\" "
    "\"},\"content\":\"\xe2\x96\x81\"}]},\"post_processor\":{\"type\":\"TemplateProcessing\","
    "\"single\":[{\"SpecialToken\":{\"id\":\"<s>\",\"type_id\":0}},{\"Sequence\":{\"id\":\"A\","
    "\"type_id\":0}}],\"pair\":[{\"Sequence\":{\"id\":\"A\",\"type_id\":0}},{\"Sequence\":{\"id\":"
    "\"B\",\"type_id\":1}}],\"special_tokens\":{\"<s>\":{\"id\":\"<s>\",\"ids\":[1],\"tokens\":[\"<"
    "s>\"]}}},\"model\":{\"type\":\"BPE\",\"unk_token\":\"<unk>\",\"fuse_unk\":false,\"byte_"
    "fallback\":true,\"vocab\":{\"<unk>\":0,\"<s>\":1,\"</"
    "s>\":2,\"\xe2\x96\x81\":14,\"t\":3,\"h\":4,\"e\":5,\"l\":6,\"o\":7,\"H\":8,\"he\":9,\"th\":10,"
    "\"the\":11,\"el\":12,\"\xe2\x96\x81the\":13},\"merges\":[\"h e\",\"t h\",\"t he\",\"th "
    "e\",\"e l\",\"\xe2\x96\x81 the\"]}}";

/* T5's kind: the likeliest pieces. */
const char tokenizer_unigram[] =
    "{\"version\":\"1.0\",\"added_tokens\":[{\"id\":0,\"content\":\"<pad>\",\"special\":true},{"
    "\"id\":1,"
    "\"content\":\"</"
    "s>\",\"special\":true},{\"id\":2,\"content\":\"<unk>\",\"special\":true}],\"pre_"
    "tokenizer\":{\"type\":\"Sequence\",\"pretokenizers\":[{\"type\":\"WhitespaceSplit\"},{"
    "\"type\":"
    "\"Metaspace\",\"replacement\":\"\xe2\x96\x81\",\"add_prefix_space\":true}]},\"post_"
    "processor\":{"
    "\"type\":\"TemplateProcessing\",\"single\":[{\"Sequence\":{\"id\":\"A\",\"type_id\":0}},{"
    "\"SpecialToken\":{\"id\":\"</"
    "s>\",\"type_id\":0}}],\"pair\":[{\"Sequence\":{\"id\":\"A\",\"type_id\":"
    "0}},{\"Sequence\":{\"id\":\"B\",\"type_id\":0}}],\"special_tokens\":{\"</s>\":{\"id\":\"</"
    "s>\",\"ids\":[1],\"tokens\":[\"</"
    "s>\"]}}},\"model\":{\"type\":\"Unigram\",\"unk_id\":2,\"vocab\":[["
    "\"<pad>\",0],[\"</"
    "s>\",0],[\"<unk>\",0],[\"\xe2\x96\x81\",-2],[\"t\",-3],[\"h\",-3.5],[\"e\",-2.5],"
    "[\"\xe2\x96\x81the\",-4],[\"l\",-5]]}}";
/* BERT's. */
const char tokenizer_words[] =
    "{\"version\":\"1.0\",\"added_tokens\":[{\"id\":0,\"content\":\"[PAD]\",\"special\":true},{"
    "\"id\":1,"
    "\"content\":\"[UNK]\",\"special\":true},{\"id\":2,\"content\":\"[CLS]\",\"special\":true},{"
    "\"id\":3,"
    "\"content\":\"[SEP]\",\"special\":true}],\"normalizer\":{\"type\":\"BertNormalizer\",\"clean_"
    "text\":"
    "true,\"handle_chinese_chars\":true,\"strip_accents\":null,\"lowercase\":true},\"pre_"
    "tokenizer\":{"
    "\"type\":\"BertPreTokenizer\"},\"post_processor\":{\"type\":\"TemplateProcessing\",\"single\":"
    "[{"
    "\"SpecialToken\":{\"id\":\"[CLS]\",\"type_id\":0}},{\"Sequence\":{\"id\":\"A\",\"type_id\":0}}"
    ",{"
    "\"SpecialToken\":{\"id\":\"[SEP]\",\"type_id\":0}}],\"pair\":[{\"Sequence\":{\"id\":\"A\","
    "\"type_id\":"
    "0}},{\"Sequence\":{\"id\":\"B\",\"type_id\":1}}],\"special_tokens\":{\"[CLS]\":{\"id\":\"[CLS]"
    "\","
    "\"ids\":[2],\"tokens\":[\"[CLS]\"]},\"[SEP]\":{\"id\":\"[SEP]\",\"ids\":[3],\"tokens\":[\"["
    "SEP]\"]}}}"
    ",\"model\":{\"type\":\"WordPiece\",\"unk_token\":\"[UNK]\",\"continuing_subword_prefix\":\"##"
    "\",\"max_"
    "input_chars_per_word\":100,\"vocab\":{\"[PAD]\":0,\"[UNK]\":1,\"[CLS]\":2,\"[SEP]\":3,\"t\":4,"
    "\"##h\":5,\"the\":6,\"##e\":7,\"a\":8}}}";
