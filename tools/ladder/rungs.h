/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KWS_RUNGS_H
#define KWS_RUNGS_H

#include <stdint.h>

/* bits [8][words], weight [outputs][words] -> d [outputs][8], for two and for four words */
typedef void rung_fn(const uint64_t *bits, const uint64_t *weight, int outputs, uint16_t *d);

rung_fn rung_words_2, rung_dots_2, rung_tree_2, rung_rows_2;
rung_fn rung_words_4, rung_dots_4, rung_tree_4, rung_rows_4;

#endif
