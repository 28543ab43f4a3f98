/* GGUF metadata and tensor tables as a network: whatever is accepted must give a graph or an error,
 * never an overflow. */
#include <stddef.h>
#include <stdint.h>

#include "models/names.h"
#include "models/network.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void build(lp_network *network)
{
    static const lp_network_options options[] = {
        {.n_tokens = 1, .n_ctx = 5, .kv_dtype = LP_F16, .sample = true},
        {.n_tokens = 3, .n_ctx = 5, .kv_dtype = LP_F16, .outputs = LP_OUTPUTS_ALL},
    };
    lp_context ctx = {0};
    lp_store store = {0};
    for (size_t i = 0; i < sizeof options / sizeof options[0]; i++) {
        lp_graph *graph;
        lp_network_graph(&ctx, network, &store, &options[i], &graph);
        lp_graph_destroy(graph);
    }
    lp_store_destroy(&store);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    lp_context ctx = {0};
    char path[] = "FILE";
    lp_network network = {.path = path, .weights = lp_weights_create()};
    lp_weights *weights = network.weights;
    if (weights && lp_gguf_parse(&ctx, path, data, size, weights, &network.gguf) == LP_OK &&
        lp_hparams_from_gguf(&ctx, path, network.gguf, weights, &network.hparams) == LP_OK &&
        lp_names_check(&ctx, path, &network.hparams, weights) == LP_OK)
        build(&network);
    lp_gguf_destroy(network.gguf);
    lp_weights_destroy(weights);
    return 0;
}
