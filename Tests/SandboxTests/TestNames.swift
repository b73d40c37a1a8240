import ApusTestSupport
import Glibc

/// What the tests of this repository are called: the text of `@Test("…")`, or the function's name where there is none.
enum TestNames {
    static func all() -> Set<String> {
        var names: Set<String> = []
        self.visit("\(Laboratory.packageFolder)/Tests") { text in
            var isTest = false
            for line in text.split(separator: "\n") {
                if line.contains("@Test") || line.contains("@Suite") { isTest = true }
                guard isTest else { continue }
                // A name may stand on a line of its own.
                let quoted = line.split(separator: "\"", omittingEmptySubsequences: false)
                if quoted.count >= 3, !line.contains("func ") { names.insert(String(quoted[1])) }
                guard let place = line.range(of: "func ") else { continue }
                names.insert(String(line[place.upperBound...].prefix { $0 != "(" && $0 != "<" }))
                isTest = false
            }
        }
        return names
    }

    private static func visit(_ folder: String, _ body: (String) -> Void) {
        for name in Folder.names(folder) {
            let path = "\(folder)/\(name)"
            if name.hasSuffix(".swift") {
                TestFiles.read(path).map(body)
            } else if !name.contains(".") {
                self.visit(path, body)
            }
        }
    }
}

extension Substring {
    /// Where the text stands first.
    fileprivate func range(of text: String) -> Range<Index>? {
        var start = self.startIndex
        while start < self.endIndex {
            if self[start...].hasPrefix(text) { return start..<self.index(start, offsetBy: text.count) }
            start = self.index(after: start)
        }
        return nil
    }
}
