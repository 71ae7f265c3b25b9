/* SPDX-License-Identifier: Apache-2.0
 *
 * isa_bits SEED COUNT SET...
 *
 * Runs the compiled-in model, at every depth, over COUNT random feature maps, and prints for each set a line with a
 * checksum of the bits of all logits.
 */
#include "kws.h"

#include KWS_MODEL_HEADER

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static _Alignas(KWS_ALIGN) unsigned char memory[KWS_MODEL_STATE_SIZE];
static uint64_t random_state;

static uint64_t draw(void) {
    uint64_t z = random_state += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

static float uniform(float least, float most) {
    float part = (float)(draw() >> 40) / (float)(1 << 24);
    return least + (most - least) * part;
}

/* Louder and quieter maps, with frames that differ more than the bands within one. */
static void draw_features(const kws_frontend_t *f, float *features) {
    float level = uniform(-90.0f, 20.0f), change = uniform(0.0f, 40.0f), noise = uniform(0.0f, 30.0f);
    for (int frame = 0; frame < f->frames; frame++) {
        float at = level + uniform(-change, change);
        for (int mel = 0; mel < f->n_mels; mel++) {
            *features++ = at + uniform(-noise, noise);
        }
    }
}

static uint64_t add(uint64_t sum, float value) {
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    for (int i = 0; i < 32; i += 8) {
        sum = (sum ^ (bits >> i & 0xff)) * 0x100000001b3u;
    }
    return sum;
}

static uint64_t checksum(kws_state_t *kws, uint64_t seed, uint64_t count, float *features, float *logits) {
    const kws_model_t *model = &KWS_MODEL;
    uint64_t sum = 0xcbf29ce484222325u;
    random_state = seed;
    for (uint64_t i = 0; i < count; i++) {
        draw_features(model->frontend, features);
        for (int depth = 0; depth < model->n_depths; depth++) {
            kws_set_depth(kws, model->depths[depth].delta);
            kws_network(kws, features, logits);
            for (int c = 0; c < model->n_classes; c++) {
                sum = add(sum, logits[c]);
            }
        }
    }
    return sum;
}

int main(int argc, char **argv) {
    const kws_model_t *model = &KWS_MODEL;
    size_t cells = (size_t)model->frontend->frames * (size_t)model->frontend->n_mels;
    float *features = malloc(cells * sizeof *features), *logits = malloc((size_t)model->n_classes * sizeof *logits);
    kws_state_t *kws;
    if (argc < 4 || !features || !logits || kws_init(memory, sizeof memory, model, &kws) != KWS_OK) {
        fprintf(stderr, "isa_bits: bad arguments or model\n");
        return 2;
    }
    for (int i = 3; i < argc; i++) {
        if (kws_set_isa(kws, argv[i]) != KWS_OK || strcmp(kws_isa(kws), argv[i]) != 0) {
            fprintf(stderr, "isa_bits: no set %s\n", argv[i]);
            return 2;
        }
        uint64_t sum = checksum(kws, strtoull(argv[1], NULL, 10), strtoull(argv[2], NULL, 10), features, logits);
        printf("%s %016llx\n", argv[i], (unsigned long long)sum);
    }
    free(features);
    free(logits);
    return 0;
}
