/* SPDX-License-Identifier: Apache-2.0
 *
 * The order of a start, as in the kernel's Documentation/sound: refine the hardware parameters until each is one value,
 * set them, set the software parameters, prepare, start.
 */
#define _GNU_SOURCE /* strcasestr */
#include "capture.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <sound/asound.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

enum { MAX_CARDS = 32, MAX_DEVICES = 16, PERIOD_MS = 20, BUFFER_MS = 500 };

static const struct {
    int alsa;
    sample_form_t form;
} forms[] = {
    {SNDRV_PCM_FORMAT_S16_LE, SAMPLE_S16},   {SNDRV_PCM_FORMAT_S32_LE, SAMPLE_S32},
    {SNDRV_PCM_FORMAT_S24_LE, SAMPLE_S24_4}, {SNDRV_PCM_FORMAT_S24_3LE, SAMPLE_S24_3},
    {SNDRV_PCM_FORMAT_FLOAT_LE, SAMPLE_F32}, {SNDRV_PCM_FORMAT_U8, SAMPLE_U8},
};

/* The model's own rate first, then those that divide well, then the rest. */
static const unsigned rates[] = {16000, 48000, 32000, 96000, 44100, 24000, 192000,
                                 88200, 64000, 22050, 12000, 11025, 8000};

#define COUNT(array) (sizeof(array) / sizeof *(array))

static struct snd_mask *mask_of(struct snd_pcm_hw_params *params, int name) {
    return &params->masks[name - SNDRV_PCM_HW_PARAM_FIRST_MASK];
}

static struct snd_interval *interval_of(struct snd_pcm_hw_params *params, int name) {
    return &params->intervals[name - SNDRV_PCM_HW_PARAM_FIRST_INTERVAL];
}

/* Parameters that allow everything. */
static void allow_all(struct snd_pcm_hw_params *params) {
    memset(params, 0, sizeof *params);
    for (int i = SNDRV_PCM_HW_PARAM_FIRST_MASK; i <= SNDRV_PCM_HW_PARAM_LAST_MASK; i++) {
        memset(mask_of(params, i)->bits, 0xff, sizeof mask_of(params, i)->bits);
    }
    for (int i = SNDRV_PCM_HW_PARAM_FIRST_INTERVAL; i <= SNDRV_PCM_HW_PARAM_LAST_INTERVAL; i++) {
        interval_of(params, i)->max = UINT_MAX;
    }
    params->rmask = UINT_MAX;
    params->info = UINT_MAX;
}

static void allow_only(struct snd_pcm_hw_params *params, int name, int value) {
    struct snd_mask *mask = mask_of(params, name);
    memset(mask->bits, 0, sizeof mask->bits);
    mask->bits[value / 32] = 1u << (value % 32);
}

static void allow_from_to(struct snd_pcm_hw_params *params, int name, unsigned least, unsigned most) {
    struct snd_interval *interval = interval_of(params, name);
    memset(interval, 0, sizeof *interval);
    interval->min = least;
    interval->max = most;
    interval->integer = 1;
}

/* Narrows `params` to `value` if the device allows it beside what is already chosen. */
static int choose(int fd, struct snd_pcm_hw_params *params, int name, unsigned value) {
    struct snd_pcm_hw_params trial = *params;
    allow_from_to(&trial, name, value, value);
    trial.rmask = UINT_MAX;
    if (ioctl(fd, SNDRV_PCM_IOCTL_HW_REFINE, &trial) != 0) {
        return 0;
    }
    *params = trial;
    return 1;
}

static int choose_form(int fd, struct snd_pcm_hw_params *params, sample_form_t *form) {
    for (size_t i = 0; i < COUNT(forms); i++) {
        struct snd_pcm_hw_params trial = *params;
        allow_only(&trial, SNDRV_PCM_HW_PARAM_FORMAT, forms[i].alsa);
        allow_only(&trial, SNDRV_PCM_HW_PARAM_SUBFORMAT, SNDRV_PCM_SUBFORMAT_STD);
        trial.rmask = UINT_MAX;
        if (ioctl(fd, SNDRV_PCM_IOCTL_HW_REFINE, &trial) == 0) {
            *params = trial;
            *form = forms[i].form;
            return 1;
        }
    }
    return 0;
}

static int choose_rate(int fd, struct snd_pcm_hw_params *params, int (*rate_fits)(unsigned), unsigned *rate) {
    for (size_t i = 0; i < COUNT(rates); i++) {
        if (rate_fits(rates[i]) && choose(fd, params, SNDRV_PCM_HW_PARAM_RATE, rates[i])) {
            *rate = rates[i];
            return 1;
        }
    }
    return 0;
}

static int choose_channels(int fd, struct snd_pcm_hw_params *params, int *channels) {
    for (int n = 1; n <= SAMPLE_MAX_CHANNELS; n++) {
        if (choose(fd, params, SNDRV_PCM_HW_PARAM_CHANNELS, (unsigned)n)) {
            *channels = n;
            return 1;
        }
    }
    return 0;
}

/* Asks for the period and the buffer wanted, takes what comes nearest, and leaves the rest to the kernel. */
static int set_hardware(int fd, struct snd_pcm_hw_params *params, unsigned rate) {
    unsigned period = rate * PERIOD_MS / 1000, buffer = rate * BUFFER_MS / 1000;
    if (!choose(fd, params, SNDRV_PCM_HW_PARAM_PERIOD_SIZE, period)) {
        struct snd_pcm_hw_params trial = *params;
        allow_from_to(&trial, SNDRV_PCM_HW_PARAM_PERIOD_SIZE, period / 2, 4 * period);
        trial.rmask = UINT_MAX;
        if (ioctl(fd, SNDRV_PCM_IOCTL_HW_REFINE, &trial) == 0) {
            *params = trial;
        }
    }
    struct snd_pcm_hw_params trial = *params;
    allow_from_to(&trial, SNDRV_PCM_HW_PARAM_BUFFER_SIZE, buffer, UINT_MAX);
    trial.rmask = UINT_MAX;
    if (ioctl(fd, SNDRV_PCM_IOCTL_HW_REFINE, &trial) == 0) {
        *params = trial;
    }
    params->rmask = UINT_MAX;
    return ioctl(fd, SNDRV_PCM_IOCTL_HW_PARAMS, params) == 0;
}

static int set_software(int fd, const struct snd_pcm_hw_params *hardware) {
    struct snd_pcm_hw_params sizes = *hardware;
    struct snd_pcm_sw_params params;
    unsigned long buffer = interval_of(&sizes, SNDRV_PCM_HW_PARAM_BUFFER_SIZE)->min;
    memset(&params, 0, sizeof params);
    params.tstamp_mode = SNDRV_PCM_TSTAMP_NONE;
    params.period_step = 1;
    params.avail_min = 1; /* poll wakes a period after period, whatever it says */
    params.start_threshold = 1;
    params.stop_threshold = buffer; /* an overrun stops the device, which capture_read then starts again */
    params.boundary = buffer;
    while (params.boundary * 2 <= LONG_MAX - buffer) {
        params.boundary *= 2;
    }
    return ioctl(fd, SNDRV_PCM_IOCTL_SW_PARAMS, &params) == 0;
}

static int start(int fd) {
    return ioctl(fd, SNDRV_PCM_IOCTL_PREPARE) == 0 && ioctl(fd, SNDRV_PCM_IOCTL_START) == 0;
}

/* Readies an open device. Returns NULL, or what it lacks. */
static const char *configure(capture_t *capture, int (*rate_fits)(unsigned)) {
    struct snd_pcm_hw_params params;
    int fd = capture->fd;
    allow_all(&params);
    allow_only(&params, SNDRV_PCM_HW_PARAM_ACCESS, SNDRV_PCM_ACCESS_RW_INTERLEAVED);
    if (!choose_form(fd, &params, &capture->form)) {
        return "offers no sample format that this program reads";
    }
    if (!choose_rate(fd, &params, rate_fits, &capture->rate)) {
        return "offers no sampling rate that this program converts";
    }
    if (!choose_channels(fd, &params, &capture->channels)) {
        return "offers only more channels than this program reads";
    }
    if (!set_hardware(fd, &params, capture->rate) || !set_software(fd, &params)) {
        return "refuses its own parameters";
    }
    return start(fd) ? NULL : "does not start";
}

/* "hw:CARD,DEVICE card's name, device's name" of an open device. */
static void describe(int fd, int card, int device, char *name, size_t size) {
    char path[32];
    struct snd_pcm_info pcm;
    struct snd_ctl_card_info info;
    memset(&pcm, 0, sizeof pcm);
    memset(&info, 0, sizeof info);
    if (ioctl(fd, SNDRV_PCM_IOCTL_INFO, &pcm) != 0) {
        memset(&pcm, 0, sizeof pcm);
    }
    snprintf(path, sizeof path, "/dev/snd/controlC%d", card);
    int control = open(path, O_RDONLY | O_CLOEXEC);
    if (control >= 0) {
        if (ioctl(control, SNDRV_CTL_IOCTL_CARD_INFO, &info) != 0) {
            memset(&info, 0, sizeof info);
        }
        close(control);
    }
    snprintf(name, size, "hw:%d,%d %.60s, %.60s", card, device, (const char *)info.name, (const char *)pcm.name);
}

/* Does `name` begin with the word `wanted`, as "hw:1,0" does, or hold it anywhere? "hw:1,1" must not find "hw:1,10". */
static int is_wanted(const char *name, const char *wanted) {
    if (!wanted || !*wanted) {
        return 1;
    }
    if (strncmp(wanted, "hw:", 3) == 0) {
        size_t length = strlen(wanted);
        return strncmp(name, wanted, length) == 0 && name[length] == ' ';
    }
    return strcasestr(name, wanted) != NULL;
}

static int open_device(int card, int device, char *name, size_t size) {
    char path[40];
    snprintf(path, sizeof path, "/dev/snd/pcmC%dD%dc", card, device);
    int fd = open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC);
    if (fd >= 0) {
        describe(fd, card, device, name, size);
    } else if (errno != ENOENT) {
        snprintf(name, size, "hw:%d,%d (%s)", card, device, strerror(errno));
    } else {
        return -1;
    }
    return fd >= 0 ? fd : -2;
}

int capture_open(capture_t *capture, const char *wanted, int (*rate_fits)(unsigned rate), char *why, size_t why_size) {
    int others = 0;
    if (wanted && *wanted) {
        snprintf(why, why_size, "no device that captures is called '%.80s'; --list shows those there are", wanted);
    } else {
        snprintf(why, why_size, "no device captures; is the microphone plugged in?");
    }
    for (int card = 0; card < MAX_CARDS; card++) {
        for (int device = 0; device < MAX_DEVICES; device++) {
            int fd = open_device(card, device, capture->name, sizeof capture->name);
            if (fd == -2 && !others) {
                snprintf(why, why_size, "%s cannot be opened; is it in use, or this user not in the group audio?",
                         capture->name);
                others = 1;
            }
            if (fd < 0) {
                continue;
            }
            capture->fd = fd;
            const char *wrong = is_wanted(capture->name, wanted) ? configure(capture, rate_fits) : "";
            if (!wrong) {
                return 1;
            }
            if (*wrong) {
                snprintf(why, why_size, "%s %s", capture->name, wrong);
                others = 1;
            }
            capture_close(capture);
        }
    }
    capture->fd = -1;
    return 0;
}

int capture_read(capture_t *capture, int channel, float gain, int timeout_ms, float *out) {
    struct snd_xferi transfer = {.buf = capture->raw, .frames = CAPTURE_BLOCK};
    struct pollfd ready = {.fd = capture->fd, .events = POLLIN};
    int events = poll(&ready, 1, timeout_ms);
    if (events < 0) {
        return errno == EINTR ? CAPTURE_INTERRUPTED : CAPTURE_LOST;
    }
    if (events == 0) {
        return CAPTURE_NOTHING;
    }
    if (ioctl(capture->fd, SNDRV_PCM_IOCTL_READI_FRAMES, &transfer) == 0) {
        size_t frames = transfer.result > 0 ? (size_t)transfer.result : 0;
        samples_to_mono(capture->raw, capture->form, capture->channels, channel < capture->channels ? channel : 0, gain,
                        frames, out);
        return (int)frames;
    }
    switch (errno) {
    case EAGAIN:
        return CAPTURE_NOTHING;
    case EINTR:
        return CAPTURE_INTERRUPTED;
    case EPIPE:    /* overrun */
    case ESTRPIPE: /* suspended */
        capture->overruns++;
        return start(capture->fd) ? CAPTURE_NOTHING : CAPTURE_LOST;
    default:
        return CAPTURE_LOST;
    }
}

void capture_close(capture_t *capture) {
    if (capture->fd >= 0) {
        close(capture->fd);
    }
    capture->fd = -1;
}

int capture_list(void) {
    char name[160];
    int count = 0;
    for (int card = 0; card < MAX_CARDS; card++) {
        for (int device = 0; device < MAX_DEVICES; device++) {
            int fd = open_device(card, device, name, sizeof name);
            if (fd != -1) {
                puts(name);
                count++;
            }
            if (fd >= 0) {
                close(fd);
            }
        }
    }
    return count;
}
