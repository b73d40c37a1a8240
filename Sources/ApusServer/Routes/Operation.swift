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

/// The operations of a listener with what performs each.
struct RouteTable {
    private(set) var operations: [Operation] = []
    private(set) var router = Router<HTTPHandler>()

    mutating func add(_ operation: Operation, _ handler: @escaping HTTPHandler) {
        let place = self.operations.count
        self.operations.append(operation)
        let handler: HTTPHandler = { exchange, parameters in
            exchange.operation = place
            handler(exchange, parameters)
        }
        if operation.isNamespaced {
            self.router.addNamespaced(operation.method, operation.path, handler)
        } else {
            self.router.add(operation.method, operation.path, handler)
        }
    }
}
