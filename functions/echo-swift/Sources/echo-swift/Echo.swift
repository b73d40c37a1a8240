import ApusFunction

/// What comes in goes out, its content type with it.
@main
struct Echo: EventFunctionHandler {
    func handle(_ event: Event, _ context: Context) async throws -> Reply {
        context.log.info("echo of \(event.data?.count ?? 0) bytes, attempt \(context.attempt)")
        return Reply(event)
    }
}
