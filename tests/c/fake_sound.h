/* SPDX-License-Identifier: Apache-2.0
 *
 * A sound card and a GPIO chip that exist only for the file that is compiled with `-include fake_sound.h`: its open,
 * close, ioctl and poll come here. What the card offers and does is in the environment:
 *
 *   FAKE_FORMAT, FAKE_CHANNELS, FAKE_RATE   the only format (its ALSA number), channel count and rate that it offers
 *   FAKE_SOUND   a file of raw frames; at its end, the process gets SIGTERM
 *   FAKE_SCRIPT  what happens at which frame, such as "4000x 9000g": x overrun, p overrun after half a second, g gone
 *                (absent for two attempts to open), s stalled until it is opened again
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/gpio.h>
#include <poll.h>
#include <signal.h>
#include <sound/asound.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

enum { FAKE_CARD = 900, FAKE_CONTROL, FAKE_CHIP, FAKE_LINE, FAKE_PERIOD = 300 };

static int fake_absent, fake_running, fake_stalled;
static long fake_frame;
static FILE *fake_file;

static long fake_setting(const char *name) {
    const char *value = getenv(name);
    return value ? strtol(value, NULL, 10) : 0;
}

static int fake_no(int error) {
    errno = error;
    return -1;
}

static inline int fake_open(const char *path, int flags, ...) {
    if (strcmp(path, "/dev/snd/pcmC1D0c") == 0 && getenv("FAKE_SOUND")) {
        if (fake_absent > 0) {
            fake_absent--;
            return fake_no(ENOENT);
        }
        fake_stalled = 0;
        return FAKE_CARD;
    }
    if (strcmp(path, "/dev/snd/pcmC0D0c") == 0 && getenv("FAKE_SOUND")) {
        return fake_no(EBUSY); /* another card, which somebody else has */
    }
    if (strcmp(path, "/dev/snd/controlC1") == 0) {
        return FAKE_CONTROL;
    }
    if (strcmp(path, "/dev/gpiochip3") == 0) {
        return FAKE_CHIP;
    }
    return open(path, flags);
}

static inline int fake_close(int fd) {
    return fd >= FAKE_CARD ? 0 : close(fd);
}

/* Narrows an interval to one value; false where it does not hold it. */
static int fake_narrow(struct snd_pcm_hw_params *params, int name, unsigned value) {
    struct snd_interval *interval = &params->intervals[name - SNDRV_PCM_HW_PARAM_FIRST_INTERVAL];
    int holds = value >= interval->min && value <= interval->max;
    interval->min = interval->max = value;
    return holds;
}

static int fake_refine(struct snd_pcm_hw_params *params) {
    unsigned format = (unsigned)fake_setting("FAKE_FORMAT");
    unsigned formats = params->masks[SNDRV_PCM_HW_PARAM_FORMAT - SNDRV_PCM_HW_PARAM_FIRST_MASK].bits[format / 32];
    unsigned access = params->masks[SNDRV_PCM_HW_PARAM_ACCESS - SNDRV_PCM_HW_PARAM_FIRST_MASK].bits[0];
    int fits = (formats >> (format % 32) & 1) && (access >> SNDRV_PCM_ACCESS_RW_INTERLEAVED & 1) &&
               fake_narrow(params, SNDRV_PCM_HW_PARAM_CHANNELS, (unsigned)fake_setting("FAKE_CHANNELS")) &&
               fake_narrow(params, SNDRV_PCM_HW_PARAM_RATE, (unsigned)fake_setting("FAKE_RATE")) &&
               fake_narrow(params, SNDRV_PCM_HW_PARAM_PERIOD_SIZE, FAKE_PERIOD) &&
               fake_narrow(params, SNDRV_PCM_HW_PARAM_BUFFER_SIZE, 32 * FAKE_PERIOD);
    return fits ? 0 : fake_no(EINVAL);
}

/* The script's letter for what happens at or before the frame that comes next, once. */
static char fake_happening(void) {
    static int done;
    const char *script = getenv("FAKE_SCRIPT");
    int entry = 0;
    while (script && *script) {
        char *end;
        long frame = strtol(script, &end, 10);
        char what = *end++;
        if (entry++ == done && fake_frame >= frame) {
            done++;
            return what;
        }
        script = end + (*end == ' ');
    }
    return 0;
}

static int fake_read(struct snd_xferi *transfer) {
    static const size_t widths[] = {[SNDRV_PCM_FORMAT_U8] = 1,       [SNDRV_PCM_FORMAT_S16_LE] = 2,
                                    [SNDRV_PCM_FORMAT_S24_LE] = 4,   [SNDRV_PCM_FORMAT_S32_LE] = 4,
                                    [SNDRV_PCM_FORMAT_FLOAT_LE] = 4, [SNDRV_PCM_FORMAT_S24_3LE] = 3};
    size_t bytes = widths[fake_setting("FAKE_FORMAT")] * (size_t)fake_setting("FAKE_CHANNELS");
    if (!fake_running) {
        return fake_no(EBADFD);
    }
    switch (fake_happening()) {
    case 'p':
        poll(NULL, 0, 500);
        fake_running = 0;
        return fake_no(EPIPE);
    case 'x':
        fake_running = 0;
        return fake_no(EPIPE);
    case 'g':
        fake_running = 0;
        fake_absent = 2;
        return fake_no(ENODEV);
    case 's':
        fake_stalled = 1;
        return fake_no(EAGAIN);
    default:
        break;
    }
    if (!fake_file) {
        fake_file = fopen(getenv("FAKE_SOUND"), "rb");
    }
    size_t most = transfer->frames < FAKE_PERIOD ? transfer->frames : FAKE_PERIOD;
    size_t frames = fake_file ? fread(transfer->buf, bytes, most, fake_file) : 0;
    if (frames == 0) {
        raise(SIGTERM);
        return fake_no(EAGAIN);
    }
    fake_frame += (long)frames;
    transfer->result = (snd_pcm_sframes_t)frames;
    return 0;
}

static inline int fake_ioctl(int fd, unsigned long request, ...) {
    va_list arguments;
    va_start(arguments, request);
    void *at = va_arg(arguments, void *);
    va_end(arguments);
    switch (request) {
    case SNDRV_PCM_IOCTL_HW_REFINE:
    case SNDRV_PCM_IOCTL_HW_PARAMS:
        return fake_refine(at);
    case SNDRV_PCM_IOCTL_SW_PARAMS: {
        const struct snd_pcm_sw_params *params = at;
        return params->stop_threshold == 32 * FAKE_PERIOD && params->avail_min > 0 ? 0 : fake_no(EINVAL);
    }
    case SNDRV_PCM_IOCTL_PREPARE:
        return 0;
    case SNDRV_PCM_IOCTL_START:
        fake_running = 1;
        return 0;
    case SNDRV_PCM_IOCTL_READI_FRAMES:
        return fake_read(at);
    case SNDRV_PCM_IOCTL_INFO:
        strcpy((char *)((struct snd_pcm_info *)at)->name, "USB Audio");
        return 0;
    case SNDRV_CTL_IOCTL_CARD_INFO:
        strcpy((char *)((struct snd_ctl_card_info *)at)->name, "Studio Mic");
        return 0;
    case GPIO_GET_CHIPINFO_IOCTL:
        strcpy(((struct gpiochip_info *)at)->label, "pinctrl-fake");
        return 0;
    case GPIO_V2_GET_LINE_IOCTL: {
        struct gpio_v2_line_request *line = at;
        fprintf(stderr, "gpio: line %u of %u, flags %llx\n", line->offsets[0], line->num_lines,
                (unsigned long long)line->config.flags);
        line->fd = FAKE_LINE;
        return 0;
    }
    case GPIO_V2_LINE_SET_VALUES_IOCTL:
        fprintf(stderr, "gpio: %llu\n", (unsigned long long)((struct gpio_v2_line_values *)at)->bits);
        return 0;
    default:
        return ioctl(fd, request, at);
    }
}

static inline int fake_poll(struct pollfd *fds, nfds_t count, int timeout) {
    if (count == 1 && fds[0].fd == FAKE_CARD) {
        if (fake_stalled) {
            poll(NULL, 0, timeout);
            return 0;
        }
        return 1;
    }
    return poll(fds, count, timeout);
}

#define open fake_open
#define close fake_close
#define ioctl fake_ioctl
#define poll fake_poll
