#include "curl.h"
#include <curl/curl.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

int apus_curl_set_long(void *curl, int option, long value) { return curl_easy_setopt(curl, (CURLoption)option, value); }

int apus_curl_set_string(void *curl, int option, const char *value) { return curl_easy_setopt(curl, (CURLoption)option, value); }

int apus_curl_set_pointer(void *curl, int option, void *value) { return curl_easy_setopt(curl, (CURLoption)option, value); }

int apus_curl_set_bytes(void *curl, int option, apus_curl_bytes callback) {
    return curl_easy_setopt(curl, (CURLoption)option, callback);
}

struct abort_question {
    void *context;
    int (*is_aborted)(void *context);
};

static int on_progress(void *question, curl_off_t a, curl_off_t b, curl_off_t c, curl_off_t d) {
    (void)a, (void)b, (void)c, (void)d;
    const struct abort_question *asked = question;
    return asked->is_aborted(asked->context);
}

int apus_curl_set_abort(void *curl, void *context, int (*is_aborted)(void *context)) {
    // One transfer at a time runs on a thread, and the next sets its own.
    static _Thread_local struct abort_question question;
    question.context = context;
    question.is_aborted = is_aborted;
    int code = curl_easy_setopt(curl, CURLOPT_XFERINFODATA, &question);
    if (code == 0) code = curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, on_progress);
    return code == 0 ? curl_easy_setopt(curl, CURLOPT_NOPROGRESS, 0L) : code;
}

int apus_curl_set_connected(void *curl, int option, apus_curl_connected callback) {
    return curl_easy_setopt(curl, option, callback);
}

// libcurl connects to the address that it finds there afterwards; behind `addr` is room for an address of any family.
static curl_socket_t open_unix(void *path, curlsocktype purpose, struct curl_sockaddr *address) {
    struct sockaddr_un name = {.sun_family = AF_UNIX};
    if (purpose != CURLSOCKTYPE_IPCXN || strlen(path) >= sizeof name.sun_path) return CURL_SOCKET_BAD;
    strcpy(name.sun_path, path);
    address->family = AF_UNIX;
    address->protocol = 0;
    address->addrlen = sizeof name;
    char *to = (char *)&address->addr;
    for (size_t index = 0; index < sizeof name; index++) to[index] = ((const char *)&name)[index];
    return socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
}

int apus_curl_set_unix(void *curl, char *path) {
    int code = curl_easy_setopt(curl, CURLOPT_OPENSOCKETDATA, path);
    return code == 0 ? curl_easy_setopt(curl, CURLOPT_OPENSOCKETFUNCTION, open_unix) : code;
}

int apus_curl_set_offset(void *curl, int option, long long value) {
    return curl_easy_setopt(curl, (CURLoption)option, (curl_off_t)value);
}

int apus_curl_get_long(void *curl, int info, long *value) { return curl_easy_getinfo(curl, (CURLINFO)info, value); }
