/* Pictures on a terminal: see image.h. Half blocks need colours only; kitty's graphics protocol,
 * iTerm2's inline images and DEC's sixels show pixels. */
#define _DEFAULT_SOURCE /* ioctl */
#include <nettle/base64.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "image.h"

enum { COLUMNS = 48, ROWS = 24 }; /* cells, at most */

/* A picture that fits the terminal. */
typedef struct small {
    uint32_t width, height;
    uint8_t *rgb;
} small;

static const char *setting(const char *name)
{
    const char *value = getenv(name);
    return value ? value : "";
}

cli_preview cli_preview_best(void)
{
    const char *term = setting("TERM"), *program = setting("TERM_PROGRAM");
    if (*setting("KITTY_WINDOW_ID") || strstr(term, "kitty") || strcmp(program, "ghostty") == 0)
        return CLI_PREVIEW_KITTY;
    if (strcmp(program, "iTerm.app") == 0 || strcmp(program, "WezTerm") == 0)
        return CLI_PREVIEW_ITERM;
    if (strncmp(term, "foot", 4) == 0 || strcmp(term, "mlterm") == 0)
        return CLI_PREVIEW_SIXEL;
    return CLI_PREVIEW_BLOCKS;
}

bool cli_preview_parse(const char *text, cli_preview *preview)
{
    static const char *const names[] = {[CLI_PREVIEW_BLOCKS] = "blocks",
                                        [CLI_PREVIEW_KITTY] = "kitty",
                                        [CLI_PREVIEW_ITERM] = "iterm",
                                        [CLI_PREVIEW_SIXEL] = "sixel"};
    for (int i = CLI_PREVIEW_BLOCKS; i <= CLI_PREVIEW_SIXEL; i++)
        if (strcmp(text, names[i]) == 0) {
            *preview = (cli_preview)i;
            return true;
        }
    return false;
}

/* ---- Sizes ---------------------------------------------------------------------------------- */

/* Means of the picture's pixels; no larger than it is. */
static small shrink(const lp_image *image, uint32_t width, uint32_t height)
{
    const uint32_t w = lp_image_width(image), h = lp_image_height(image);
    const uint8_t *rgb = lp_image_rgb(image);
    small s = {width, height, malloc((size_t)width * height * 3)};
    for (uint32_t y = 0; s.rgb && y < height; y++)
        for (uint32_t x = 0; x < 3 * width; x++) {
            const uint32_t top = (uint32_t)((uint64_t)y * h / height);
            const uint32_t bottom = (uint32_t)((uint64_t)(y + 1) * h / height);
            const uint32_t left = (uint32_t)((uint64_t)(x / 3) * w / width);
            const uint32_t right = (uint32_t)((uint64_t)(x / 3 + 1) * w / width);
            uint64_t sum = 0, n = 0;
            for (uint32_t j = top; j < bottom || j == top; j++)
                for (uint32_t i = left; i < right || i == left; i++, n++)
                    sum += rgb[((size_t)j * w + i) * 3 + x % 3];
            s.rgb[(size_t)y * width * 3 + x] = (uint8_t)(sum / n);
        }
    return s;
}

/* Cells of the terminal, and pixels of a cell. */
typedef struct terminal {
    uint32_t columns, rows, cell_width, cell_height;
} terminal;

static terminal look_at_terminal(void)
{
    struct winsize size = {0};
    terminal t = {80, 24, 8, 16};
    if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 && size.ws_row > 0) {
        t.columns = size.ws_col;
        t.rows = size.ws_row;
        if (size.ws_xpixel >= size.ws_col && size.ws_ypixel >= size.ws_row) {
            t.cell_width = size.ws_xpixel / size.ws_col;
            t.cell_height = size.ws_ypixel / size.ws_row;
        }
    }
    return t;
}

/* The cells that a picture takes, in its proportions; blocks are as wide as half a cell is high. */
static void cells_of(const lp_image *image, const terminal *t, uint32_t *columns, uint32_t *rows)
{
    const double ratio =
        (double)lp_image_height(image) / lp_image_width(image) * t->cell_width / t->cell_height;
    const uint32_t most_columns = t->columns < COLUMNS ? t->columns : COLUMNS;
    const uint32_t most_rows = t->rows > ROWS + 2 ? ROWS : t->rows > 3 ? t->rows - 2 : 1;
    double width = most_columns, height = width * ratio;
    if (height > most_rows) {
        height = most_rows;
        width = height / ratio;
    }
    *columns = width < 1 ? 1 : (uint32_t)width;
    *rows = height < 1 ? 1 : (uint32_t)(height + 0.5);
}

/* ---- Ways ----------------------------------------------------------------------------------- */

static void draw_blocks(const lp_image *image, uint32_t columns, uint32_t rows)
{
    small s = shrink(image, columns, 2 * rows);
    for (uint32_t y = 0; s.rgb && y < rows; y++) {
        for (uint32_t x = 0; x < columns; x++) {
            const uint8_t *top = s.rgb + ((size_t)2 * y * columns + x) * 3,
                          *low = top + columns * 3;
            fprintf(stderr, "\033[38;2;%u;%u;%um\033[48;2;%u;%u;%um▀", top[0], top[1], top[2],
                    low[0], low[1], low[2]);
        }
        fprintf(stderr, "\033[0m\n");
    }
    free(s.rgb);
}

/* In pieces of at most 4096 characters, as kitty wants it. */
static void draw_kitty(const lp_image *image, uint32_t columns, uint32_t rows)
{
    enum { PIECE = 3072 };
    const uint8_t *rgb = lp_image_rgb(image);
    const size_t bytes = (size_t)lp_image_width(image) * lp_image_height(image) * 3;
    fprintf(stderr, "\033_Ga=d,d=i,i=7,q=2\033\\");
    for (size_t at = 0; at < bytes; at += PIECE) {
        char text[BASE64_ENCODE_RAW_LENGTH(PIECE)];
        const size_t n = bytes - at < PIECE ? bytes - at : PIECE;
        base64_encode_raw(text, n, rgb + at);
        if (at == 0)
            fprintf(stderr, "\033_Ga=T,f=24,i=7,q=2,C=1,s=%u,v=%u,c=%u,r=%u,m=%d;",
                    lp_image_width(image), lp_image_height(image), columns, rows, at + n < bytes);
        else
            fprintf(stderr, "\033_Gm=%d;", at + n < bytes);
        fprintf(stderr, "%.*s\033\\", (int)BASE64_ENCODE_RAW_LENGTH(n), text);
    }
    for (uint32_t y = 0; y < rows; y++)
        fputc('\n', stderr);
}

static void draw_iterm(const lp_image *image, uint32_t columns, uint32_t rows)
{
    uint8_t *png = NULL;
    size_t bytes = 0;
    if (lp_image_encode(image, &png, &bytes) != LP_OK)
        return;
    char *text = malloc(BASE64_ENCODE_RAW_LENGTH(bytes) + 1);
    if (text) {
        base64_encode_raw(text, bytes, png);
        fprintf(stderr, "\033]1337;File=inline=1;size=%zu;width=%u;height=%u:%.*s\a\n", bytes,
                columns, rows, (int)BASE64_ENCODE_RAW_LENGTH(bytes), text);
    }
    free(text);
    free(png);
}

/* Six lines at a time, in a palette of six levels a channel. */
static void draw_sixel(const lp_image *image, const terminal *t, uint32_t columns, uint32_t rows)
{
    enum { LEVELS = 6, COLOURS = LEVELS * LEVELS * LEVELS };
    const small s = shrink(image, columns * t->cell_width, rows * t->cell_height);
    uint8_t *colour = malloc((size_t)s.width * s.height);
    if (s.rgb && colour) {
        for (size_t i = 0; i < (size_t)s.width * s.height; i++) {
            const uint8_t *p = s.rgb + 3 * i;
            colour[i] = (uint8_t)((p[0] * 5u + 127) / 255 * 36 + (p[1] * 5u + 127) / 255 * 6 +
                                  (p[2] * 5u + 127) / 255);
        }
        fprintf(stderr, "\033P7;1q\"1;1;%u;%u", s.width, s.height);
        for (int c = 0; c < COLOURS; c++)
            fprintf(stderr, "#%d;2;%d;%d;%d", c, c / 36 * 20, c / 6 % 6 * 20, c % 6 * 20);
        for (uint32_t top = 0; top < s.height; top += 6) {
            const uint32_t lines = s.height - top < 6 ? s.height - top : 6;
            bool used[COLOURS] = {0};
            for (size_t i = 0; i < (size_t)lines * s.width; i++)
                used[colour[(size_t)top * s.width + i]] = true;
            for (int c = 0; c < COLOURS; c++) {
                if (!used[c])
                    continue;
                fprintf(stderr, "#%d", c);
                for (uint32_t x = 0; x < s.width; x++) {
                    int bits = 0;
                    for (uint32_t y = 0; y < lines; y++)
                        bits |= (colour[(size_t)(top + y) * s.width + x] == c) << y;
                    fputc(63 + bits, stderr);
                }
                fputc('$', stderr);
            }
            fputc('-', stderr);
        }
        fprintf(stderr, "\033\\\n");
    }
    free(colour);
    free(s.rgb);
}

void cli_preview_draw(cli_preview preview, const lp_image *image, uint32_t *drawn)
{
    const terminal t = look_at_terminal();
    uint32_t columns, rows;
    cells_of(image, &t, &columns, &rows);
    if (*drawn > 0)
        fprintf(stderr, "\r\033[%uA", *drawn);
    *drawn = rows;
    if (preview == CLI_PREVIEW_BLOCKS)
        draw_blocks(image, columns, rows);
    else if (preview == CLI_PREVIEW_KITTY)
        draw_kitty(image, columns, rows);
    else if (preview == CLI_PREVIEW_ITERM)
        draw_iterm(image, columns, rows);
    else if (preview == CLI_PREVIEW_SIXEL)
        draw_sixel(image, &t, columns, rows);
    fflush(stderr);
}
