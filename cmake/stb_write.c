// The one translation unit that carries stb_image_write, the writer of PNG files: into memory only.
#define STBI_WRITE_NO_STDIO
#define STB_IMAGE_WRITE_IMPLEMENTATION
#include <stb_image_write.h>
