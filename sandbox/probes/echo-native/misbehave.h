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
    if (header->type == DRAIN && !strcmp(mode, "stay")) return 1;
    if (header->type == PING && !strcmp(mode, "deaf")) return 1;
    if (!is_bad(header, payload)) return 0;
    uint64_t stream = header->stream;
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
        for (int i = 0; i < 2000; i++) emit(stream, "alerts", "again");
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
    if (!strcmp(mode, "call")) {
        send_frame(CALL, 0, stream, "{}", 2);
        return 0;
    }
    if (!strcmp(mode, "ask")) {
        send_frame(INPUT_REQUEST, 0, stream, "{}", 2);
        return 0;
    }
    return 0;
}
