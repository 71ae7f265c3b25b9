/* SPDX-License-Identifier: Apache-2.0
 *
 * The arrays of a model file: where its table says they are, and whether each value is one that the engine runs.
 */
#ifndef KWS_RPI_MODEL_ARRAYS_H
#define KWS_RPI_MODEL_ARRAYS_H

#include "json_read.h"
#include "model_file.h"

/* Points the arrays of `file`, whose sizes, blocks and depths are known, into `blob`, as `table` lists them. Returns 1, or
 * 0 with the fault in `why`. */
int model_arrays_find(model_file_t *file, json_t table, const unsigned char *blob, size_t size, char *why,
                      size_t why_size);

#endif
