/* SPDX-License-Identifier: Apache-2.0
 *
 * Tells those who wait for a sign of life: systemd, by the protocol of sd_notify(3), and a hardware watchdog.
 */
#ifndef KWS_RPI_ALIVE_H
#define KWS_RPI_ALIVE_H

#include <stddef.h>
#include <stdint.h>

typedef struct alive {
    int watchdog;      /* file descriptor, -1 where none is wanted */
    int64_t period_ms; /* between signs of life, 0 where nobody waits */
    int64_t next;
} alive_t;

/* `watchdog` is a device such as /dev/watchdog, or NULL. Reads NOTIFY_SOCKET and WATCHDOG_USEC. Returns 1, or 0 with
 * the reason in `why`. */
int alive_open(alive_t *alive, const char *watchdog, char *why, size_t why_size);

/* Gives the sign of life when it is due. */
void alive_tick(alive_t *alive, int64_t now_ms);

/* Sends `state`, such as "READY=1" or "STATUS=...", to systemd where it listens. */
void alive_notify(const char *state);

/* An orderly end: the watchdog is told to stop. */
void alive_close(alive_t *alive);

#endif
