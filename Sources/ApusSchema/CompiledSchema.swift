public import ApusJSON

/// A JSON Schema of 2020-12 or draft-07, compiled once and applied to parsed values as often as wanted.
///
/// Formats are notes, as both drafts have it by default. References lead only to what the schema, the library and the
/// metaschemas hold: nothing is fetched. A check costs at most `Limits.Schema.steps`, whatever schema and value are.
public struct CompiledSchema: Sendable {
    public let dialect: SchemaDialect
    let nodes: [SchemaNode]
    /// By name of a dynamic anchor: the node in each resource that has it.
    let anchorNodes: [[Int: Int]]
    /// Whether it matters through which resources a check came.
    let isDynamic: Bool

    /// Compiles a schema.
    /// - Parameter library: what it may refer to besides itself.
    /// - Throws: where it is no schema that can be used here, and what to write instead.
    public init(parsing text: [UInt8], library: SchemaLibrary = SchemaLibrary()) throws(SchemaError) {
        let compiler = try SchemaCompiler(text, library: library)
        self.dialect = compiler.dialect
        self.nodes = compiler.nodes
        self.anchorNodes = compiler.anchorNodes
        self.isDynamic = !compiler.anchorNodes.isEmpty
    }

    /// Whether the value fits. Cheaper than ``check(_:)`` for one that does not.
    public func accepts(_ view: JSONView) -> Bool {
        var check = SchemaCheck(self, isCollecting: false)
        return check.run(view)
    }

    /// What of the value does not fit; empty when all does. At most `Limits.Schema.violations` are listed.
    ///
    /// An object with two members of one name is checked with both; ``ArgumentCheck`` refuses it beforehand.
    public func check(_ view: JSONView) -> [SchemaViolation] {
        var first = SchemaCheck(self, isCollecting: false)
        guard !first.run(view) else { return [] }
        guard !first.isExhausted else { return first.violations }
        var check = SchemaCheck(self, isCollecting: true)
        _ = check.run(view)
        return check.violations
    }
}
