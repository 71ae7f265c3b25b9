/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE /* O_CLOEXEC */
#include "gpio.h"

#include "log.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/gpio.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

enum { MAX_CHIPS = 16 };

static int open_chip(long chip) {
    char path[40];
    snprintf(path, sizeof path, "/dev/gpiochip%ld", chip);
    return open(path, O_RDWR | O_CLOEXEC);
}

/* The chip that drives the header: its driver is pinctrl-bcm2835, -bcm2711 or -rp1; its number differs between kernels. */
static int open_header(void) {
    for (long chip = 0; chip < MAX_CHIPS; chip++) {
        struct gpiochip_info info;
        int fd = open_chip(chip);
        if (fd < 0) {
            continue;
        }
        memset(&info, 0, sizeof info);
        if (ioctl(fd, GPIO_GET_CHIPINFO_IOCTL, &info) == 0 && strncmp(info.label, "pinctrl-", 8) == 0) {
            return fd;
        }
        close(fd);
    }
    errno = ENOENT;
    return -1;
}

/* Reads "[CHIP:]LINE[,low]"; chip is -1 where none is given. */
static int parse(const char *text, long *chip, long *line, int *low) {
    char *end;
    *chip = -1;
    *line = strtol(text, &end, 10);
    if (end == text) {
        return 0;
    }
    if (*end == ':') {
        const char *rest = end + 1;
        *chip = *line;
        *line = strtol(rest, &end, 10);
        if (end == rest || *chip < 0 || *chip > 255) {
            return 0;
        }
    }
    *low = strcmp(end, ",low") == 0;
    return (*low || *end == '\0') && *line >= 0 && *line < 1024;
}

int gpio_open(gpio_t *gpio, const char *text, char *why, size_t why_size) {
    struct gpio_v2_line_request request;
    long chip, line;
    int low;
    gpio->fd = -1;
    gpio->off_at = 0;
    if (!parse(text, &chip, &line, &low)) {
        snprintf(why, why_size, "gpio '%.40s' is no line; give one such as 17, 0:17 or 17,low", text);
        return 0;
    }
    int fd = chip < 0 ? open_header() : open_chip(chip);
    if (fd < 0) {
        snprintf(why, why_size, "gpio %.40s: no such chip may be opened (%s); is this user in the group gpio?", text,
                 strerror(errno));
        return 0;
    }
    memset(&request, 0, sizeof request);
    request.offsets[0] = (uint32_t)line;
    request.num_lines = 1;
    request.config.flags = GPIO_V2_LINE_FLAG_OUTPUT | (low ? GPIO_V2_LINE_FLAG_ACTIVE_LOW : 0);
    memcpy(request.consumer, "kws-listener", sizeof "kws-listener");
    int got = ioctl(fd, GPIO_V2_GET_LINE_IOCTL, &request);
    if (got != 0) {
        snprintf(why, why_size, "gpio %.40s: the line cannot be taken (%s)", text, strerror(errno));
    } else {
        gpio->fd = request.fd;
        fcntl(gpio->fd, F_SETFD, FD_CLOEXEC);
    }
    close(fd);
    return got == 0;
}

static void set(const gpio_t *gpio, int on) {
    struct gpio_v2_line_values values = {.bits = (uint64_t)(on != 0), .mask = 1};
    if (ioctl(gpio->fd, GPIO_V2_LINE_SET_VALUES_IOCTL, &values) != 0) {
        say("the GPIO line cannot be set: %s", strerror(errno));
    }
}

void gpio_flash(gpio_t *gpio, int64_t now_ms) {
    if (gpio->fd < 0) {
        return;
    }
    if (!gpio->off_at) {
        set(gpio, 1);
    }
    gpio->off_at = now_ms + gpio->hold_ms;
}

void gpio_tick(gpio_t *gpio, int64_t now_ms) {
    if (gpio->fd >= 0 && gpio->off_at && now_ms >= gpio->off_at) {
        set(gpio, 0);
        gpio->off_at = 0;
    }
}

void gpio_close(gpio_t *gpio) {
    if (gpio->fd >= 0) {
        set(gpio, 0);
        close(gpio->fd);
    }
    gpio->fd = -1;
}
