// Words of the session's state, as enumerated in src/graph/graph.h.
#ifndef LP_STATE_GLSL
#define LP_STATE_GLSL

const uint LP_CURSOR_POSITION = 0u, LP_CURSOR_DRAWS = 1u, LP_CURSOR_SOURCE = 2u,
           LP_CURSOR_BLANK = 3u;

const uint LP_SAMPLER_TEMPERATURE = 0u, LP_SAMPLER_TOP_K = 1u, LP_SAMPLER_TOP_P = 2u,
           LP_SAMPLER_MIN_P = 3u, LP_SAMPLER_PENALTY = 4u, LP_SAMPLER_WINDOW = 5u,
           LP_SAMPLER_SEED_LO = 6u, LP_SAMPLER_SEED_HI = 7u;

#endif
