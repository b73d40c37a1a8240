/// What every kind of handler may have besides its handling: hooks, and `main`.
///
/// A handler is made once for a worker, before its first event, by `init()`: that is where models are loaded and connections are
/// opened. Mark the type `@main` and it is the program; or keep a `main.swift` of your own and run ``Function``.
public protocol FunctionLifecycle: Sendable {
    init() async throws
    /// After `init`, before the first event. What it throws is why the function could not start.
    func start() async throws
    /// Before the worker ends, when all it was given is answered.
    func stop() async throws
    /// Before and after a time without work, in which the worker should hold little.
    func sleep() async throws
    func wake() async throws
    /// What the kind of handler makes of it.
    static func function(_ make: @escaping @Sendable () async throws -> Self) -> Function
}

extension FunctionLifecycle {
    public func start() async throws {}
    public func stop() async throws {}
    public func sleep() async throws {}
    public func wake() async throws {}

    // `@main` looks for a function of this kind only.
    @concurrent
    public static func main() async { await Self.function { try await Self() }.run() }
}

/// The usual kind: a typed value in, a typed value out, both as JSON.
///
///     @main struct Greet: FunctionHandler {
///         func handle(_ input: Person, _ context: Context) async throws -> Greeting { … }
///     }
///
/// `String` and `[UInt8]` take data of any other content type as it is, and a returned `[UInt8]` goes out as it is. A returned
/// `nil` is "nothing". Data that is no `Input` never reaches the handler: the event is rejected.
public protocol FunctionHandler: FunctionLifecycle {
    associatedtype Input: Decodable & Sendable
    associatedtype Output: Encodable & Sendable
    func handle(_ input: Input, _ context: Context) async throws -> Output
}

/// The whole event in, a reply with attributes out.
public protocol EventFunctionHandler: FunctionLifecycle {
    func handle(_ event: Event, _ context: Context) async throws -> Reply
}

/// The lowest kind, which the others are made of: writes its result part by part, and may go on after its end.
public protocol StreamingFunctionHandler: FunctionLifecycle {
    func handle(_ event: Event, _ response: ResponseWriter, _ context: Context) async throws
}

/// Answers first and works on afterwards: ``ResponseWriter/finish(with:)`` sends the result, and what follows holds up nobody.
/// The worker counts as busy until the handler returns, so that at most `concurrency` of them run.
public protocol BackgroundFunctionHandler: FunctionLifecycle {
    associatedtype Input: Decodable & Sendable
    associatedtype Output: Encodable & Sendable
    func handle(_ input: Input, _ response: BackgroundResponse<Output>, _ context: Context) async throws
}

/// Takes the result of a ``BackgroundFunctionHandler``, once.
public struct BackgroundResponse<Output: Encodable & Sendable>: Sendable {
    let exchange: Exchange
    public func send(_ output: Output) throws { try self.exchange.finish(try .of(output)) }
}

/// Many events at once, for a function with `batch` in its manifest; its answers are in the order of the events.
public protocol BatchFunctionHandler: FunctionLifecycle {
    associatedtype Input: Decodable & Sendable
    associatedtype Output: Encodable & Sendable
    /// - Returns: as many results as there are items; what is thrown instead fails all of them.
    func handle(_ items: [BatchItem<Input>]) async throws -> [Result<Output, any Error>]
}

/// One event of a batch.
public struct BatchItem<Input: Sendable>: Sendable {
    public let input: Input
    public let event: Event
    public let context: Context
}

extension FunctionHandler {
    public static func function(_ make: @escaping @Sendable () async throws -> Self) -> Function {
        Function.make(make) { handler in
            .single { event, exchange, context in
                let output = try await handler.handle(try event.decode(), context)
                try exchange.finish(try .of(output))
            }
        }
    }
}

extension EventFunctionHandler {
    public static func function(_ make: @escaping @Sendable () async throws -> Self) -> Function {
        Function.make(make) { handler in
            .single { event, exchange, context in try exchange.finish(try await handler.handle(event, context)) }
        }
    }
}

extension StreamingFunctionHandler {
    public static func function(_ make: @escaping @Sendable () async throws -> Self) -> Function {
        Function.make(make) { handler in
            .single { event, exchange, context in
                try await handler.handle(event, ResponseWriter(exchange: exchange), context)
                try exchange.finishStream()
            }
        }
    }
}

extension BackgroundFunctionHandler {
    public static func function(_ make: @escaping @Sendable () async throws -> Self) -> Function {
        Function.make(make) { handler in
            .single { event, exchange, context in
                try await handler.handle(try event.decode(), BackgroundResponse(exchange: exchange), context)
                if !exchange.isAnswered { try exchange.finish(.nothing) }
            }
        }
    }
}

extension BatchFunctionHandler {
    public static func function(_ make: @escaping @Sendable () async throws -> Self) -> Function {
        Function.make(make) { handler in .batch { await Self.run(handler, $0) } }
    }

    /// Events that are no `Input` are answered here; the handler sees the others.
    private static func run(_ handler: Self, _ calls: [Call]) async {
        var items: [BatchItem<Input>] = []
        for call in calls {
            do {
                let input: Input = try call.event.decode()
                items.append(BatchItem(input: input, event: call.event, context: call.context))
            } catch {
                call.exchange.fail(.of(error))
            }
        }
        guard !items.isEmpty else { return }
        do {
            let results = try await handler.handle(items)
            guard results.count == items.count else {
                throw NotAvailable("the handler returned \(results.count) results for \(items.count) events")
            }
            for (item, result) in zip(items, results) {
                do { try item.context.exchange.finish(try .of(try result.get())) } catch {
                    item.context.exchange.fail(.of(error))
                }
            }
        } catch {
            for item in items { item.context.exchange.fail(.of(error)) }
        }
    }
}
