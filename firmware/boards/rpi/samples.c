/* SPDX-License-Identifier: Apache-2.0 */
#include "samples.h"

#include <stdint.h>
#include <string.h>

size_t sample_bytes(sample_form_t form) {
    static const unsigned char bytes[] = {[SAMPLE_U8] = 1,    [SAMPLE_S16] = 2, [SAMPLE_S24_3] = 3,
                                          [SAMPLE_S24_4] = 4, [SAMPLE_S32] = 4, [SAMPLE_F32] = 4};
    return bytes[form];
}

/* The sample in the upper bits of a signed 32-bit number. */
static float integer(const unsigned char *at, sample_form_t form) {
    uint32_t bits = 0;
    int bytes = form == SAMPLE_S24_4 ? 3 : (int)sample_bytes(form); /* the fourth byte of such a sample means nothing */
    for (int i = 0; i < bytes; i++) {
        bits |= (uint32_t)at[i] << (8 * (4 - bytes + i));
    }
    if (form == SAMPLE_U8) {
        bits ^= 0x80000000u;
    }
    int32_t value;
    memcpy(&value, &bits, sizeof value);
    return (float)value / 2147483648.0f;
}

static float one(const unsigned char *at, sample_form_t form) {
    if (form != SAMPLE_F32) {
        return integer(at, form);
    }
    uint32_t bits = (uint32_t)at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
    float value;
    memcpy(&value, &bits, sizeof value);
    return value > -1e6f && value < 1e6f ? value : 0.0f;
}

void samples_to_mono(const unsigned char *in, sample_form_t form, int channels, int channel, float gain, size_t frames,
                     float *out) {
    size_t bytes = sample_bytes(form), stride = bytes * (size_t)channels;
    int first = channel < 0 ? 0 : channel, count = channel < 0 ? channels : 1;
    float scale = gain / (float)count;
    for (size_t i = 0; i < frames; i++, in += stride) {
        float sum = 0;
        for (int c = first; c < first + count; c++) {
            sum += one(in + bytes * (size_t)c, form);
        }
        out[i] = sum * scale;
    }
}
