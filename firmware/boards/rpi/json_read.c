/* SPDX-License-Identifier: Apache-2.0 */
#include "json_read.h"

#include "../common/json.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { DEEPEST = 64, SURROGATE = 0xd800, LOW_SURROGATE = 0xdc00, AFTER_SURROGATES = 0xe000 };

static int fail(json_t *json) {
    json->failed = 1;
    return 0;
}

static int is_digit(char c) {
    return c >= '0' && c <= '9';
}

/* The next character that is no white space, 0 at the end or after a failure. */
static char peek(json_t *json) {
    while (json->at < json->end && strchr(" \t\n\r", *json->at) && *json->at) {
        json->at++;
    }
    return json->at < json->end && !json->failed ? *json->at : '\0';
}

static int take(json_t *json, char wanted) {
    if (peek(json) != wanted) {
        return 0;
    }
    json->at++;
    return 1;
}

int json_open(json_t *json, char bracket) {
    if (!take(json, bracket)) {
        return fail(json);
    }
    return !take(json, bracket == '[' ? ']' : '}');
}

int json_more(json_t *json, char bracket) {
    if (take(json, ',')) {
        return 1;
    }
    return take(json, bracket) ? 0 : fail(json);
}

/* Four hex digits at `at`, or -1. */
static int32_t hex(const char *at, const char *end) {
    int32_t value = 0;
    for (int i = 0; i < 4; i++, at++) {
        if (at >= end || !*at || !strchr("0123456789abcdefABCDEF", *at)) {
            return -1;
        }
        value = value * 16 + (is_digit(*at) ? *at - '0' : (*at | 0x20) - 'a' + 10);
    }
    return value;
}

static char *put_utf8(char *out, int32_t code) {
    static const unsigned char marks[] = {0, 0, 0xc0, 0xe0, 0xf0};
    int length = code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
    for (int i = length - 1; i > 0; i--) {
        out[i] = (char)(0x80 | (code & 0x3f));
        code >>= 6;
    }
    out[0] = (char)(marks[length] | code);
    return out + length;
}

/* Past an escape, whose character goes to *out where that is wanted. A half of a pair alone is JSON, and no character. */
static int escape(json_t *json, char **out) {
    static const char names[] = "\"\\/bfnrt", meant[] = "\"\\/\b\f\n\r\t";
    char name = json->at + 1 < json->end ? json->at[1] : '\0';
    const char *known = name ? strchr(names, name) : NULL;
    json->at += 2;
    if (known) {
        if (out) {
            *(*out)++ = meant[known - names];
        }
        return 1;
    }
    int32_t code = name == 'u' ? hex(json->at, json->end) : -1;
    if (code < 0) {
        return 0;
    }
    json->at += 4;
    if (!out) {
        return 1;
    }
    if (code >= SURROGATE && code < LOW_SURROGATE && json->end - json->at > 2 && memcmp(json->at, "\\u", 2) == 0) {
        int32_t low = hex(json->at + 2, json->end);
        if (low >= LOW_SURROGATE && low < AFTER_SURROGATES) {
            code = 0x10000 + ((code - SURROGATE) << 10) + (low - LOW_SURROGATE);
            json->at += 6;
        }
    }
    if (code == 0 || (code >= SURROGATE && code < AFTER_SURROGATES)) {
        return 0;
    }
    *out = put_utf8(*out, code); /* never longer than its escape */
    return 1;
}

/* Past a string. Where `text` is wanted, it is that string, unescaped in place. */
static int string(json_t *json, char **text) {
    if (!take(json, '"')) {
        return fail(json);
    }
    char *start = json->at, *out = start;
    while (json->at < json->end && *json->at != '"') {
        unsigned char c = (unsigned char)*json->at;
        int length = c >= 0x80 ? utf8_length((const unsigned char *)json->at) : 1;
        if (c < 0x20 || length == 0 || length > json->end - json->at) {
            return fail(json);
        }
        if (c == '\\') {
            if (!escape(json, text ? &out : NULL)) {
                return fail(json);
            }
            continue;
        }
        if (text) {
            memmove(out, json->at, (size_t)length);
        }
        out += length;
        json->at += length;
    }
    if (json->at >= json->end) {
        return fail(json);
    }
    json->at++;
    if (text) {
        *out = '\0'; /* at the latest where the closing quotation mark was */
        *text = start;
    }
    return 1;
}

const char *json_text(json_t *json) {
    char *text;
    return string(json, &text) ? text : "";
}

const char *json_key(json_t *json) {
    const char *text = json_text(json);
    if (!take(json, ':')) {
        fail(json);
    }
    return json->failed ? "" : text;
}

static int digits(json_t *json) {
    const char *start = json->at;
    while (json->at < json->end && is_digit(*json->at)) {
        json->at++;
    }
    return json->at > start;
}

/* Past a number, which strtod then reads as JSON means it. Returns 1 for a whole one, 2 for another, 0 for none. */
static int number(json_t *json) {
    int kind = 1;
    peek(json);
    if (json->failed || json->at >= json->end) {
        return fail(json);
    }
    json->at += *json->at == '-';
    const char *start = json->at;
    if (!digits(json) || (*start == '0' && json->at > start + 1)) {
        return fail(json);
    }
    if (json->at < json->end && *json->at == '.') {
        kind = 2;
        json->at++;
        if (!digits(json)) {
            return fail(json);
        }
    }
    if (json->at < json->end && (*json->at == 'e' || *json->at == 'E')) {
        kind = 2;
        json->at++;
        json->at += json->at < json->end && (*json->at == '+' || *json->at == '-');
        if (!digits(json)) {
            return fail(json);
        }
    }
    return kind;
}

int32_t json_integer(json_t *json, int32_t least, int32_t most) {
    peek(json);
    const char *start = json->at;
    if (number(json) != 1) {
        return fail(json);
    }
    errno = 0;
    long long value = strtoll(start, NULL, 10);
    return errno || value < least || value > most ? fail(json) : (int32_t)value;
}

double json_number(json_t *json, double least, double most) {
    peek(json);
    const char *start = json->at;
    double value = number(json) ? strtod(start, NULL) : least;
    if (!json->failed && value >= least && value <= most) {
        return value;
    }
    fail(json);
    return least;
}

static int literal(json_t *json, const char *word) {
    size_t length = strlen(word);
    if ((size_t)(json->end - json->at) < length || memcmp(json->at, word, length) != 0) {
        return fail(json);
    }
    json->at += length;
    return 1;
}

static void skip(json_t *json, int depth) {
    char first = peek(json), close = first == '{' ? '}' : ']';
    if (depth > DEEPEST) {
        fail(json);
    } else if (first == '{' || first == '[') {
        for (int more = json_open(json, first); more && !json->failed; more = json_more(json, close)) {
            if (first == '{' && !(string(json, NULL) && take(json, ':'))) {
                fail(json);
            }
            skip(json, depth + 1);
        }
    } else if (first == '"') {
        string(json, NULL);
    } else if (first == 't' || first == 'f' || first == 'n') {
        literal(json, first == 't' ? "true" : first == 'f' ? "false" : "null");
    } else {
        number(json);
    }
}

void json_skip(json_t *json) {
    skip(json, 0);
}

int json_at_end(json_t *json) {
    peek(json);
    return !json->failed && json->at == json->end;
}
