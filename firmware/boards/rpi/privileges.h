/* SPDX-License-Identifier: Apache-2.0
 *
 * From root to an ordinary user, for good.
 */
#ifndef KWS_RPI_PRIVILEGES_H
#define KWS_RPI_PRIVILEGES_H

#include <stddef.h>

/* Becomes `user` of /etc/passwd, with the groups that /etc/group gives that user (audio and gpio open the devices), and
 * can gain no privilege any more. Does nothing but the latter where the process is not root. Returns 1, or 0 with the
 * reason in `why`. */
int privileges_drop(const char *user, char *why, size_t why_size);

#endif
