/* SPDX-License-Identifier: Apache-2.0
 *
 * Calls every NEON operator, with the sizes of the default model, through call_checked (abi_neon.S) and prints for each
 * how many registers that a callee must preserve came back changed.
 */
#include "kernels.h"

#include <stdio.h>

int call_checked(void (*function)(void), const uint64_t integers[8], const float floats[2]);
void careless(void);

enum { N_FFT = 2048, MELS = 32, COLUMNS = 4, CLASSES = 12, CHANNELS = 128, HIDDEN = 256, STEPS = 8 };

static _Alignas(64) unsigned char zeros[1 << 17], space[3][1 << 17];

static uint64_t address(const void *at) {
    return (uint64_t)(uintptr_t)at;
}

#define CHECK(function, ...)                                                                                           \
    do {                                                                                                               \
        uint64_t integers[8] = {__VA_ARGS__};                                                                          \
        float floats[2] = {-40.0f, 2.0f};                                                                              \
        printf("%s %d\n", #function, call_checked((void (*)(void))(function), integers, floats));                      \
    } while (0)

int main(void) {
    const kwsi_kernels_t *neon = kwsi_kernels_named("neon");
    if (!neon) {
        fputs("abi_neon: this build has no NEON operators\n", stderr);
        return 2;
    }
    const int16_t *numbers = (const int16_t *)zeros;
    kwsi_affine_t affine = {numbers, numbers, numbers};
    const void *rows[2 * COLUMNS + 3];
    for (int i = 0; i < 2 * COLUMNS + 3; i++) {
        rows[i] = zeros;
    }
    uint64_t z = address(zeros), a = address(space[0]), b = address(space[1]), c = address(space[2]);
    CHECK(careless, 0);
    CHECK(neon->window, z, z, N_FFT, a);
    CHECK(neon->spectrum, a, N_FFT, z);
    CHECK(neon->mel, z, z, z, z, MELS, a);
    CHECK(neon->quantize, z, 2, MELS, a);
    CHECK(neon->conv1, address(rows), COLUMNS, MELS, z, z, a);
    CHECK(neon->conv2, address(rows), COLUMNS, MELS / 4, z, z, a);
    CHECK(neon->expand, z, z, CHANNELS / 64, HIDDEN, z, z, a);
    CHECK(neon->expand, z, z, 4, HIDDEN, z, z, a);
    CHECK(neon->expand, z, z, 3, HIDDEN, z, z, a);
    CHECK(neon->project, z, z, HIDDEN / 64, CHANNELS, address(&affine), a, z, b);
    CHECK(neon->project, z, z, 2, CHANNELS, address(&affine), a, z, b);
    CHECK(neon->project, z, z, 3, CHANNELS, address(&affine), a, z, b);
    CHECK(neon->memory, z, z, STEPS, CHANNELS / 64, address(&affine), b, z, c);
    CHECK(neon->conv1_two, address(rows), COLUMNS, MELS, z, z, a);
    CHECK(neon->conv2_two, address(rows), COLUMNS, MELS / 4, z, z, a);
    CHECK(neon->expand_two, z, z, CHANNELS / 64, HIDDEN, z, z, a);
    CHECK(neon->expand_two, z, z, 3, HIDDEN, z, z, a);
    CHECK(neon->project_two, z, z, HIDDEN / 64, CHANNELS, address(&affine), a, z, b);
    CHECK(neon->project_two, z, z, 1, CHANNELS, address(&affine), a, z, b);
    CHECK(neon->memory_two, z, z, STEPS, CHANNELS / 64, address(&affine), b, z, c);
    CHECK(neon->classifier, z, STEPS * CHANNELS, z, CLASSES, a);
    return 0;
}
