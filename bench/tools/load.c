/* load: asks an HTTP/1.1 API over kept-alive connections, one request at a time on each, and records every answer.
 *
 *   load --port P --template FILE --connections N --count N --records FILE
 *        [--first N] [--recipients N] [--to 3361] [--cycle N] [--rate R] [--seconds S] [--timeout-s T]
 *        [--status N] [--expect TEXT] [--between ,]
 *
 * The template is a request: head, empty line, body. Content-Length is added; replaced are
 *   @id@            number of the message, 12 digits: --first and upwards
 *   @to@            its recipient: the digits of --to and the last 7 digits of the number, scattered
 *   @turn@          the number modulo --cycle, 6 digits
 *   @each@ .. @end@ repeated for each of --recipients, with --between between; outside of it the first message counts
 *
 * Without --rate each connection asks again as soon as it is answered. With it requests are due at fixed times, and
 * latency counts from when a request was due, also when no connection was free to carry it. Ends after --count requests
 * or after --seconds, whichever is first. A request is never sent twice: one whose connection breaks is broken.
 * Records: number of the first message, times due, sent and answered in ns, HTTP status or 0, accepted; 64 bits each.
 * Prints one line of JSON. */
#include "bench.h"

#define CONNECT_FAILURES_MAX 200
#define PIECES_MAX 64
/* Customers' numbers have no order: prime to ten, so that no two meet; bench/records.py undoes it. */
#define SCATTER 6180339

struct answer {
    uint64_t id;
    int64_t due_ns, sent_ns, answered_ns, status, accepted;
};

struct connection {
    int fd;
    enum { CLOSED, CONNECTING, FREE, ASKING } state;
    bool wants_out;
    uint64_t id;
    int64_t due_ns, sent_ns;
    struct bytes in, out;
};

/* A template in pieces: text, or one of the marks. */
struct piece {
    enum { PLAIN, ID, TO, TURN, EACH, END } kind;
    const char *text;
    size_t length;
};

static int64_t port, connections = 1, count = 1, first = 1, recipients = 1, cycle = 1, status_wanted, timeout_s = 60;
static double rate, seconds;
static const char *template_path, *records_path, *to = "3361", *expect, *between = ",";
static struct piece pieces[PIECES_MAX];
static size_t piece_count, body_piece;
static struct connection *all;
static struct table answers = {.width = sizeof(struct answer)};
static struct alarm alarm_;
static int epoll;
static int64_t began_ns, asked, open_requests, broken, refused, connect_failures;
static char first_refusal[200];

static void cut(const char *at) {
    static const char *const marks[] = {"", "@id@", "@to@", "@turn@", "@each@", "@end@"};
    while (*at) {
        if (piece_count == PIECES_MAX)
            die("the template has too many marks");
        struct piece *p = &pieces[piece_count++];
        for (int kind = ID; kind <= END; kind++)
            if (!strncmp(at, marks[kind], strlen(marks[kind])))
                *p = (struct piece){kind, at, strlen(marks[kind])};
        if (p->kind == PLAIN) {
            const char *end = strchr(at + 1, '@');
            *p = (struct piece){PLAIN, at, end ? (size_t)(end - at) : strlen(at)};
        }
        at += p->length;
    }
}

/* Reads the template; the lines of its head may end in LF alone. */
static void read_template(void) {
    FILE *file = fopen(template_path, "rb");
    struct bytes text = {0}, head = {0};
    if (!file)
        die("cannot read %s", template_path);
    size_t got = fread(reserve(&text, 1 << 20), 1, (1 << 20) - 1, file);
    fclose(file);
    text.at[got] = 0;
    char *body = strstr(text.at, "\n\n");
    if (!body)
        die("the template has no empty line after its head");
    for (const char *c = text.at; c <= body; c++)
        if (*c == '\n')
            append(&head, "\r\n", 2);
        else
            append(&head, c, 1);
    append(&head, "", 1);
    cut(head.at);
    body_piece = piece_count;
    cut(body + 2);
}

static void render(struct bytes *out, size_t from, size_t end, uint64_t id) {
    char digits[64];
    for (size_t i = from; i < end; i++) {
        const struct piece *p = &pieces[i];
        int length = 0;
        if (p->kind == PLAIN)
            append(out, p->text, p->length);
        else if (p->kind == ID)
            length = snprintf(digits, sizeof digits, "%012" PRIu64, id);
        else if (p->kind == TO)
            length = snprintf(digits, sizeof digits, "%.20s%07" PRIu64, to, id % 10000000 * SCATTER % 10000000);
        else if (p->kind == TURN)
            length = snprintf(digits, sizeof digits, "%06" PRIu64, id % (uint64_t)cycle);
        else if (p->kind == EACH) {
            size_t last = i;
            while (last < end && pieces[last].kind != END)
                last++;
            for (int64_t r = 0; r < recipients; r++) {
                if (r)
                    append(out, between, strlen(between));
                render(out, i + 1, last, id + (uint64_t)r);
            }
            i = last;
        }
        append(out, digits, (size_t)length);
    }
}

static void compose(struct connection *c) {
    static struct bytes body;
    char line[64];
    empty(&body);
    render(&body, body_piece, piece_count, c->id);
    render(&c->out, 0, body_piece, c->id);
    int length = waiting(&body) ? snprintf(line, sizeof line, "Content-Length: %zu\r\n\r\n", waiting(&body))
                                : snprintf(line, sizeof line, "\r\n");
    append(&c->out, line, (size_t)length);
    append(&c->out, body.at + body.start, waiting(&body));
}

static void hang_up(struct connection *c) {
    close(c->fd);
    c->state = CLOSED;
    c->wants_out = false;
    empty(&c->in);
    empty(&c->out);
}

static void dial(struct connection *c) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    adjust(c->fd);
    if (connect(c->fd, (struct sockaddr *)&address, sizeof address) && errno != EINPROGRESS) {
        connect_failures++;
        close(c->fd);
        return;
    }
    c->state = CONNECTING;
    c->wants_out = true;
    watch(epoll, EPOLL_CTL_ADD, c->fd, EPOLLIN | EPOLLOUT, c);
}

static void finish(struct connection *c, int64_t status, bool accepted, const char *words, size_t length) {
    struct answer *a = new_record(&answers);
    *a = (struct answer){c->id, c->due_ns, c->sent_ns, now_ns(), status, accepted};
    if (!accepted && !first_refusal[0]) {
        int written = snprintf(first_refusal, 40, "status %" PRId64 ": ", status);
        for (size_t i = 0; i < length && (size_t)written < sizeof first_refusal - 1; i++, words++)
            first_refusal[written++] = *words < ' ' || *words == '"' || *words == '\\' || *words == 127 ? ' ' : *words;
    }
    broken += !status;
    refused += status && !accepted;
    open_requests--;
    c->state = FREE;
}

static void lose(struct connection *c) {
    if (c->state == CONNECTING)
        connect_failures++;
    else if (c->state == ASKING)
        finish(c, 0, false, "connection broken", 17);
    hang_up(c);
}

static void flush(struct connection *c) {
    if (!transmit(c->fd, &c->out)) {
        lose(c);
        return;
    }
    bool blocked = waiting(&c->out) > 0;
    if (blocked != c->wants_out)
        watch(epoll, EPOLL_CTL_MOD, c->fd, EPOLLIN | (blocked ? EPOLLOUT : 0), c);
    c->wants_out = blocked;
}

static void ask(struct connection *c, int64_t due_ns) {
    c->id = (uint64_t)(first + asked++ * recipients);
    c->state = ASKING;
    open_requests++;
    compose(c);
    c->sent_ns = now_ns();
    c->due_ns = due_ns ? due_ns : c->sent_ns;
    flush(c);
}

static bool contains(const char *text, size_t length) {
    return !expect || memmem(text, length, expect, strlen(expect));
}

/* Takes the answer when all of it is there. */
static void read_answer(struct connection *c, bool gone) {
    const char *head = c->in.at + c->in.start;
    size_t there = waiting(&c->in), length = there ? head_length(head, there) : 0;
    if (!length || c->state != ASKING)
        return;
    const char *value = field(head, length, "Content-Length:");
    size_t body = value ? strtoull(value, NULL, 10) : there - length;
    if (!value && field(head, length, "Transfer-Encoding:"))
        die("an answer without Content-Length: this tool reads no chunks");
    if (there < length + body || (!value && !gone))
        return;
    int64_t status = strtoll(head + 9, NULL, 10); /* after "HTTP/1.1 " */
    bool wanted = status_wanted ? status == status_wanted : status >= 200 && status < 300;
    bool last = says_close(head, length);
    finish(c, status, wanted && contains(head + length, body), head + length, body);
    c->in.start += length + body;
    if (last)
        hang_up(c);
}

static void attend(struct connection *c, uint32_t events) {
    if (c->state == CONNECTING) {
        int error = 0;
        socklen_t size = sizeof error;
        getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &error, &size);
        if (error) {
            lose(c);
            return;
        }
        if (!(events & EPOLLOUT))
            return;
        connect_failures = 0;
        c->state = FREE;
    }
    bool gone = false;
    while (receive(c->fd, &c->in, &gone))
        ;
    read_answer(c, gone);
    if (c->state == CLOSED)
        return;
    if (gone)
        lose(c);
    else
        flush(c);
}

/* Gives work to free connections; the time at which the next request is due. */
static int64_t distribute(int64_t now) {
    bool over = asked == count || (seconds > 0 && now - began_ns >= (int64_t)(seconds * NS_PER_S));
    int64_t next = now + 100 * NS_PER_MS; /* for what is found by looking: timeouts, failed connections */
    if (over)
        count = asked;
    for (int64_t i = 0; i < connections; i++) {
        struct connection *c = &all[i];
        if (c->state == ASKING && now - c->sent_ns > timeout_s * NS_PER_S)
            lose(c);
        if (c->state == CLOSED && asked < count)
            dial(c);
        while (c->state == FREE && asked < count) {
            int64_t due = rate > 0 ? began_ns + (int64_t)((double)asked / rate * NS_PER_S) : 0;
            if (due > now) {
                next = due < next ? due : next;
                break;
            }
            ask(c, due);
        }
    }
    return next;
}

static int ascending(const void *a, const void *b) {
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

static void summarise(void) {
    struct answer *a = (struct answer *)answers.at;
    size_t accepted = 0, n = answers.count;
    int64_t *latencies = malloc((n + 1) * sizeof *latencies), *ends = malloc((n + 1) * sizeof *ends);
    int64_t last = began_ns + 1;
    for (size_t i = 0; i < n; i++) {
        if (a[i].answered_ns > last)
            last = a[i].answered_ns;
        if (!a[i].accepted)
            continue;
        latencies[accepted] = a[i].answered_ns - a[i].due_ns;
        ends[accepted++] = a[i].answered_ns;
    }
    qsort(latencies, accepted, sizeof *latencies, ascending);
    qsort(ends, accepted, sizeof *ends, ascending);
    struct rusage used;
    getrusage(RUSAGE_SELF, &used);
    double took_s = (double)(last - began_ns) / NS_PER_S;
    /* The tenths at both ends are left out: connections that open, stragglers. */
    size_t low = accepted / 10, high = accepted ? accepted - 1 - accepted / 10 : 0;
    double steady = high > low && ends[high] > ends[low]
                        ? (double)(high - low) * (double)recipients / ((double)(ends[high] - ends[low]) / NS_PER_S)
                        : 0;
#define AT(share) (accepted ? (double)latencies[(size_t)((double)(accepted - 1) * (share))] / NS_PER_MS : 0)
    printf("{\"asked\": %" PRId64 ", \"accepted\": %zu, \"refused\": %" PRId64 ", \"broken\": %" PRId64
           ", \"seconds\": %.4f, \"rate\": %.2f, \"steady_rate\": %.2f, \"p50_ms\": %.3f, \"p90_ms\": %.3f, "
           "\"p99_ms\": %.3f, \"max_ms\": %.3f, \"first_refusal\": \"%s\"}\n",
           asked * recipients, accepted * (size_t)recipients, refused * recipients, broken * recipients, took_s,
           (double)accepted * (double)recipients / took_s, steady, AT(0.5), AT(0.9), AT(0.99), AT(1.0), first_refusal);
}

static void run(void) {
    struct epoll_event events[256];
    began_ns = now_ns();
    for (;;) {
        int64_t due = distribute(now_ns());
        if (asked == count && !open_requests)
            return;
        if (connect_failures > CONNECT_FAILURES_MAX)
            return; /* the server is gone: what was answered until now is the result */
        set_alarm(&alarm_, due);
        int ready = epoll_wait(epoll, events, 256, -1);
        for (int i = 0; i < ready; i++) {
            if (events[i].data.ptr == &alarm_)
                hear_alarm(&alarm_);
            else
                attend(events[i].data.ptr, events[i].events);
        }
    }
}

int main(int words_count, char **words) {
    struct option options[] = {
        {"port", WHOLE, &port},           {"template", TEXT, &template_path}, {"connections", WHOLE, &connections},
        {"count", WHOLE, &count},         {"records", TEXT, &records_path},   {"first", WHOLE, &first},
        {"recipients", WHOLE, &recipients}, {"to", TEXT, &to},                {"cycle", WHOLE, &cycle},
        {"rate", NUMBER, &rate},          {"seconds", NUMBER, &seconds},      {"timeout-s", WHOLE, &timeout_s},
        {"status", WHOLE, &status_wanted}, {"expect", TEXT, &expect},         {"between", TEXT, &between},
        {0}};
    read_options(options, words_count, words);
    if (!port || !template_path || !records_path || connections < 1 || count < 0 || recipients < 1 || cycle < 1)
        die("needed: --port, --template, --records, and counts above 0");
    signal(SIGPIPE, SIG_IGN);
    read_template();
    if (!(all = calloc((size_t)connections, sizeof *all)))
        die("out of memory");
    epoll = epoll_create1(EPOLL_CLOEXEC);
    make_alarm(&alarm_, epoll);
    run();
    write_table(&answers, 0, records_path);
    summarise();
}
