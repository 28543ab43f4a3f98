/* See adapter_peft.h. The keys are those of peft.LoraConfig; which of them change what a forward
 * pass computes, and how, is in PEFT's documentation of that class. */
#include "models/adapter_peft.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/json.h"

/* Keys that say how the adapter was trained, or where, or that are read below. fan_in_fan_out is
 * about the layout of W, which does not touch A and B. */
static bool is_known(const char *key)
{
    static const char *const keys[] = {"alpha_pattern",
                                       "auto_mapping",
                                       "base_model_name_or_path",
                                       "bias",
                                       "eva_config",
                                       "exclude_modules",
                                       "fan_in_fan_out",
                                       "inference_mode",
                                       "init_lora_weights",
                                       "layers_pattern",
                                       "layers_to_transform",
                                       "lora_alpha",
                                       "lora_dropout",
                                       "megatron_core",
                                       "peft_type",
                                       "peft_version",
                                       "qalora_group_size",
                                       "r",
                                       "rank_pattern",
                                       "revision",
                                       "target_modules",
                                       "task_type",
                                       "use_rslora"};
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
        if (strcmp(keys[i], key) == 0)
            return true;
    return false;
}

/* null, false, [] and {}: the setting is not used. */
static bool is_off(yyjson_val *value)
{
    return yyjson_is_null(value) || yyjson_is_false(value) ||
           (yyjson_is_ctn(value) && yyjson_get_len(value) == 0);
}

/* Initialisations that leave W alone; PiSSA, OLoRA, LoftQ and others change it as well, and files
 * hold only half of the result unless they were converted (which sets this to true). */
static lp_status check_init(lp_context *ctx, const char *where, yyjson_val *value)
{
    static const char *const fine[] = {"gaussian", "eva", "orthogonal"};
    if (value == NULL || yyjson_is_null(value) || yyjson_is_bool(value))
        return LP_OK;
    const char *text = yyjson_is_str(value) ? yyjson_get_str(value) : "no text";
    for (size_t i = 0; i < sizeof fine / sizeof *fine; i++)
        if (strcmp(fine[i], text) == 0)
            return LP_OK;
    return lp_fail(ctx, LP_E_UNSUPPORTED,
                   "%s: init_lora_weights: %.40s also changes the model's own weights, which the "
                   "adapter does not hold; PEFT can convert it to a plain one",
                   where, text);
}

/* The patterns of rank_pattern and alpha_pattern are regular expressions; what is used are names.
 */
static lp_status check_pattern(lp_context *ctx, const char *where, const char *name,
                               yyjson_val *object)
{
    yyjson_obj_iter iter = yyjson_obj_iter_with(object);
    for (yyjson_val *key; (key = yyjson_obj_iter_next(&iter)) != NULL;) {
        const char *text = yyjson_get_str(key);
        yyjson_val *value = yyjson_obj_iter_get_val(key);
        double number = yyjson_get_num(value);
        if (strlen(text) != yyjson_get_len(key) || *text == '\0' || strpbrk(text, "^$*+?()[]{}|\\"))
            return lp_fail(ctx, LP_E_UNSUPPORTED, "%s: %s: \"%.100s\" is no plain name of a module",
                           where, name, text);
        if (!yyjson_is_num(value) || !(number > 0 && number <= 1e9))
            return lp_fail(ctx, LP_E_FORMAT, "%s: %s: %.100s: a number above 0 expected", where,
                           name, text);
    }
    return LP_OK;
}

static lp_status check_text(lp_context *ctx, const char *where, yyjson_val *root, const char *key,
                            const char *want)
{
    const char *text = want;
    LP_TRY(lp_json_get_string(ctx, where, root, key, LP_JSON_OPTIONAL, &text));
    if (strcmp(text, want) != 0)
        return lp_fail(ctx, LP_E_UNSUPPORTED, "%s: %s is %.40s; only %s is supported", where, key,
                       text, want);
    return LP_OK;
}

static lp_status read_config(lp_context *ctx, lp_peft_config *c)
{
    yyjson_val *root = yyjson_doc_get_root(c->doc);
    LP_TRY(check_text(ctx, c->path, root, "peft_type", "LORA"));
    LP_TRY(check_text(ctx, c->path, root, "bias", "none"));
    LP_TRY(check_init(ctx, c->path, yyjson_obj_get(root, "init_lora_weights")));
    LP_TRY(lp_json_get_u32(ctx, c->path, root, "r", LP_JSON_REQUIRED, &c->rank));
    LP_TRY(lp_json_get_f32(ctx, c->path, root, "lora_alpha", LP_JSON_REQUIRED, &c->alpha));
    LP_TRY(lp_json_get_bool(ctx, c->path, root, "use_rslora", LP_JSON_OPTIONAL, &c->stabilised));
    LP_TRY(lp_json_get_object(ctx, c->path, root, "rank_pattern", LP_JSON_OPTIONAL, &c->ranks));
    LP_TRY(lp_json_get_object(ctx, c->path, root, "alpha_pattern", LP_JSON_OPTIONAL, &c->alphas));
    LP_TRY(check_pattern(ctx, c->path, "rank_pattern", c->ranks));
    LP_TRY(check_pattern(ctx, c->path, "alpha_pattern", c->alphas));
    yyjson_obj_iter iter = yyjson_obj_iter_with(root);
    for (yyjson_val *key; (key = yyjson_obj_iter_next(&iter)) != NULL;)
        if (!is_known(yyjson_get_str(key)) && !is_off(yyjson_obj_iter_get_val(key)))
            return lp_fail(ctx, LP_E_UNSUPPORTED, "%s: %.60s is set; it is not supported", c->path,
                           yyjson_get_str(key));
    return LP_OK;
}

lp_status lp_peft_config_open(lp_context *ctx, const char *folder, lp_peft_config *config)
{
    *config = (lp_peft_config){.path = lp_path_join(folder, "adapter_config.json")};
    if (config->path == NULL)
        return lp_fail_memory(ctx, "a path");
    LP_TRY(lp_json_open(ctx, config->path, &config->doc));
    return read_config(ctx, config);
}

void lp_peft_config_close(lp_peft_config *config)
{
    yyjson_doc_free(config->doc);
    free(config->path);
}

/* The value of the first name in `object` that is the module's, or its last parts; or `otherwise`.
 */
static double find(yyjson_val *object, const char *module, double otherwise)
{
    yyjson_obj_iter iter = yyjson_obj_iter_with(object);
    for (yyjson_val *key; (key = yyjson_obj_iter_next(&iter)) != NULL;) {
        size_t n = yyjson_get_len(key), all = strlen(module);
        if (n <= all && strcmp(module + all - n, yyjson_get_str(key)) == 0 &&
            (n == all || module[all - n - 1] == '.'))
            return yyjson_get_num(yyjson_obj_iter_get_val(key));
    }
    return otherwise;
}

lp_status lp_peft_factor(lp_context *ctx, const lp_peft_config *config, const char *module,
                         int64_t rank, float *factor)
{
    const double r = (double)rank, want = find(config->ranks, module, config->rank);
    if (r != want)
        return lp_fail(ctx, LP_E_SHAPE, "%s: the rank of %.150s is %g, its matrices have %g",
                       config->path, module, want, r);
    const double alpha = find(config->alphas, module, (double)config->alpha);
    *factor = (float)(alpha / (config->stabilised ? sqrt(r) : r));
    return LP_OK;
}
