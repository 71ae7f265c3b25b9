/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE /* SOCK_CLOEXEC */
#include "udp.h"

#include "log.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

/* Splits at the last colon; the host loses its brackets. Returns the port, 0 where there is none. */
static uint16_t split(const char *text, char *host, size_t size) {
    const char *colon = strrchr(text, ':');
    char *end;
    if (!colon || colon == text || (size_t)(colon - text) >= size) {
        return 0;
    }
    size_t length = (size_t)(colon - text);
    memcpy(host, text, length);
    host[length] = '\0';
    if (host[0] == '[' && host[length - 1] == ']') {
        host[length - 1] = '\0';
        memmove(host, host + 1, length - 1);
    }
    unsigned long port = strtoul(colon + 1, &end, 10);
    return colon[1] >= '0' && colon[1] <= '9' && *end == '\0' && port <= 65535 ? (uint16_t)port : 0;
}

int udp_open(udp_t *udp, const char *text, char *why, size_t why_size) {
    char host[64];
    struct sockaddr_in v4 = {.sin_family = AF_INET};
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6};
    const struct sockaddr *address = NULL;
    socklen_t size = 0;
    uint16_t port = split(text, host, sizeof host);
    udp->fd = -1;
    udp->failed = 0;
    if (port && inet_pton(AF_INET, host, &v4.sin_addr) == 1) {
        v4.sin_port = htons(port);
        address = (const struct sockaddr *)&v4;
        size = sizeof v4;
    } else if (port && inet_pton(AF_INET6, host, &v6.sin6_addr) == 1) {
        v6.sin6_port = htons(port);
        address = (const struct sockaddr *)&v6;
        size = sizeof v6;
    } else {
        snprintf(why, why_size, "udp '%.80s' is no address; give numbers such as 192.168.1.5:9000 or [fd00::5]:9000",
                 text);
        return 0;
    }
    int fd = socket(address->sa_family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        snprintf(why, why_size, "udp %.80s: no socket (%s)", text, strerror(errno));
        return 0;
    }
    int one = 1;
    setsockopt(fd, SOL_SOCKET, SO_BROADCAST, &one, sizeof one); /* an address of many is one address too */
    udp->fd = fd;
    memcpy(&udp->address, address, size);
    udp->size = size;
    return 1;
}

void udp_send(udp_t *udp, const char *line, size_t length) {
    if (udp->fd < 0) {
        return;
    }
    int failed = sendto(udp->fd, line, length, 0, (const struct sockaddr *)&udp->address, udp->size) < 0;
    if (failed && !udp->failed) {
        say("UDP: %s", strerror(errno));
    }
    udp->failed = failed;
}
