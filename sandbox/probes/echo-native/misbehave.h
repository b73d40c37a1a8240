// How a worker can go wrong; each mode is one way. An event whose data starts with `bad` triggers it where it needs one, so that
// one worker can do well first.

static int is_bad(const Header *header, const unsigned char *payload) {
    return header->type == INVOKE && memmem(payload, header->length, "bad", 3) != 0;
}

static void send_result_head(int flags, uint64_t stream, uint32_t data) {
    unsigned char head[BLOCK_HEAD + sizeof attribute];
    send_frame(RESULT, flags, stream, head, result_head(head, data));
}

static void emit(uint64_t stream, const char *topic, const char *data) {
    unsigned char payload[256];
    uint16_t size = (uint16_t)strlen(topic);
    memcpy(payload, &size, 2);
    memcpy(payload + 2, topic, size);
    uint32_t head = result_head(payload + 2 + size, (uint32_t)strlen(data));
    memcpy(payload + 2 + size + head, data, strlen(data));
    send_frame(EMIT, 0, stream, payload, 2 + size + head + (uint32_t)strlen(data));
}

// `bad COUNT BYTES`: so many events, whose blocks have so many bytes each.
static void emit_much(const Header *header, const unsigned char *payload) {
    static unsigned char data[FRAME_MAX / 2];
    const unsigned char *words = memmem(payload, header->length, "bad ", 4);
    if (!words) return;
    char text[64] = {0};
    size_t left = header->length - (size_t)(words - payload);
    memcpy(text, words, left < sizeof text - 1 ? left : sizeof text - 1);
    char *rest;
    long count = strtol(text + 4, &rest, 10), bytes = strtol(rest, 0, 10);
    for (long i = 0; i < count; i++) {
        unsigned char head[8 + BLOCK_HEAD + sizeof attribute] = {6, 0, 'a', 'l', 'e', 'r', 't', 's'};
        uint32_t present = (uint32_t)bytes - BLOCK_HEAD - attribute_size;
        if (present > sizeof data) _exit(70);
        uint32_t front = 8 + result_head(head + 8, present);
        unsigned char *to = room(HEADER + front + present);
        Header frame = {front + present, EMIT, 0, 1, header->stream, 0};
        memcpy(to, &frame, HEADER);
        memcpy(to + HEADER, head, front);
        memcpy(to + HEADER + front, data, present);
        gathered += HEADER + front + present;
    }
}

static uint64_t dice;

// splitmix64: the same seed gives the same frames everywhere.
static uint64_t roll(void) {
    uint64_t mixed = (dice += 0x9E3779B97F4A7C15u);
    mixed = (mixed ^ (mixed >> 30)) * 0xBF58476D1CE4E5B9u;
    mixed = (mixed ^ (mixed >> 27)) * 0x94D049BB133111EBu;
    return mixed ^ (mixed >> 31);
}

static uint32_t random_bytes(unsigned char *to, uint32_t longest) {
    uint32_t length = (uint32_t)(roll() % longest);
    for (uint32_t i = 0; i < length; i++) to[i] = (unsigned char)roll();
    return length;
}

// A frame that the protocol allows while an event runs, whatever its bytes are.
static void fuzz_tolerated(uint64_t stream) {
    unsigned char bytes[256] = {0};
    switch (roll() % 8) {
    case 0: {
        uint32_t length = 16 + random_bytes(bytes + 16, 60);
        send_frame(PROGRESS, 0, stream, bytes, length);
        break;
    }
    default: {
        bytes[0] = (unsigned char)(roll() % 6);
        uint32_t length = 1 + random_bytes(bytes + 1, 60);
        send_frame(LOG, 0, stream, bytes, length);
    }
    }
}

// A frame of any kind, then some of its bytes, or its length, or its order, made wrong.
static void fuzz_hostile(uint64_t stream) {
    static const unsigned char types[] = {
        HELLO, INIT, READY, CREDIT, DRAIN, PING, BYE, SLEEP, WAKE, INVOKE, BATCH, DATA, RESULT, ERROR, ITEM_RESULT, CANCEL,
        PROGRESS, LOG, EMIT, CALL, CALL_RESULT, INPUT_REQUEST, INPUT,
    };
    struct {
        Header header;
        unsigned char payload[512];
    } frame = {.header = {0, types[roll() % sizeof types], 0, 1, roll() % 4 ? stream : roll() % 3, 0}};
    uint32_t length = 0;
    switch (frame.header.type) {
    case RESULT: length = result_head(frame.payload, 4) + 4; break;
    case EMIT:
        frame.payload[0] = 6;
        memcpy(frame.payload + 2, "alerts", 6);
        length = 8 + result_head(frame.payload + 8, 4) + 4;
        break;
    case CREDIT: frame.payload[0] = 1, length = 4; break;
    case HELLO: frame.payload[0] = frame.payload[2] = 1, length = 10; break;
    default: length = random_bytes(frame.payload, 200);
    }
    frame.header.length = length;
    uint64_t changes = roll() % 5;
    for (uint64_t i = 0; i < changes; i++) ((unsigned char *)&frame)[roll() % (HEADER + length)] = (unsigned char)roll();
    if (roll() % 16 == 0) frame.header.length = (uint32_t)roll();
    if (roll() % 8 == 0) frame.header.flags = (uint8_t)roll();
    memcpy(room(HEADER + length), &frame, HEADER + length);
    gathered += HEADER + length;
}

// `bad SEED COUNT`: so many frames, the last few of them hostile unless COUNT is even; then it is gone, or answers.
static int fuzz(const Header *header, const unsigned char *payload) {
    const char *words = memmem(payload, header->length, "bad ", 4);
    char text[64] = {0};
    size_t left = header->length - (size_t)((const unsigned char *)words - payload);
    memcpy(text, words, left < sizeof text - 1 ? left : sizeof text - 1);
    char *rest;
    dice = strtoull(text + 4, &rest, 10);
    long count = strtol(rest, 0, 10);
    for (long i = 0; i < count; i++) fuzz_tolerated(header->stream);
    if (count % 2 == 0) return 0;
    for (int i = 0; i < 4; i++) fuzz_hostile(header->stream);
    flush();
    _exit(0);
}

static void send_large(int flags, uint64_t stream, uint32_t announced, uint32_t bytes) {
    static unsigned char part[64 * 1024];
    send_result_head(MORE, stream, announced);
    for (uint32_t at = 0; at < bytes; at += sizeof part)
        send_frame(DATA, at + sizeof part < bytes ? MORE : flags, stream, part, sizeof part);
}

// `bad N`: the head of a large result, wrong in its Nth way.
static void send_wrong_head(uint64_t stream, long way) {
    unsigned char head[BLOCK_HEAD + sizeof attribute + 16] = {0};
    uint32_t size = result_head(head, 2 << 20), giant = 0x7FFFFFFF;
    switch (way) {
    case 0: memcpy(head + 8, &giant, 4); break;
    case 1: memcpy(head + 12, &giant, 4); break;
    case 2: head[20] = 1; break;
    case 3: head[20] = 0x80; break;
    case 4: size = BLOCK_HEAD - 1; break;
    case 5: size -= 3; break;
    case 6: {
        // More data than it says there is.
        uint32_t few = 3;
        memcpy(head + 16, &few, 4);
        size += 16;
        break;
    }
    // The attributes are no attributes; that shows once there is data.
    case 7: memset(head + BLOCK_HEAD, 0xFF, attribute_size); break;
    // No part at all.
    case 8: break;
    // Two results at once.
    case 9:
        send_frame(RESULT, MORE, stream, head, size);
        send_frame(DATA, MORE, stream, "part", 4);
        break;
    // Something else in the middle of it.
    case 10:
        send_frame(RESULT, MORE, stream, head, size);
        send_frame(DATA, MORE, stream, "part", 4);
        emit(stream, "alerts", "first");
        return;
    }
    send_frame(RESULT, MORE, stream, head, size);
    send_frame(DATA, MORE, stream, "part", way == 8 ? 0 : 4);
    send_frame(DATA, 0, stream, "", 0);
}

// Results that are taken in parts, and go wrong. Returns whether it was one.
static int misbehave_largely(uint64_t stream, const unsigned char *payload, uint32_t length) {
    if (!strcmp(mode, "large-hang")) {
        send_large(MORE, stream, 4 << 20, 2 << 20);
        return 1;
    }
    if (!strcmp(mode, "large-crash")) {
        send_large(MORE, stream, 4 << 20, 2 << 20);
        flush();
        // The first process of a sandbox cannot kill itself.
        _exit(9);
    }
    if (!strcmp(mode, "large-endless")) {
        send_large(MORE, stream, 64 << 20, 64 << 20);
        // Until nobody reads any more.
        for (;;) send_frame(DATA, MORE, stream, "more", 4);
    }
    if (!strcmp(mode, "large-stranger")) {
        send_large(MORE, stream, 4 << 20, 2 << 20);
        for (uint64_t other = stream + 1; other < stream + 64; other++) send_frame(DATA, MORE, other, "more", 4);
        return 1;
    }
    if (!strcmp(mode, "large-late")) {
        send_large(0, stream, 2 << 20, 2 << 20);
        for (int i = 0; i < 64; i++) send_frame(DATA, MORE, stream, "more", 4);
        return 1;
    }
    // Its last part alone is more than the server lets wait.
    if (!strcmp(mode, "large-brief")) {
        send_large(0, stream, 17 * 64 * 1024, 17 * 64 * 1024);
        return 1;
    }
    if (!strcmp(mode, "large-head")) {
        const char *words = memmem(payload, length, "bad ", 4);
        send_wrong_head(stream, words ? words[4] - 'a' : 0);
        return 1;
    }
    return 0;
}

static void begin_badly(void) {
    if (!strcmp(mode, "mute")) for (;;) pause();
    if (!strcmp(mode, "noise")) {
        for (int i = 0; i < 4096; i++) out[i] = (unsigned char)(i * 7 + 3);
        write_all(out, 4096);
    }
    if (!strcmp(mode, "leave")) {
        fprintf(stderr, "cannot find my way\n");
        exit(3);
    }
}

// Returns whether the frame was dealt with.
static int misbehave(const Header *header, const unsigned char *payload) {
    if (header->type == INIT && !strcmp(mode, "refuse")) {
        send_error(ERROR, 0, 1, "start_failed", "no handler of that name");
        flush();
        exit(1);
    }
    if (header->type == INIT && !strcmp(mode, "greedy")) {
        uint32_t count = 1000000;
        send_frame(READY, 0, 0, 0, 0);
        send_frame(CREDIT, 0, 0, &count, 4);
        return 1;
    }
    if (header->type == CANCEL) return 1;
    if (header->type == CALL_RESULT) {
        if (!(header->flags & MORE)) answer(RESULT, header->stream, payload, header->length);
        return 1;
    }
    if (header->type == DRAIN && !strcmp(mode, "stay")) return 1;
    if (header->type == PING && !strcmp(mode, "deaf")) return 1;
    if (!is_bad(header, payload)) return 0;
    uint64_t stream = header->stream;
    if (!strcmp(mode, "fuzz")) return fuzz(header, payload);
    if (!strncmp(mode, "large", 5)) return misbehave_largely(stream, payload, header->length);
    if (!strcmp(mode, "crash")) {
        flush();
        signal(SIGSEGV, SIG_DFL);
        raise(SIGSEGV);
    }
    if (!strcmp(mode, "half")) {
        Header half = {1000, RESULT, 0, 1, stream, 0};
        flush();
        write_all(&half, 20);
        raise(SIGKILL);
    }
    if (!strcmp(mode, "garbage")) {
        memset(out, 0xEE, 5000);
        gathered = 5000;
        return 1;
    }
    if (!strcmp(mode, "hang")) {
        flush();
        for (;;) pause();
    }
    if (!strcmp(mode, "drip")) {
        Header half = {1000, RESULT, 0, 1, stream, 0};
        flush();
        write_all(&half, 20);
        for (;;) pause();
    }
    if (!strcmp(mode, "stranger")) {
        send_result_head(0, stream + 1000, 0);
        return 1;
    }
    if (!strcmp(mode, "oversize")) {
        send_result_head(MORE, stream, 17 << 20);
        static unsigned char part[64 * 1024];
        for (int i = 0; i < 17 * 16; i++) send_frame(DATA, i < 17 * 16 - 1 ? MORE : 0, stream, part, sizeof part);
        return 1;
    }
    if (!strcmp(mode, "enormous")) {
        send_result_head(MORE, stream, (64 << 20) + 1);
        send_frame(DATA, 0, stream, "x", 1);
        return 1;
    }
    if (!strcmp(mode, "miser")) {
        send_result_head(MORE, stream, 10);
        send_frame(DATA, 0, stream, "012345678", 9);
        return 1;
    }
    if (!strcmp(mode, "liar")) {
        send_result_head(MORE, stream, 10);
        send_frame(DATA, MORE, stream, "0123456789", 10);
        send_frame(DATA, 0, stream, "over", 4);
        return 1;
    }
    if (!strcmp(mode, "print")) {
        flush();
        for (int i = 0; i < 200000; i++) printf("line %d of far too many lines of output that nobody wants to read\n", i);
        printf("the last line has no end");
        fflush(stdout);
        return 0;
    }
    if (!strcmp(mode, "say")) {
        flush();
        printf("said\n");
        fflush(stdout);
        return 0;
    }
    if (!strcmp(mode, "complain")) {
        send_frame(LOG, 0, stream, "\005broken pipe", 12);
        send_detailed_error(ERROR, stream, 0, "function_failed", "the command failed", "broken pipe");
        return 1;
    }
    if (!strcmp(mode, "flood")) {
        for (int i = 0; i < 100000; i++) {
            unsigned char log[64] = {1};
            memset(log + 1, 'x', 63);
            send_frame(LOG, 0, stream, log, 64);
        }
        return 0;
    }
    if (!strcmp(mode, "emit")) {
        emit(stream, "alerts", "first");
        emit(stream, "alerts", "second");
        return 0;
    }
    if (!strcmp(mode, "emit-elsewhere")) {
        emit(stream, "alerts", "first");
        emit(stream, "secrets", "second");
        return 0;
    }
    if (!strcmp(mode, "emit-much")) {
        emit_much(header, payload);
        return 0;
    }
    if (!strcmp(mode, "parts")) {
        unsigned char head[BLOCK_HEAD + sizeof attribute];
        send_frame(RESULT, MORE | STREAM, stream, head, result_head(head, 0));
        send_frame(DATA, MORE, stream, "one ", 4);
        send_frame(DATA, MORE, stream, "two ", 4);
        send_frame(DATA, 0, stream, "three", 5);
        return 1;
    }
    if (!strcmp(mode, "inherited")) {
        // What a worker that receives nothing on descriptor 5 finds of its secrets.
        static unsigned char answer[BLOCK_HEAD + sizeof attribute + 4096], secrets[4096];
        ssize_t count = pread(6, secrets, sizeof secrets, 0);
        size_t head = result_head(answer, count < 0 ? 0 : (uint32_t)count);
        if (count > 0) memcpy(answer + head, secrets, (size_t)count);
        send_frame(RESULT, 0, stream, answer, (uint32_t)(head + (count < 0 ? 0 : (size_t)count)));
        return 1;
    }
    if (!strcmp(mode, "endless")) {
        unsigned char head[BLOCK_HEAD + sizeof attribute];
        static unsigned char part[64 * 1024];
        send_frame(RESULT, MORE | STREAM, stream, head, result_head(head, 0));
        // Only a CANCEL can come while its one credit is taken.
        for (struct pollfd watch = {3, POLLIN, 0}; poll(&watch, 1, 0) == 0;) send_frame(DATA, MORE, stream, part, sizeof part);
        send_frame(DATA, 0, stream, 0, 0);
        return 1;
    }
    // Each of these calls a tool; the result of a good call is answered as the event's own data.
    if (!strncmp(mode, "call", 4)) {
        static const char call[] = "\1\0\0\0{\"name\":\"other\",\"arguments\":{}}";
        if (!strcmp(mode, "call-late")) send_result_head(0, stream, 0);
        if (!strcmp(mode, "call-within")) send_result_head(MORE, stream, 10);
        uint64_t on = !strcmp(mode, "call-stranger") ? stream + 1000 : !strcmp(mode, "call-nowhere") ? 0 : stream;
        send_frame(CALL, !strcmp(mode, "call-flagged") ? MORE : 0, on, call, !strcmp(mode, "call-short") ? 3 : sizeof call - 1);
        if (!strcmp(mode, "call-again")) send_frame(CALL, 0, on, call, sizeof call - 1);
        return 1;
    }
    if (!strcmp(mode, "ask")) {
        // The question ends the attempt: a result behind it would be one of a stream that is over.
        send_frame(INPUT_REQUEST, 0, stream, "{}", 2);
        return 1;
    }
    return 0;
}
