/* Models written as GGUF files: from any file or folder that can be read, with the matrices in
 * another type. */
#ifndef LP_TEXT_CONVERT_H
#define LP_TEXT_CONVERT_H

#include "lapilli/types.h"
#include "base/context.h"

/* A GGUF file keeps its metadata and whatever is no matrix; it may be of an architecture that we do
 * not know. A folder gets the metadata, names and layouts that llama.cpp reads; LP_E_UNSUPPORTED
 * names what GGUF has no way to say. `to` appears when it is complete. See lp_convert() in
 * lapilli.h. */
lp_status lp_convert_file(lp_context *ctx, const char *from, const char *to,
                          const lp_convert_options *options, lp_convert_result *result);

#endif
