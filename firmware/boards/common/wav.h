/* SPDX-License-Identifier: Apache-2.0
 *
 * Reads a WAV file's header from a stream that need not seek, for the programs of every board.
 */
#ifndef KWS_BOARDS_WAV_H
#define KWS_BOARDS_WAV_H

#include <stdint.h>
#include <stdio.h>
#include <string.h>

enum { WAV_PCM = 1, WAV_FLOAT = 3 };

typedef struct wav {
    uint32_t format; /* WAV_PCM, WAV_FLOAT, or what nobody here can read */
    uint32_t channels;
    uint32_t rate; /* Hz */
    uint32_t bits; /* a sample of one channel */
    uint32_t size; /* bytes of sound that follow */
} wav_t;

static inline uint32_t little_endian(const unsigned char *at, int n) {
    uint32_t value = 0;
    for (int i = n - 1; i >= 0; i--) {
        value = value << 8 | at[i];
    }
    return value;
}

static inline int wav_skip(FILE *file, uint64_t n) {
    unsigned char unread[4096];
    while (n > 0) {
        size_t part = n < sizeof unread ? (size_t)n : sizeof unread;
        if (fread(unread, 1, part, file) != part) {
            return 0;
        }
        n -= part;
    }
    return 1;
}

/* Reads up to the first byte of sound. Returns NULL, or what is wrong with the file and the remedy. */
static inline const char *wav_open(FILE *file, wav_t *wav) {
    enum { EXTENSIBLE = 0xfffe, FORMAT = 16, SUB_FORMAT = 26 };
    unsigned char head[12], format[SUB_FORMAT];
    int format_seen = 0;
    memset(wav, 0, sizeof *wav);
    if (fread(head, 1, 12, file) != 12 || memcmp(head, "RIFF", 4) != 0 || memcmp(head + 8, "WAVE", 4) != 0) {
        return "not a WAV file";
    }
    while (fread(head, 1, 8, file) == 8) {
        uint32_t size = little_endian(head + 4, 4);
        uint64_t padded = (uint64_t)size + size % 2; /* chunks start at even offsets */
        if (memcmp(head, "data", 4) == 0) {
            wav->size = size;
            return format_seen ? NULL : "its sound comes before its format; write the file again";
        }
        if (memcmp(head, "fmt ", 4) == 0) {
            size_t kept = size < sizeof format ? size : sizeof format;
            if (size < FORMAT || fread(format, 1, kept, file) != kept) {
                return "its format chunk is cut short; write the file again";
            }
            wav->format = little_endian(format, 2);
            wav->channels = little_endian(format + 2, 2);
            wav->rate = little_endian(format + 4, 4);
            wav->bits = little_endian(format + 14, 2);
            if (wav->format == EXTENSIBLE && size >= SUB_FORMAT) {
                wav->format = little_endian(format + 24, 2); /* the first two bytes of the sub-format's GUID */
            }
            format_seen = 1;
            padded -= kept;
        }
        if (!wav_skip(file, padded)) {
            break;
        }
    }
    return "ends before any sound; write the file again";
}

#endif
