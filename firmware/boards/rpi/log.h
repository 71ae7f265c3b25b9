/* SPDX-License-Identifier: Apache-2.0
 *
 * What the listener has to say to people: one line on stderr, so that stdout holds nothing but JSON.
 */
#ifndef KWS_RPI_LOG_H
#define KWS_RPI_LOG_H

#include <stdarg.h>
#include <stdio.h>

#if defined(__GNUC__)
__attribute__((format(printf, 1, 2)))
#endif
static inline void say(const char *format, ...) {
    char line[512];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(line, sizeof line, format, arguments);
    va_end(arguments);
    fprintf(stderr, "kws-listener: %s\n", line);
}

#endif
