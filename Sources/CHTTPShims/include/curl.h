#pragma once
#include <stddef.h>

// libcurl's setters and getters are variadic, which Swift cannot call. Handles and options go as plain C types, so that who
// includes this needs no header of libcurl's. Each returns a CURLcode.

typedef size_t (*apus_curl_bytes)(char *bytes, size_t size, size_t count, void *context);

int apus_curl_set_long(void *curl, int option, long value);
int apus_curl_set_string(void *curl, int option, const char *value);
/// Lists and contexts.
int apus_curl_set_pointer(void *curl, int option, void *value);
/// `CURLOPT_WRITEFUNCTION` and `CURLOPT_HEADERFUNCTION`.
int apus_curl_set_bytes(void *curl, int option, apus_curl_bytes callback);
/// Called with the address that a connection came about with, before anything of the request is sent; not 0 ends it.
typedef int (*apus_curl_connected)(void *context, char *primary, char *local, int primary_port, int local_port);
/// `CURLOPT_PREREQFUNCTION`.
int apus_curl_set_connected(void *curl, int option, apus_curl_connected callback);
/// `CURLOPT_POSTFIELDSIZE_LARGE`.
// Every connection goes to the Unix socket at `path`, whatever the address; the path must stay until the transfer is over.
int apus_curl_set_unix(void *curl, char *path);
int apus_curl_set_offset(void *curl, int option, long long value);
/// Asks `is_aborted` about once a second, and more often while bytes move; a transfer for which it is not 0 ends.
int apus_curl_set_abort(void *curl, void *context, int (*is_aborted)(void *context));
int apus_curl_get_long(void *curl, int info, long *value);
