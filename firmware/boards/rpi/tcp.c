/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE /* SOCK_CLOEXEC, TCP_USER_TIMEOUT */
#include "tcp.h"

#include "log.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

enum { FIRST_PAUSE_MS = 500, LONGEST_PAUSE_MS = 30000, CONNECT_MS = 5000, LOST_MS = 15000, FINISH_MS = 2000 };
enum { KERNEL_QUEUE = 16384 }; /* bytes: what waits there is as old as what waits here, and would be megabytes */

int tcp_open(tcp_t *tcp, const char *text, char *why, size_t why_size) {
    *tcp = (tcp_t){.fd = -1, .text = text, .pause = FIRST_PAUSE_MS};
    tcp->wanted = address_parse(&tcp->address, "tcp", text, why, why_size);
    return tcp->wanted;
}

/* Bytes of the line at the head of the queue, its newline included. */
static size_t first_line(const tcp_t *tcp) {
    const char *end = memchr(tcp->queue, '\n', tcp->used);
    return end ? (size_t)(end - tcp->queue) + 1 : 0;
}

static void remove_bytes(tcp_t *tcp, size_t at, size_t count) {
    memmove(tcp->queue + at, tcp->queue + at + count, tcp->used - at - count);
    tcp->used -= count;
}

void tcp_send(tcp_t *tcp, const char *line, size_t length) {
    if (!tcp->wanted) {
        return;
    }
    if (length + 1 > TCP_QUEUE) {
        tcp->dropped++;
        return;
    }
    while (tcp->used + length + 1 > TCP_QUEUE) {
        /* A line that is half out stays: the other side has to get the rest of it, or all of it again. */
        size_t first = first_line(tcp), at = tcp->sent ? first : 0;
        const char *end = at < tcp->used ? memchr(tcp->queue + at, '\n', tcp->used - at) : NULL;
        if (!end) {
            tcp->dropped++;
            return;
        }
        remove_bytes(tcp, at, (size_t)(end - tcp->queue) + 1 - at);
        tcp->dropped++;
    }
    memcpy(tcp->queue + tcp->used, line, length);
    tcp->queue[tcp->used + length] = '\n';
    tcp->used += length + 1;
}

/* Gives this connection up and plans the next. */
static void lose(tcp_t *tcp, int64_t now_ms, const char *reason) {
    if (tcp->connected) {
        say("TCP: the connection to %s is lost: %s", tcp->text, reason);
        tcp->pause = FIRST_PAUSE_MS;
    } else if (!tcp->told) {
        say("TCP: %s does not answer (%s); trying again until it does", tcp->text, reason);
        tcp->told = 1;
    }
    if (tcp->fd >= 0) {
        close(tcp->fd);
    }
    tcp->fd = -1;
    tcp->connected = 0;
    tcp->sent = 0; /* half a line is sent again as a whole */
    tcp->next_try = now_ms + tcp->pause;
    tcp->pause = 2 * tcp->pause < LONGEST_PAUSE_MS ? 2 * tcp->pause : LONGEST_PAUSE_MS;
}

static void begin(tcp_t *tcp, int64_t now_ms) {
    int one = 1, kept = KERNEL_QUEUE, lost = LOST_MS, idle = 10, every = 5, tries = 3;
    tcp->fd = socket(tcp->address.value.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (tcp->fd < 0) {
        lose(tcp, now_ms, strerror(errno));
        return;
    }
    setsockopt(tcp->fd, SOL_SOCKET, SO_SNDBUF, &kept, sizeof kept);
    /* Somebody who was switched off says nothing: notice it after a quarter of a minute, and not after hours. */
    setsockopt(tcp->fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &lost, sizeof lost);
    setsockopt(tcp->fd, SOL_SOCKET, SO_KEEPALIVE, &one, sizeof one);
    setsockopt(tcp->fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle, sizeof idle);
    setsockopt(tcp->fd, IPPROTO_TCP, TCP_KEEPINTVL, &every, sizeof every);
    setsockopt(tcp->fd, IPPROTO_TCP, TCP_KEEPCNT, &tries, sizeof tries);
    setsockopt(tcp->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    tcp->deadline = now_ms + CONNECT_MS;
    if (connect(tcp->fd, (const struct sockaddr *)&tcp->address.value, tcp->address.size) != 0 &&
        errno != EINPROGRESS) {
        lose(tcp, now_ms, strerror(errno));
    }
}

static void await(tcp_t *tcp, int64_t now_ms) {
    struct pollfd ready = {.fd = tcp->fd, .events = POLLOUT};
    int reason = 0;
    socklen_t size = sizeof reason;
    if (poll(&ready, 1, 0) <= 0) {
        if (now_ms >= tcp->deadline) {
            lose(tcp, now_ms, strerror(ETIMEDOUT));
        }
    } else if (getsockopt(tcp->fd, SOL_SOCKET, SO_ERROR, &reason, &size) != 0 || reason) {
        lose(tcp, now_ms, strerror(reason ? reason : errno));
    } else {
        say("TCP: connected to %s", tcp->text);
        tcp->connected = 1;
        tcp->told = 0;
        tcp->pause = FIRST_PAUSE_MS;
    }
}

/* What the other side says is no concern of ours, but its end is. */
static int is_gone(int fd) {
    char ignored[4096];
    ssize_t n = recv(fd, ignored, sizeof ignored, MSG_DONTWAIT);
    return n == 0 || (n < 0 && errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR);
}

static void push(tcp_t *tcp, int64_t now_ms) {
    while (tcp->used > 0) {
        size_t first = first_line(tcp);
        ssize_t n = send(tcp->fd, tcp->queue + tcp->sent, first - tcp->sent, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n < 0) {
            if (errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR) {
                lose(tcp, now_ms, strerror(errno));
            }
            return;
        }
        tcp->sent += (size_t)n;
        if (tcp->sent == first) {
            remove_bytes(tcp, 0, first);
            tcp->sent = 0;
        }
    }
    if (tcp->dropped) {
        say("TCP: %lu line%s had no room while %s took none", tcp->dropped, tcp->dropped == 1 ? "" : "s", tcp->text);
        tcp->dropped = 0;
    }
}

void tcp_tick(tcp_t *tcp, int64_t now_ms) {
    if (!tcp->wanted) {
        return;
    }
    if (tcp->fd < 0 && now_ms >= tcp->next_try) {
        begin(tcp, now_ms);
    }
    if (tcp->fd >= 0 && !tcp->connected) {
        await(tcp, now_ms);
    }
    if (tcp->connected) {
        errno = 0;
        if (is_gone(tcp->fd)) {
            lose(tcp, now_ms, errno ? strerror(errno) : "the other side has closed it");
        } else {
            push(tcp, now_ms);
        }
    }
}

void tcp_finish(tcp_t *tcp, int64_t (*clock_ms)(void)) {
    int64_t end = clock_ms() + FINISH_MS;
    tcp->next_try = 0;
    for (int64_t now = clock_ms(); tcp->wanted && tcp->used > 0 && now < end; now = clock_ms()) {
        tcp_tick(tcp, now);
        if (tcp->used > 0) {
            poll(NULL, 0, 10);
        }
    }
    if (tcp->fd >= 0) {
        close(tcp->fd);
    }
    tcp->fd = -1;
}
