import ApusCore
import ApusJSON
import ApusLog
import ApusManifest
import ApusServer
import ApusTelemetry
import ApusTestSupport
import Testing

@testable import apus

@Suite struct ConfigurationTests {
    private let fixture = CommandFixture()

    private func options(_ words: [String] = [], _ environment: [String: String] = [:]) throws -> ServeOptions {
        try ServeOptions(try Self.parse(words), environment)
    }

    private static func parse(_ words: [String]) throws -> ParsedArguments {
        try ArgumentParser(command: Command.serve.description, path: "apus serve").parse(words)
    }

    private func problem(_ words: [String] = [], _ environment: [String: String] = [:]) -> String {
        do {
            _ = try self.options(words, environment)
            return ""
        } catch let error as ApusError { return "\(error.code): \(error.message)" } catch { return "\(error)" }
    }

    @Test func withoutRootTheDataLiesInTheUsersHomeUnlessToldOtherwise() throws {
        let home = ["HOME": "/home/u"]
        #expect(try self.options(["--rootless"], home).server.dataDirectory == "/home/u/.local/state/apus")
        #expect(try self.options(["--rootless"], ["XDG_STATE_HOME": "/s"]).server.dataDirectory == "/s/apus")
        #expect(try self.options(["--rootless", "--data", "/d"], home).server.dataDirectory == "/d")
        #expect(try self.options([], home).server.dataDirectory == "/var/lib/apus")
        #expect(throws: ApusError.self) { try self.options(["--rootless"], [:]) }
        #expect(try self.options([], ["APUS_ROOTLESS": "true", "HOME": "/home/u"]).isRootless)
    }

    @Test func aMisspeltVariableIsToldWithWhatWasMeant() throws {
        let environment = [
            "APUS_MAP_SIZ": "1Gi", "APUS_LOG_FORMAT": "json", "APUS_CONFG": "x", "APUS_TOKEN": "t", "APUS_ZEBRA_CROSSING": "1",
            "PATH": "/bin",
        ]
        #expect(
            try self.options([], environment).warnings == [
                "the variable `APUS_CONFG` is no setting and is ignored, did you mean `APUS_CONFIG`?",
                "the variable `APUS_MAP_SIZ` is no setting and is ignored, did you mean `APUS_MAP_SIZE`?",
                "the variable `APUS_ZEBRA_CROSSING` is no setting and is ignored",
            ])
        let known = Dictionary(
            uniqueKeysWithValues: (ConfigurationTable.fields.map(\.variable) + Configuration.otherVariables).map { ($0, "") })
        #expect(Configuration.strangers(in: known).isEmpty)
    }

    @Test func pairsInAVariableAreNamesWithValuesOrAsTheFileHasThem() throws {
        for text in ["h100=2.50,hostGiB=0.004,currency=EUR", "{h100: 2.50, hostGiB: 0.004, currency: EUR}"] {
            let prices = try self.options([], ["APUS_POOL_PRICES": text]).server.pool.prices
            #expect(prices.devices == ["h100": 2.5] && prices.host == 0.004 && prices.currency == "EUR", "\(text)")
        }
        for text in ["h100", "h100=2.5,hostGiB", "{h100: 2.50", "{h100: dear}"] {
            let problem = self.problem([], ["APUS_POOL_PRICES": text])
            #expect(problem.contains("APUS_POOL_PRICES"), "\(text) gives '\(problem)'")
        }
    }

    @Test func theTablesDefaultsAreThoseOfTheTypes() throws {
        let options = try self.options(["--config", self.fixture.write("apus.yaml", "")])
        var expected = ServerConfiguration(dataDirectory: "/var/lib/apus")
        expected.buildEnvironment = []
        #expect(options.server.dataDirectory == expected.dataDirectory)
        #expect(options.server.address == expected.address && options.server.port == expected.port)
        #expect(options.server.shards == expected.shards)
        #expect(options.server.drainSeconds == expected.drainSeconds)
        #expect(options.server.allowedHosts == expected.allowedHosts)
        #expect(options.server.isBehindProxy == expected.isBehindProxy)
        #expect(options.server.connections == expected.connections)
        #expect(options.server.isConsoleEnabled == expected.isConsoleEnabled)
        #expect(options.server.telemetry == expected.telemetry)
        #expect(options.server.retention == expected.retention)
        let log = EmbeddedLogConfiguration()
        #expect(options.log.durability == log.durability)
        #expect(options.log.mapBytes == log.mapBytes)
        #expect(options.log.diskFloorBytes == log.diskFloorBytes)
        #expect(options.journal == ServeOptions.Journal())
        #expect(options.sandboxes == 256)
    }

    @Test func everyFieldOfAFileTakesEffect() throws {
        let file = self.fixture.write(
            "apus.yaml",
            """
            data: /srv/apus
            listen: "[::1]:9000"
            shards: 3
            durability: process
            mapSize: 16Mi
            diskFloor: 1Mi
            drain: 1m
            allowHosts: [apus.example.com, apus]
            log: {format: json, level: warning, file: /var/log/apus/apus.log, maxSize: 1Mi, keep: 2}
            tls:
              cert: /etc/apus/cert.pem
              key: /etc/apus/key.pem
            telemetry: {otlp: {endpoint: "http://127.0.0.1:4318", headers: {Authorization: Bearer x}, sample: 0.25}}
            retention:
              invocations: 1h
              logs: {time: 2h, size: 10Mi}
              dead: 3h
              revisions: 4
              bundlesUnused: 5h
              layersUnused: 6h
              audit: 7h
            limits: {connections: 100, sandboxes: 8}
            console: {enabled: false}
            """)
        let options = try self.options(["--config", file])
        #expect(options.server.dataDirectory == "/srv/apus")
        #expect(options.server.address == "::1" && options.server.port == 9000)
        #expect(options.server.shards == 3 && options.server.drainSeconds == 60)
        #expect(options.server.allowedHosts == ["apus.example.com", "apus"])
        #expect(options.log.durability == .process && options.log.mapBytes == 16 << 20)
        #expect(options.log.diskFloorBytes == 1 << 20)
        let journal = ServeOptions.Journal(
            format: .json, level: .warning, file: "/var/log/apus/apus.log", maxBytes: 1 << 20, keep: 2)
        #expect(options.journal == journal)
        #expect(options.certificateFile == "/etc/apus/cert.pem" && options.keyFile == "/etc/apus/key.pem")
        #expect(options.server.telemetry.endpoint == "http://127.0.0.1:4318")
        #expect(options.server.telemetry.headers == ["Authorization": "Bearer x"])
        #expect(options.server.telemetry.sample == 0.25)
        let kept = options.server.retention
        #expect(
            kept.invocations == .seconds(3_600) && kept.logsTime == .seconds(7_200) && kept.dead == .seconds(10_800))
        #expect(kept.logsBytes == 10 << 20 && kept.revisions == 4 && kept.bundlesUnused == .seconds(18_000))
        #expect(kept.layersUnused == .seconds(21_600) && kept.audit == .seconds(25_200))
        #expect(options.server.connections == 100 && options.sandboxes == 8 && !options.server.isConsoleEnabled)
    }

    @Test func aVariableOverridesTheFileAndAnOptionTheVariable() throws {
        let file = self.fixture.write("apus.yaml", "shards: 2\ndrain: 10s\nlog: {level: error}\n")
        let environment = ["APUS_CONFIG": file, "APUS_DRAIN": "20s", "APUS_LOG_LEVEL": "debug"]
        let arguments = try Self.parse(["--drain", "30"])
        let configuration = try Configuration(arguments, environment)
        func origin(_ path: String) -> String {
            configuration.fields.first { $0.field.path == path }.map(\.origin.text) ?? ""
        }
        #expect(origin("shards") == "\(file):1:9")
        #expect(origin("log.level") == "APUS_LOG_LEVEL")
        #expect(origin("drain") == "--drain")
        #expect(origin("durability") == "default")
        let options = try ServeOptions(arguments, environment)
        #expect(options.server.shards == 2 && options.server.drainSeconds == 30 && options.journal.level == .debug)
        #expect(ConfigurationText.of(configuration, showsOrigins: true).contains("drain: 30s  # --drain\n"))
    }

    @Test func secretsAmongKafkasPropertiesAreNotPrinted() throws {
        let file = self.fixture.write(
            "apus.yaml",
            "log: {kafka: {bootstrap: \"b:9092\", properties: {sasl.password: hunter2, sasl.mechanism: PLAIN}}}\n")
        let configuration = try Configuration(try Self.parse(["--config", file]), [:])
        let text = ConfigurationText.of(configuration, showsOrigins: true)
        #expect(!text.contains("hunter2"))
        #expect(text.contains("sasl.password: \"(secret)\"") && text.contains("sasl.mechanism: PLAIN"))
        var options = ServeOptions()
        try configuration.apply(to: &options)
        #expect(options.kafka.properties["sasl.password"] == "hunter2", "it is used all the same")
    }

    @Test func whatIsWrongIsNamedWithItsPlaceAndAHint() {
        let file = self.fixture.write("apus.yaml", "lisen: 1\nlog:\n  level: loud\nretention: {revisions: 0}\n")
        let text = self.problem(["--config", file], ["APUS_SHARDS": "65", "APUS_DIRIN": "1"])
        #expect(text.hasPrefix("configuration_invalid: "))
        #expect(
            text.contains(
                "\(file):1:1: unknown field `lisen` in the document, expected a known field, did you mean `listen`?"))
        #expect(text.contains("\(file):3:10: `log.level` is `loud`"))
        #expect(text.contains("\(file):4:24: `retention.revisions` is `0`, expected a whole number from 1 to 1000"))
        #expect(text.contains("APUS_SHARDS: `shards` is `65`, expected a whole number from 1 to 64"))
        #expect(self.problem(["--map-size", "big"]).contains("--map-size: `mapSize` is `big`, expected a size"))
        #expect(
            self.problem(["--listen", "here"]).contains("--listen: `listen` is `here`, expected an address and a port"))
        #expect(self.problem([], ["APUS_TELEMETRY_OTLP_ENDPOINT": "ftp://x"]).contains("expected a URL"))
        #expect(self.problem(["--config", "/nowhere/apus.yaml"]).contains("'/nowhere/apus.yaml' cannot be read"))
        let relative = self.fixture.write("relative.yaml", "data: here\n")
        #expect(
            self.problem(["--config", relative]).contains(
                "\(relative):1:7: `data` is `here`, expected an absolute path"))
        let two = self.fixture.write("two.yaml", "shards: 1\n---\nshards: 2\n")
        #expect(self.problem(["--config", two]).contains("\(two):3:1: a second document"))
    }

    @Test func fieldsThatDoNotFitTogetherAreRefused() {
        #expect(self.problem(["--tls-cert", "/c"]).contains("`tls.key` is missing"))
        #expect(self.problem(["--tls-key", "/k"]).contains("`tls.cert` is missing"))
        let both = ["--tls-cert", "/c", "--tls-key", "/k", "--behind-proxy"]
        #expect(self.problem(both).contains("keep one of them"))
        #expect(self.problem(["--background"]).contains("--background goes with --upgrade only"))
    }

    @Test func boundsOfNumbersHold() {
        let bounds = [
            ("--shards", ["1", "64"], ["0", "65"]), ("--map-size", ["1Mi", "64Ti"], ["1023Ki", "65Ti"]),
            ("--drain", ["0", "600s"], ["601", "-1"]), ("--disk-floor", ["0", "64Ti"], ["65Ti"]),
        ]
        for (option, good, bad) in bounds {
            for value in good { #expect(self.problem(["\(option)=\(value)"]) == "", "\(option) \(value)") }
            for value in bad { #expect(self.problem(["\(option)=\(value)"]) != "", "\(option) \(value)") }
        }
    }

    @Test func pathsOfOptionsAndVariablesAreMeantFromHere() throws {
        let options = try self.options(["--data", "here"], ["APUS_LOG_FILE": "log/apus.log"])
        #expect(options.server.dataDirectory.hasPrefix("/") && options.server.dataDirectory.hasSuffix("/here"))
        #expect(options.journal.file?.hasSuffix("/log/apus.log") == true)
    }

    @Test func namesOfVariablesAndOptionsAreGivenOnce() {
        let fields = ConfigurationTable.fields
        #expect(Set(fields.map(\.path)).count == fields.count)
        #expect(Set(fields.map(\.variable)).count == fields.count)
        #expect(fields.first { $0.path == "log.maxSize" }?.variable == "APUS_LOG_MAX_SIZE")
        // What clients read must not mean something else to a server.
        let others = ["APUS_SERVER", "APUS_TOKEN", "APUS_CONFIG", "APUS_NAMESPACE", "APUS_CA"]
        #expect(Set(fields.map(\.variable)).isDisjoint(with: others))
    }

    @Test func theSchemaKnowsEveryField() {
        for field in ConfigurationTable.fields {
            var schema: JSONValue? = ConfigurationTable.format.schema
            for name in field.path.split(separator: ".") { schema = schema?["properties"]?[String(name)] }
            #expect(schema?["description"]?.string == field.setting.about, "\(field.path)")
        }
    }

    /// `APUS_WRITE_DOCS=1 swift test --filter theExampleIsWhatTheTableSays` writes it.
    @Test func theExampleIsWhatTheTableSays() throws {
        let path = "\(Self.packageRoot)/docs/operating/apus.yaml"
        let empty = self.fixture.write("apus.yaml", "")
        let text = ConfigurationText.of(
            try Configuration(try Self.parse(["--config", empty]), [:]), showsOrigins: false)
        if currentEnvironment()["APUS_WRITE_DOCS"] != nil { try writeFile(path, text) }
        #expect(String(decoding: try readFile(path), as: UTF8.self) == text)
        let configuration = try Configuration(try Self.parse(["--config", path]), [:])
        for resolved in configuration.fields {
            let setting = resolved.field.setting
            #expect(resolved.value?.written(as: setting.kind) == setting.standard, "\(resolved.field.path)")
            if resolved.value != nil { #expect(resolved.origin != .standard, "\(resolved.field.path)") }
        }
    }

    private static let packageRoot: String = {
        var parts = #filePath.split(separator: "/").map(String.init)
        parts.removeLast(3)
        return "/" + parts.joined(separator: "/")
    }()
}
