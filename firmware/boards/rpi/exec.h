/* SPDX-License-Identifier: Apache-2.0
 *
 * A program that runs at every detection: no shell, one at a time, ended when it takes too long.
 */
#ifndef KWS_RPI_EXEC_H
#define KWS_RPI_EXEC_H

#include <stdint.h>
#include <sys/types.h>

typedef struct runner {
    const char *program; /* a path; NULL where none is wanted */
    int64_t limit_ms;
    pid_t pid;        /* of the one that runs, 0 where none does */
    int64_t deadline; /* when it is told to end, and a second later made to */
    int told;
} runner_t;

/* Starts the program with KWS_WORD, KWS_SCORE, KWS_TIME and KWS_DEPTH in its environment, its output going to stderr.
 * While an earlier one still runs, this detection is not passed on, and the log says so. */
void runner_start(runner_t *runner, int64_t now_ms, const char *word, double score, double time, int depth);

/* Buries the program that ended, or ends the one that takes too long. To be called often. */
void runner_tick(runner_t *runner, int64_t now_ms);

/* Waits until the last one has ended, no longer than its limit allows. */
void runner_finish(runner_t *runner, int64_t (*clock_ms)(void));

#endif
