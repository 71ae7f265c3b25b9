/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE /* O_CLOEXEC, MAP_ANONYMOUS */
#include "model_file.h"

#include "json_read.h"
#include "model_arrays.h"
#include "sha256.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum { HEAD = 24, MAX_NAME = 100, INPUT_STEPS = 40 }; /* INPUT_STEPS of kws/features.py */

static const char magic[8] = {'K', 'W', 'S', 'M', 'O', 'D', 'E', 'L'};

/* What the description holds. */
enum {
    NAME,
    CLASS_NAMES,
    N_WORDS,
    PLANES,
    CHANNELS,
    HIDDEN,
    HOP_FRAMES,
    SMOOTHING,
    REFRACTORY,
    RELEASE,
    GATE,
    WAKE,
    LISTEN_DELTA,
    PRESET,
    N_BLOCKS,
    DEPTHS,
    STREAM_BITS,
    CHECKPOINT,
    PROVENANCE,
    ARRAYS,
    KEYS
};

static const char *const key_names[KEYS] = {
    [NAME] = "name",
    [CLASS_NAMES] = "class_names",
    [N_WORDS] = "n_words",
    [PLANES] = "planes",
    [CHANNELS] = "channels",
    [HIDDEN] = "hidden",
    [HOP_FRAMES] = "hop_frames",
    [SMOOTHING] = "smoothing",
    [REFRACTORY] = "refractory",
    [RELEASE] = "release",
    [GATE] = "gate",
    [WAKE] = "wake",
    [LISTEN_DELTA] = "listen_delta",
    [PRESET] = "preset",
    [N_BLOCKS] = "n_blocks",
    [DEPTHS] = "depths",
    [STREAM_BITS] = "stream_bits",
    [CHECKPOINT] = "checkpoint_sha256",
    [PROVENANCE] = "provenance",
    [ARRAYS] = "arrays",
};

/* Where the value of each key begins. */
typedef struct description {
    json_t values[KEYS];
    char *why;
    size_t why_size;
} description_t;

static int fail(description_t *d, const char *what, const char *fault) {
    snprintf(d->why, d->why_size, "%s %s", what, fault);
    return 0;
}

static int find_values(description_t *d, json_t text) {
    for (int more = json_open(&text, '{'); more && !text.failed; more = json_more(&text, '}')) {
        const char *key = json_key(&text);
        int known = 0;
        while (known < KEYS && strcmp(key, key_names[known]) != 0) {
            known++;
        }
        if (known < KEYS && d->values[known].at) {
            return fail(d, key_names[known], "comes twice");
        }
        if (known < KEYS) {
            d->values[known] = text;
        }
        json_skip(&text);
    }
    if (!json_at_end(&text)) {
        return fail(d, "its description", "is not JSON");
    }
    for (int i = 0; i < KEYS; i++) {
        if (!d->values[i].at) {
            return fail(d, key_names[i], "is missing");
        }
    }
    return 1;
}

static int integer(description_t *d, int key, int32_t least, int32_t most, int32_t step, int32_t *value) {
    *value = json_integer(&d->values[key], least, most);
    return (!d->values[key].failed && *value % step == 0) || fail(d, key_names[key], "is no size that the engine runs");
}

static int number(description_t *d, int key, double least, double most, float *value) {
    *value = (float)json_number(&d->values[key], least, most);
    return !d->values[key].failed || fail(d, key_names[key], "is out of range");
}

/* Does `text` have least..most of these characters and no others? */
static int is_made_of(const char *text, const char *characters, size_t least, size_t most) {
    size_t length = strlen(text);
    return strspn(text, characters) == length && length >= least && length <= most;
}

/* Returns 1 where the features of `preset` are those of `frontend`, 0 where they are others, -1 where it is damaged. */
static int is_preset(json_t preset, const kws_frontend_t *frontend) {
    static const char *const names[] = {"sample_rate", "n_fft", "hop", "n_mels", "frames", "offset", "scale", "name"};
    enum { COUNTS = 5, OFFSET = 5, SCALE = 6, NAME_KEY = 7, ALL = 8 };
    const int32_t counts[COUNTS] = {frontend->sample_rate, frontend->n_fft, frontend->hop, frontend->n_mels,
                                    frontend->frames};
    int seen = 0, same = 1;
    for (int more = json_open(&preset, '{'); more && !preset.failed; more = json_more(&preset, '}')) {
        const char *key = json_key(&preset);
        int known = 0;
        while (known < ALL && strcmp(key, names[known]) != 0) {
            known++;
        }
        if (known < COUNTS) {
            same &= json_integer(&preset, 0, INT32_MAX) == counts[known];
        } else if (known == OFFSET) {
            same &= (float)json_number(&preset, -1e6, 1e6) == frontend->offset;
        } else if (known == SCALE) {
            same &= (float)(json_number(&preset, -1e6, 1e6) * INPUT_STEPS) == frontend->scale;
        } else if (known == NAME_KEY) {
            const char *letters = "abcdefghijklmnopqrstuvwxyz_0123456789", *name = json_text(&preset);
            if (!is_made_of(name, letters, 2, 32) || *name < 'a') {
                return -1;
            }
        } else {
            return -1;
        }
        seen |= 1 << known;
    }
    return preset.failed || seen != (1 << ALL) - 1 ? -1 : same;
}

/* One line of 1 to MAX_NAME characters. */
static int is_name(const char *name) {
    int characters = 0;
    for (const char *at = name; *at; at++) {
        if ((unsigned char)*at < 0x20 || *at == 0x7f) {
            return 0;
        }
        characters += (*at & 0xc0) != 0x80;
    }
    return characters >= 1 && characters <= MAX_NAME;
}

static int read_names(description_t *d, model_file_t *file) {
    json_t *list = &d->values[CLASS_NAMES];
    int n = 0;
    for (int more = json_open(list, '['); more && !list->failed; more = json_more(list, ']'), n++) {
        const char *name = json_text(list);
        if (n == MODEL_MAX_CLASSES || !is_name(name)) {
            return fail(d, "class_names", n == MODEL_MAX_CLASSES ? "are too many" : "hold one that is no line of text");
        }
        for (int i = 0; i < n; i++) {
            if (strcmp(name, file->class_names[i]) == 0) {
                return fail(d, "class_names", "hold a name twice");
            }
        }
        file->class_names[n] = name;
    }
    file->model.n_classes = n;
    return (!list->failed && n > 0) || fail(d, "class_names", "are no list of names");
}

/* The blocks that a depth runs, each once and in order. Returns how many, 0 where they are wrong. */
static int read_passes(json_t *list, model_file_t *file, kws_pass_t *passes) {
    int n = 0, next = 0;
    for (int more = json_open(list, '['); more && !list->failed; more = json_more(list, ']')) {
        int32_t block = json_integer(list, next, file->model.n_blocks - 1);
        if (list->failed) {
            return 0;
        }
        passes[n++].block = &file->blocks[block];
        next = block + 1;
    }
    return list->failed ? 0 : n;
}

/* A list of {"delta": 2, "blocks": [1, 3]}, the deltas ascending. */
static int read_depths(description_t *d, model_file_t *file) {
    json_t *list = &d->values[DEPTHS];
    kws_pass_t *passes = file->passes;
    int n = 0, last = 0;
    for (int more = json_open(list, '['); more && !list->failed; more = json_more(list, ']'), n++) {
        if (n == MODEL_MAX_DEPTHS) {
            return fail(d, "depths", "are too many");
        }
        kws_depth_t *depth = &file->depths[n];
        *depth = (kws_depth_t){.passes = passes};
        for (int member = json_open(list, '{'); member && !list->failed; member = json_more(list, '}')) {
            const char *key = json_key(list);
            if (strcmp(key, "delta") == 0) {
                depth->delta = json_integer(list, 1, MODEL_MAX_BLOCKS);
            } else if (strcmp(key, "blocks") == 0) {
                depth->n_passes = read_passes(list, file, passes);
            } else {
                json_skip(list);
            }
        }
        if (list->failed || depth->delta <= last || depth->n_passes == 0) {
            return fail(d, "depths", "are not depths that the engine runs, the smallest delta first");
        }
        last = depth->delta;
        passes += depth->n_passes;
    }
    file->model.n_depths = n;
    return (!list->failed && n > 0) || fail(d, "depths", "are no list of depths");
}

static int read_listener(description_t *d, kws_model_t *model) {
    int32_t delta = json_integer(&d->values[LISTEN_DELTA], 0, MODEL_MAX_BLOCKS);
    int known = delta == 0;
    for (int i = 1; i < model->n_depths; i++) {
        known |= model->depths[i].delta == delta;
    }
    model->listen_delta = delta;
    return (known && !d->values[LISTEN_DELTA].failed) || fail(d, "listen_delta", "is no thinner depth of the model");
}

/* What the program has no use for, and nevertheless tells a good file from another. */
static int read_notes(description_t *d) {
    int32_t bits;
    const char *digest = json_text(&d->values[CHECKPOINT]);
    if (d->values[CHECKPOINT].failed || (*digest && !is_made_of(digest, "0123456789abcdef", 64, 64))) {
        return fail(d, key_names[CHECKPOINT], "is no SHA-256");
    }
    if (!is_name(json_text(&d->values[NAME]))) {
        return fail(d, key_names[NAME], "is no line of text");
    }
    json_open(&d->values[PROVENANCE], '{');
    return integer(d, STREAM_BITS, 0, 15, 1, &bits) &&
           (!d->values[PROVENANCE].failed || fail(d, key_names[PROVENANCE], "is no object"));
}

static int read_description(description_t *d, model_file_t *file, const kws_frontend_t *frontend) {
    enum { MOST_CHANNELS = 256, MOST_HIDDEN = 512 }; /* as kws.h says */
    kws_model_t *model = &file->model;
    *model = (kws_model_t){.version = KWS_ENGINE_VERSION,
                           .frontend = frontend,
                           .blocks = file->blocks,
                           .depths = file->depths,
                           .class_names = file->class_names};
    return integer(d, PLANES, 1, 2, 1, &model->planes) &&
           integer(d, CHANNELS, 64, MOST_CHANNELS, 64, &model->channels) &&
           integer(d, HIDDEN, 64, MOST_HIDDEN, 64, &model->hidden) &&
           integer(d, N_BLOCKS, 1, MODEL_MAX_BLOCKS, 1, &model->n_blocks) &&
           integer(d, HOP_FRAMES, 1, frontend->frames, 1, &model->hop_frames) &&
           integer(d, SMOOTHING, 1, KWS_MAX_SMOOTHING, 1, &model->smoothing) &&
           integer(d, REFRACTORY, 0, INT32_MAX, 1, &model->refractory) && number(d, RELEASE, 0, 1, &model->release) &&
           number(d, GATE, -1000, 1000, &model->gate) && number(d, WAKE, 0, 1000, &model->wake) &&
           read_names(d, file) && integer(d, N_WORDS, 1, model->n_classes, 1, &model->n_words) &&
           read_depths(d, file) && read_listener(d, model);
}

/* All but the file's head, which is good. Returns 1, 0 where it is malformed, -1 where it has other features. */
static int decode(model_file_t *file, unsigned char *data, size_t size, const kws_frontend_t *frontend, char *why,
                  size_t why_size) {
    description_t d = {.why = why, .why_size = why_size};
    uint64_t length;
    memcpy(&length, data + 16, sizeof length);
    if (length > size - HEAD) {
        return fail(&d, "its description", "is longer than the file");
    }
    json_t text = {.at = (char *)data + HEAD, .end = (char *)data + HEAD + length};
    size_t start = (HEAD + (size_t)length + KWS_ALIGN - 1) / KWS_ALIGN * KWS_ALIGN;
    if (!find_values(&d, text)) {
        return 0;
    }
    int same = is_preset(d.values[PRESET], frontend);
    if (same < 0) {
        return fail(&d, "preset", "is no set of features");
    }
    if (!same) {
        return -1;
    }
    size_t arrays = start < size ? size - start : 0;
    return read_notes(&d) && read_description(&d, file, frontend) &&
           model_arrays_find(file, d.values[ARRAYS], data + start, arrays, why, why_size);
}

/* Checks the whole of a file's content, which must begin at a multiple of KWS_ALIGN and is changed by reading. */
static int read_content(model_file_t *file, unsigned char *data, size_t size, const char *path,
                        const kws_frontend_t *frontend, char *why, size_t why_size) {
    char fault[128];
    unsigned char digest[SHA256_BYTES];
    uint32_t format, engine;
    if (size < HEAD + SHA256_BYTES || memcmp(data, magic, sizeof magic) != 0) {
        snprintf(why, why_size, "%.100s: is no kws model; give a .kws file that `kws train` wrote", path);
        return 0;
    }
    memcpy(&format, data + 8, sizeof format);
    memcpy(&engine, data + 12, sizeof engine);
    if (format != MODEL_FORMAT || engine != KWS_ENGINE_VERSION) {
        snprintf(why, why_size,
                 "%.100s: was made for engine %u (file format %u) but this program has engine %d (file format %d); "
                 "build the program with the kws that wrote it, or train it again",
                 path, engine, format, KWS_ENGINE_VERSION, MODEL_FORMAT);
        return 0;
    }
    size -= SHA256_BYTES;
    sha256(data, size, digest);
    if (memcmp(digest, data + size, SHA256_BYTES) != 0) {
        snprintf(why, why_size, "%.100s: is damaged (its SHA-256 does not match); copy it again", path);
        return 0;
    }
    int good = decode(file, data, size, frontend, fault, sizeof fault);
    if (good == 0) {
        snprintf(why, why_size, "%.100s: is malformed (%s); export it again", path, fault);
    } else if (good < 0) {
        snprintf(why, why_size,
                 "%.100s: hears other features than this program has tables for; build one with `kws build --model`",
                 path);
    }
    return good > 0;
}

/* The whole of an open file in memory of its own, page-aligned, or NULL with errno. */
static unsigned char *read_whole(int fd, size_t size) {
    unsigned char *data = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (data == MAP_FAILED) {
        return NULL;
    }
    for (size_t done = 0; done < size;) {
        ssize_t n = read(fd, data + done, size - done);
        if (n <= 0) {
            int reason = n < 0 ? errno : EIO; /* it became shorter meanwhile */
            munmap(data, size);
            errno = reason;
            return NULL;
        }
        done += (size_t)n;
    }
    return data;
}

int model_file_load(model_file_t *file, const char *path, const kws_frontend_t *frontend, char *why, size_t why_size) {
    struct stat status;
    unsigned char *data = NULL;
    int good = 0, fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0 || fstat(fd, &status) != 0) {
        snprintf(why, why_size, "%.100s: %s", path, strerror(errno));
    } else if (!S_ISREG(status.st_mode)) {
        snprintf(why, why_size, "%.100s: is no file; give a .kws model file", path);
    } else if (status.st_size > MODEL_MAX_BYTES) {
        snprintf(why, why_size, "%.100s: is larger than any model (%d MB); give a .kws model file", path,
                 MODEL_MAX_BYTES >> 20);
    } else if (status.st_size > 0 && !(data = read_whole(fd, (size_t)status.st_size))) {
        snprintf(why, why_size, "%.100s: cannot be read (%s)", path, strerror(errno));
    } else {
        good = read_content(file, data, (size_t)status.st_size, path, frontend, why, why_size);
    }
    if (data && !good) {
        munmap(data, (size_t)status.st_size);
    }
    if (fd >= 0) {
        close(fd);
    }
    return good;
}
