internal import ApusCore
internal import ApusHTTP

/// One thing that callers can ask of the server: where it is, what it does, who may. The router, the check of rights and
/// `/openapi.json` are all made from these.
struct Operation: Sendable {
    /// As generated clients name it: `invokeFunction`.
    var id: String
    var method: String
    /// A pattern of ``Router``. What begins with `/v1/` and ``isNamespaced`` exists below `/v1/namespaces/{ns}/` too.
    var path: String
    /// A sentence for people.
    var summary: String
    var access: Access
    var isNamespaced: Bool

    init(_ id: String, _ method: String, _ path: String, _ summary: String, _ access: Access, isNamespaced: Bool? = nil)
    {
        self.id = id
        self.method = method
        self.path = path
        self.summary = summary
        self.access = access
        self.isNamespaced =
            if let isNamespaced { isNamespaced } else if case .inNamespace = access { path.hasPrefix("/v1/") } else {
                false
            }
    }
}

/// An operation with what performs it. A reference, since every request passes it on.
final class Route {
    /// What a request needs, by its head; called before its body is read.
    typealias Requiring = (HTTPExchange, RouteParameters) throws(ApusError) -> Requirement

    let operation: Operation
    let requiring: Requiring?
    /// What a request with a token needs follows from its path, and stays so: who was let in once need not be looked at again.
    let isSettledByPath: Bool
    let handler: HTTPHandler

    init(operation: Operation, requiring: Requiring?, isSettledByPath: Bool, handler: @escaping HTTPHandler) {
        self.operation = operation
        self.requiring = requiring
        self.isSettledByPath = isSettledByPath
        self.handler = handler
    }

    func requirement(_ exchange: HTTPExchange, _ parameters: RouteParameters) throws(ApusError) -> Requirement {
        if let requiring { return try requiring(exchange, parameters) }
        return Requirement(self.operation.access, in: try Routes.namespace(parameters))
    }
}

/// The operations of a listener with what performs each.
struct RouteTable {
    private(set) var operations: [Operation] = []
    private(set) var router = Router<Route>()

    /// - Parameters:
    ///   - requiring: for ``Access/decidedByRequest``: says what each request needs.
    ///   - isSettledByPath: see ``Route/isSettledByPath``.
    mutating func add(
        _ operation: Operation, requiring: Route.Requiring? = nil, isSettledByPath: Bool? = nil,
        _ handler: @escaping HTTPHandler
    ) {
        precondition(
            (requiring != nil) == (operation.access == .decidedByRequest), "\(operation.id): who says who may?")
        let place = self.operations.count
        self.operations.append(operation)
        let route = Route(
            operation: operation, requiring: requiring, isSettledByPath: isSettledByPath ?? (requiring == nil)
        ) { exchange, parameters in
            exchange.operation = place
            handler(exchange, parameters)
        }
        if operation.isNamespaced {
            self.router.addNamespaced(operation.method, operation.path, route)
        } else {
            self.router.add(operation.method, operation.path, route)
        }
    }
}
