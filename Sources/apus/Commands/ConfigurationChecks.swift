internal import ApusCore
internal import ApusCrypto
internal import ApusHTTP
internal import ApusLog
internal import ApusServer
internal import Glibc

/// What of the configuration, and of what it names on this machine, would keep a server from starting or from serving well.
struct ConfigurationChecks {
    let arguments: ParsedArguments
    let environment: [String: String]

    /// Below this a few thousand connections and workers use up what there is.
    private static let descriptors: rlim_t = 65_536

    func all() -> [HostCheck] {
        let general = [self.user(), self.descriptorLimit(), self.zones(), self.queue()]
        do throws(ApusError) {
            let configuration = try Configuration(self.arguments, self.environment)
            var options = ServeOptions()
            try configuration.apply(to: &options)
            options.isRootless = options.isRootless || geteuid() != 0
            try options.placeData(self.environment)
            let file = configuration.file ?? "no file at \(Configuration.standardFile): defaults, APUS_… and options"
            let sound = HostCheck(name: "configuration", state: .ok, detail: file)
            return [sound] + general + [self.data(options), self.certificate(options)].compactMap { $0 }
        } catch {
            let lines = error.message.split(whereSeparator: \.isNewline).joined(separator: "; ")
            return [HostCheck(name: "configuration", state: .missing, detail: lines)] + general
        }
    }

    private func user() -> HostCheck {
        if self.arguments.has("--rootless") || geteuid() != 0 {
            return HostCheck(
                name: "user", state: .info, detail: "\(getuid()): without root the server stays who starts it")
        }
        guard getpwnam("apus") == nil else { return HostCheck(name: "user", state: .ok, detail: "apus") }
        return HostCheck(
            name: "user", state: .limited,
            detail:
                "there is no user apus: the server becomes a numeric one, and files may change owners; systemd-sysusers makes it"
        )
    }

    private func descriptorLimit() -> HostCheck {
        var limit = rlimit()
        guard getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 else {
            return HostCheck(name: "open-files", state: .info, detail: "the limit cannot be read")
        }
        let isEnough = limit.rlim_max >= Self.descriptors
        let advice = isEnough ? "" : ": raise it with LimitNOFILE= or ulimit -Hn, to \(Self.descriptors) or more"
        return HostCheck(
            name: "open-files", state: isEnough ? .ok : .limited,
            detail: limit.rlim_max == rlim_t.max ? "unlimited" : "at most \(limit.rlim_max) here\(advice)")
    }

    private func zones() -> HostCheck {
        access("/usr/share/zoneinfo/Europe/Paris", R_OK) == 0
            ? HostCheck(name: "time-zones", state: .ok, detail: "/usr/share/zoneinfo")
            : HostCheck(
                name: "time-zones", state: .limited,
                detail: "schedules with a zone cannot be deployed: apt install tzdata")
    }

    /// What the kernel lets wait while one server takes over from another.
    private func queue() -> HostCheck {
        let text = HostChecks().text("/proc/sys/net/core/somaxconn") ?? ""
        guard let count = Int(text) else {
            return HostCheck(name: "connection-queue", state: .info, detail: "its length cannot be read")
        }
        let wanted = Int(Limits.HTTP.backlog)
        return HostCheck(
            name: "connection-queue", state: count >= wanted ? .ok : .limited,
            detail: count >= wanted
                ? "\(count)" : "\(count): more wait longer during an upgrade; sysctl net.core.somaxconn=\(wanted)")
    }

    private func data(_ options: ServeOptions) -> HostCheck {
        let folder = options.server.dataDirectory
        var status = stat()
        guard stat(folder, &status) == 0 else {
            return HostCheck(name: "data", state: .info, detail: "\(folder) is not there yet: the first start makes it")
        }
        guard status.st_mode & S_IFMT == S_IFDIR else {
            return HostCheck(name: "data", state: .missing, detail: "\(folder) is not a folder")
        }
        var space = statvfs()
        guard statvfs(folder, &space) == 0 else {
            return HostCheck(name: "data", state: .info, detail: "\(folder): free space cannot be read")
        }
        let free = Int64(clamping: UInt64(space.f_bavail)) * Int64(clamping: UInt64(space.f_frsize))
        let isEnough = free > options.log.diskFloorBytes
        return HostCheck(
            name: "data", state: isEnough ? .ok : .limited,
            detail: isEnough
                ? folder
                : "\(folder): \(free >> 20) MiB are free, not more than `diskFloor`: producers are refused; make room")
    }

    private func certificate(_ options: ServeOptions) -> HostCheck? {
        guard let chain = options.certificateFile, let key = options.keyFile else { return nil }
        do throws(ApusError) {
            try CertificateCheck.run(
                chain: try DataArgument.readFile(chain, limit: Limits.Serve.certificateBytes),
                key: try DataArgument.readFile(key, limit: Limits.Serve.certificateBytes))
            return HostCheck(name: "tls", state: .ok, detail: chain)
        } catch {
            // Root reads what others may not.
            let state = geteuid() == 0 ? HostCheck.State.missing : .info
            return HostCheck(name: "tls", state: state, detail: error.message)
        }
    }
}
