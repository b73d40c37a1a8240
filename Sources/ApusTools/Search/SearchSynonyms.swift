/// Words that people use for each other when they ask what a tool does. Few and general: they find less surely than the word itself.
enum SearchSynonyms {
    /// The stems of the words that mean about the same.
    static func of(_ stem: String) -> [String] { self.table[stem] ?? [] }

    private static let table: [String: [String]] = {
        var table: [String: Set<String>] = [:]
        for group in SearchSynonyms.groups {
            let stems = Set(group.split(separator: " ").map { SearchTerms.stem(String($0)) })
            for stem in stems { table[stem, default: []].formUnion(stems.subtracting([stem])) }
        }
        return table.mapValues { $0.sorted() }
    }()

    private static let groups = [
        "get fetch retrieve read show look lookup obtain view see display open inspect check",
        "list enumerate all browse show overview", "create make add new open start register set put insert generate produce",
        "delete remove erase drop destroy purge trash discard clear wipe rid",
        "update edit change modify alter adjust amend patch set correct revise",
        "find search seek locate look query discover lookup match",
        "send deliver transmit post mail dispatch push submit forward", "cancel abort stop revoke undo call off withdraw terminate",
        "start begin launch run execute trigger kick", "stop halt end pause suspend shut",
        "copy duplicate clone replicate", "move transfer relocate shift", "rename relabel",
        "convert transform translate turn", "compare diff difference contrast", "summarize summary summarise digest condense shorten gist",
        "count number total tally many amount", "approve accept confirm sign permit allow", "reject decline deny refuse",
        "assign allocate give delegate hand", "schedule plan book arrange reserve appoint",
        "upload import load ingest", "download export save dump extract", "merge combine join unite", "split divide separate",
        "lock freeze block disable deactivate", "unlock enable activate unblock restore", "archive store shelve",
        "restore recover undelete bring", "validate verify check test", "calculate compute estimate work figure",
        "notify alert inform tell remind warn", "share publish expose access visible grant", "track follow monitor watch trace",
        "link connect attach associate bind", "unlink disconnect detach", "sort order rank arrange",
        "supplier vendor", "file document paper", "picture image photo photograph", "mail email message letter", "user account member person people",
        "customer client buyer", "employee staff worker colleague", "meeting appointment event call",
        "ticket issue case incident bug problem", "invoice bill", "payment charge transaction", "order purchase",
        "task todo job", "repository repo project", "folder directory", "comment note remark annotation",
        "phone telephone cell mobile", "address location place", "price cost rate fee", "product item article goods",
        "shipment parcel package delivery consignment", "weather forecast", "password credential login", "error failure fault",
        "log record journal history", "report statement", "vacation holiday leave absence time off", "salary pay wage payroll",
        "setting configuration option preference", "group team", "role permission right", "server host machine",
        "picture drawing figure", "car vehicle", "doctor physician", "patient", "stock inventory quantity", "discount coupon voucher",
    ]
}
