#include "curl.h"
#include <curl/curl.h>

int apus_curl_set_long(void *curl, int option, long value) { return curl_easy_setopt(curl, (CURLoption)option, value); }

int apus_curl_set_string(void *curl, int option, const char *value) { return curl_easy_setopt(curl, (CURLoption)option, value); }

int apus_curl_set_pointer(void *curl, int option, void *value) { return curl_easy_setopt(curl, (CURLoption)option, value); }

int apus_curl_set_bytes(void *curl, int option, apus_curl_bytes callback) {
    return curl_easy_setopt(curl, (CURLoption)option, callback);
}

int apus_curl_set_offset(void *curl, int option, long long value) {
    return curl_easy_setopt(curl, (CURLoption)option, (curl_off_t)value);
}

int apus_curl_get_long(void *curl, int info, long *value) { return curl_easy_getinfo(curl, (CURLINFO)info, value); }
