/* SPDX-License-Identifier: Apache-2.0
 *
 * Listens to a file on a host, with a model compiled in: what a device does, where it is easy to look at.
 *
 *     cc -std=c11 -O3 -ffp-contract=off -Ifirmware/include -Ifirmware/models \
 *        -DKWS_MODEL_HEADER='"kws12.h"' -DKWS_MODEL=kws_kws12 -DKWS_MODEL_STATE_SIZE=KWS_KWS12_STATE_SIZE \
 *        firmware/boards/host/listen.c firmware/src/[a-z]*.[cS] -o listen
 *     ./listen yes.wav
 *     arecord -q -t raw -f S16_LE -r 16000 | ./listen -
 *
 * Prints one line of JSON a detection. A second of silence follows the input, so that its last word is heard out. The
 * environment variable KWS_ISA chooses the kernels, as kws_set_isa does.
 */
#include "kws.h"

#include KWS_MODEL_HEADER

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { EXIT_USAGE = 2, MAX_CHUNK = 65536 };

static const char *const usage = "usage: listen [--chunk SAMPLES] [--depth 1|2|4] FILE.wav\n"
                                 "       listen [--chunk SAMPLES] [--depth 1|2|4] - < raw 16-bit little-endian mono\n";

static _Alignas(KWS_ALIGN) unsigned char memory[KWS_MODEL_STATE_SIZE];
static unsigned char bytes[2 * MAX_CHUNK];
static int16_t pcm[MAX_CHUNK];
static kws_event_t events[KWS_EVENT_CAPACITY(MAX_CHUNK)];

/* Where sound comes from. */
typedef struct source {
    const char *name;
    FILE *file;
    int is_wav;
    uint64_t left; /* bytes of sound to come, of a WAV file */
} source_t;

static int fail(const char *name, const char *message) {
    fprintf(stderr, "%s: %s\n", name, message);
    return 0;
}

static uint32_t little_endian(const unsigned char *at, int n) {
    uint32_t value = 0;
    for (int i = n - 1; i >= 0; i--) {
        value = value << 8 | at[i];
    }
    return value;
}

static int read_exactly(FILE *file, unsigned char *into, size_t n) {
    return fread(into, 1, n, file) == n;
}

/* Reads on without seeking, which a pipe cannot do. */
static int skip(FILE *file, uint64_t n) {
    while (n > 0) {
        size_t part = n < sizeof bytes ? (size_t)n : sizeof bytes;
        if (!read_exactly(file, bytes, part)) {
            return 0;
        }
        n -= part;
    }
    return 1;
}

/* Is this the format chunk, `size` bytes at `at`, of sound that the model can hear? */
static int check_format(const char *name, const unsigned char *at, uint32_t size) {
    enum { PCM = 1, EXTENSIBLE = 0xfffe };
    char message[160];
    uint32_t format = little_endian(at, 2), channels = little_endian(at + 2, 2);
    uint32_t rate = little_endian(at + 4, 4), bits = little_endian(at + 14, 2);
    if (format == EXTENSIBLE && size >= 26) {
        format = little_endian(at + 24, 2); /* the first two bytes of the sub-format's GUID */
    }
    if (format != PCM || bits != 16) {
        snprintf(message, sizeof message, "format %u with %u bits a sample; convert it to 16-bit PCM", format, bits);
        return fail(name, message);
    }
    if (channels != 1) {
        snprintf(message, sizeof message, "%u channels; mix it down to one", channels);
        return fail(name, message);
    }
    if (rate != (uint32_t)KWS_MODEL.frontend->sample_rate) {
        snprintf(message, sizeof message, "%u samples a second; resample it to %d", rate,
                 (int)KWS_MODEL.frontend->sample_rate);
        return fail(name, message);
    }
    return 1;
}

/* Reads a RIFF header up to the first byte of sound. */
static int open_wav(source_t *source) {
    const char *name = source->name;
    unsigned char head[12], format[40];
    int format_seen = 0;
    source->file = fopen(name, "rb");
    if (!source->file) {
        return fail(name, strerror(errno));
    }
    if (!read_exactly(source->file, head, 12) || memcmp(head, "RIFF", 4) != 0 || memcmp(head + 8, "WAVE", 4) != 0) {
        return fail(name, "not a WAV file; for raw samples use - and standard input");
    }
    while (read_exactly(source->file, head, 8)) {
        uint32_t size = little_endian(head + 4, 4);
        uint64_t padded = (uint64_t)size + size % 2; /* chunks start at even offsets */
        if (memcmp(head, "data", 4) == 0) {
            if (!format_seen) {
                return fail(name, "its sound comes before its format; write the file again");
            }
            source->left = size;
            return size % 2 == 0 || fail(name, "its sound ends in the middle of a sample; write the file again");
        }
        if (memcmp(head, "fmt ", 4) == 0) {
            size_t kept = size < sizeof format ? size : sizeof format;
            if (size < 16 || !read_exactly(source->file, format, kept)) {
                return fail(name, "its format chunk is cut short; write the file again");
            }
            if (!check_format(name, format, size)) {
                return 0;
            }
            format_seen = 1;
            padded -= kept;
        }
        if (!skip(source->file, padded)) {
            break;
        }
    }
    return fail(name, "ends before any sound; write the file again");
}

/* Up to `n` samples into pcm. Returns their count, 0 at the end, or -1 after an error message. */
static int read_pcm(source_t *source, int n) {
    size_t want = 2 * (size_t)n;
    if (source->is_wav && source->left < want) {
        want = (size_t)source->left;
    }
    size_t got = fread(bytes, 1, want, source->file);
    if (ferror(source->file)) {
        fail(source->name, strerror(errno));
        return -1;
    }
    if (got % 2 || (source->is_wav && got < want)) {
        fail(source->name, "ends before its sound does; copy or write it again");
        return -1;
    }
    source->left -= source->is_wav ? got : 0;
    for (size_t i = 0; i < got / 2; i++) {
        uint32_t value = little_endian(bytes + 2 * i, 2);
        pcm[i] = (int16_t)(value < 0x8000 ? (int)value : (int)value - 0x10000);
    }
    return (int)(got / 2);
}

/* Length of the UTF-8 sequence at `at`, 0 where there is none. */
static int utf8_length(const unsigned char *at) {
    static const unsigned char least_second[5] = {0, 0, 0, 0xa0, 0x90}; /* refuses overlong forms */
    int length = at[0] >= 0xc2 && at[0] < 0xe0 ? 2 : (at[0] & 0xf0) == 0xe0 ? 3 : at[0] >= 0xf0 && at[0] < 0xf5 ? 4 : 0;
    for (int i = 1; i < length; i++) {
        if ((at[i] & 0xc0) != 0x80) {
            return 0;
        }
    }
    if ((at[0] == 0xe0 || at[0] == 0xf0) && at[1] < least_second[length]) {
        return 0;
    }
    if ((at[0] == 0xed && at[1] >= 0xa0) || (at[0] == 0xf4 && at[1] >= 0x90)) {
        return 0; /* surrogates, and beyond the last code point */
    }
    return length;
}

static void print_json_string(const char *text) {
    putchar('"');
    for (const unsigned char *at = (const unsigned char *)text; *at; at++) {
        if (*at == '"' || *at == '\\') {
            printf("\\%c", *at);
        } else if (*at < 0x20 || *at == 0x7f) {
            printf("\\u%04x", *at);
        } else if (*at < 0x80) {
            putchar(*at);
        } else {
            int length = utf8_length(at);
            if (length == 0) {
                printf("\\ufffd"); /* a file name may be any bytes, JSON may not */
                continue;
            }
            fwrite(at, 1, (size_t)length, stdout);
            at += length - 1;
        }
    }
    putchar('"');
}

static void print_event(const char *name, const kws_event_t *event) {
    printf("{\"file\": ");
    print_json_string(name);
    printf(", \"word\": ");
    print_json_string(KWS_MODEL.class_names[event->word]);
    printf(", \"time\": %.3f, \"score\": %.4f, \"depth\": %d}\n",
           (double)event->sample / KWS_MODEL.frontend->sample_rate, (double)event->score, (int)event->delta);
    fflush(stdout); /* a pipe should hear of it now */
}

static int feed(kws_state_t *kws, const char *name, int n) {
    int count = kws_feed(kws, pcm, (size_t)n, events, KWS_EVENT_CAPACITY(MAX_CHUNK));
    for (int i = 0; i < count; i++) {
        print_event(name, &events[i]);
    }
    return count >= 0 || fail(name, "the engine refused it; this is a bug of kws");
}

static int listen_to(kws_state_t *kws, source_t *source, int chunk) {
    int n;
    while ((n = read_pcm(source, chunk)) > 0) {
        if (!feed(kws, source->name, n)) {
            return 0;
        }
    }
    memset(pcm, 0, sizeof pcm);
    for (int left = KWS_MODEL.frontend->sample_rate; n == 0 && left > 0; left -= chunk) {
        if (!feed(kws, source->name, left < chunk ? left : chunk)) {
            return 0;
        }
    }
    return n == 0;
}

/* The whole number that `text` is, or -1. */
static int parse_number(const char *text, long most) {
    char *end;
    errno = 0;
    long value = strtol(text, &end, 10);
    return errno == 0 && end != text && *end == '\0' && value >= 1 && value <= most ? (int)value : -1;
}

int main(int argc, char **argv) {
    int chunk = 512, depth = 0;
    source_t source = {NULL, NULL, 0, 0};
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--chunk") == 0 && i + 1 < argc) {
            chunk = parse_number(argv[++i], MAX_CHUNK);
            if (chunk < 0) {
                fprintf(stderr, "--chunk %s: give 1 to %d samples\n", argv[i], MAX_CHUNK);
                return EXIT_USAGE;
            }
        } else if (strcmp(argv[i], "--depth") == 0 && i + 1 < argc) {
            depth = parse_number(argv[++i], INT32_MAX);
        } else if (source.name == NULL && (argv[i][0] != '-' || argv[i][1] == '\0')) {
            source.name = argv[i];
        } else {
            fputs(usage, stderr);
            return EXIT_USAGE;
        }
    }
    if (source.name == NULL) {
        fputs(usage, stderr);
        return EXIT_USAGE;
    }

    kws_state_t *kws;
    if (kws_init(memory, sizeof memory, &KWS_MODEL, &kws) != KWS_OK) {
        fprintf(stderr, "the engine refused its compiled-in model; export the header again\n");
        return EXIT_FAILURE;
    }
    const char *isa = getenv("KWS_ISA");
    if (isa && *isa && kws_set_isa(kws, isa) != KWS_OK) {
        fprintf(stderr, "KWS_ISA=%s: this build or this processor has no such kernels; this one runs %s\n", isa,
                kws_isa(kws));
        return EXIT_USAGE;
    }
    if (depth != 0 && kws_set_depth(kws, depth) != KWS_OK) {
        fprintf(stderr, "--depth: the model has no such depth; give one of");
        for (int i = 0; i < KWS_MODEL.n_depths; i++) {
            fprintf(stderr, " %d", (int)KWS_MODEL.depths[i].delta);
        }
        fputc('\n', stderr);
        return EXIT_USAGE;
    }

    source.is_wav = strcmp(source.name, "-") != 0;
    if (!source.is_wav) {
        source.file = stdin;
    } else if (!open_wav(&source)) {
        return EXIT_FAILURE;
    }
    int heard = listen_to(kws, &source, chunk);
    if (source.is_wav) {
        fclose(source.file);
    }
    return heard ? EXIT_SUCCESS : EXIT_FAILURE;
}
