/* SPDX-License-Identifier: Apache-2.0
 *
 * libFuzzer's way into what the listener reads from others: a settings file, or with -DFUZZ_WAV a recording, which then
 * goes through resampler and engine. Build with clang -fsanitize=fuzzer,address,undefined.
 */
#define main listener_main
#include "../../firmware/boards/rpi/main.c"
#undef main

#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static int file = -1;
    static char path[64];
    if (file < 0) {
        file = memfd_create("input", 0);
        snprintf(path, sizeof path, "/proc/self/fd/%d", file);
        if (!freopen("/dev/null", "w", stdout)) {
            return 0;
        }
    }
    if (ftruncate(file, 0) != 0 || pwrite(file, data, size, 0) != (ssize_t)size) {
        return 0;
    }
    options_defaults(&options, &KWS_MODEL);
#ifdef FUZZ_WAV
    if (kws_init(memory, sizeof memory, &KWS_MODEL, &kws) != KWS_OK) {
        abort();
    }
    for (int i = 0; i < KWS_MODEL.n_words; i++) {
        kws_set_threshold(kws, i, 0.0f);
    }
    options.wav = path;
    listen_to_file(path);
#else
    options_read(&options, path);
    if (options.decision.depth < DECISION_ADAPTIVE || !(options.gain >= 0.0009f && options.gain <= 1001.0f) ||
        options.channel < -1 || options.channel >= SAMPLE_MAX_CHANNELS || !(options.exec_seconds > 0)) {
        abort(); /* a setting got through that the command line refuses */
    }
#endif
    return 0;
}
