/* SPDX-License-Identifier: Apache-2.0
 *
 * kws-listener: listens to a microphone on Linux, with a model compiled in or from a file. `kws build` compiles it; by
 * hand:
 *
 *     aarch64-linux-gnu-gcc -static -std=c11 -O3 -ffp-contract=off -Ifirmware/include -Ifirmware/models \
 *        -DKWS_MODEL_HEADER='"kws12_listener.h"' -DKWS_MODEL=kws_kws12_listener \
 *        -DKWS_MODEL_STATE_SIZE=KWS_KWS12_LISTENER_STATE_SIZE \
 *        firmware/boards/rpi/[a-z]*.c firmware/src/[a-z]*.[cS] -lm -o kws-listener
 *
 * Sound runs one way: capture or WAV file, mono floats, 16-bit samples at the model's rate, events, actions. One thread,
 * no allocation of its own; whatever is late is looked after between two blocks of sound.
 */
#define _GNU_SOURCE /* fopen with "e", sigaction */
#include "../common/json.h"
#include "../common/wav.h"
#include "alive.h"
#include "capture.h"
#include "exec.h"
#include "gpio.h"
#include "kws.h"
#include "log.h"
#include "model_file.h"
#include "options.h"
#include "privileges.h"
#include "resample.h"
#include "tcp.h"
#include "udp.h"

#include KWS_MODEL_HEADER

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

enum { EXIT_USAGE = 2, TICK_MS = 100, RETRY_MS = 1000, STALLED_MS = 5000, SILENT_SECONDS = 5 };

static const char usage[] =
    "usage: kws-listener [OPTION VALUE]...\n"
    "\n"
    "Listens to a microphone and prints one line of JSON a word heard.\n"
    "\n"
    "  --device NAME         part of the microphone's name, or hw:CARD,DEVICE; the first that captures by default\n"
    "  --list                show the microphones\n"
    "  --channel N|mix       which channel of it; the mean of all by default\n"
    "  --rate HZ             at this sampling rate, where the one that it is asked for by default suits it ill\n"
    "  --gain DB             amplify; I2S microphones may need 12 to 24\n"
    "  --model FILE          a .kws file in place of the model compiled in\n"
    "  --show-model          show its words and depths\n"
    "  --depth N|adaptive    1 runs every block of the network, 2 every second, 4 every fourth; adaptive: the "
    "thinnest\n"
    "                        listens, and the deepest confirms\n"
    "  --words A,B           the words to listen for; all by default\n"
    "  --threshold SCORE     score from 0 to 1 that makes a detection; WORD=SCORE for one word; may be repeated\n"
    "  --sensitivity S       from 0 to 1: moves every threshold; 0.5 leaves them, more hears more; or WORD=S\n"
    "  --gate DBFS           sound that stays below this level is silence; -100 for none\n"
    "  --release SHARE       a word can come again once its score is below this share of its threshold\n"
    "  --refractory S        and after so many seconds; or WORD=S\n"
    "  --smoothing N         average so many windows, 1 to 16: more are surer, and later\n"
    "  --wake P              adaptive: the probability of a word from which on the deepest confirms\n"
    "  --exec PROGRAM        run it at every word, with KWS_WORD, KWS_SCORE, KWS_TIME and KWS_DEPTH; one at a time\n"
    "  --exec-seconds S      end it after so long; 10 by default\n"
    "  --gpio [CHIP:]LINE[,low]  switch this line on at every word\n"
    "  --gpio-seconds S      for so long; 1 by default\n"
    "  --udp ADDRESS:PORT    send the lines there too, as datagrams\n"
    "  --tcp ADDRESS:PORT    send them there over a connection, which is opened again whenever it is lost\n"
    "  --watchdog DEVICE     keep a hardware watchdog content, such as /dev/watchdog\n"
    "  --user NAME           become this user, where started as root\n"
    "  --settings FILE       read such settings from a file, as lines NAME = VALUE\n"
    "  --wav FILE            listen to this recording and end\n";

static _Alignas(KWS_ALIGN) unsigned char memory[KWS_MODEL_STATE_SIZE];
static const kws_model_t *model = &KWS_MODEL;
static model_file_t model_file;
static options_t options;
static resampler_t resampler;
static capture_t capture;
static runner_t runner;
static gpio_t gpio = {.fd = -1};
static udp_t udp = {.fd = -1};
static tcp_t tcp;
static alive_t alive = {.watchdog = -1};
static kws_state_t *kws;
static volatile sig_atomic_t stopping;
static int output_gone;

/* Where the stream's sample 0 lies, in samples since the first microphone opened: what was lost while one was unplugged
 * or nobody read it counts. */
static uint64_t stream_began, samples_fed;
static int64_t first_opened; /* ms; 0 before */

static void stop(int number) {
    (void)number;
    stopping = 1;
}

static int64_t clock_ms(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void tick(void) {
    int64_t now = clock_ms();
    runner_tick(&runner, now);
    gpio_tick(&gpio, now);
    tcp_tick(&tcp, now);
    alive_tick(&alive, now);
}

static int rate_fits(unsigned rate) {
    return resampler_fits(rate, (unsigned)model->frontend->sample_rate);
}

static int rate_is_wanted(unsigned rate) {
    return (options.rate == 0 || rate == options.rate) && rate_fits(rate);
}

static void act_on(const kws_event_t *event) {
    static char line[JSON_LINE];
    const char *word = model->class_names[event->word];
    double time = (double)(stream_began + event->sample) / model->frontend->sample_rate;
    double score = (double)event->score;
    size_t length = json_event(line, options.wav, word, time, score, (int)event->delta);
    int64_t now = clock_ms();
    if (puts(line) == EOF || fflush(stdout) == EOF) {
        say("nobody reads the output any more: %s", strerror(errno));
        output_gone = stopping = 1;
    }
    gpio_flash(&gpio, now);
    udp_send(&udp, line, length);
    tcp_send(&tcp, line, length);
    runner_start(&runner, now, word, score, time, (int)event->delta);
}

static void hear(const float *sound, size_t n) {
    static int16_t pcm[RESAMPLE_MAX_OUT];
    static kws_event_t events[KWS_EVENT_CAPACITY(RESAMPLE_MAX_OUT)];
    size_t made = resample(&resampler, sound, n, pcm);
    int count = kws_feed(kws, pcm, made, events, KWS_EVENT_CAPACITY(RESAMPLE_MAX_OUT));
    samples_fed += made;
    for (int i = 0; i < count; i++) {
        act_on(&events[i]);
    }
}

/* Says once where a device gives nothing but zeros: a working microphone always has some noise. */
static void watch_silence(const float *sound, size_t n) {
    static uint64_t zeros;
    static int told;
    for (size_t i = 0; i < n; i++) {
        zeros = sound[i] == 0.0f ? zeros + 1 : 0;
    }
    if (!told && zeros > (uint64_t)SILENT_SECONDS * capture.rate) {
        say("%s gives only digital silence: is it muted, or the wrong one, or the wrong channel?", capture.name);
        told = 1;
    }
}

/* What comes next does not follow what came before. */
static void begin_stream(void) {
    resampler_init(&resampler, capture.rate, (unsigned)model->frontend->sample_rate);
    int64_t now = clock_ms();
    first_opened = first_opened ? first_opened : now;
    uint64_t gone = (uint64_t)(now - first_opened) * (uint64_t)model->frontend->sample_rate / 1000;
    uint64_t fed = stream_began + samples_fed;
    stream_began = gone > fed ? gone : fed;
    samples_fed = 0;
    kws_reset(kws);
}

/* Waits for a microphone, however long it takes. Returns 0 where a signal came first. */
static int open_microphone(void) {
    char why[256], said[256] = "", state[300];
    while (!stopping) {
        if (capture_open(&capture, options.device, rate_is_wanted, why, sizeof why)) {
            begin_stream();
            say("listening on %s: %u Hz, %d channel%s, kernels %s", capture.name, capture.rate, capture.channels,
                capture.channels == 1 ? "" : "s", kws_isa(kws));
            snprintf(state, sizeof state, "READY=1\nSTATUS=Listening on %s", capture.name);
            alive_notify(state);
            return 1;
        }
        if (strcmp(why, said) != 0) {
            say("waiting for a microphone: %s", why);
            snprintf(state, sizeof state, "READY=1\nSTATUS=Waiting for a microphone: %.200s", why);
            alive_notify(state);
            memcpy(said, why, sizeof said);
        }
        for (int waited = 0; waited < RETRY_MS && !stopping; waited += TICK_MS) {
            poll(NULL, 0, TICK_MS);
            tick();
        }
    }
    return 0;
}

/* Listens to the microphone that is open until it is lost or a signal comes. */
static void listen_to_microphone(void) {
    static float sound[CAPTURE_BLOCK];
    unsigned long overruns = capture.overruns;
    int64_t last = clock_ms();
    while (!stopping) {
        int n = capture_read(&capture, options.channel, options.gain, TICK_MS, sound);
        int64_t now = clock_ms();
        if (n > 0) {
            watch_silence(sound, (size_t)n);
            hear(sound, (size_t)n);
            last = now;
        } else if (n == CAPTURE_LOST || now - last > STALLED_MS) {
            say("%s is lost%s", capture.name, n == CAPTURE_LOST ? "" : ": no sound came for 5 seconds");
            break;
        }
        if (capture.overruns > overruns) {
            overruns = capture.overruns;
            begin_stream();
            say("sound was lost: %lu overrun%s so far", overruns, overruns == 1 ? "" : "s");
        }
        tick();
    }
    capture_close(&capture);
}

static int fail(const char *name, const char *message) {
    say("%s: %s", name, message);
    return 0;
}

static int find_form(const wav_t *wav, sample_form_t *form) {
    static const struct {
        uint32_t format, bits;
        sample_form_t form;
    } known[] = {{WAV_PCM, 8, SAMPLE_U8},
                 {WAV_PCM, 16, SAMPLE_S16},
                 {WAV_PCM, 24, SAMPLE_S24_3},
                 {WAV_PCM, 32, SAMPLE_S32},
                 {WAV_FLOAT, 32, SAMPLE_F32}};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        if (wav->format == known[i].format && wav->bits == known[i].bits) {
            *form = known[i].form;
            return 1;
        }
    }
    return 0;
}

static int hear_wav(FILE *file, const char *name, const wav_t *wav, sample_form_t form) {
    static float sound[CAPTURE_BLOCK];
    size_t frame = sample_bytes(form) * wav->channels;
    uint64_t frames = wav->size / frame;
    if (wav->size % frame) {
        return fail(name, "its sound ends in the middle of a sample; write the file again");
    }
    int channel = options.channel < (int)wav->channels ? options.channel : 0;
    while (frames > 0 && !stopping) {
        size_t n = frames < CAPTURE_BLOCK ? (size_t)frames : CAPTURE_BLOCK;
        if (fread(capture.raw, frame, n, file) != n) {
            return fail(name, ferror(file) ? strerror(errno) : "ends before its sound does; copy or write it again");
        }
        samples_to_mono(capture.raw, form, (int)wav->channels, channel, options.gain, n, sound);
        hear(sound, n);
        tick();
        frames -= n;
    }
    memset(sound, 0, sizeof sound);
    for (uint32_t left = wav->rate; left > 0 && !stopping;) { /* a second, so that the last word is heard out */
        uint32_t n = left < CAPTURE_BLOCK ? left : CAPTURE_BLOCK;
        hear(sound, n);
        left -= n;
    }
    return 1;
}

static int listen_to_file(const char *name) {
    wav_t wav;
    sample_form_t form;
    FILE *file = fopen(name, "rbe");
    if (!file) {
        return fail(name, strerror(errno));
    }
    const char *wrong = wav_open(file, &wav);
    int good = 0;
    if (wrong) {
        fail(name, wrong);
    } else if (!find_form(&wav, &form)) {
        fail(name, "holds samples of a form that this program does not read; convert it to 16-bit PCM");
    } else if (wav.channels < 1 || wav.channels > SAMPLE_MAX_CHANNELS) {
        fail(name, "has too many channels or none; mix it down to one");
    } else if (!rate_fits(wav.rate)) {
        fail(name, "has a sampling rate that this program does not convert; resample it to 16000 Hz");
    } else {
        resampler_init(&resampler, wav.rate, (unsigned)model->frontend->sample_rate);
        good = hear_wav(file, name, &wav, form);
    }
    fclose(file);
    return good;
}

static void show_model(void) {
    printf("words:");
    for (int i = 0; i < model->n_words; i++) {
        printf("%s%s", i ? ", " : " ", model->class_names[i]);
    }
    printf("\ndepths:");
    for (int i = 0; i < model->n_depths; i++) {
        printf(" %d", (int)model->depths[i].delta);
    }
    printf("\nkernels: %s\n", kws_isa(kws));
}

static int is_flag(const char *name) {
    return strcmp(name, "--help") == 0 || strcmp(name, "--list") == 0 || strcmp(name, "--show-model") == 0;
}

/* Loads the model that the command line or the settings file names, the last of them. One that the settings file names
 * and that is no good leaves the one compiled in: a device with a fault in its settings still listens. Returns 0 where
 * the program cannot go on, as with two settings files: there is room for the text of one. */
static int choose_model(int argc, char **argv) {
    static char from_settings[OPTIONS_PATH];
    const char *path = NULL, *settings = NULL;
    char why[512];
    for (int i = 1; i + 1 < argc; i += is_flag(argv[i]) ? 1 : 2) {
        if (strcmp(argv[i], "--model") == 0) {
            path = argv[i + 1];
        } else if (strcmp(argv[i], "--settings") == 0) {
            if (settings) {
                say("--settings %s: give one settings file; %s is one already", argv[i + 1], settings);
                return 0;
            }
            settings = argv[i + 1];
            int found = options_find_model(&options, settings, from_settings);
            if (found < 0) {
                return 0;
            }
            path = found ? from_settings : path;
        }
    }
    if (!path) {
        return 1;
    }
    if (model_file_load(&model_file, path, KWS_MODEL.frontend, why, sizeof why)) {
        model = &model_file.model;
        return 1;
    }
    say("%s%s", why, path == from_settings ? "; listening with the model compiled in" : "");
    return path == from_settings;
}

/* The engine's state: in memory of its own where the model's size was not known before. */
static int start_engine(void) {
    size_t size = sizeof memory;
    void *place = memory;
    if (model != &KWS_MODEL) {
        size = kws_state_size(model);
        place = size ? mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) : MAP_FAILED;
    }
    if (place == MAP_FAILED || kws_init(place, size, model, &kws) != KWS_OK) {
        say("the engine refused its model; export it again");
        return 0;
    }
    return 1;
}

/* Reads the command line. Returns -1 to go on, else the exit status. */
static int parse(int argc, char **argv) {
    char why[256];
    for (int i = 1; i < argc; i++) {
        const char *name = argv[i];
        if (strcmp(name, "--help") == 0) {
            fputs(usage, stdout);
            return EXIT_SUCCESS;
        }
        if (strcmp(name, "--list") == 0) {
            if (capture_list() == 0) {
                say("no device captures; is the microphone plugged in?");
                return EXIT_FAILURE;
            }
            return EXIT_SUCCESS;
        }
        if (strcmp(name, "--show-model") == 0) {
            show_model();
            return EXIT_SUCCESS;
        }
        if (strncmp(name, "--", 2) != 0 || i + 1 == argc) {
            fprintf(stderr, "%s: no option, or one without its value\n%s", name, usage);
            return EXIT_USAGE;
        }
        const char *value = argv[++i];
        if (strcmp(name, "--settings") == 0) {
            if (!options_read(&options, value)) {
                return EXIT_USAGE;
            }
        } else if (!options_set(&options, name + 2, value, why, sizeof why)) {
            say("--%s", why);
            return EXIT_USAGE;
        }
    }
    return -1;
}

/* Opens what only root may, then gives root up, then what anybody may. */
static int prepare(void) {
    char why[256] = "";
    runner = (runner_t){.program = options.exec, .limit_ms = (int64_t)(1000 * options.exec_seconds)};
    gpio.hold_ms = (int64_t)(1000 * options.gpio_seconds);
    int good = alive_open(&alive, options.watchdog, why, sizeof why) &&
               (!options.gpio || gpio_open(&gpio, options.gpio, why, sizeof why)) &&
               (!options.user || privileges_drop(options.user, why, sizeof why)) &&
               (!options.udp || udp_open(&udp, options.udp, why, sizeof why)) &&
               (!options.tcp || tcp_open(&tcp, options.tcp, why, sizeof why));
    if (!good) {
        say("%s", why);
    }
    return good;
}

int main(int argc, char **argv) {
    struct sigaction action = {.sa_handler = stop};
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    signal(SIGPIPE, SIG_IGN);
    capture.fd = -1; /* here, for an initialiser would put the whole buffer into the program's file */

    tcp.fd = -1;
    if (!choose_model(argc, argv)) {
        return EXIT_USAGE;
    }
    if (!start_engine()) {
        return EXIT_FAILURE;
    }
    options_defaults(&options, model);
    int status = parse(argc, argv);
    if (status >= 0) {
        return status;
    }
    if (!prepare()) {
        return EXIT_FAILURE;
    }
    decision_apply(&options.decision, kws);

    int good = 1;
    if (options.wav) {
        alive_notify("READY=1");
        good = listen_to_file(options.wav);
    } else {
        while (open_microphone()) {
            listen_to_microphone();
        }
    }
    runner_finish(&runner, clock_ms);
    tcp_finish(&tcp, clock_ms);
    gpio_close(&gpio);
    alive_close(&alive);
    return good && !output_gone ? EXIT_SUCCESS : EXIT_FAILURE;
}
