internal import ApusCore

/// Finds what handles a request by its method and path.
///
/// Patterns are paths whose segments are fixed (`v1`), a parameter (`{topic}`: one segment, never empty) or, last, a parameter
/// for all that remains (`{path...}`: may be empty). A fixed segment wins over a parameter, that over the rest.
public struct Router<Handler> {
    public typealias Parameters = RouteParameters

    public enum Match {
        case found(Handler, RouteParameters)
        /// The path exists, the method does not; those that do.
        case methodNotAllowed([String])
        case notFound
    }

    fileprivate struct Node {
        var fixed: [String: Int] = [:]
        var parameter: Int?
        var rest: Int?
        var handlers: [String: (handler: Handler, names: [String])] = [:]
    }

    private var nodes = [Node()]

    public init() {}

    /// Adds a route. A pattern that is none, or that is there already, is a mistake of the program.
    /// - Parameter method: `*` takes every method that has no route of its own.
    public mutating func add(_ method: String, _ pattern: String, _ handler: Handler) {
        precondition(self.insert(method, pattern, handler), "the route \(method) \(pattern) is there already")
    }

    /// Adds a route where there is none for these requests yet.
    /// - Returns: whether it was added.
    @discardableResult
    public mutating func insert(_ method: String, _ pattern: String, _ handler: Handler) -> Bool {
        precondition(pattern.hasPrefix("/"), "a pattern starts with /")
        var names: [String] = []
        var node = 0
        let parts = pattern == "/" ? [] : pattern.dropFirst().split(separator: "/", omittingEmptySubsequences: false)
        for (index, part) in parts.enumerated() {
            guard part.hasPrefix("{"), part.hasSuffix("}") else {
                node = self.child(of: node, \.fixed[String(part)])
                continue
            }
            let isRest = part.hasSuffix("...}")
            precondition(!isRest || index == parts.count - 1, "only the last segment of a pattern takes the rest")
            names.append(String(part.dropFirst().dropLast(isRest ? 4 : 1)))
            node = self.child(of: node, isRest ? \.rest : \.parameter)
        }
        guard self.nodes[node].handlers[method] == nil else { return false }
        self.nodes[node].handlers[method] = (handler, names)
        return true
    }

    /// Adds a route for the default namespace and the same below `/v1/namespaces/{ns}/`.
    /// - Parameter pattern: starts with `/v1/`.
    public mutating func addNamespaced(_ method: String, _ pattern: String, _ handler: Handler) {
        precondition(pattern.hasPrefix("/v1/"), "what exists in namespaces is below /v1/")
        self.add(method, pattern, handler)
        self.add(method, "/v1/namespaces/{ns}/" + pattern.dropFirst(4), handler)
    }

    private mutating func child(of node: Int, _ place: WritableKeyPath<Node, Int?>) -> Int {
        if let child = self.nodes[node][keyPath: place] { return child }
        self.nodes.append(Node())
        self.nodes[node][keyPath: place] = self.nodes.count - 1
        return self.nodes.count - 1
    }

    /// A HEAD is a GET whose body the library leaves out.
    public func match(method: String, path: RequestPath) -> Match {
        self.match(method: method, segments: path.segments)
    }

    /// - Parameter segments: of a path, decoded.
    public func match(method: String, segments: [String]) -> Match {
        var found: [(node: Int, values: [String])] = []
        self.collect(0, segments[...], [], into: &found)
        for (node, values) in found {
            let handlers = self.nodes[node].handlers
            guard let entry = handlers[method] ?? (method == "HEAD" ? handlers["GET"] : nil) ?? handlers["*"] else {
                continue
            }
            return .found(entry.handler, RouteParameters(names: entry.names, values: values))
        }
        var methods = Set(found.flatMap { self.nodes[$0.node].handlers.keys })
        if methods.contains("GET") { methods.insert("HEAD") }
        return methods.isEmpty ? .notFound : .methodNotAllowed(methods.sorted())
    }

    /// All nodes with handlers that the path leads to, the best first. Bounded by the nodes there are: each is reached by one way.
    private func collect(
        _ node: Int, _ rest: ArraySlice<String>, _ values: [String], into found: inout [(node: Int, values: [String])]
    ) {
        if let segment = rest.first {
            if let child = self.nodes[node].fixed[segment] {
                self.collect(child, rest.dropFirst(), values, into: &found)
            }
            if let child = self.nodes[node].parameter, !segment.isEmpty {
                self.collect(child, rest.dropFirst(), values + [segment], into: &found)
            }
        } else if !self.nodes[node].handlers.isEmpty {
            found.append((node, values))
        }
        if let child = self.nodes[node].rest { found.append((child, values + [rest.joined(separator: "/")])) }
    }
}

extension Router: Sendable where Handler: Sendable {}
extension Router.Node: Sendable where Handler: Sendable {}

/// What the parameters of a pattern stood for, decoded.
public struct RouteParameters: Sendable, Equatable {
    let names: [String]
    let values: [String]

    /// In the order of the pattern.
    public var all: [(name: String, value: String)] { zip(self.names, self.values).map { ($0, $1) } }

    public init(names: [String], values: [String]) {
        self.names = names
        self.values = values
    }

    public subscript(name: String) -> String? { self.names.firstIndex(of: name).map { self.values[$0] } }
}

/// What a route of a server runs.
public typealias HTTPHandler = (HTTPExchange, RouteParameters) -> Void

extension Router where Handler == HTTPHandler {
    /// Runs the handler of a request, or answers why there is none.
    public func dispatch(_ exchange: HTTPExchange) {
        if let (handler, parameters) = self.find(exchange) { return handler(exchange, parameters) }
        self.refuse(exchange)
    }
}

extension Router {
    /// What a request asks for; nil when there is no such thing or its path is none.
    public func find(_ exchange: HTTPExchange) -> (Handler, RouteParameters)? {
        guard let path = try? RequestPath(parsing: exchange.rawPath) else { return nil }
        guard case .found(let handler, let parameters) = self.match(method: exchange.method, path: path) else {
            return nil
        }
        return (handler, parameters)
    }

    /// Answers a request for which there is no handler, with why.
    public func refuse(_ exchange: HTTPExchange) {
        let path: RequestPath
        do { path = try RequestPath(parsing: exchange.rawPath) } catch {
            return exchange.respond(Problem(.invalidArgument, error.message))
        }
        switch self.match(method: exchange.method, path: path) {
        case .found: preconditionFailure("what has a handler is not refused")
        case .methodNotAllowed(let methods):
            let allow = [("Allow", methods.joined(separator: ", "))]
            if exchange.method == "OPTIONS" { return exchange.respond(status: 204, headers: allow) }
            let detail =
                "\(exchange.method.prefix(32)) does not exist for \(exchange.rawPath.prefix(255)): use \(methods.joined(separator: ", "))"
            exchange.respond(Problem(.methodNotAllowed, detail), headers: allow)
        case .notFound:
            exchange.respond(
                Problem(.notFound, "nothing is at \(exchange.rawPath.prefix(255)): see /openapi.json for what is"))
        }
    }
}
