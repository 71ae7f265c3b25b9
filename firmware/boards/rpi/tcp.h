/* SPDX-License-Identifier: Apache-2.0
 *
 * Detections as lines over a TCP connection that this program opens, and opens again whenever it is lost. Nothing here
 * waits: lines queue until the other side takes them, and the oldest make room where the queue is full.
 */
#ifndef KWS_RPI_TCP_H
#define KWS_RPI_TCP_H

#include "address.h"

#include <stdint.h>

enum { TCP_QUEUE = 16384 }; /* bytes: about 200 detections */

typedef struct tcp {
    int wanted, fd; /* fd is -1 between two tries */
    int connected;
    const char *text; /* the address, for the log */
    address_t address;
    int64_t next_try, pause; /* ms */
    int64_t deadline;        /* ms, of the try under way */
    int told;                /* that it does not connect */
    unsigned long dropped;   /* lines, since the last that went out */
    size_t used, sent;       /* bytes in the queue, and how many of its first line are out */
    char queue[TCP_QUEUE];
} tcp_t;

/* `text`, which must outlive `tcp`, is an address. Nobody need listen there yet. Returns 1, or 0 with the reason in `why`. */
int tcp_open(tcp_t *tcp, const char *text, char *why, size_t why_size);

/* Queues a line, which gets a newline. */
void tcp_send(tcp_t *tcp, const char *line, size_t length);

/* Does what can be done now. To be called at least every 100 ms or so. */
void tcp_tick(tcp_t *tcp, int64_t now_ms);

/* Gives the queue two seconds to go out, and closes. */
void tcp_finish(tcp_t *tcp, int64_t (*clock_ms)(void));

#endif
