// The one translation unit that carries stb_image, the reader of picture files. Nothing but memory is
// read, only the formats that pictures for models come in, and memory is bounded: a small file may
// claim to be huge.
#include <stdlib.h>

enum { MOST_BYTES = 1 << 29 };

static void *bounded_realloc(void *memory, size_t bytes)
{
    return bytes > MOST_BYTES ? NULL : realloc(memory, bytes);
}

#define STBI_MALLOC(bytes)          bounded_realloc(NULL, bytes)
#define STBI_REALLOC(memory, bytes) bounded_realloc(memory, bytes)
#define STBI_FREE(memory)           free(memory)
#define STBI_MAX_DIMENSIONS         (1 << 14)
#define STBI_NO_STDIO
#define STBI_NO_LINEAR
#define STBI_NO_HDR
#define STBI_ONLY_PNG
#define STBI_ONLY_JPEG
#define STBI_ONLY_BMP
#define STBI_ONLY_PNM
#define STB_IMAGE_IMPLEMENTATION
#include <stb_image.h>
