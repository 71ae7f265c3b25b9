/* SPDX-License-Identifier: Apache-2.0
 *
 * A detection as a line of JSON, in the shape of `kws listen --json`, for the programs of every board.
 */
#ifndef KWS_BOARDS_JSON_H
#define KWS_BOARDS_JSON_H

#include <stdio.h>
#include <string.h>

enum { JSON_LINE = 32768 }; /* a line whose file name is as long as a path can be, every byte of it escaped */

/* Length of the UTF-8 sequence at `at`, 0 where there is none. */
static inline int utf8_length(const unsigned char *at) {
    static const unsigned char least_second[5] = {0, 0, 0, 0xa0, 0x90}; /* refuses overlong forms */
    int length = at[0] >= 0xc2 && at[0] < 0xe0 ? 2 : (at[0] & 0xf0) == 0xe0 ? 3 : at[0] >= 0xf0 && at[0] < 0xf5 ? 4 : 0;
    for (int i = 1; i < length; i++) {
        if ((at[i] & 0xc0) != 0x80) {
            return 0;
        }
    }
    if ((at[0] == 0xe0 || at[0] == 0xf0) && at[1] < least_second[length]) {
        return 0;
    }
    if ((at[0] == 0xed && at[1] >= 0xa0) || (at[0] == 0xf4 && at[1] >= 0x90)) {
        return 0; /* surrogates, and beyond the last code point */
    }
    return length;
}

/* `text` as a JSON string at `out`, cut off before the character that has no room. Returns its length. */
static inline size_t json_string(char *out, size_t size, const char *text) {
    size_t n = 0;
    out[n++] = '"';
    for (const unsigned char *at = (const unsigned char *)text; *at && n + 8 < size;) {
        int length = *at >= 0x80 ? utf8_length(at) : 1;
        if (*at == '"' || *at == '\\') {
            out[n++] = '\\';
            out[n++] = (char)*at;
        } else if (*at < 0x20 || *at == 0x7f) {
            n += (size_t)snprintf(out + n, 7, "\\u%04x", *at);
        } else if (length == 0) {
            memcpy(out + n, "\\ufffd", 6); /* a file name may be any bytes, JSON may not */
            n += 6;
        } else {
            memcpy(out + n, at, (size_t)length);
            n += (size_t)length;
        }
        at += length ? length : 1;
    }
    out[n++] = '"';
    out[n] = '\0';
    return n;
}

/* One detection, without the newline, at `out`; `file` may be NULL. Returns its length. */
static inline size_t json_event(char out[JSON_LINE], const char *file, const char *word, double time, double score,
                                int depth) {
    enum { REST = 2048 }; /* for all but the file name */
    size_t n = 0;
    out[n++] = '{';
    if (file) {
        n += (size_t)snprintf(out + n, 16, "\"file\": ");
        n += json_string(out + n, JSON_LINE - REST, file);
        n += (size_t)snprintf(out + n, 16, ", ");
    }
    n += (size_t)snprintf(out + n, 16, "\"word\": ");
    n += json_string(out + n, REST - 512, word);
    n += (size_t)snprintf(out + n, JSON_LINE - n, ", \"time\": %.3f, \"score\": %.4f, \"depth\": %d}", time, score,
                          depth);
    return n;
}

#endif
