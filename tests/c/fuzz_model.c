/* SPDX-License-Identifier: Apache-2.0
 *
 * libFuzzer's way into the listener's reader of model files. What it takes then hears noise at every depth. This file holds
 * model_file.c. Build with clang -fsanitize=fuzzer,address,undefined.
 */
#define _GNU_SOURCE /* memfd_create */
#include "kws.h"

#include KWS_MODEL_HEADER

#include <stdlib.h>
#include <sys/mman.h>

/* Heap in place of pages, so that the sanitizer knows where a file ends. */
static void *heap(size_t size) {
    void *block;
    return posix_memalign(&block, KWS_ALIGN, size) == 0 ? block : MAP_FAILED;
}

/* Of the file that was read last. */
static void *pages;

static void *map(size_t size) {
    pages = heap(size);
    return pages;
}

static int unmap(void) {
    free(pages);
    return 0;
}

#define mmap(address, size, protection, flags, file, offset) map(size)
#define munmap(block, size) unmap()
#include "../../firmware/boards/rpi/model_file.c"
#undef mmap
#undef munmap

/* A fuzzer finds no hash: most inputs get the right one. */
static void sign(unsigned char *data, size_t size) {
    if (size >= SHA256_BYTES && data[size - 1] % 8) {
        sha256(data, size - SHA256_BYTES, data + size - SHA256_BYTES);
    }
}

static void hear_noise(const kws_model_t *model) {
    enum { SAMPLES = 6000 };
    static int16_t pcm[SAMPLES];
    static kws_event_t events[KWS_EVENT_CAPACITY(SAMPLES)];
    uint32_t random = 1;
    size_t size = kws_state_size(model);
    void *place = heap(size);
    kws_state_t *kws;
    if (kws_init(place, size, model, &kws) != KWS_OK) {
        abort(); /* the reader let something through that the engine refuses */
    }
    for (size_t i = 0; i < SAMPLES; i++) {
        random = random * 1664525u + 1013904223u;
        pcm[i] = (int16_t)(random >> 16);
    }
    for (int i = 0; i < model->n_depths; i++) {
        kws_set_depth(kws, model->depths[i].delta);
        if (kws_feed(kws, pcm, SAMPLES, events, KWS_EVENT_CAPACITY(SAMPLES)) < 0) {
            abort();
        }
    }
    free(place);
}

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size);

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size) {
    static int handle = -1;
    static char path[64];
    static model_file_t file;
    char why[512] = "";
    if (handle < 0) {
        handle = memfd_create("input", 0);
        snprintf(path, sizeof path, "/proc/self/fd/%d", handle);
    }
    unsigned char *copy = malloc(size + 1);
    memcpy(copy, data, size);
    sign(copy, size);
    int written = ftruncate(handle, 0) == 0 && pwrite(handle, copy, size, 0) == (ssize_t)size;
    free(copy);
    if (written && model_file_load(&file, path, KWS_MODEL.frontend, why, sizeof why)) {
        hear_noise(&file.model);
        unmap();
    } else if (written && (!*why || strchr(why, '\n'))) {
        abort(); /* refused without one clear line */
    }
    return 0;
}
