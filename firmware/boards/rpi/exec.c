/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE /* setenv, sigprocmask */
#include "exec.h"

#include "log.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { GRACE_MS = 1000, NOT_RUN = 127 };

static void set_number(const char *name, const char *format, double value) {
    char text[64];
    snprintf(text, sizeof text, format, value);
    setenv(name, text, 1);
}

/* The child's side of the fork: never returns. */
static void become(const char *program, const char *word, double score, double time, int depth) {
    static const int handled[] = {SIGINT, SIGTERM, SIGPIPE};
    sigset_t none;
    for (size_t i = 0; i < sizeof handled / sizeof *handled; i++) {
        signal(handled[i], SIG_DFL);
    }
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    setpgid(0, 0); /* so that whatever it starts ends with it */
    int null = open("/dev/null", O_RDONLY);
    if (null >= 0) {
        dup2(null, STDIN_FILENO);
    }
    dup2(STDERR_FILENO, STDOUT_FILENO);
    setenv("KWS_WORD", word, 1);
    set_number("KWS_SCORE", "%.4f", score);
    set_number("KWS_TIME", "%.3f", time);
    set_number("KWS_DEPTH", "%.0f", depth);
    execl(program, program, (char *)NULL);
    say("%s cannot be run: %s", program, strerror(errno));
    _exit(NOT_RUN);
}

void runner_start(runner_t *runner, int64_t now_ms, const char *word, double score, double time, int depth) {
    if (!runner->program) {
        return;
    }
    runner_tick(runner, now_ms);
    if (runner->pid) {
        say("%s still runs: '%s' is not passed on", runner->program, word);
        return;
    }
    pid_t pid = fork();
    if (pid == 0) {
        become(runner->program, word, score, time, depth);
    } else if (pid < 0) {
        say("%s cannot be started: %s", runner->program, strerror(errno));
    } else {
        setpgid(pid, pid); /* here too, for the child may not have come so far when it must end */
        runner->pid = pid;
        runner->deadline = now_ms + runner->limit_ms;
        runner->told = 0;
    }
}

void runner_tick(runner_t *runner, int64_t now_ms) {
    int status;
    if (!runner->pid) {
        return;
    }
    if (waitpid(runner->pid, &status, WNOHANG) == runner->pid) {
        if (!runner->told && WIFSIGNALED(status)) {
            say("%s was ended by signal %d", runner->program, WTERMSIG(status));
        } else if (!runner->told && WIFEXITED(status) && WEXITSTATUS(status) != 0) {
            say("%s ended with status %d", runner->program, WEXITSTATUS(status));
        }
        runner->pid = 0;
    } else if (now_ms >= runner->deadline) {
        if (!runner->told) {
            say("%s takes longer than %.1f s and is ended", runner->program, (double)runner->limit_ms / 1000);
        }
        kill(-runner->pid, runner->told ? SIGKILL : SIGTERM);
        runner->told = 1;
        runner->deadline = now_ms + GRACE_MS;
    }
}

void runner_finish(runner_t *runner, int64_t (*clock_ms)(void)) {
    while (runner->pid) {
        runner_tick(runner, clock_ms());
        if (runner->pid) {
            poll(NULL, 0, 10);
        }
    }
}
