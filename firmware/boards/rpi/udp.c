/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE /* SOCK_CLOEXEC */
#include "udp.h"

#include "log.h"

#include <errno.h>
#include <string.h>

int udp_open(udp_t *udp, const char *text, char *why, size_t why_size) {
    udp->fd = -1;
    udp->failed = 0;
    if (!address_parse(&udp->address, "udp", text, why, why_size)) {
        return 0;
    }
    int fd = socket(udp->address.value.ss_family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        snprintf(why, why_size, "udp %.80s: no socket (%s)", text, strerror(errno));
        return 0;
    }
    int one = 1;
    setsockopt(fd, SOL_SOCKET, SO_BROADCAST, &one, sizeof one); /* an address of many is one address too */
    udp->fd = fd;
    return 1;
}

void udp_send(udp_t *udp, const char *line, size_t length) {
    if (udp->fd < 0) {
        return;
    }
    const struct sockaddr *address = (const struct sockaddr *)&udp->address.value;
    int failed = sendto(udp->fd, line, length, 0, address, udp->address.size) < 0;
    if (failed && !udp->failed) {
        say("UDP: %s", strerror(errno));
    }
    udp->failed = failed;
}
