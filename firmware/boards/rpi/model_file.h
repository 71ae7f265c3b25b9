/* SPDX-License-Identifier: Apache-2.0
 *
 * A model from a .kws file (docs/model-file.md), checked to the last value before the engine sees it.
 */
#ifndef KWS_RPI_MODEL_FILE_H
#define KWS_RPI_MODEL_FILE_H

#include "kws.h"

enum {
    MODEL_FORMAT = 4,
    MODEL_MAX_BYTES = 16 << 20, /* ten times what a thousand words take */
    MODEL_MAX_BLOCKS = 64,
    MODEL_MAX_DEPTHS = 64,
    MODEL_MAX_CLASSES = 1024
};

/* A model and what it points to, but for arrays and names: those stay in the memory that the file was read into. */
typedef struct model_file {
    kws_model_t model;
    kws_block_t blocks[MODEL_MAX_BLOCKS];
    kws_depth_t depths[MODEL_MAX_DEPTHS];
    kws_pass_t passes[MODEL_MAX_DEPTHS * MODEL_MAX_BLOCKS];
    const char *class_names[MODEL_MAX_CLASSES];
} model_file_t;

/* Reads `path`. A file has no tables of features: it must be for those of `frontend`. Returns 1, or 0 with one sentence
 * that begins with the path in `why`. */
int model_file_load(model_file_t *file, const char *path, const kws_frontend_t *frontend, char *why, size_t why_size);

#endif
