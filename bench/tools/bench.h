/* What the three tools share: time, growing buffers, tables of records, sockets on loopback, options and orders. */
#ifndef BENCH_H
#define BENCH_H
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#define NEVER INT64_MAX
#define NS_PER_MS 1000000LL
#define NS_PER_S 1000000000LL

__attribute__((noreturn, format(printf, 1, 2))) static inline void die(const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fputc('\n', stderr);
    exit(1);
}

/* The clock of all records: the same for every process of this machine. */
static inline int64_t now_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * NS_PER_S + now.tv_nsec;
}

/* -- bytes that wait: written at the end, taken from the front */

struct bytes {
    char *at;
    size_t start, end, room;
};

static inline size_t waiting(const struct bytes *b) { return b->end - b->start; }

static inline char *reserve(struct bytes *b, size_t count) {
    if (b->start == b->end)
        b->start = b->end = 0;
    if (b->room - b->end < count && b->start) {
        memmove(b->at, b->at + b->start, waiting(b));
        b->end -= b->start;
        b->start = 0;
    }
    if (b->room - b->end < count) {
        b->room = 2 * (b->end + count);
        if (!(b->at = realloc(b->at, b->room)))
            die("out of memory");
    }
    return b->at + b->end;
}

static inline void append(struct bytes *b, const void *data, size_t count) {
    memcpy(reserve(b, count), data, count);
    b->end += count;
}

static inline void empty(struct bytes *b) { b->start = b->end = 0; }

/* -- records of one size, kept in memory and written to a file when asked */

struct table {
    char *at;
    size_t width, count, room;
};

static inline void *new_record(struct table *t) {
    if (t->count == t->room) {
        t->room = t->room ? 2 * t->room : 4096;
        if (!(t->at = realloc(t->at, t->room * t->width)))
            die("out of memory");
    }
    void *record = t->at + t->count++ * t->width;
    memset(record, 0, t->width);
    return record;
}

static inline void write_table(const struct table *t, size_t from, const char *path) {
    FILE *file = fopen(path, "wb");
    size_t count = from < t->count ? t->count - from : 0;
    if (!file || (count && fwrite(t->at + from * t->width, t->width, count, file) != count) || fclose(file))
        die("cannot write %s: %s", path, strerror(errno));
}

/* -- sockets: loopback only */

static inline void adjust(int fd) {
    int yes = 1;
    fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
}

/* A listening socket and, by the pointer, its port: the one asked for, or with 0 one that the system chooses. */
static inline int listen_on(int *port) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)*port)};
    socklen_t length = sizeof address;
    int yes = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    if (bind(fd, (struct sockaddr *)&address, length) || listen(fd, 4096) ||
        getsockname(fd, (struct sockaddr *)&address, &length))
        die("cannot listen on port %d: %s", *port, strerror(errno));
    fcntl(fd, F_SETFL, O_NONBLOCK);
    *port = ntohs(address.sin_port);
    return fd;
}

/* What one read of a socket gives: true while there may be more; `gone` when the peer has closed or broken it. */
static inline bool receive(int fd, struct bytes *in, bool *gone) {
    const size_t piece = 1 << 16;
    ssize_t got = recv(fd, reserve(in, piece), piece, 0);
    if (got > 0)
        in->end += (size_t)got;
    else if (got == 0 || (errno != EAGAIN && errno != EINTR))
        *gone = true;
    return got == (ssize_t)piece;
}

/* Sends what waits, as far as the socket takes it; false when the connection is broken. */
static inline bool transmit(int fd, struct bytes *out) {
    while (waiting(out)) {
        ssize_t sent = send(fd, out->at + out->start, waiting(out), MSG_NOSIGNAL);
        if (sent < 0)
            return errno == EAGAIN || errno == EINTR;
        out->start += (size_t)sent;
    }
    return true;
}

static inline void watch(int epoll, int operation, int fd, uint32_t events, void *what) {
    struct epoll_event event = {.events = events, .data.ptr = what};
    if (epoll_ctl(epoll, operation, fd, &event))
        die("epoll: %s", strerror(errno));
}

/* -- a timer in the epoll set: finer than the milliseconds of epoll_wait */

struct alarm {
    int fd;
    int64_t set_for;
};

static inline void set_alarm(struct alarm *alarm, int64_t due) {
    if (due == alarm->set_for)
        return;
    alarm->set_for = due;
    struct itimerspec when = {0};
    if (due != NEVER) {
        int64_t at = due > 0 ? due : 1; /* zero would switch it off */
        when.it_value = (struct timespec){at / NS_PER_S, at % NS_PER_S};
    }
    timerfd_settime(alarm->fd, TFD_TIMER_ABSTIME, &when, NULL);
}

static inline void make_alarm(struct alarm *alarm, int epoll) {
    alarm->fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    alarm->set_for = NEVER;
    watch(epoll, EPOLL_CTL_ADD, alarm->fd, EPOLLIN, alarm);
}

static inline void hear_alarm(struct alarm *alarm) {
    uint64_t times;
    if (read(alarm->fd, &times, sizeof times) == sizeof times)
        alarm->set_for = NEVER;
}

/* -- options: pairs of --name value, read into a table of variables */

struct option {
    const char *name;
    enum { WHOLE, NUMBER, TEXT } kind;
    void *value;
};

static inline void set_option(const struct option *options, const char *name, const char *value) {
    char *rest = "";
    const struct option *o = options;
    while (o->name && strcmp(o->name, name))
        o++;
    if (!o->name)
        die("unknown option %s", name);
    if (o->kind == WHOLE)
        *(int64_t *)o->value = strtoll(value, &rest, 10);
    else if (o->kind == NUMBER)
        *(double *)o->value = strtod(value, &rest);
    else
        *(const char **)o->value = value;
    if (*rest || !*value)
        die("%s: %s is no number", name, value);
}

static inline void read_options(const struct option *options, int count, char **words) {
    for (int i = 1; i < count; i += 2) {
        if (strncmp(words[i], "--", 2) || i + 1 == count)
            die("expected --name value, not %s", words[i]);
        set_option(options, words[i] + 2, words[i + 1]);
    }
}

/* -- orders: lines on standard input, each answered by one line; its end is ours, so that no tool outlives its owner */

static inline void take_orders(struct bytes *in, void (*obey)(char *line)) {
    const size_t piece = 4096;
    ssize_t got = read(STDIN_FILENO, reserve(in, piece), piece);
    if (got <= 0)
        exit(0);
    in->end += (size_t)got;
    for (char *end; (end = memchr(in->at + in->start, '\n', waiting(in)));) {
        char *line = in->at + in->start;
        *end = 0;
        in->start += (size_t)(end + 1 - line);
        obey(line);
        fflush(stdout);
    }
}

/* -- HTTP/1.1, as much as both sides need */

/* Length of the head with its empty line; 0 while it is not all there. */
static inline size_t head_length(const char *at, size_t count) {
    const char *end = memmem(at, count, "\r\n\r\n", 4);
    return end ? (size_t)(end - at) + 4 : 0;
}

/* The value of a header field (its name written with colon), NULL without it; ends at the CR. */
static inline const char *field(const char *head, size_t count, const char *name) {
    size_t length = strlen(name);
    const char *last = head + count;
    for (const char *line = head; (line = memchr(line, '\n', (size_t)(last - line)));) {
        line++;
        if ((size_t)(last - line) > length && !strncasecmp(line, name, length)) {
            for (line += length; *line == ' ' || *line == '\t';)
                line++;
            return line;
        }
    }
    return NULL;
}

static inline bool says_close(const char *head, size_t count) {
    const char *value = field(head, count, "Connection:");
    return value && !strncasecmp(value, "close", 5);
}
#endif
