/* tokenizer.json of every kind, for vocabularies of at least 16 tokens. */
#ifndef LP_TEST_TOKENIZER_TEXTS_H
#define LP_TEST_TOKENIZER_TEXTS_H

extern const char tokenizer_byte_level[], tokenizer_pieces[], tokenizer_unigram[],
    tokenizer_words[];

#endif
