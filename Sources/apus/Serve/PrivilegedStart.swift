internal import ApusCore
internal import ApusCrypto
internal import ApusHTTP
internal import ApusLoop
internal import ApusSandbox
internal import ApusServer
internal import ApusStore
internal import CShims
internal import Glibc

/// What only root can do, done before any thread exists, and giving root up. Without root, the same steps as far as they go.
struct PrivilegedStart {
    private(set) var sockets: [CInt] = []
    private(set) var port: UInt16
    private(set) var channels: [CInt] = []
    private(set) var report: HostReport
    private(set) var portFile: CInt?
    private(set) var certificate: HTTPCertificate?
    /// Whom the egress process believes besides.
    private(set) var egressAuthorities: [UInt8] = []
    /// The master keys that were given.
    private(set) var keys: MasterKeys?
    /// The server this one takes the place of, and which waits to hear that it does.
    private(set) var takeOver: TakeOver?

    /// - Throws: what is wrong with the machine or the configuration. An upgrade's running server then goes on, unless it had let go
    ///   already.
    init(_ options: ServeOptions) throws(ApusError) {
        let configuration = options.server
        self.certificate = try Self.certificate(options)
        var checked = configuration
        checked.certificate = self.certificate
        try checked.check(isLoopback: ListeningSocket.isLoopback(configuration.address))
        self.keys = try MasterKeyFile.given(
            options.masterKeyFile, credentials: options.credentials, dataDirectory: configuration.dataDirectory)
        self.egressAuthorities = try Self.authorities(options)
        let files = try InstalledFiles.locate()
        try Privileges.prepare()
        self.portFile = try options.portFile.map { (path) throws(ApusError) in try Self.openPortFile(path) }
        self.port = configuration.port
        if options.isUpgrade {
            let takeOver = try TakeOver(configuration)
            self.takeOver = takeOver
            self.sockets = takeOver.sockets
            self.port = UInt16(clamping: takeOver.offer.port)
        } else {
            (self.sockets, self.port) = try Self.listen(configuration)
            try DataDirectory.prepareFolder(configuration.dataDirectory, isDeep: options.isRootless)
        }
        if options.isUpgrade { try ServiceGroup.leaveControl() }
        let nursery = try Nursery.start(
            Nursery.Configuration(
                executable: files.nursery, dataDirectory: configuration.dataDirectory, runtimes: files.runtimes,
                profiles: files.profiles,
                // Two lines more than shards: builds and egress have their own.
                shards: configuration.shards + 2, slots: options.sandboxes, isRootless: options.isRootless
            )
        )
        self.channels = nursery.channels
        self.report = nursery.report
        // From here on nobody serves until this server does.
        try self.takeOver?.release()
        if options.isRootless {
            try DataDirectory.prepareOwn(configuration.dataDirectory)
        } else {
            try DataDirectory.prepare(
                configuration.dataDirectory, user: nursery.report.serverUser, group: nursery.report.serverGroup)
        }
        if let file = options.journal.file {
            let group = options.isRootless ? getgid() : nursery.report.serverGroup
            try LogFolder.prepare(for: file, user: nursery.report.serverUser, group: group)
        }
        if options.isRootless { try Privileges.forgo() } else { try Privileges.drop(to: nursery.report) }
    }

    private static func listen(_ configuration: ServerConfiguration) throws(ApusError) -> ([CInt], UInt16) {
        var sockets: [CInt] = []
        var port = configuration.port
        for index in 0..<configuration.shards {
            let socket = try ListeningSocket.open(
                address: configuration.address, port: port, reusePort: configuration.shards > 1, joins: index > 0)
            port = ListeningSocket.port(of: socket)
            sockets.append(socket.release())
        }
        return (sockets, port)
    }

    private static func authorities(_ options: ServeOptions) throws(ApusError) -> [UInt8] {
        guard let path = options.egressAuthoritiesFile else { return [] }
        do throws(ApusError) {
            let bytes = try DataArgument.readFile(path, limit: Limits.Serve.certificateBytes)
            _ = try TLSTrust(file: "", more: bytes)
            return bytes
        } catch { throw ApusError(.configurationInvalid, "`egress.ca`: \(error.message) (\(path))", cause: error) }
    }

    /// Read as root: the key should be nobody else's.
    private static func certificate(_ options: ServeOptions) throws(ApusError) -> HTTPCertificate? {
        guard let chainFile = options.certificateFile, let keyFile = options.keyFile else { return nil }
        func read(_ path: String, _ field: String) throws(ApusError) -> [UInt8] {
            do throws(ApusError) {
                return try DataArgument.readFile(path, limit: Limits.Serve.certificateBytes)
            } catch { throw ApusError(.configurationInvalid, "`\(field)`: \(error.message)", cause: error) }
        }
        let chain = try read(chainFile, "tls.cert")
        let key = try read(keyFile, "tls.key")
        do throws(ApusError) { try CertificateCheck.run(chain: chain, key: key) } catch {
            throw ApusError(.configurationInvalid, "`tls`: \(error.message) (\(chainFile), \(keyFile))", cause: error)
        }
        return HTTPCertificate(chain: chain, key: key)
    }

    /// As root, in a folder where others may write: never through a link, and only a regular file with one name is emptied.
    private static func openPortFile(_ path: String) throws(ApusError) -> CInt {
        let descriptor = open(path, O_WRONLY | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC, 0o644)
        var status = stat()
        if descriptor >= 0, fstat(descriptor, &status) == 0, status.st_mode & S_IFMT == S_IFREG, status.st_nlink == 1,
            ftruncate(descriptor, 0) == 0
        {
            return descriptor
        }
        let reason = descriptor < 0 ? String(cString: strerror(errno)) : "it is not a regular file with one name"
        if descriptor >= 0 { close(descriptor) }
        throw ApusError(.invalidArgument, "cannot write the port to '\(path)': \(reason); give another --port-file")
    }
}
