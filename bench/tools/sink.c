/* sink: an HTTP server that answers 200 to everything and records what came: the customer whose URL is called back.
 *
 *   sink [--port 0] [--interim TEXT]
 *
 * Prints its port. The digits after /r/ in a target are the id of what is reported; a request with --interim in it says
 * that something is under way and not yet how it ended. Orders on standard input:
 *   stats             one line of JSON
 *   dump FILE FROM    writes the records from the number FROM on: id, time in ns, interim; 64 bits each
 * One thread. A body needs a Content-Length. */
#include "bench.h"

#define HEAD_BYTES_MAX 65536

struct call {
    uint64_t id;
    int64_t at_ns, interim;
};

struct client {
    int fd;
    bool wants_out;
    struct bytes in, out;
};

static const char ANSWER[] = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\nOK";
static struct table calls = {.width = sizeof(struct call)};
static int64_t port, clients, refused, interims;
static const char *interim = "";
static int epoll;

static void part(struct client *c) {
    close(c->fd);
    free(c->in.at);
    free(c->out.at);
    free(c);
    clients--;
}

static void record(const char *head, size_t count, size_t whole) {
    const char *line_end = memchr(head, '\r', count);
    const char *mark = memmem(head, (size_t)(line_end - head), "/r/", 3);
    struct call *call = new_record(&calls);
    call->id = mark ? strtoull(mark + 3, NULL, 10) : 0;
    call->at_ns = now_ns();
    call->interim = *interim && memmem(head, whole, interim, strlen(interim));
    interims += call->interim;
}

/* Answers every whole request that has come; false when the connection must end. */
static bool answer(struct client *c) {
    while (waiting(&c->in)) {
        const char *head = c->in.at + c->in.start;
        size_t length = head_length(head, waiting(&c->in));
        if (!length)
            return waiting(&c->in) < HEAD_BYTES_MAX;
        if (field(head, length, "Transfer-Encoding:")) {
            refused++;
            return false;
        }
        const char *body_length = field(head, length, "Content-Length:");
        size_t whole = length + (body_length ? strtoull(body_length, NULL, 10) : 0);
        if (waiting(&c->in) < whole)
            return true;
        record(head, length, whole);
        bool last = says_close(head, length);
        append(&c->out, ANSWER, sizeof ANSWER - 1);
        c->in.start += whole;
        if (last) {
            transmit(c->fd, &c->out);
            return false;
        }
    }
    return true;
}

static void serve(struct client *c) {
    bool gone = false;
    while (receive(c->fd, &c->in, &gone))
        ;
    if (!answer(c) || gone || !transmit(c->fd, &c->out)) {
        part(c);
        return;
    }
    bool blocked = waiting(&c->out) > 0;
    if (blocked != c->wants_out)
        watch(epoll, EPOLL_CTL_MOD, c->fd, EPOLLIN | (blocked ? EPOLLOUT : 0), c);
    c->wants_out = blocked;
}

static void welcome(int listening) {
    for (int fd; (fd = accept4(listening, NULL, NULL, SOCK_CLOEXEC)) >= 0;) {
        struct client *c = calloc(1, sizeof *c);
        if (!c)
            die("out of memory");
        adjust(fd);
        c->fd = fd;
        clients++;
        watch(epoll, EPOLL_CTL_ADD, fd, EPOLLIN, c);
    }
}

static void obey(char *line) {
    char path[1024];
    size_t from;
    if (!strcmp(line, "stats"))
        printf("{\"calls\": %zu, \"interim\": %" PRId64 ", \"clients\": %" PRId64 ", \"refused\": %" PRId64 "}\n",
               calls.count, interims, clients, refused);
    else if (sscanf(line, "dump %1023s %zu", path, &from) == 2) {
        write_table(&calls, from, path);
        puts("{}");
    } else
        die("unknown order %s", line);
}

int main(int count, char **words) {
    read_options((struct option[]){{"port", WHOLE, &port}, {"interim", TEXT, &interim}, {0}}, count, words);
    signal(SIGPIPE, SIG_IGN);
    int wanted = (int)port, listening = listen_on(&wanted);
    struct bytes orders = {0};
    struct epoll_event events[256];
    epoll = epoll_create1(EPOLL_CLOEXEC);
    watch(epoll, EPOLL_CTL_ADD, listening, EPOLLIN, &port);
    watch(epoll, EPOLL_CTL_ADD, STDIN_FILENO, EPOLLIN, &orders);
    printf("%d\n", wanted);
    fflush(stdout);
    for (;;) {
        int ready = epoll_wait(epoll, events, 256, -1);
        for (int i = 0; i < ready; i++) {
            void *what = events[i].data.ptr;
            if (what == &port)
                welcome(listening);
            else if (what == &orders)
                take_orders(&orders, obey);
            else
                serve(what);
        }
    }
}
