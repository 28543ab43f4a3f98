/* What the files of `lapilli image` share. */
#ifndef LP_CLI_IMAGE_H
#define LP_CLI_IMAGE_H

#include "cli.h"

typedef enum cli_preview {
    CLI_PREVIEW_NONE,
    CLI_PREVIEW_BLOCKS, /* half blocks in 24-bit colours: any terminal of today */
    CLI_PREVIEW_KITTY,
    CLI_PREVIEW_ITERM,
    CLI_PREVIEW_SIXEL
} cli_preview;

typedef struct cli_image_job {
    const char *model, *device;
    const char *input;  /* a picture to encode, or to begin with */
    const char *output; /* PNG; NULL: none, or the usual one */
    int verbose;
    bool quiet;

    /* An autoencoder's work. */
    const char *from_latents, *save_latents;

    /* A picture of a text. */
    lp_image_request request;
    bool has_seed, has_strength, has_guidance;
    bool asks; /* any of the options of this kind */
    uint32_t n_pictures;
    const char *mask, *filmstrip;
    const char *workaround; /* file */
    const char *attention;  /* a word of the prompt */
    cli_preview preview;

    lp_context *ctx;
    lp_devices *devices;
    size_t device_index;
    const char *device_reason;
} cli_image_job;

/* Context and device: to be called first. CLI_OK, or a message was printed. */
int cli_image_begin(cli_image_job *job);
/* "lapilli: MODEL on DEVICE (ID): REASON", unless quiet. */
void cli_image_say_device(const cli_image_job *job, const char *model);

/* Both give the exit code, with a message. */
int cli_image_code(cli_image_job *job);
int cli_image_make(cli_image_job *job);

/* Pictures that grow on a terminal (image_preview.c). The best of its ways, by its environment. */
cli_preview cli_preview_best(void);
/* "blocks", "kitty", "iterm", "sixel": false for anything else. */
bool cli_preview_parse(const char *text, cli_preview *preview);
/* Draws on stderr, in the place of the one before; *drawn: lines of the terminal that it takes, 0
 * before the first. */
void cli_preview_draw(cli_preview preview, const lp_image *image, uint32_t *drawn);

/* The picture in grey under the colours of a map [height, width], which shows its least and most
 * (image_overlay.c). */
lp_status cli_overlay_save(lp_context *ctx, const lp_image *image, const float *map, uint32_t width,
                           uint32_t height, const char *path);

/* Rows of pictures of one size, from left to right (image_filmstrip.c). */
typedef struct cli_filmstrip {
    uint32_t n_columns, n_rows, shrink; /* shrink: pixels that become one, each way */
    uint32_t width, height;             /* of a picture in it */
    uint8_t *rgb;
} cli_filmstrip; /* zero-initialise; free(rgb) */

/* Puts a picture in its place; the first one makes room for all. False when out of memory. */
bool cli_filmstrip_put(cli_filmstrip *strip, uint32_t column, uint32_t row, const lp_image *image);
/* Of the columns that there are. */
lp_status cli_filmstrip_save(const cli_filmstrip *strip, lp_context *ctx, uint32_t n_columns,
                             const char *path);

#endif
