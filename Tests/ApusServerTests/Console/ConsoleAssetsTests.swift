import ApusHTTP
import ApusTestSupport
import Testing

@testable import ApusServer

@Suite(.timeLimit(.minutes(1))) struct ConsoleAssetsTests {
    private let assets = ConsoleAssets()

    private func text(_ asset: ConsoleAsset) -> String { String(decoding: asset.bytes, as: UTF8.self) }

    /// What stands between two texts, each time.
    private func quoted(_ text: String, after start: String) -> [String] {
        text.split(separator: start, omittingEmptySubsequences: false).dropFirst().map {
            String($0.prefix { $0 != "\"" })
        }
    }

    private var scripts: [ConsoleAsset] {
        get throws {
            let names = self.quoted(self.text(self.assets.page), after: "/console/\(self.assets.version)/")
            return try names.map { try #require(self.assets.file($0), "the page wants \($0)") }.filter {
                $0.name.hasSuffix(".js")
            }
        }
    }

    @Test func whatThePageAndItsModulesNameIsCompiledInAndLoadedAtOnce() throws {
        let scripts = try self.scripts
        #expect(scripts.count > 5)
        #expect(!self.text(self.assets.page).contains("@"), "the version is everywhere in the page")
        for script in scripts {
            for name in self.quoted(self.text(script), after: "from \"./") {
                #expect(
                    scripts.contains { $0.name == name },
                    "\(script.name) imports \(name), which the page does not preload")
            }
        }
    }

    @Test func nothingIsReadAsHTMLOrFromAnotherHost() throws {
        for asset in try self.scripts + [self.assets.page] {
            let text = self.text(asset)
            for word in [
                "innerHTML", "outerHTML", "insertAdjacent", "document.write", "eval(", "new Function", "https://",
            ] {
                #expect(!text.contains(word), "\(asset.name) has \(word)")
            }
            // A name of SVG's, which nobody fetches.
            #expect(text.split(separator: "http://").dropFirst().allSatisfy { $0.hasPrefix("www.w3.org/2000/svg") })
        }
    }

    @Test func aBrowserKeepsWhatHasItsVersionAndNothingElse() throws {
        let bed = try ServerBed()
        func ask(_ path: String, _ headers: [HTTPHeader] = []) throws -> HTTPResponse {
            try bed.ask("GET", path, headers: headers, hasToken: false)
        }
        let page = try ask("/")
        let tag = try #require(page.header("ETag"))
        #expect(page.status == 200 && page.header("Cache-Control") == "no-cache")
        #expect(page.header("Content-Security-Policy")?.hasPrefix("default-src 'none'; script-src 'self'") == true)
        #expect(try ask("/", [HTTPHeader("If-None-Match", tag)]).status == 304)

        let file = try ask("/console/\(self.assets.version)/main.js")
        #expect(file.status == 200 && file.header("Cache-Control") == "public, max-age=31536000, immutable")
        #expect(file.header("Content-Type") == "text/javascript; charset=utf-8")
        let other = try ask("/console/000000000000/main.js")
        #expect(other.status == 200 && other.header("Cache-Control") == "no-store")
        for name in ["page.html", "nothing.js"] {
            #expect(try ask("/console/\(self.assets.version)/\(name)").status == 404, "\(name)")
        }
        bed.server.stop()
    }
}
