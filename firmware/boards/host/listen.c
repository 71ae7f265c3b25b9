/* SPDX-License-Identifier: Apache-2.0
 *
 * Listens to a file on a host, with a model compiled in: what a device does, where it is easy to look at.
 *
 *     cc -std=c11 -O3 -ffp-contract=off -Ifirmware/include -Ifirmware/models \
 *        -DKWS_MODEL_HEADER='"kws12_listener.h"' -DKWS_MODEL=kws_kws12_listener \
 *        -DKWS_MODEL_STATE_SIZE=KWS_KWS12_LISTENER_STATE_SIZE \
 *        firmware/boards/host/listen.c firmware/src/[a-z]*.[cS] -o listen
 *     ./listen yes.wav
 *     arecord -q -t raw -f S16_LE -r 16000 | ./listen -
 *
 * Prints one line of JSON a detection. A second of silence follows the input, so that its last word is heard out. The
 * environment variable KWS_ISA chooses the kernels, as kws_set_isa does.
 */
#include "../common/decision.h"
#include "../common/json.h"
#include "../common/wav.h"
#include "kws.h"

#include KWS_MODEL_HEADER

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { EXIT_USAGE = 2, MAX_CHUNK = 65536 };

static const char *const usage =
    "usage: listen [OPTION VALUE]... FILE.wav\n"
    "       listen [OPTION VALUE]... - < raw 16-bit little-endian mono\n"
    "\n"
    "  --chunk SAMPLES     feed so many at once; 512 by default\n"
    "  --depth N|adaptive, --words A,B, --threshold [WORD=]SCORE, --sensitivity [WORD=]S, --gate DBFS,\n"
    "  --release SHARE, --refractory [WORD=]SECONDS, --smoothing N, --wake P\n"
    "                      the decision, in place of the model's own\n";

static _Alignas(KWS_ALIGN) unsigned char memory[KWS_MODEL_STATE_SIZE];
static unsigned char bytes[2 * MAX_CHUNK];
static int16_t pcm[MAX_CHUNK];
static decision_t decision;
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

/* Can the model hear what this file holds? */
static int check_format(const char *name, const wav_t *wav) {
    char message[160];
    if (wav->format != WAV_PCM || wav->bits != 16) {
        snprintf(message, sizeof message, "format %u with %u bits a sample; convert it to 16-bit PCM", wav->format,
                 wav->bits);
        return fail(name, message);
    }
    if (wav->channels != 1) {
        snprintf(message, sizeof message, "%u channels; mix it down to one", wav->channels);
        return fail(name, message);
    }
    if (wav->rate != (uint32_t)KWS_MODEL.frontend->sample_rate) {
        snprintf(message, sizeof message, "%u samples a second; resample it to %d", wav->rate,
                 (int)KWS_MODEL.frontend->sample_rate);
        return fail(name, message);
    }
    if (wav->size % 2) {
        return fail(name, "its sound ends in the middle of a sample; write the file again");
    }
    return 1;
}

static int open_wav(source_t *source) {
    wav_t wav;
    source->file = fopen(source->name, "rb");
    if (!source->file) {
        return fail(source->name, strerror(errno));
    }
    const char *wrong = wav_open(source->file, &wav);
    if (wrong) {
        return fail(source->name, wrong);
    }
    source->left = wav.size;
    return check_format(source->name, &wav);
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

static void print_event(const char *name, const kws_event_t *event) {
    static char line[JSON_LINE];
    json_event(line, name, KWS_MODEL.class_names[event->word], (double)event->sample / KWS_MODEL.frontend->sample_rate,
               (double)event->score, (int)event->delta);
    puts(line);
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
    int chunk = 512;
    char why[256];
    source_t source = {NULL, NULL, 0, 0};
    decision_defaults(&decision, &KWS_MODEL);
    for (int i = 1; i < argc; i++) {
        int is_option = strncmp(argv[i], "--", 2) == 0 && i + 1 < argc;
        if (is_option && strcmp(argv[i], "--chunk") == 0) {
            chunk = parse_number(argv[++i], MAX_CHUNK);
            if (chunk < 0) {
                fprintf(stderr, "--chunk %s: give 1 to %d samples\n", argv[i], MAX_CHUNK);
                return EXIT_USAGE;
            }
        } else if (is_option) {
            int set = decision_set(&decision, argv[i] + 2, argv[i + 1], why, sizeof why);
            if (set != 1) {
                fprintf(stderr, "%s%s\n", set == 0 ? "--" : "", set == 0 ? why : usage);
                return EXIT_USAGE;
            }
            i++;
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
    decision_apply(&decision, kws);

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
