internal import ApusCore
internal import ApusHTTP

/// The console: a page, its style and its scripts. They hold no data, so that everybody may have them; what they show they ask the API
/// for, with the rights of whoever is logged in.
extension Routes {
    func addConsole(to table: inout RouteTable) {
        for asset in ConsoleAsset.all() {
            table.add(Operation(asset.operation, "GET", asset.path, "A file of the console.", .open)) { exchange, _ in
                guard self.server.configuration.isConsoleEnabled else {
                    return exchange.respond(Problem(.notFound, "the console is switched off in the configuration"))
                }
                Self.serve(asset, exchange)
            }
        }
    }

    /// Nothing but our own files may run or be loaded, and no other page may put this one into a frame.
    private static let policy =
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; "
        + "form-action 'self'; frame-ancestors 'none'"

    private static func serve(_ asset: ConsoleAsset, _ exchange: HTTPExchange) {
        let headers = [
            ("ETag", asset.tag), ("Cache-Control", "no-cache"), ("Content-Security-Policy", Self.policy),
            ("X-Content-Type-Options", "nosniff"), ("Referrer-Policy", "no-referrer"),
        ]
        if exchange.header("If-None-Match") == asset.tag { return exchange.respond(status: 304, headers: headers) }
        exchange.respond(status: 200, headers: headers + [("Content-Type", asset.type)], body: asset.bytes)
    }
}
