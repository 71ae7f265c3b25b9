/* SPDX-License-Identifier: Apache-2.0
 *
 * SHA-256 of a block of memory, after FIPS 180-4.
 */
#ifndef KWS_RPI_SHA256_H
#define KWS_RPI_SHA256_H

#include <stddef.h>

enum { SHA256_BYTES = 32 };

void sha256(const unsigned char *data, size_t size, unsigned char digest[SHA256_BYTES]);

#endif
