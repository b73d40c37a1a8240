#pragma once
#include <microhttpd.h>

/// `MHD_start_daemon` is variadic, which Swift cannot call.
struct MHD_Daemon *apus_http_start(
    unsigned flags, MHD_AccessHandlerCallback answer, void *context, const struct MHD_OptionItem *options);
/// The descriptor of the daemon's own epoll, for a loop to watch.
int apus_http_epoll(struct MHD_Daemon *daemon);
/// The socket of a connection.
int apus_http_socket(struct MHD_Connection *connection);
/// Where a connection keeps what `MHD_OPTION_NOTIFY_CONNECTION` stored for it.
void *apus_http_connection_context(struct MHD_Connection *connection);
/// The bytes of a request's head, from the method to the empty line, both included.
long apus_http_head_bytes(struct MHD_Connection *connection);
