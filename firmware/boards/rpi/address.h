/* SPDX-License-Identifier: Apache-2.0
 *
 * "192.168.1.5:9000" or "[fe80::1]:9000" as a socket address. Names are not looked up: that may take long, and a static C
 * library may want to load modules for it.
 */
#ifndef KWS_RPI_ADDRESS_H
#define KWS_RPI_ADDRESS_H

#include <stddef.h>
#include <sys/socket.h>

typedef struct address {
    struct sockaddr_storage value;
    socklen_t size;
} address_t;

/* `what` is the setting's name. Returns 1, or 0 with the reason in `why`. */
int address_parse(address_t *address, const char *what, const char *text, char *why, size_t why_size);

#endif
