/* SPDX-License-Identifier: Apache-2.0
 *
 * ladder RUNG WORDS TIMES
 *
 * Runs one rung TIMES times on one tile of random bits, 128 outputs of 64 * WORDS inputs, and prints a hash of what it
 * made: of the sums, or, for the engine's operators, of their outputs. RUNG "truth" computes in portable C what the
 * engine's must give: "expand" for 2 words, "project" for 4.
 */
#include "kernels.h"
#include "rungs.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { OUTPUTS = 128, MOST_WORDS = 4 };

static _Alignas(64) uint64_t bits[8 * MOST_WORDS], weight[OUTPUTS * MOST_WORDS], out[8 * OUTPUTS / 64],
    flip[OUTPUTS / 64];
static _Alignas(64) int16_t numbers[4][OUTPUTS], x[8 * OUTPUTS];
static _Alignas(64) uint16_t d[8 * OUTPUTS];

static uint64_t draw(void) {
    static uint64_t state = 1;
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state;
}

static uint64_t hash(const void *data, size_t size) {
    uint64_t sum = 14695981039346656037u;
    for (size_t i = 0; i < size; i++) {
        sum = (sum ^ ((const unsigned char *)data)[i]) * 1099511628211u;
    }
    return sum;
}

static void run_operator(const kwsi_kernels_t *kernels, int words) {
    kwsi_affine_t affine = {numbers[0], numbers[1], numbers[2]};
    if (words == 2) {
        kernels->expand(bits, weight, words, OUTPUTS, numbers[3], flip, out);
    } else {
        kernels->project(bits, weight, words, OUTPUTS, &affine, x, numbers[2], out);
    }
}

int main(int argc, char **argv) {
    static const struct {
        const char *name;
        rung_fn *two, *four;
    } rungs[] = {{"words", rung_words_2, rung_words_4},
                 {"dots", rung_dots_2, rung_dots_4},
                 {"tree", rung_tree_2, rung_tree_4},
                 {"rows", rung_rows_2, rung_rows_4}};
    if (argc != 4) {
        fputs("usage: ladder RUNG WORDS TIMES\n", stderr);
        return 2;
    }
    int words = atoi(argv[2]), times = atoi(argv[3]);
    for (int i = 0; i < 8 * MOST_WORDS; i++) {
        bits[i] = draw();
    }
    for (int i = 0; i < OUTPUTS * MOST_WORDS; i++) {
        weight[i] = draw();
    }
    for (int i = 0; i < OUTPUTS; i++) {
        for (int k = 0; k < 3; k++) {
            numbers[k][i] = (int16_t)(draw() % 20000 - 10000);
        }
        numbers[3][i] = (int16_t)(56 + draw() % 16);
    }
    for (int run = 0; run < times; run++) {
        if (strcmp(argv[1], "engine") == 0 || strcmp(argv[1], "truth") == 0) {
            run_operator(kwsi_kernels_named(strcmp(argv[1], "engine") == 0 ? "neon" : "portable"), words);
            continue;
        }
        for (size_t i = 0; i < sizeof rungs / sizeof *rungs; i++) {
            if (strcmp(argv[1], rungs[i].name) == 0) {
                (words == 2 ? rungs[i].two : rungs[i].four)(bits, weight, OUTPUTS, d);
            }
        }
    }
    printf("%016llx\n", (unsigned long long)(hash(d, sizeof d) ^ hash(x, sizeof x) ^ hash(out, sizeof out)));
    return 0;
}
