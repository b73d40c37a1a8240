internal import ApusCore
internal import ApusEngine
internal import ApusHost
internal import ApusJSON
internal import ApusManifest
internal import ApusStore
internal import ApusTools

/// One walk through an upstream's lists, page by page, within bounds: tools, then what else it may have. On the loop of its caller.
final class UpstreamList: ResponseSink {
    struct Problem: Error { let text: String }

    /// What was listed; of kinds that are not among these nothing is known anew.
    struct Lists {
        var definitions: [UpstreamDefinition] = []
        var kinds: Set<UpstreamDefinition.Kind> = []
    }

    var onNext: ((UpstreamDefinition.Kind, String?) -> Void)?
    private var lists = Lists()
    private var left = UpstreamDefinition.Kind.allCases[...]
    /// Of the kind that is asked for now.
    private var page: [UpstreamDefinition] = []
    private var pages = 0
    private var bytes = 0
    private var isOver = false
    private let completion: (Result<Lists, Problem>) -> Void

    init(_ completion: @escaping (Result<Lists, Problem>) -> Void) { self.completion = completion }

    func begin() { self.next(nil) }

    private func next(_ cursor: String?) {
        guard let kind = self.left.first else { return self.end(.success(self.lists)) }
        self.pages += 1
        guard self.pages <= Limits.ToolEndpoint.upstreamPages else {
            return self.fail("its lists have more than \(Limits.ToolEndpoint.upstreamPages) pages")
        }
        self.onNext?(kind, cursor)
    }

    /// Without tools it is no upstream. What else there is may be missing: most servers have tools alone, and say so in many ways.
    private func fail(_ text: String) {
        guard !self.isOver else { return }
        if self.left.first == .tool { return self.end(.failure(Problem(text: text))) }
        self.nextKind()
    }

    private func nextKind() {
        self.page = []
        self.pages = 0
        self.left = self.left.dropFirst()
        self.next(nil)
    }

    private func end(_ outcome: Result<Lists, Problem>) {
        guard !self.isOver else { return }
        self.isOver = true
        self.onNext = nil
        self.completion(outcome)
    }

    func onResult(_ block: UnsafeRawBufferPointer) {
        guard let layout = try? EventLayout(parsing: block.bytes) else {
            return self.fail("its answer cannot be read")
        }
        self.take(Array(block[layout.data]))
    }

    private func take(_ data: [UInt8]) {
        guard let kind = self.left.first else { return }
        switch UpstreamMessage.answer(data) {
        case nil, .question, .other: self.fail("its answer is none of the protocol")
        case .error(let code, let message):
            // It has none of these, now as then.
            if kind != .tool, code == Int64(RPCError.Code.methodNotFound.rawValue) { self.lists.kinds.insert(kind) }
            self.fail("it answered with the error \(code): \(message)")
        case .result(let result): self.take(result, kind)
        }
    }

    private func take(_ result: [UInt8], _ kind: UpstreamDefinition.Kind) {
        self.bytes += result.count
        guard self.bytes <= Limits.ToolEndpoint.upstreamListBytes else {
            return self.fail("its lists have more than \(Limits.ToolEndpoint.upstreamListBytes) bytes")
        }
        let page: JSONValue
        do throws(ApusError) { page = try JSONValue.parse(result) } catch {
            return self.fail("its list cannot be read: \(error.message)")
        }
        guard let items = page[UpstreamMessage.member(of: kind)]?.array else {
            return self.fail("its answer holds no list of \(kind.rawValue)")
        }
        self.page += items.compactMap { UpstreamDefinition($0, kind: kind) }
        guard self.lists.definitions.count + self.page.count <= Limits.Control.upstreamTools else {
            return self.fail("it lists more than \(Limits.Control.upstreamTools) tools, prompts and resources")
        }
        if let cursor = page["nextCursor"]?.string { return self.next(cursor) }
        self.lists.definitions += self.page
        self.lists.kinds.insert(kind)
        self.nextKind()
    }

    func onStart(_ block: UnsafeRawBufferPointer) {}
    func onPart(_ bytes: UnsafeRawBufferPointer) {}
    func onEnd() { self.fail("its answer came in parts") }
    func onFailure(_ failure: Failure) { self.fail(failure.message) }
}
