import ApusTestSupport
import Glibc
import Testing

/// The console in Debian's Chromium: a person logs in, looks at everything, redrives, and goes.
@Suite(
    .serialized, .enabled(if: InstalledTree.reasonToSkip == nil, "integration tests start a server, which needs root"))
struct ConsoleTests {
    private static let root = InstalledTree.packageRoot

    /// Runs a Python program of the peers.
    private func python(_ file: String, _ arguments: [String], in folder: String) throws -> ChildProcess {
        try ChildProcess("/usr/bin/python3", ["-B", "\(Self.root)/Tests/Peers/\(file)"] + arguments, in: folder)
    }

    @Test func aPersonSeesEverythingAndRedrivesInARealBrowser() throws {
        guard access("/usr/bin/chromium", X_OK) == 0 else {
            return print("skipped: there is no /usr/bin/chromium; apt-get install chromium")
        }
        let server = try TestServer()
        try server.start()
        server.deploy("\(Self.root)/Tests/Peers/shop")
        let caller = try Caller(server)
        let host = String(server.url.dropFirst("http://".count))
        let work = try self.python("shop/shopkeeper.py", [host, caller.token], in: server.folder)
        #expect(work.wait(seconds: 60) == 0, "\(work.errors)")
        #expect(
            try waitUntil(seconds: 20) {
                try caller.send("GET", "/v1/dead-letters").text.occurrences(of: #""state":"open""#) == 3
            })

        let link = server.apus("console")
        #expect(link.status == 0, "\(link.errors)")
        let browser = try self.python(
            "console_browser.py", [host, caller.token, String(link.output.prefix { $0 > " " })], in: server.folder)
        let status = browser.wait(seconds: 90)
        #expect(status == 0, "\(browser.errors)")
        #expect(browser.output.contains("all seen"), "\(browser.output)")
        print(browser.output)
        #expect(server.terminate() == 0)
    }
}

extension String {
    /// How often a text occurs.
    fileprivate func occurrences(of text: String) -> Int {
        self.split(separator: text, omittingEmptySubsequences: false).count - 1
    }
}
