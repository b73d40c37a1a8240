import Testing

/// What the repository holds itself to, checked on its own files.
@Suite struct TidyTests {
    /// What each target may import beside the toolchain's own modules.
    private static let arrows: [String: Set<String>] = [
        "ApusCore": [],
        "ApusEngine": ["ApusCore"],
        "ApusJSON": ["ApusCore", "CSimdJSON"],
        "ApusCrypto": ["ApusCore", "CGnuTLS"],
        "ApusManifest": ["ApusCore", "ApusJSON", "ApusSchema", "CYAML"],
        "ApusSchema": ["ApusCore", "ApusJSON"],
        "ApusTools": ["ApusCore", "ApusCrypto", "ApusJSON", "ApusManifest", "ApusSchema"],
        "ApusFleet": ["ApusCore", "ApusEngine"],
        "ApusTelemetry": ["ApusCore"],
        "ApusLoop": ["ApusCore", "CUV", "CShims"],
        "ApusHTTP": ["ApusCore", "ApusLoop", "CUV", "CHTTPD", "CCurl", "CHTTPShims", "CShims"],
        "ApusLog": ["ApusCore", "ApusLoop", "ApusCrypto", "CLMDB", "CRDKafka", "CKafkaShims", "CShims"],
        "ApusSandbox": ["ApusCore", "ApusLoop", "CShims"],
        "ApusEgress": ["ApusCore", "ApusCrypto", "ApusLoop", "CShims"],
        "ApusHost": ["ApusCore", "ApusCrypto", "ApusEngine", "ApusLoop", "ApusTelemetry", "ApusJSON", "CShims"],
        "ApusStore": ["ApusCore", "ApusEngine", "ApusJSON", "ApusCrypto", "ApusManifest", "CSQLite", "CShims"],
    ]

    @Test(arguments: arrows.keys.sorted()) func targetsImportOnlyWhatTheirArrowsAllow(target: String) throws {
        let allowed = try #require(Self.arrows[target]).union(["Glibc", "Synchronization", "FoundationEssentials"])
        let sources = SourceTree.files("Sources/\(target)", ending: ".swift")
        #expect(!sources.isEmpty)
        for path in sources {
            for line in try SourceTree.lines(path) {
                let words = line.split(separator: " ")
                guard let place = words.firstIndex(of: "import"), place <= 1, words.count == place + 2 else { continue }
                #expect(allowed.contains(String(words[place + 1])), "\(path) imports \(words[place + 1])")
            }
        }
    }

    @Test func theEngineKnowsNoClockThreadOrSystem() throws {
        for path in SourceTree.files("Sources/ApusEngine", ending: ".swift")
            + SourceTree.files("Sources/ApusCore", ending: ".swift")
        {
            for line in try SourceTree.lines(path) where line.contains("import ") {
                #expect(!line.contains("Glibc") && !line.contains("Foundation"), "\(path): \(line)")
            }
        }
    }

    /// One that is missing there would start a broker of its own beside everything else.
    @Test func suitesOnARealKafkaRunWithItsBroker() throws {
        let listed = try SourceTree.lines("scripts/test").filter { $0.contains("kafka_suites") }.joined()
        for path in SourceTree.files("Tests", ending: ".swift") {
            let lines = try SourceTree.lines(path)
            guard let first = lines.firstIndex(where: { $0.hasPrefix("@Suite") || $0.hasPrefix("struct ") }),
                let name = lines.firstIndex(where: { $0.hasPrefix("struct ") }).map({ lines[$0].split(separator: " ")[1] }),
                lines[first...].prefix(4).contains(where: { $0.contains(".enabled(if: KafkaBroker.isThere") })
            else { continue }
            let suite = name.split(separator: ":")[0].split(separator: "<")[0]
            #expect(listed.contains(suite), "\(path): \(suite)")
        }
    }

    @Test func filesStayShortAndNothingIsImportedWhole() throws {
        for path in SourceTree.files("Sources", ending: ".swift") + SourceTree.files("Tests", ending: ".swift") {
            let lines = try SourceTree.lines(path)
            #expect(lines.count <= 600, "\(path) has \(lines.count) lines")
            #expect(!lines.contains { $0.hasSuffix("import Foundation") }, "\(path) imports Foundation")
        }
    }

    @Test func whatTheCompilerCannotCheckIsArgued() throws {
        for path in SourceTree.files("Sources", ending: ".swift") {
            let lines = try SourceTree.lines(path)
            for (index, line) in lines.enumerated()
            where line.contains("nonisolated(unsafe)") || line.contains("@unchecked Sendable") {
                if line.trimmedStart.hasPrefix("//") { continue }
                // One argument may stand above a run of declarations it holds for, or first in the type it is about.
                let near = lines[max(0, index - 12)...min(lines.count - 1, index + 3)]
                #expect(near.contains { $0.contains("SAFETY:") }, "\(path):\(index + 1) has no SAFETY argument")
            }
        }
    }
}

extension Substring {
    fileprivate var trimmedStart: Substring { self.drop { $0 == " " } }
}
