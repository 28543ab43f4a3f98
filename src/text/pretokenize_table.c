/* The named pre-tokenizers: one row each. The patterns are the ones that the models' authors
 * published (GPT-2's encoder.py, Llama 3's tokenizer.py, the tokenizer.json files of the others).
 *
 * "\s+(?!\S)" leaves the last of several spaces to the word behind it. Where a pattern has no final
 * "\s+", what is left over becomes a piece anyway. */
#include "text/pretokenize.h"

#include <string.h>

#define GPT2          "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+"
#define SHORT         "(?i:'s|'t|'re|'ve|'m|'ll|'d)" /* English short forms, in any case */
#define TAIL          "|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"
#define UPPER         "[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]"
#define LOWER         "[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]"
#define OTHER         "[^\\r\\n\\p{L}\\p{N}]?"
#define LLAMA3        SHORT "|" OTHER "\\p{L}+|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*" TAIL
#define QWEN2         SHORT "|" OTHER "\\p{L}+|\\p{N}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*" TAIL
#define CASED(SUFFIX) OTHER UPPER "*" LOWER "+" SUFFIX "|" OTHER UPPER "+" LOWER "*" SUFFIX
#define SYMBOLS       "| ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*" TAIL

/* Letters that have case, as of the Unicode version that DeepSeek's tokenizer was trained with. */
#define DEEPSEEK_LETTERS                                                                           \
    "[A-Za-z\\x{B5}\\x{C0}-\\x{D6}\\x{D8}-\\x{F6}\\x{F8}-\\x{1BA}\\x{1BC}-\\x{1BF}"                \
    "\\x{1C4}-\\x{293}\\x{295}-\\x{2AF}\\x{370}-\\x{373}\\x{376}\\x{377}\\x{37B}-\\x{37D}"         \
    "\\x{37F}\\x{386}\\x{388}-\\x{38A}\\x{38C}\\x{38E}-\\x{3A1}\\x{3A3}-\\x{3F5}"                  \
    "\\x{3F7}-\\x{481}\\x{48A}-\\x{52F}\\x{531}-\\x{556}\\x{10A0}-\\x{10C5}\\x{13A0}-\\x{13F5}"    \
    "\\x{13F8}-\\x{13FD}\\x{1C90}-\\x{1CBA}\\x{1CBD}-\\x{1CBF}\\x{1D00}-\\x{1D2B}"                 \
    "\\x{1D6B}-\\x{1D77}\\x{1D79}-\\x{1D9A}\\x{1E00}-\\x{1F15}\\x{1F18}-\\x{1F1D}"                 \
    "\\x{1F20}-\\x{1F45}\\x{1F48}-\\x{1F4D}\\x{1F50}-\\x{1F57}\\x{1F59}\\x{1F5B}\\x{1F5D}"         \
    "\\x{1F5F}-\\x{1F7D}\\x{1F80}-\\x{1FB4}\\x{1FB6}-\\x{1FBC}\\x{1FBE}\\x{1FC2}-\\x{1FC4}"        \
    "\\x{1FC6}-\\x{1FCC}\\x{1FD0}-\\x{1FD3}\\x{1FD6}-\\x{1FDB}\\x{1FE0}-\\x{1FEC}"                 \
    "\\x{1FF2}-\\x{1FF4}\\x{1FF6}-\\x{1FFC}\\x{2102}\\x{2107}\\x{210A}-\\x{2113}\\x{2115}"         \
    "\\x{2119}-\\x{211D}\\x{2124}\\x{2126}\\x{2128}\\x{212A}-\\x{212D}\\x{212F}-\\x{2134}\\x{"     \
    "2139}"                                                                                        \
    "\\x{213C}-\\x{213F}\\x{2145}-\\x{2149}\\x{214E}\\x{2183}\\x{2184}\\x{2C00}-\\x{2C7B}"         \
    "\\x{2C7E}-\\x{2CE4}\\x{2CEB}-\\x{2CEE}\\x{2CF2}\\x{2CF3}\\x{A640}-\\x{A66D}"                  \
    "\\x{A680}-\\x{A69B}\\x{A722}-\\x{A76F}\\x{A771}-\\x{A787}\\x{A78B}-\\x{A78E}"                 \
    "\\x{AB70}-\\x{ABBF}\\x{FB00}-\\x{FB06}\\x{FB13}-\\x{FB17}\\x{FF21}-\\x{FF3A}"                 \
    "\\x{FF41}-\\x{FF5A}\\x{10400}-\\x{1044F}\\x{104B0}-\\x{104D3}\\x{104D8}-\\x{104FB}"           \
    "\\x{10C80}-\\x{10CB2}\\x{10CC0}-\\x{10CF2}\\x{118A0}-\\x{118DF}\\x{1E900}-\\x{1E943}]"

#define CJK "[\\x{4E00}-\\x{9FA5}\\x{800}-\\x{4E00}\\x{AC00}-\\x{D7FF}]+"

const char lp_pattern_gpt2[] = GPT2;

#define HAN_CASED(FIRST, SECOND)                                                                   \
    OTHER "[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}&&[^\\p{Han}]]" FIRST                                \
          "[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}&&[^\\p{Han}]]" SECOND SHORT "?"
#define DIGITS_GPT2 "\\p{N}", GPT2
#define BLOOM       " ?[^(\\s|.,!?\\x{2026}\\x{3002}\\x{FF0C}\\x{3001}\\x{964}\\x{6D4}\\x{60C})]+"
#define KANA        "[\\x{4E00}-\\x{9FA5}\\x{3040}-\\x{309F}\\x{30A0}-\\x{30FF}]+"
#define SIGNS       "[!\"#$%&'()*+,\\-./:;<=>?@\\[\\\\\\]^_`{|}~][A-Za-z]+"
#define DEEPSEEK3                                                                                  \
    SIGNS "|[^\\r\\n\\p{L}\\p{P}\\p{S}]?[\\p{L}\\p{M}]+| ?[\\p{P}\\p{S}]+[\\r\\n]*" TAIL

static const lp_pretokenizer table[] = {
    {.names = "gpt-2 phi-2 mpt olmo jais trillion gigachat jina-es jina-de jina-v2-es jina-v2-de "
              "a.x-4.0 mellum modern-bert exaone4 granite-docling",
     .patterns = {GPT2}},
    {.names = "roberta-bpe jina-v1-en jina-v2-code", .add_sep = true, .patterns = {GPT2}},
    {.names = "llama-bpe llama3 llama-v3 falcon3 falcon-h1 pixtral midm-2.0 lfm2 jina-v5-nano",
     .ignore_merges = true,
     .add_bos = true,
     .patterns = {LLAMA3}},
    {.names = "smaug-bpe dbrx glm4 chatglm-bpe", .patterns = {LLAMA3}},
    {.names = "jais-2",
     .patterns = {SHORT "|" OTHER "\\p{L}+|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+"
                        "|\\s{512}(?!\\S)|\\s{256}(?!\\S)|\\s{128}(?!\\S)|\\s{64}(?!\\S)"
                        "|\\s{32}(?!\\S)|\\s{16}(?!\\S)|\\s{8}(?!\\S)|\\s{4}(?!\\S)"
                        "|\\s{1,2}(?!\\S)|\\s"}},
    {.names = "qwen2 stablelm2 megrez deepseek-r1-qwen hunyuan kormo f2llmv2 solar-open grok-2",
     .patterns = {QWEN2}},
    {.names = "qwen35",
     .patterns = {SHORT "|" OTHER
                        "[\\p{L}\\p{M}]+|\\p{N}| ?[^\\s\\p{L}\\p{M}\\p{N}]+[\\r\\n]*" TAIL}},
    {.names = "seed-coder",
     .patterns = {SHORT "|" OTHER "\\p{L}+|\\p{N}| ?[^\\s\\p{L}\\p{N}\\r\\n]+" TAIL}},
    {.names = "bailingmoe bailingmoe2 llada-moe",
     .patterns = {"'(?i:[sdmt]|ll|ve|re)|[^\\r\\n\\p{L}\\p{N}]?+\\p{L}+|\\p{N}"
                  "| ?[^\\s\\p{L}\\p{N}]++[\\r\\n]*|\\s*[\\r\\n]|\\s+(?!\\S)|\\s+"}},
    {.names = "exaone-moe",
     .patterns = {SHORT "|" OTHER "(?:\\p{L}\\p{M}*(?: \\p{L}\\p{M}*)*)+|\\p{N}"
                        "| ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]?|\\s*[\\r\\n]|\\s+(?!\\S)|\\s+"}},
    {.names = "default", .patterns = {"[\\p{P}$+<=>^~|]+", GPT2, "\\p{N}+", "[0-9][0-9][0-9]"}},
    {.names = "falcon", .patterns = {"[\\p{P}$+<=>^~|`]+", GPT2, "[0-9][0-9][0-9]"}},
    {.names = "starcoder refact command-r smollm codeshell exaone minerva-7b mellum2",
     .patterns = {DIGITS_GPT2}},
    {.names = "chameleon",
     .add_bos = true,
     .patterns = {"<sentinel:[0-9]+>", "(IMGIMG)((A|B|C|D|E|F|G|H|I){1,4})Z", "([\\t\\n]|    |  )",
                  "\\p{N}", "[\\p{P}!-/:-@\\[-`{-~]", GPT2}},
    {.names = "bloom poro-chat gpt3-finnish", .patterns = {BLOOM}},
    {.names = "viking", .patterns = {BLOOM, "\\p{N}"}},
    {.names = "deepseek-llm",
     .patterns =
         {"[\\r\\n]", "\\s?" DEEPSEEK_LETTERS "+",
          "\\s?[!-/:-~\\x{FF01}-\\x{FF0F}\\x{FF1A}-\\x{FF5E}\\x{2018}-\\x{201F}"
          "\\x{3000}-\\x{3002}]+",
          /* published as "\s+$"; starting only where a run of spaces starts keeps it linear */
          "(?<!\\s)\\s+$", CJK, "\\p{N}+"}},
    {.names = "deepseek-coder",
     .patterns = {"[\\r\\n]", "\\s?\\p{L}+", "\\s?\\p{P}+", CJK, "\\p{N}"}},
    {.names = "deepseek-v3 hunyuan-dense joyai-llm", .patterns = {"\\p{N}{1,3}", KANA, DEEPSEEK3}},
    {.names = "tekken",
     .ignore_merges = true,
     .add_bos = true,
     .patterns = {CASED("") "|\\p{N}" SYMBOLS}},
    {.names = "gpt-4o llama4 kanana2 talkie minimax-m2",
     .patterns = {CASED(SHORT "?") "|\\p{N}{1,3}" SYMBOLS}},
    {.names = "tiny_aya cohere2moe",
     .patterns = {"\\d{1,3}(?=(?:\\d{3})*\\b)", CASED(SHORT "?") "|\\p{N}{1,3}" SYMBOLS}},
    {.names = "kimi-k2",
     .patterns = {"[\\p{Han}]+|" HAN_CASED("*", "+") "|" HAN_CASED(
         "+", "*") "|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*" TAIL}},
    {.names = "minicpm5",
     .ignore_merges = true,
     .patterns = {"\\p{N}{1,3}",
                  SHORT "|" OTHER "\\p{L}+|\\p{N}+| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*" TAIL}},
};

const lp_pretokenizer *lp_pretokenizer_at(size_t i)
{
    return i < sizeof table / sizeof table[0] ? &table[i] : NULL;
}

bool lp_pretokenizer_is(const lp_pretokenizer *row, const char *name, size_t bytes)
{
    for (const char *at = row->names; *at;) {
        size_t length = strcspn(at, " ");
        if (length == bytes && memcmp(at, name, bytes) == 0)
            return true;
        at += length;
        at += *at == ' ';
    }
    return false;
}

const lp_pretokenizer *lp_pretokenizer_find(const char *name, size_t bytes)
{
    const lp_pretokenizer *row;
    for (size_t i = 0; (row = lp_pretokenizer_at(i)); i++)
        if (lp_pretokenizer_is(row, name, bytes))
            return row;
    return NULL;
}

lp_status lp_pretokenizer_add(lp_context *ctx, const lp_pretokenizer *row, lp_splitter *splitter)
{
    for (size_t i = 0; i < LP_MAX_PATTERNS && row->patterns[i]; i++)
        LP_TRY(lp_splitter_add(ctx, splitter, "pre-tokenizer", row->patterns[i],
                               strlen(row->patterns[i]), LP_SPLIT_ISOLATED, false));
    return LP_OK;
}
