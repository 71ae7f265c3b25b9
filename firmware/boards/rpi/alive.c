/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE /* SOCK_CLOEXEC */
#include "alive.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/watchdog.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum { WATCHDOG_SECONDS = 15 }; /* the longest that a Pi's can count */

/* Milliseconds after which systemd loses patience with this process, 0 for never. */
static int64_t patience_ms(void) {
    const char *pid = getenv("WATCHDOG_PID"), *usec = getenv("WATCHDOG_USEC");
    if (!usec || (pid && strtol(pid, NULL, 10) != (long)getpid())) {
        return 0;
    }
    long long value = strtoll(usec, NULL, 10);
    return value > 0 ? (int64_t)(value / 1000) : 0;
}

int alive_open(alive_t *alive, const char *watchdog, char *why, size_t why_size) {
    int64_t patience = patience_ms();
    alive->watchdog = -1;
    alive->next = 0;
    if (watchdog) {
        int seconds = WATCHDOG_SECONDS;
        alive->watchdog = open(watchdog, O_WRONLY | O_CLOEXEC);
        if (alive->watchdog < 0) {
            snprintf(why, why_size, "%.100s: %s", watchdog, strerror(errno));
            return 0;
        }
        /* Some count at their own pace; what they answer is what counts. */
        if (ioctl(alive->watchdog, WDIOC_SETTIMEOUT, &seconds) != 0 &&
            ioctl(alive->watchdog, WDIOC_GETTIMEOUT, &seconds) != 0) {
            seconds = WATCHDOG_SECONDS;
        }
        int64_t limit = seconds > 0 ? seconds * INT64_C(1000) : 1000;
        patience = patience && patience < limit ? patience : limit;
    }
    alive->period_ms = patience / 3;
    return 1;
}

void alive_tick(alive_t *alive, int64_t now_ms) {
    if (!alive->period_ms || now_ms < alive->next) {
        return;
    }
    alive->next = now_ms + alive->period_ms;
    alive_notify("WATCHDOG=1");
    if (alive->watchdog >= 0) {
        ioctl(alive->watchdog, WDIOC_KEEPALIVE, 0);
    }
}

void alive_notify(const char *state) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    const char *path = getenv("NOTIFY_SOCKET");
    size_t length = path ? strlen(path) : 0;
    if (length < 2 || length >= sizeof address.sun_path || (path[0] != '/' && path[0] != '@')) {
        return;
    }
    memcpy(address.sun_path, path, length);
    if (path[0] == '@') {
        address.sun_path[0] = '\0'; /* an abstract name */
    }
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd >= 0) {
        socklen_t size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length);
        sendto(fd, state, strlen(state), MSG_NOSIGNAL | MSG_DONTWAIT, (const struct sockaddr *)&address, size);
        close(fd);
    }
}

void alive_close(alive_t *alive) {
    alive_notify("STOPPING=1");
    if (alive->watchdog >= 0) {
        if (write(alive->watchdog, "V", 1) == 1) { /* "magic close": without it, the machine would restart */
            close(alive->watchdog);
        }
    }
    alive->watchdog = -1;
}
