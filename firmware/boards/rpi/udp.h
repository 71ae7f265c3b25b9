/* SPDX-License-Identifier: Apache-2.0
 *
 * Detections as UDP datagrams to one address: sent and forgotten, never waited for.
 */
#ifndef KWS_RPI_UDP_H
#define KWS_RPI_UDP_H

#include "address.h"

typedef struct udp {
    int fd; /* -1 where none is wanted */
    address_t address;
    int failed; /* the last one did not go out: said once, not at every word */
} udp_t;

/* Returns 1, or 0 with the reason in `why`. */
int udp_open(udp_t *udp, const char *text, char *why, size_t why_size);

void udp_send(udp_t *udp, const char *line, size_t length);

#endif
