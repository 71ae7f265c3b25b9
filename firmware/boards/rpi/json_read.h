/* SPDX-License-Identifier: Apache-2.0
 *
 * Reads JSON (RFC 8259) from memory, in place and without another: a place in the text that moves on. The first thing that
 * is not as asked for makes `failed` 1, and from then on nothing moves and every answer is 0.
 */
#ifndef KWS_RPI_JSON_READ_H
#define KWS_RPI_JSON_READ_H

#include <stdint.h>

typedef struct json {
    char *at, *end; /* the three bytes from `end` on can be read, and *end is no part of a number */
    int failed;
} json_t;

/* Into an array ('[') or an object ('{'). Returns 1 where an element or a key comes next.
 *     for (int more = json_open(&json, '['); more; more = json_more(&json, ']')) */
int json_open(json_t *json, char bracket);

/* Past a comma, with 1, or past `bracket`, with 0. */
int json_more(json_t *json, char bracket);

/* A string, unescaped and ended where it stood; "" after a failure. One with a zero in it fails. */
const char *json_text(json_t *json);

/* A key and its colon. */
const char *json_key(json_t *json);

/* A number without point or exponent in least..most, else 0 after a failure. */
int32_t json_integer(json_t *json, int32_t least, int32_t most);

/* A number in least..most, else `least` after a failure. */
double json_number(json_t *json, double least, double most);

/* Past a value of any kind, checking that it is JSON and UTF-8. */
void json_skip(json_t *json);

/* Is only white space left? */
int json_at_end(json_t *json);

#endif
