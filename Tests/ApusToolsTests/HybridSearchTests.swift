import ApusCore
import ApusJSON
import ApusManifest
import ApusTestSupport
import Glibc
import Testing

@testable import ApusTools

/// The search by words and by meaning together, with the vectors that `functions/embed-text` gives.
@Suite struct HybridSearchTests {
    private static let root = "/" + #filePath.split(separator: "/").dropLast(3).joined(separator: "/")
    private static let layer = "\(root)/.build/layers/embed-text"

    /// Reads a JSON list of texts, writes one of vectors.
    private static let script = """
        import json, sys
        sys.path[:0] = [sys.argv[1], sys.argv[2]]
        from model import Model
        texts, model, vectors = json.load(sys.stdin), Model(), []
        for at in range(0, len(texts), 16):
            vectors += model.embed(texts[at:at + 16]).astype("float64").round(7).tolist()
        json.dump(vectors, sys.stdout)
        """

    private static func embed(_ texts: [String]) throws -> [[Float]] {
        let process = try ChildProcess(
            "/usr/bin/python3", ["-B", "-c", self.script, self.layer, "\(self.root)/functions/embed-text"],
            input: JSONValue.array(texts.map { .string($0) }).encoded(), in: "/var/tmp")
        try #require(process.wait(seconds: 200) == 0, "\(process.errors.suffix(2_000))")
        let vectors = try JSONValue.parse(Array(process.output.utf8)).array ?? []
        return vectors.map { ($0.array ?? []).compactMap { $0.double.map(Float.init) } }
    }

    @Test func meaningAddsToWords() throws {
        guard access("\(Self.layer)/numpy", R_OK) == 0 else {
            return print("skipped: no layer of embed-text at \(Self.layer): the package index was not reached")
        }
        let corpus = try SearchCorpus()
        let catalog = ToolCatalog(
            namespace: .default, functions: corpus.sources, servers: [], secret: TestTools.secret)
        let questions = corpus.questions.filter(\.isHeldBack)
        let tools = catalog.allTools
        let made = try Self.embed(tools.map { ToolVectors.text(of: $0) } + questions.map(\.text))
        try #require(made.count == tools.count + questions.count)
        var vectors = ToolVectors()
        for (tool, vector) in zip(tools, made) {
            let isAdded = vectors.add(vector, for: tool)
            #expect(isAdded)
        }
        let words = SearchQuality(catalog, questions)
        let both = SearchQuality(catalog, questions) { (made[tools.count + $0], vectors) }
        print("search of \(tools.count) tools, by words: \(words); by words and meaning: \(both)")
        #expect(both.recall >= words.recall && both.reciprocal >= words.reciprocal, "\(both) \(words)")
        #expect(both.recall >= 0.9 && both.reciprocal >= 0.82, "\(both)")
    }
}
