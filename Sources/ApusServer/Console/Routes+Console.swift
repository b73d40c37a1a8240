internal import ApusCore
internal import ApusHTTP

/// The console: a page, its style and its scripts. They hold no data, so that everybody may have them; what they show they ask the API
/// for, with the rights of whoever is logged in.
extension Routes {
    func addConsole(to table: inout RouteTable) {
        let assets = ConsoleAssets()
        table.add(Operation("getConsole", "GET", "/", "The console's page.", .open)) { exchange, _ in
            guard self.isServed(exchange) else { return }
            let headers = [("ETag", assets.pageTag), ("Cache-Control", "no-cache")] + Self.consoleHeaders
            if exchange.header("If-None-Match") == assets.pageTag {
                return exchange.respond(status: 304, headers: headers)
            }
            Self.serve(assets.page, headers, exchange)
        }
        table.add(
            Operation("getConsoleFile", "GET", "/console/{version}/{file}", "A file that the page loads.", .open)
        ) { exchange, parameters in
            guard self.isServed(exchange) else { return }
            guard let asset = assets.file(parameters["file"] ?? "") else {
                return exchange.respond(Problem(.notFound, "the console has no such file: its page is at /"))
            }
            // A page of another version, as during an upgrade, may use this file once, but may not keep it under that version.
            let isSame = parameters["version"] == assets.version
            let keep = isSame ? "public, max-age=31536000, immutable" : "no-store"
            Self.serve(asset, [("Cache-Control", keep)] + Self.consoleHeaders, exchange)
        }
    }

    /// Whether the configuration has the console; answers where it has not.
    private func isServed(_ exchange: HTTPExchange) -> Bool {
        if self.server.configuration.isConsoleEnabled { return true }
        exchange.respond(Problem(.notFound, "the console is switched off: `console.enabled` in apus.yaml"))
        return false
    }

    /// Nothing but our own files may run or be loaded, and no other page may put this one into a frame.
    private static let consoleHeaders = [
        (
            "Content-Security-Policy",
            "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; "
                + "form-action 'self'; frame-ancestors 'none'"
        ),
        ("X-Content-Type-Options", "nosniff"), ("Referrer-Policy", "no-referrer"),
    ]

    private static func serve(_ asset: ConsoleAsset, _ headers: [(String, String)], _ exchange: HTTPExchange) {
        exchange.respond(status: 200, headers: headers + [("Content-Type", asset.type)], body: asset.bytes)
    }
}
