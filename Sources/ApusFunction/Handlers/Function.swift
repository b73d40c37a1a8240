/// A function: its handler, and how it is made. ``run()`` speaks with the platform until the worker ends.
///
///     await Function { (person: Person, context: Context) in
///         Greeting(text: "Hello, \(person.name)!")
///     }.run()
public struct Function: Sendable {
    /// How one call of the handler is made.
    enum Body: Sendable {
        /// Answers through the exchange, or throws.
        case single(@Sendable (Event, Exchange, Context) async throws -> Void)
        /// Answers every call.
        case batch(@Sendable ([Call]) async -> Void)
    }

    /// A handler that is made, with its hooks.
    struct Loaded: Sendable {
        var body: Body
        var stop: @Sendable () async throws -> Void = {}
        var sleep: @Sendable () async throws -> Void = {}
        var wake: @Sendable () async throws -> Void = {}
    }

    let load: @Sendable () async throws -> Loaded

    init(load: @escaping @Sendable () async throws -> Loaded) { self.load = load }

    static func make<Handler: FunctionLifecycle>(
        _ make: @escaping @Sendable () async throws -> Handler, _ body: @escaping @Sendable (Handler) -> Body
    ) -> Function {
        Function {
            let handler = try await make()
            try await handler.start()
            return Loaded(
                body: body(handler), stop: { try await handler.stop() }, sleep: { try await handler.sleep() },
                wake: { try await handler.wake() })
        }
    }

    /// A handler that was made elsewhere, or is made when the worker starts.
    public init<Handler: FunctionLifecycle>(handler: @escaping @autoclosure @Sendable () -> Handler) {
        self = Handler.function { handler() }
    }

    /// A typed value in, a typed value out; see ``FunctionHandler``.
    public init<Input: Decodable & Sendable, Output: Encodable & Sendable>(
        _ body: @escaping @Sendable (Input, Context) async throws -> Output
    ) {
        self.init {
            Loaded(
                body: .single { event, exchange, context in
                    try exchange.finish(try .of(try await body(try event.decode(), context)))
                })
        }
    }

    /// A typed value in, nothing out.
    public init<Input: Decodable & Sendable>(_ body: @escaping @Sendable (Input, Context) async throws -> Void) {
        self.init {
            Loaded(
                body: .single { event, exchange, context in
                    try await body(try event.decode(), context)
                    try exchange.finish(.nothing)
                })
        }
    }

    /// The whole event in, a reply out; see ``EventFunctionHandler``.
    public init(event body: @escaping @Sendable (Event, Context) async throws -> Reply) {
        self.init {
            Loaded(
                body: .single { event, exchange, context in try exchange.finish(try await body(event, context)) })
        }
    }

    /// The result part by part; see ``StreamingFunctionHandler``.
    public init(streaming body: @escaping @Sendable (Event, ResponseWriter, Context) async throws -> Void) {
        self.init {
            Loaded(
                body: .single { event, exchange, context in
                    try await body(event, ResponseWriter(exchange: exchange), context)
                    try exchange.finishStream()
                })
        }
    }

    /// Speaks with the platform on descriptors 3, 4 and 5 until the worker is to end, and then ends the process.
    public func run() async -> Never {
        guard Descriptors.isPipe(3), Descriptors.isPipe(4) else {
            Descriptors.say(
                "apus: this program is a function: deploy it with `apus deploy FOLDER`, and call it with `apus invoke NAME`"
            )
            Descriptors.leave(64)
        }
        let session = Session(self, input: 3, output: 4, ancillary: 5)
        Descriptors.leave(await session.run())
    }
}

/// One event that waits for its answer.
struct Call: Sendable {
    let event: Event
    let exchange: Exchange
    let context: Context
}
