/* lapilli inspect: what is in a model's file, and what a picture says of how it was made. */
#include <string.h>

#include "texts.h"

/* "[768, 2304]" into text[96]. */
static const char *shape_text(const lp_tensor_info *t, char text[96])
{
    size_t at = (size_t)snprintf(text, 96, "[");
    for (int i = 0; i < t->n_dims; i++)
        at += (size_t)snprintf(text + at, 96 - at, "%s%lld", i ? ", " : "", (long long)t->dims[i]);
    snprintf(text + at, 96 - at, "]");
    return text;
}

/* Keys come from files: whatever is no printable ASCII could upset a terminal. */
static const char *key_text(const char *key, char text[256])
{
    size_t n = 0;
    for (; key[n] && n < 255; n++)
        text[n] = key[n] >= ' ' && key[n] <= '~' ? key[n] : '?';
    text[n] = '\0';
    return text;
}

static int print_json(lp_model *model, const char *path)
{
    yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
    yyjson_mut_val *root = yyjson_mut_obj(doc), *list = yyjson_mut_arr(doc);
    yyjson_mut_doc_set_root(doc, root);
    cli_json_text(doc, root, "file", path);
    cli_json_text(doc, root, "title", lp_model_title(model));
    cli_json_text(doc, root, "architecture", lp_model_architecture(model));
    yyjson_mut_val *facts = yyjson_mut_obj_add_obj(doc, root, "hyperparameters");
    for (size_t i = 0; i < lp_model_n_facts(model); i++)
        cli_json_fact(doc, facts, lp_model_fact(model, i));
    cli_json_text(doc, root, "tokenizer", lp_model_tokenizer(model));
    yyjson_mut_obj_add_uint(doc, root, "parameters", lp_model_parameters(model));
    yyjson_mut_obj_add_uint(doc, root, "bytes", lp_model_bytes(model));
    yyjson_mut_val *metadata = yyjson_mut_obj_add_obj(doc, root, "metadata");
    for (size_t i = 0; i < lp_model_n_metadata(model); i++)
        cli_json_fact(doc, metadata, lp_model_metadata(model, i));
    for (size_t i = 0; i < lp_model_n_tensors(model); i++) {
        lp_tensor_info t = lp_model_tensor(model, i);
        yyjson_mut_val *row = yyjson_mut_arr_add_obj(doc, list);
        cli_json_text(doc, row, "name", t.name);
        cli_json_text(doc, row, "type", t.type);
        yyjson_mut_val *dims = yyjson_mut_obj_add_arr(doc, row, "shape");
        for (int d = 0; d < t.n_dims; d++)
            yyjson_mut_arr_add_int(doc, dims, t.dims[d]);
        yyjson_mut_obj_add_uint(doc, row, "bytes", t.bytes);
    }
    yyjson_mut_obj_add_val(doc, root, "tensors", list);
    return cli_json_print(doc);
}

static int print_text(lp_model *model, bool metadata)
{
    char a[27], b[16], shape[96], key[256];
    printf("%s\n\n", lp_model_title(model));
    for (size_t i = 0; i < lp_model_n_facts(model); i++) {
        lp_fact fact = lp_model_fact(model, i);
        printf("%-28s %s\n", fact.name, fact.value);
    }
    printf("%-28s %s\n", "tokenizer", lp_model_tokenizer(model));
    if (metadata) {
        printf("\nmetadata\n");
        for (size_t i = 0; i < lp_model_n_metadata(model); i++) {
            lp_fact fact = lp_model_metadata(model, i);
            printf("  %-40s %s\n", key_text(fact.name, key), fact.value);
        }
    }
    printf("\ntensors\n");
    for (size_t i = 0; i < lp_model_n_tensors(model); i++) {
        lp_tensor_info t = lp_model_tensor(model, i);
        printf("  %-32s %-6s %-18s %15s\n", t.name, t.type, shape_text(&t, shape),
               cli_count(t.bytes, a));
    }
    printf("\n%s tensors", cli_count(lp_model_n_tensors(model), a));
    printf(", %s parameters", cli_count(lp_model_parameters(model), a));
    printf(", %s bytes (%s)\n", cli_count(lp_model_bytes(model), a),
           cli_bytes(lp_model_bytes(model), b));
    return CLI_OK;
}

/* ---- Pictures ------------------------------------------------------------------------------ */

static bool is_png(const char *path)
{
    static const unsigned char wanted[8] = {0x89, 'P', 'N', 'G', '\r', '\n', 0x1A, '\n'};
    unsigned char got[8];
    FILE *file = fopen(path, "rb");
    const bool is = file && fread(got, 1, 8, file) == 8 && memcmp(got, wanted, 8) == 0;
    if (file)
        fclose(file);
    return is;
}

static int print_picture_json(const lp_image *image, const char *path)
{
    yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
    yyjson_mut_val *root = yyjson_mut_obj(doc);
    yyjson_mut_doc_set_root(doc, root);
    cli_json_text(doc, root, "file", path);
    yyjson_mut_obj_add_uint(doc, root, "width", lp_image_width(image));
    yyjson_mut_obj_add_uint(doc, root, "height", lp_image_height(image));
    yyjson_mut_val *texts = yyjson_mut_obj_add_obj(doc, root, "texts");
    for (size_t i = 0; i < lp_image_n_texts(image); i++)
        cli_json_fact(doc, texts, lp_image_text(image, i));
    return cli_json_print(doc);
}

static int print_picture_text(const lp_image *image)
{
    char key[256];
    printf("picture of %u x %u pixels\n", lp_image_width(image), lp_image_height(image));
    if (lp_image_n_texts(image) == 0)
        printf("\nno texts\n");
    else
        printf("\n");
    for (size_t i = 0; i < lp_image_n_texts(image); i++) {
        const lp_fact text = lp_image_text(image, i);
        printf("%-28s ", key_text(text.name, key));
        cli_print_text(text.value, strlen(text.value), 1000);
        printf("\n");
    }
    return CLI_OK;
}

static int inspect_picture(lp_context *ctx, const char *path, bool json)
{
    lp_image *image = NULL;
    const lp_status status = lp_image_open(ctx, path, &image);
    const int code = status != LP_OK ? cli_failed(ctx, status)
                     : json          ? print_picture_json(image, path)
                                     : print_picture_text(image);
    lp_image_destroy(image);
    return code;
}

/* ---- Folders of image generators ------------------------------------------------------------ */

static bool is_generator(const char *path)
{
    char name[4096];
    const int n = snprintf(name, sizeof name, "%s/model_index.json", path);
    FILE *file = n > 0 && (size_t)n < sizeof name ? fopen(name, "rb") : NULL;
    if (file)
        fclose(file);
    return file != NULL;
}

static int print_generator(const lp_image_generator *generator, const char *path, bool json)
{
    const lp_image_generator_info info = lp_image_generator_describe(generator);
    const struct {
        const char *name;
        uint32_t value;
    } numbers[] = {{"width", info.width},       {"height", info.height},
                   {"multiple", info.multiple}, {"factor", info.factor},
                   {"channels", info.channels}, {"tokens", info.n_tokens}};
    const struct {
        const char *name, *value;
    } texts[] = {
        {"denoiser", info.denoiser}, {"autoencoder", info.autoencoder}, {"sampler", info.sampler}};
    yyjson_mut_doc *doc = json ? yyjson_mut_doc_new(NULL) : NULL;
    yyjson_mut_val *root = json ? yyjson_mut_obj(doc) : NULL;
    if (!json)
        printf("makes pictures of texts\n\n");
    else
        cli_json_text(doc, root, "folder", path);
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        if (json)
            cli_json_text(doc, root, texts[i].name, texts[i].value);
        else
            printf("%-28s %s\n", texts[i].name, texts[i].value);
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        if (json)
            yyjson_mut_obj_add_uint(doc, root, numbers[i].name, numbers[i].value);
        else
            printf("%-28s %u\n", numbers[i].name, numbers[i].value);
    if (!json)
        return CLI_OK;
    yyjson_mut_doc_set_root(doc, root);
    return cli_json_print(doc);
}

static int inspect_generator(lp_context *ctx, const char *path, bool json)
{
    lp_devices *devices = NULL;
    lp_image_generator *generator = NULL;
    size_t device = 0;
    lp_status status = lp_devices_create_host(ctx, &devices);
    if (status == LP_OK)
        status = lp_devices_choose(devices, "cpu", &device, NULL);
    if (status == LP_OK)
        status = lp_image_generator_open(devices, device, path, NULL, &generator);
    const int code =
        status == LP_OK ? print_generator(generator, path, json) : cli_failed(ctx, status);
    lp_image_generator_destroy(generator);
    lp_devices_destroy(devices);
    return code;
}

static int inspect_model(lp_context *ctx, const char *path, bool json, bool metadata)
{
    lp_model *model = NULL;
    const lp_status status = lp_model_look(ctx, path, &model);
    const int code = status != LP_OK ? cli_failed(ctx, status)
                     : json          ? print_json(model, path)
                                     : print_text(model, metadata);
    lp_model_destroy(model);
    return code;
}

static int run(int argc, char **argv)
{
    static const struct option long_options[] = {
        {"json", no_argument, NULL, 'j'},
        {"metadata", no_argument, NULL, 'a'},
        {"verbose", no_argument, NULL, 'v'},
        {"help", no_argument, NULL, 'h'},
        {0},
    };
    cli_options options = {&cli_inspect, "jav", long_options, argc, argv, 0};
    bool json = false, metadata = false;
    int verbose = 0;
    for (int id; (id = cli_next(&options)) != CLI_NO_MORE;) {
        switch (id) {
        case 'j':
            json = true;
            break;
        case 'a':
            metadata = true;
            break;
        case 'v':
            verbose++;
            break;
        default:
            return options.exit_code;
        }
    }
    if (argc - optind != 1)
        return cli_usage_error(&cli_inspect, "one FILE or DIR is expected, not %d", argc - optind);
    const char *path;
    if (!cli_parse_name(&cli_inspect, "FILE|DIR", argv[optind], &path))
        return CLI_USAGE;

    lp_context *ctx = cli_context(verbose);
    if (!ctx)
        return CLI_FAILED;
    const int code = is_png(path)         ? inspect_picture(ctx, path, json)
                     : is_generator(path) ? inspect_generator(ctx, path, json)
                                          : inspect_model(ctx, path, json, metadata);
    lp_context_destroy(ctx);
    return code;
}

const cli_command cli_inspect = {
    .name = "inspect",
    .summary = "show what is in a model's file, or what made a picture",
    .usage = "[OPTION]... FILE|DIR",
    .help = "Shows architecture, hyperparameters, tokenizer and tensors of a GGUF file or of a\n"
            "Hugging Face folder. Weights are not read. Tensors of types that cannot be run are\n"
            "listed, and a folder needs no tokenizer. Of a PNG file: the texts in it, with which\n"
            "lapilli image says how it was made. Of a folder of a StableDiffusionPipeline: what "
            "its parts\n"
            "are, after all of them were opened.\n"
            "\n"
            "  -a, --metadata  also the file's metadata (always in JSON)\n"
            "  -j, --json      as JSON\n"
            "  -v, --verbose   say more; twice: everything\n"
            "  -h, --help      this text\n",
    .run = run,
};
