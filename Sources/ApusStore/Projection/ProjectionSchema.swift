/// The tables of the projection. Another version throws the file away; there is nothing to migrate, since all of it can be
/// made again.
enum ProjectionSchema {
    static let version: Int64 = 8

    static let sql = """
        CREATE TABLE meta (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
        CREATE TABLE positions (
            topic TEXT NOT NULL, partition INTEGER NOT NULL, next INTEGER NOT NULL, PRIMARY KEY (topic, partition)
        ) WITHOUT ROWID;
        CREATE TABLE functions (
            namespace TEXT NOT NULL, name TEXT NOT NULL, generation INTEGER NOT NULL, revision TEXT NOT NULL, bundle TEXT NOT NULL,
            layer TEXT, manifest TEXT NOT NULL, triggers TEXT NOT NULL, created INTEGER NOT NULL, updated INTEGER NOT NULL,
            PRIMARY KEY (namespace, name)
        ) WITHOUT ROWID;
        CREATE TABLE revisions (
            namespace TEXT NOT NULL, name TEXT NOT NULL, revision TEXT NOT NULL, generation INTEGER NOT NULL, bundle TEXT NOT NULL,
            layer TEXT, manifest TEXT NOT NULL, deployed INTEGER NOT NULL, PRIMARY KEY (namespace, name, revision)
        ) WITHOUT ROWID;
        CREATE TABLE topics (
            namespace TEXT NOT NULL, name TEXT NOT NULL, generation INTEGER NOT NULL, manifest TEXT NOT NULL,
            created INTEGER NOT NULL, updated INTEGER NOT NULL, PRIMARY KEY (namespace, name)
        ) WITHOUT ROWID;
        CREATE TABLE generations (key TEXT PRIMARY KEY, generation INTEGER NOT NULL) WITHOUT ROWID;
        CREATE TABLE fates (
            id TEXT PRIMARY KEY, namespace TEXT NOT NULL, state TEXT NOT NULL, decided INTEGER NOT NULL
        ) WITHOUT ROWID;
        CREATE TABLE dead_letters (
            sequence INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE,
            topic TEXT NOT NULL, partition INTEGER NOT NULL, "offset" INTEGER NOT NULL,
            source_topic TEXT NOT NULL, source_partition INTEGER NOT NULL, source_offset INTEGER NOT NULL,
            namespace TEXT NOT NULL, function TEXT NOT NULL, "trigger" TEXT NOT NULL, revision TEXT NOT NULL,
            attempts INTEGER NOT NULL, code TEXT NOT NULL, message TEXT NOT NULL, detail TEXT NOT NULL,
            event_id TEXT NOT NULL, event_type TEXT NOT NULL, given_up INTEGER NOT NULL
        );
        CREATE INDEX dead_letters_by_function ON dead_letters (namespace, function, sequence);
        CREATE INDEX dead_letters_by_place ON dead_letters (topic, partition, "offset");
        CREATE TABLE logs (
            sequence INTEGER PRIMARY KEY AUTOINCREMENT, namespace TEXT NOT NULL, function TEXT NOT NULL, revision TEXT NOT NULL,
            worker INTEGER NOT NULL, invocation TEXT NOT NULL, trace TEXT NOT NULL, written INTEGER NOT NULL, level INTEGER NOT NULL, text TEXT NOT NULL
        );
        CREATE INDEX logs_by_time ON logs (written);
        CREATE INDEX logs_by_function ON logs (namespace, function, sequence);
        CREATE TABLE invocations (
            id TEXT PRIMARY KEY, namespace TEXT NOT NULL, function TEXT NOT NULL, state TEXT NOT NULL, principal TEXT NOT NULL,
            queued INTEGER NOT NULL, started INTEGER, finished INTEGER, attempts INTEGER NOT NULL, revision TEXT NOT NULL,
            code TEXT, message TEXT, detail TEXT, progress TEXT, timing TEXT, content_type TEXT, bytes INTEGER,
            partition INTEGER NOT NULL, "offset" INTEGER NOT NULL, updated INTEGER NOT NULL, task INTEGER
        ) WITHOUT ROWID;
        CREATE INDEX tasks_by_state ON invocations (state, code) WHERE task IS NOT NULL;
        CREATE INDEX invocations_by_time ON invocations (namespace, queued, id);
        CREATE INDEX invocations_by_function ON invocations (namespace, function, queued, id);
        CREATE INDEX invocations_by_end ON invocations (finished) WHERE finished IS NOT NULL;

        """ + ProjectionUsage.schema
}
