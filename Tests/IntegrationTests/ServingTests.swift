import ApusCore
import ApusTestSupport
import Glibc
import Testing

/// How a server can be reached, and what it says.
@Suite(
    .serialized, .enabled(if: InstalledTree.reasonToSkip == nil, "integration tests start a server, which needs root"))
struct ServingTests {
    /// A folder with a certificate that root alone can read the key of.
    private func certificate() throws -> ScratchDirectory {
        let folder = ScratchDirectory("apus-tls", in: "/var/tmp")
        try writeFile("\(folder.path)/cert.pem", TestCertificate.chain)
        try writeFile("\(folder.path)/key.pem", TestCertificate.key)
        chmod("\(folder.path)/key.pem", 0o600)
        return folder
    }

    @Test func theCommandLineTalksTLSToAServerWhoseAuthorityItIsGiven() throws {
        let folder = try self.certificate()
        let server = try TestServer(arguments: [
            "--listen", "0.0.0.0:0", "--tls-cert", "\(folder.path)/cert.pem", "--tls-key", "\(folder.path)/key.pem",
        ])
        server.authorities = "\(folder.path)/cert.pem"
        try server.start()
        #expect(server.url.hasPrefix("https://"))
        server.deploy(
            try server.write("worker", manifest: Functions.between("in", "out"), files: ["main.py": Functions.echo]))
        #expect(server.apus("invoke", "worker", "--data", #"{"text": "secret"}"#).output.contains("secret"))
        #expect(server.apus("publish", "in", "--data", #"{"text": "secret"}"#).status == 0)
        #expect(waitUntil(seconds: 20) { server.consume("out").count == 1 })
        server.authorities = nil
        let untrusting = server.apus("get", "functions")
        #expect(untrusting.status == 4)
        #expect(untrusting.errors.contains("APUS_CA"), "\(untrusting.errors)")
        server.authorities = "\(folder.path)/cert.pem"
        // The key is read by root, so that the new server can have it too.
        try server.upgrade()
        #expect(server.apus("invoke", "worker", "--data", #"{"text": "again"}"#).output.contains("again"))
        #expect(server.terminate() == 0)
    }

    @Test func anAddressForOthersNeedsTLSOrAProxyAndACertificateItsKey() throws {
        let folder = try self.certificate()
        try writeFile("\(folder.path)/other.pem", TestCertificate.otherKey)
        let server = try TestServer()
        let open = server.apus("serve", "--data", server.data, "--listen", "0.0.0.0:0")
        #expect(open.status == 1)
        #expect(open.errors.contains("[address_not_allowed]") && open.errors.contains("--tls-cert"), "\(open.errors)")
        let wrong = server.apus(
            "serve", "--data", server.data, "--listen", "0.0.0.0:0", "--tls-cert", "\(folder.path)/cert.pem",
            "--tls-key",
            "\(folder.path)/other.pem")
        #expect(wrong.status == 1)
        #expect(
            wrong.errors.contains("[configuration_invalid]") && wrong.errors.contains("belong together"),
            "\(wrong.errors)")
    }

    @Test func theLogFileTurnsOverBySizeAndIsOpenedAnewOnSIGHUP() throws {
        let server = try TestServer(arguments: ["--log-format", "json"], variables: ["APUS_LOG_MAX_SIZE": "64Ki"])
        let file = "\(server.folder)/logs/apus.log"
        server.variables["APUS_LOG_FILE"] = file
        try server.start()
        let process = try #require(server.process)
        func text(_ path: String) -> String { (try? readFile(path)).map { String(decoding: $0, as: UTF8.self) } ?? "" }
        #expect(text(file).contains(#""message":"serving on http://127.0.0.1:"#))
        #expect(process.errors.isEmpty, "\(process.errors)")

        // As logrotate does it.
        #expect(rename(file, "\(file).moved") == 0)
        process.signal(SIGHUP)
        #expect(waitUntil(seconds: 10) { text(file).contains("open anew") })
        process.signal(SIGUSR1)
        #expect(waitUntil(seconds: 10) { text(file).split(separator: "\n").count == 2 })

        // What is there counts, so that a few lines more go over the bound.
        let padding = String(repeating: "x", count: (64 << 10) - 50) + "\n"
        try writeFile(file, padding)
        process.signal(SIGHUP)
        #expect(waitUntil(seconds: 10) { access("\(file).1", F_OK) == 0 })
        #expect(text("\(file).1").hasPrefix("xxx"))

        // A folder that is gone costs lines, not the server.
        for name in ["apus.log", "apus.log.1", "apus.log.moved"] { unlink("\(server.folder)/logs/\(name)") }
        #expect(rmdir("\(server.folder)/logs") == 0)
        process.signal(SIGHUP)
        #expect(server.apus("get", "functions").status == 0)
        #expect(server.terminate() == 0)
    }

    @Test func aFileConfiguresTheServerAndDoctorReadsIt() throws {
        let server = try TestServer()
        let file = "\(server.folder)/apus.yaml"
        try writeFile(file, "shards: 2\nlog: {format: json}\n")
        server.variables["APUS_CONFIG"] = file
        try server.start()
        #expect(waitUntil(seconds: 10) { server.log.contains(#""message":"serving on"#) })
        let doctor = server.apus("doctor", "--config", file)
        #expect(doctor.output.contains(file), "\(doctor.output)")
        #expect(doctor.output.contains("open-files") && doctor.output.contains("time-zones"))
        try writeFile(file, "shrads: 2\n")
        let broken = server.apus("doctor", "--config", file)
        #expect(broken.status == 1)
        #expect(broken.output.contains("did you mean `shards`?"), "\(broken.output)")
        #expect(server.terminate() == 0)
    }
}
