/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE /* sockaddr_storage */
#include "address.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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

int address_parse(address_t *address, const char *what, const char *text, char *why, size_t why_size) {
    char host[64];
    struct sockaddr_in v4 = {.sin_family = AF_INET};
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6};
    uint16_t port = split(text, host, sizeof host);
    if (port && inet_pton(AF_INET, host, &v4.sin_addr) == 1) {
        v4.sin_port = htons(port);
        memcpy(&address->value, &v4, sizeof v4);
        address->size = sizeof v4;
        return 1;
    }
    if (port && inet_pton(AF_INET6, host, &v6.sin6_addr) == 1) {
        v6.sin6_port = htons(port);
        memcpy(&address->value, &v6, sizeof v6);
        address->size = sizeof v6;
        return 1;
    }
    snprintf(why, why_size, "%s '%.80s' is no address; give numbers such as 192.168.1.5:9000 or [fd00::5]:9000", what,
             text);
    return 0;
}
