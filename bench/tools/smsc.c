/* smsc: the fast and plain SMSC of the benchmark, SMPP 3.4: takes what is submitted, answers, sends receipts, records.
 *
 *   smsc [--port 0] [--latency-ms 0] [--receipts 0] [--receipt-delay-ms 1000] [--receipt-window 100]
 *
 * Prints its port. Any system_id and password may bind, in any of the three ways. The digits that a text begins with
 * are the id of its request. --latency-ms is the time from a submit_sm to its answer. With --receipts 1 whoever asks for
 * a receipt gets one, --receipt-delay-ms after the answer, on any bind that receives; at most --receipt-window of them
 * are unanswered on one bind, and those of a bind that ends are sent again on another.
 * Orders on standard input:
 *   stats             one line of JSON
 *   set NAME VALUE    changes an option
 *   dump FILE FROM    writes the records from the number FROM on: id, recipient, times of submit_sm, of its answer, of
 *                     the receipt and of the answer to it in ns (0: never); 64 bits each
 * One thread; what one turn of its loop makes for a bind leaves in one write. */
#include "bench.h"

#define HEADER_BYTES 16
#define PDU_BYTES_MAX 65536
#define RECEIPT_WINDOW_MAX 1000

enum {
    BIND_RECEIVER = 0x1,
    BIND_TRANSMITTER = 0x2,
    SUBMIT_SM = 0x4,
    DELIVER_SM = 0x5,
    UNBIND = 0x6,
    BIND_TRANSCEIVER = 0x9,
    ENQUIRE_LINK = 0x15,
    RESPONSE = (int)0x80000000,
    INVALID_COMMAND = 0x3,
    TLV_RECEIPTED_MESSAGE_ID = 0x1E,
    TLV_MESSAGE_STATE = 0x427,
    STATE_DELIVERED = 2,
    ESM_CLASS_RECEIPT = 0x4,
    ESM_CLASS_UDHI = 0x40,
};

struct submit {
    uint64_t id, to;
    int64_t submitted_ns, answered_ns, receipt_ns, receipt_answered_ns;
};

/* What a receipt must repeat of its message; kept apart so that records stay small. */
struct addresses {
    char source[21], destination[21];
    uint8_t source_ton, source_npi, destination_ton, destination_npi;
};

struct slot {
    size_t submit;
    uint32_t sequence; /* 0: free */
};

struct session {
    int fd;
    bool wants_out, receives, over;
    uint32_t generation;
    size_t index;
    struct bytes in, out;
    struct slot slots[RECEIPT_WINDOW_MAX];
    uint32_t free_slots[RECEIPT_WINDOW_MAX], free_count, next_turn;
};

/* First in, first out, with the time from which each may leave. */
struct later {
    int64_t due_ns;
    size_t submit;
    struct session *session;
    uint32_t sequence, generation;
    bool wants_receipt;
};

struct queue {
    struct later *at;
    size_t first, count, room;
};

static struct table submits = {.width = sizeof(struct submit)}, addresses = {.width = sizeof(struct addresses)};
static struct queue answers, receipts, again;
static struct session **sessions;
static size_t session_count, session_room;
static int64_t port, latency_ms, receipts_on, receipt_delay_ms = 1000, receipt_window = 100;
static int64_t receipts_sent, receipts_answered, malformed;
static uint64_t id_seed;
static uint32_t generations;
static struct alarm alarm_;
static int epoll;
static const struct option options[] = {
    {"port", WHOLE, &port},         {"latency-ms", WHOLE, &latency_ms},
    {"receipts", WHOLE, &receipts_on}, {"receipt-delay-ms", WHOLE, &receipt_delay_ms},
    {"receipt-window", WHOLE, &receipt_window}, {0}};

static void push(struct queue *q, struct later one) {
    if (q->count == q->room) {
        size_t room = q->room ? 2 * q->room : 1024;
        struct later *at = malloc(room * sizeof *at);
        if (!at)
            die("out of memory");
        for (size_t i = 0; i < q->count; i++)
            at[i] = q->at[(q->first + i) % q->room];
        free(q->at);
        *q = (struct queue){at, 0, q->count, room};
    }
    q->at[(q->first + q->count++) % q->room] = one;
}

static struct later *head(const struct queue *q) { return q->count ? &q->at[q->first] : NULL; }

static void drop(struct queue *q) {
    q->first = (q->first + 1) % q->room;
    q->count--;
}

/* -- fields of PDUs */

static uint32_t get32(const char *at) {
    uint32_t value;
    memcpy(&value, at, 4);
    return ntohl(value);
}

static void put32(char *at, uint32_t value) {
    value = htonl(value);
    memcpy(at, &value, 4);
}

static void put_header(char *at, size_t length, uint32_t command, uint32_t status, uint32_t sequence) {
    put32(at, (uint32_t)length);
    put32(at + 4, command);
    put32(at + 8, status);
    put32(at + 12, sequence);
}

static void reply(struct session *s, uint32_t command, uint32_t status, uint32_t sequence, const void *body, size_t length) {
    char header[HEADER_BYTES];
    put_header(header, HEADER_BYTES + length, command, status, sequence);
    append(&s->out, header, HEADER_BYTES);
    append(&s->out, body, length);
}

/* The next C-octet string before `end`; moves on. NULL when its NUL is missing. */
static const char *string(const char **at, const char *end) {
    const char *found = *at, *nul = *at < end ? memchr(*at, 0, (size_t)(end - *at)) : NULL;
    *at = nul ? nul + 1 : end;
    return nul ? found : NULL;
}

/* Hexadecimal and in no order, as many SMSCs give them: an index on them is hit everywhere. Each step can be undone, so that
 * no two numbers meet. Another start gives others. */
static size_t message_id(char *at, size_t submit) {
    uint64_t id = id_seed + submit;
    for (int round = 0; round < 2; round++)
        id = (id ^ id >> 29) * 0x9D3F0A5BC86E4D17;
    return (size_t)sprintf(at, "%016" PRIX64, id ^ id >> 32);
}

/* The digits at the beginning of a text of 8 or 16 bits a character. */
static uint64_t leading_number(const char *text, size_t length) {
    uint64_t number = 0;
    for (size_t i = 0; i < length; i++)
        if (text[i] >= '0' && text[i] <= '9')
            number = number * 10 + (uint64_t)(text[i] - '0');
        else if (text[i])
            break;
    return number;
}

/* -- what we say */

static void answer_submit(struct session *s, uint32_t sequence, size_t submit, bool wants_receipt) {
    char id[32];
    int64_t now = now_ns();
    reply(s, SUBMIT_SM | (uint32_t)RESPONSE, 0, sequence, id, message_id(id, submit) + 1);
    ((struct submit *)submits.at)[submit].answered_ns = now;
    if (wants_receipt && receipts_on)
        push(&receipts, (struct later){.due_ns = now + receipt_delay_ms * NS_PER_MS, .submit = submit});
}

static size_t put_address(char *at, uint8_t ton, uint8_t npi, const char *digits) {
    at[0] = (char)ton;
    at[1] = (char)npi;
    return 2 + (size_t)(stpcpy(at + 2, digits) - (at + 2)) + 1;
}

static size_t put_tlv(char *at, unsigned tag, const void *value, size_t length) {
    at[0] = (char)(tag >> 8);
    at[1] = (char)tag;
    at[2] = (char)(length >> 8);
    at[3] = (char)length;
    memcpy(at + 4, value, length);
    return 4 + length;
}

/* A receipt as SMPP 3.4, appendix B describes it, and the two TLVs that say the same; from recipient to sender. */
static void send_receipt(struct session *s, size_t submit, uint32_t sequence) {
    const struct addresses *a = (struct addresses *)addresses.at + submit;
    char body[400] = {0}, id[32], date[16], text[200];
    time_t now = time(NULL);
    struct tm utc;
    strftime(date, sizeof date, "%y%m%d%H%M", gmtime_r(&now, &utc));
    size_t id_length = message_id(id, submit);
    int length = snprintf(text, sizeof text, "id:%s sub:001 dlvrd:001 submit date:%s done date:%s stat:DELIVRD err:000 text:",
                          id, date, date);
    size_t at = 1; /* service_type: empty */
    at += put_address(body + at, a->destination_ton, a->destination_npi, a->destination);
    at += put_address(body + at, a->source_ton, a->source_npi, a->source);
    body[at] = ESM_CLASS_RECEIPT;
    at += 9; /* esm_class, then zeros: protocol_id, priority, two times, registered, replace, coding, default message */
    body[at++] = (char)length;
    memcpy(body + at, text, (size_t)length);
    at += (size_t)length;
    at += put_tlv(body + at, TLV_RECEIPTED_MESSAGE_ID, id, id_length + 1);
    at += put_tlv(body + at, TLV_MESSAGE_STATE, (char[]){STATE_DELIVERED}, 1);
    reply(s, DELIVER_SM, 0, sequence, body, at);
    struct submit *record = (struct submit *)submits.at + submit;
    if (!record->receipt_ns)
        record->receipt_ns = now_ns();
    receipts_sent++;
}

/* -- what we hear */

static bool take_submit(struct session *s, uint32_t sequence, const char *at, const char *end) {
    int64_t now = now_ns();
    const char *service_type = string(&at, end);
    if (!service_type || end - at < 3)
        return false;
    struct addresses one = {.source_ton = (uint8_t)at[0], .source_npi = (uint8_t)at[1]};
    at += 2;
    const char *source = string(&at, end);
    if (!source || strlen(source) >= sizeof one.source || end - at < 3)
        return false;
    one.destination_ton = (uint8_t)at[0];
    one.destination_npi = (uint8_t)at[1];
    at += 2;
    const char *destination = string(&at, end);
    if (!destination || strlen(destination) >= sizeof one.destination || end - at < 3)
        return false;
    strcpy(one.source, source);
    strcpy(one.destination, destination);
    uint8_t esm_class = (uint8_t)at[0];
    at += 3; /* esm_class, protocol_id, priority_flag */
    const char *schedule = string(&at, end), *validity = string(&at, end);
    if (!schedule || !validity || end - at < 5)
        return false;
    bool wants_receipt = (at[0] & 3) == 1;
    size_t length = (uint8_t)at[4];
    at += 5; /* registered_delivery, replace_if_present_flag, data_coding, sm_default_msg_id, sm_length */
    if ((size_t)(end - at) < length)
        return false;
    size_t skipped = esm_class & ESM_CLASS_UDHI && length ? 1 + (size_t)(uint8_t)at[0] : 0;
    size_t index = submits.count;
    struct submit *record = new_record(&submits);
    record->id = skipped < length ? leading_number(at + skipped, length - skipped) : 0;
    record->to = strtoull(destination + (*destination == '+'), NULL, 10);
    record->submitted_ns = now;
    *(struct addresses *)new_record(&addresses) = one;
    if (latency_ms)
        push(&answers, (struct later){now + latency_ms * NS_PER_MS, index, s, sequence, s->generation, wants_receipt});
    else
        answer_submit(s, sequence, index, wants_receipt);
    return true;
}

static void take_receipt_answer(struct session *s, uint32_t sequence, uint32_t status) {
    uint32_t slot = (sequence - 1) % RECEIPT_WINDOW_MAX;
    if (s->slots[slot].sequence != sequence)
        return; /* nothing of ours */
    s->slots[slot].sequence = 0;
    s->free_slots[s->free_count++] = slot;
    if (status) { /* not taken: offered again after a while */
        push(&again, (struct later){.due_ns = now_ns() + NS_PER_S, .submit = s->slots[slot].submit});
        return;
    }
    ((struct submit *)submits.at)[s->slots[slot].submit].receipt_answered_ns = now_ns();
    receipts_answered++;
}

static bool take(struct session *s, const char *pdu, size_t length) {
    uint32_t command = get32(pdu + 4), status = get32(pdu + 8), sequence = get32(pdu + 12);
    switch (command) {
    case BIND_RECEIVER:
    case BIND_TRANSMITTER:
    case BIND_TRANSCEIVER:
        s->receives = command != BIND_TRANSMITTER;
        reply(s, command | (uint32_t)RESPONSE, 0, sequence, "bench", 6);
        return true;
    case SUBMIT_SM:
        return take_submit(s, sequence, pdu + HEADER_BYTES, pdu + length);
    case DELIVER_SM | (uint32_t)RESPONSE:
        take_receipt_answer(s, sequence, status);
        return true;
    case ENQUIRE_LINK:
        reply(s, ENQUIRE_LINK | (uint32_t)RESPONSE, 0, sequence, NULL, 0);
        return true;
    case UNBIND:
        reply(s, UNBIND | (uint32_t)RESPONSE, 0, sequence, NULL, 0);
        s->over = true;
        return true;
    default:
        if (!(command & (uint32_t)RESPONSE))
            reply(s, (uint32_t)RESPONSE, INVALID_COMMAND, sequence, NULL, 0);
        return true;
    }
}

/* -- sessions */

static void welcome(int listening) {
    for (int fd; (fd = accept4(listening, NULL, NULL, SOCK_CLOEXEC)) >= 0;) {
        struct session *s = calloc(1, sizeof *s);
        if (session_count == session_room) {
            session_room = session_room ? 2 * session_room : 16;
            sessions = realloc(sessions, session_room * sizeof(struct session *));
        }
        if (!s || !sessions)
            die("out of memory");
        adjust(fd);
        s->fd = fd;
        s->generation = ++generations;
        for (uint32_t i = 0; i < RECEIPT_WINDOW_MAX; i++)
            s->free_slots[s->free_count++] = i;
        s->index = session_count;
        sessions[session_count++] = s;
        watch(epoll, EPOLL_CTL_ADD, fd, EPOLLIN, s);
    }
}

static void end_session(struct session *s) {
    close(s->fd);
    for (size_t i = 0; i < RECEIPT_WINDOW_MAX; i++)
        if (s->slots[i].sequence)
            push(&again, (struct later){.submit = s->slots[i].submit});
    sessions[s->index] = sessions[--session_count];
    sessions[s->index]->index = s->index;
    free(s->in.at);
    free(s->out.at);
    free(s);
}

static void hear(struct session *s) {
    bool gone = false;
    while (receive(s->fd, &s->in, &gone))
        ;
    while (!s->over && waiting(&s->in) >= HEADER_BYTES) {
        const char *pdu = s->in.at + s->in.start;
        size_t length = get32(pdu);
        if (length < HEADER_BYTES || length > PDU_BYTES_MAX) {
            malformed++;
            gone = true;
            break;
        }
        if (waiting(&s->in) < length)
            break;
        if (!take(s, pdu, length)) {
            malformed++;
            gone = true;
            break;
        }
        s->in.start += length;
    }
    s->over |= gone;
}

/* -- what comes due */

static bool still_there(const struct later *one) {
    for (size_t i = 0; i < session_count; i++)
        if (sessions[i] == one->session && sessions[i]->generation == one->generation)
            return true;
    return false;
}

/* A bind that receives and has room, in turn; NULL: none. */
static struct session *receiver(void) {
    static size_t turn;
    for (size_t i = 0; i < session_count; i++) {
        struct session *s = sessions[(turn + i) % session_count];
        if (s->receives && !s->over && RECEIPT_WINDOW_MAX - s->free_count < (uint32_t)receipt_window) {
            turn += i + 1;
            return s;
        }
    }
    return NULL;
}

/* Sends the receipts that are due while a bind takes them; the time of the next, NEVER when an event must come first. */
static int64_t offer(struct queue *q, int64_t now) {
    for (struct later *one; (one = head(q)); drop(q)) {
        if (one->due_ns > now)
            return one->due_ns;
        struct session *s = receiver();
        if (!s)
            return NEVER;
        uint32_t slot = s->free_slots[--s->free_count];
        /* Sequence numbers stay below 0x80000000 and tell their slot. */
        uint32_t sequence = 1 + slot + RECEIPT_WINDOW_MAX * (s->next_turn++ % 2000000);
        s->slots[slot] = (struct slot){one->submit, sequence};
        send_receipt(s, one->submit, sequence);
    }
    return NEVER;
}

static int64_t earlier(int64_t a, int64_t b) { return a < b ? a : b; }

static int64_t work_off(void) {
    int64_t now = now_ns(), next = NEVER;
    for (struct later *one; (one = head(&answers)); drop(&answers)) {
        if (one->due_ns > now) {
            next = one->due_ns;
            break;
        }
        if (still_there(one))
            answer_submit(one->session, one->sequence, one->submit, one->wants_receipt);
    }
    return earlier(next, earlier(offer(&again, now), offer(&receipts, now)));
}

/* Sends what waits; true when a bind has ended, whose receipts are to be offered to others. */
static bool flush_all(void) {
    bool ended = false;
    for (size_t i = session_count; i-- > 0;) {
        struct session *s = sessions[i];
        if (!transmit(s->fd, &s->out))
            s->over = true;
        bool blocked = waiting(&s->out) > 0;
        if (s->over) {
            end_session(s);
            ended = true;
            continue;
        }
        if (blocked != s->wants_out)
            watch(epoll, EPOLL_CTL_MOD, s->fd, EPOLLIN | (blocked ? EPOLLOUT : 0), s);
        s->wants_out = blocked;
    }
    return ended;
}

static void obey(char *line) {
    char path[1024], name[64], value[64];
    size_t from, bound = 0;
    for (size_t i = 0; i < session_count; i++)
        bound += sessions[i]->receives;
    if (!strcmp(line, "stats"))
        printf("{\"submitted\": %zu, \"receiving_binds\": %zu, \"sessions\": %zu, \"receipts_waiting\": %zu, "
               "\"receipts_sent\": %" PRId64 ", \"receipts_answered\": %" PRId64 ", \"malformed\": %" PRId64 "}\n",
               submits.count, bound, session_count, receipts.count + again.count, receipts_sent, receipts_answered,
               malformed);
    else if (sscanf(line, "set %63s %63s", name, value) == 2) {
        set_option(options, name, value);
        puts("{}");
    } else if (sscanf(line, "dump %1023s %zu", path, &from) == 2) {
        write_table(&submits, from, path);
        puts("{}");
    } else
        die("unknown order %s", line);
}

int main(int count, char **words) {
    id_seed = (uint64_t)now_ns();
    read_options(options, count, words);
    if (receipt_window < 1 || receipt_window > RECEIPT_WINDOW_MAX)
        die("--receipt-window: 1 to %d", RECEIPT_WINDOW_MAX);
    signal(SIGPIPE, SIG_IGN);
    int wanted = (int)port, listening = listen_on(&wanted);
    struct bytes orders = {0};
    struct epoll_event events[64];
    epoll = epoll_create1(EPOLL_CLOEXEC);
    make_alarm(&alarm_, epoll);
    watch(epoll, EPOLL_CTL_ADD, listening, EPOLLIN, &port);
    watch(epoll, EPOLL_CTL_ADD, STDIN_FILENO, EPOLLIN, &orders);
    printf("%d\n", wanted);
    fflush(stdout);
    for (;;) {
        int64_t due;
        do
            due = work_off();
        while (flush_all());
        set_alarm(&alarm_, due);
        int ready = epoll_wait(epoll, events, 64, -1);
        for (int i = 0; i < ready; i++) {
            void *what = events[i].data.ptr;
            if (what == &alarm_)
                hear_alarm(&alarm_);
            else if (what == &port)
                welcome(listening);
            else if (what == &orders)
                take_orders(&orders, obey);
            else
                hear(what);
        }
    }
}
