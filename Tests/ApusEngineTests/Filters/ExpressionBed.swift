import ApusCore
import ApusJSON

@testable import ApusEngine
@testable import ApusManifest

/// What an expression comes to, as the conformance suite of CESQL says it.
struct ExpressionResult: Equatable {
    var value: JSONValue
    var error: FilterError?

    /// - Parameter data: the values of the paths that the expression names, in their order.
    static func of(_ text: String, _ event: Event) throws -> ExpressionResult {
        let expression: FilterExpression
        do throws(ExpressionError) {
            expression = try ExpressionParser.parse(text).expression
        } catch {
            return ExpressionResult(value: false, error: .parse)
        }
        let program = FilterProgram(.sql(text, expression))
        let block = EventBlock.encode(event)
        let layout = try EventLayout(parsing: block.span.bytes)
        return try block.withUnsafeBytes { bytes in
            let slots = UnsafeMutableBufferPointer<FilterState.Slot>.allocate(capacity: program.lookups.count)
            slots.initialize(repeating: .nothing)
            defer { slots.deallocate() }
            try program.find(layout, bytes, slots)
            var state = FilterState(bytes, layout, slots, FilterBed.reader)
            let value = program.value(program.nodes[Int(program.root)].first, &state)
            let json: JSONValue =
                switch value {
                case .boolean(let value): .boolean(value)
                case .integer(let value): .integer(Int64(value))
                case .text(let text):
                    .string(program.withBytes(text, state) { String(decoding: $0, as: UTF8.self) })
                }
            return ExpressionResult(value: json, error: state.error)
        }
    }
}

enum FilterBed {
    /// As the host reads data.
    static let reader: FilterDataReader = { data, paths in
        JSONPaths.find(paths, in: data).map { range in
            guard let range else { return nil }
            let text = String(decoding: data[range], as: UTF8.self)
            switch try? JSONValue.parse(Array(text.utf8)) {
            case .boolean(let value): return .boolean(value)
            case .integer(let value) where Int32(exactly: value) != nil: return .integer(Int32(value))
            case .string(let text): return .made(Array(text.utf8))
            case .null: return nil
            default: return .part(range)
            }
        }
    }

    static func outcome(_ filter: EventFilter, _ event: Event) throws -> FilterOutcome? {
        guard let compiled = SubscriptionFilter(filter) else { return nil }
        let block = EventBlock.encode(event)
        return try compiled.evaluate(
            try EventLayout(parsing: block.span.bytes), in: block.span.bytes, data: Self.reader)
    }

    /// A filter as a manifest writes it.
    static func filter(_ yaml: String) throws -> EventFilter {
        let indented = yaml.split(separator: "\n", omittingEmptySubsequences: false).map { "        \($0)" }
        let text = """
            apiVersion: apus.dev/v1
            kind: Function
            metadata: {name: f}
            spec:
              runtime: python3
              handler: main:f
              triggers:
                - topic: a
                  filter:

            """
        let manifests = try Manifest.parse(text + indented.joined(separator: "\n"), file: "f.yaml")
        guard case .function(let function)? = manifests.first else { return .none }
        return function.triggers[0].filter
    }
}
