public import ApusCore
internal import ApusJSON

extension Projection {
    // MARK: queries

    /// Deployed functions of a namespace by name; of all namespaces when nil.
    public func functions(in namespace: Namespace?) throws(ApusError) -> [FunctionRow] {
        try self.database.prepare(Self.selectFunction + " WHERE ?1 IS NULL OR namespace = ?1 ORDER BY namespace, name")
            .all([.optional(namespace?.name)], Self.function)
    }

    public func function(_ name: ResourceName) throws(ApusError) -> FunctionRow? {
        try self.database.prepare(Self.selectFunction + " WHERE namespace = ? AND name = ?").first(
            Self.values(name), Self.function)
    }

    /// The revisions known of a function, newest first.
    public func revisions(of name: ResourceName) throws(ApusError) -> [RevisionRow] {
        let sql = """
            SELECT revision, generation, bundle, layer, manifest, deployed FROM revisions
            WHERE namespace = ? AND name = ? ORDER BY generation DESC
            """
        return try self.database.prepare(sql).all(Self.values(name)) { row in
            RevisionRow(
                revision: row.text(0), generation: UInt64(bitPattern: row.integer(1)), bundle: row.text(2),
                layer: row.optionalText(3),
                manifest: row.text(4), deployed: Timestamp(microseconds: row.integer(5))
            )
        }
    }

    /// Topics of a namespace by name; of all namespaces when nil.
    public func topics(in namespace: Namespace?) throws(ApusError) -> [TopicRow] {
        try self.database.prepare(Self.selectTopic + " WHERE ?1 IS NULL OR namespace = ?1 ORDER BY namespace, name")
            .all([.optional(namespace?.name)], Self.topic)
    }

    /// - Parameter name: in its namespace, not on the log.
    public func topic(_ namespace: Namespace, _ name: String) throws(ApusError) -> TopicRow? {
        try self.database.prepare(Self.selectTopic + " WHERE namespace = ? AND name = ?")
            .first([.text(namespace.name), .text(name)], Self.topic)
    }

    // MARK: following

    func apply(_ record: ControlRecord) throws(ApusError) {
        switch record.content {
        case .function(let function): try self.apply(function, record)
        case .topic(let manifest):
            let sql = """
                INSERT INTO topics (namespace, name, generation, manifest, created, updated) VALUES (?1, ?2, ?3, ?4, ?5, ?5)
                ON CONFLICT DO UPDATE SET generation = excluded.generation, manifest = excluded.manifest, updated = excluded.updated
                """
            try self.database.prepare(sql).run([
                .text(record.namespace.name), .text(record.name), .integer(Int64(bitPattern: record.generation)),
                .text(Self.text(manifest)), .integer(record.time.microseconds),
            ])
        case .fate(let fate):
            try self.database.prepare(
                "INSERT OR REPLACE INTO fates (id, namespace, state, decided) VALUES (?, ?, ?, ?)"
            )
            .run([
                .text(record.name), .text(record.namespace.name), .text(fate.rawValue),
                .integer(record.time.microseconds),
            ])
        case .revision(let kept):
            try self.add(
                kept, namespace: record.namespace.name,
                name: String(record.name.prefix { $0 != "/" }))
        // The catalogue shows it.
        case .pause: break
        // Lists of them are made from the catalogue.
        case .principal, .secret, .replay, .toolServer, .approval, .upstream, .upstreamTools, .toolDisabled: break
        case .deleted:
            switch record.kind {
            case .pause: break
            case .revision:
                let parts = record.name.split(separator: "/").map(String.init)
                guard parts.count == 2 else { break }
                try self.database.prepare("DELETE FROM revisions WHERE namespace = ? AND name = ? AND revision = ?")
                    .run([.text(record.namespace.name), .text(parts[0]), .text(parts[1])])
            case .function:
                try self.delete("functions", record)
                try self.delete("revisions", record)
            case .topic: try self.delete("topics", record)
            case .principal, .secret, .replay, .toolServer, .approval, .upstream, .upstreamTools, .toolSwitch: break
            case .fate: try self.database.prepare("DELETE FROM fates WHERE id = ?").run([.text(record.name)])
            }
        }
    }

    private func apply(_ function: FunctionDeployment, _ record: ControlRecord) throws(ApusError) {
        let manifest = Self.text(function.manifest)
        let name: [SQLValue] = [.text(record.namespace.name), .text(record.name)]
        let generation = SQLValue.integer(Int64(bitPattern: record.generation))
        let sql = """
            INSERT INTO functions (namespace, name, generation, revision, bundle, layer, manifest, triggers, created, updated)
            VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?9)
            ON CONFLICT DO UPDATE SET generation = excluded.generation, revision = excluded.revision, bundle = excluded.bundle,
                layer = excluded.layer, manifest = excluded.manifest, triggers = excluded.triggers, updated = excluded.updated
            """
        try self.database.prepare(sql).run(
            name + [
                generation, .text(function.revision), .text(function.bundle), .optional(function.layer),
                .text(manifest),
                .text(Self.text(.array(function.triggers.map(\.json)))), .integer(record.time.microseconds),
            ])
        try self.add(
            KeptRevision(
                revision: function.revision, generation: record.generation, bundle: function.bundle,
                layer: function.layer, manifest: manifest, deployed: record.time),
            namespace: record.namespace.name, name: record.name)
        let old = """
            DELETE FROM revisions WHERE namespace = ?1 AND name = ?2 AND generation <= (
                SELECT generation FROM revisions WHERE namespace = ?1 AND name = ?2 ORDER BY generation DESC LIMIT 1 OFFSET ?3
            )
            """
        try self.database.prepare(old).run(name + [.integer(Int64(Limits.Projection.revisionsPerFunction))])
    }

    private func add(_ kept: KeptRevision, namespace: String, name: String) throws(ApusError) {
        let sql = """
            INSERT OR REPLACE INTO revisions (namespace, name, revision, generation, bundle, layer, manifest, deployed)
            VALUES (?, ?, ?, ?, ?, ?, ?, ?)
            """
        try self.database.prepare(sql).run([
            .text(namespace), .text(name), .text(kept.revision), .integer(Int64(bitPattern: kept.generation)),
            .text(kept.bundle), .optional(kept.layer), .text(kept.manifest), .integer(kept.deployed.microseconds),
        ])
    }

    private func delete(_ table: String, _ record: ControlRecord) throws(ApusError) {
        try self.database.prepare("DELETE FROM \(table) WHERE namespace = ? AND name = ?")
            .run([.text(record.namespace.name), .text(record.name)])
    }

    // MARK: rows

    private static let selectFunction = """
        SELECT namespace, name, generation, revision, bundle, layer, manifest, triggers, created, updated FROM functions
        """
    private static let selectTopic = "SELECT namespace, name, generation, manifest, created, updated FROM topics"

    private static func values(_ name: ResourceName) -> [SQLValue] { [.text(name.namespace.name), .text(name.name)] }

    private static func text(_ json: JSONValue) -> String { String(decoding: json.encoded(), as: UTF8.self) }

    private static func function(_ row: Row) throws(ApusError) -> FunctionRow {
        FunctionRow(
            namespace: row.text(0), name: row.text(1), generation: UInt64(bitPattern: row.integer(2)),
            revision: row.text(3),
            bundle: row.text(4), layer: row.optionalText(5), manifest: row.text(6), triggers: row.text(7),
            created: Timestamp(microseconds: row.integer(8)), updated: Timestamp(microseconds: row.integer(9))
        )
    }

    private static func topic(_ row: Row) throws(ApusError) -> TopicRow {
        TopicRow(
            namespace: row.text(0), name: row.text(1), generation: UInt64(bitPattern: row.integer(2)),
            manifest: row.text(3),
            created: Timestamp(microseconds: row.integer(4)), updated: Timestamp(microseconds: row.integer(5))
        )
    }
}
