import ApusCore
import ApusSandbox
import ApusTestSupport
import Glibc

/// Nurseries that an ordinary user started, with what they read where that user can read it.
enum RootlessLaboratory {
    /// A user that no account of a host has.
    static let user: uid_t = 61_234
    static let folder = "\(Laboratory.folder)/rootless"
    /// What /etc/subuid lends: far from what hosts lend.
    static let lentBase: uid_t = 1_900_000_000

    /// With one uid for all.
    static let single = Result { try make("single", ["/bin/sh"]) }
    /// With a range of uids.
    static let lent = Result { try make("lent", ["/usr/bin/unshare", "-m", "/bin/sh"], preparation: lend) }

    /// With a range of uids and control groups, as below a systemd unit with `Delegate=yes`. Whoever makes it ends it.
    static func delegated() throws -> Laboratory {
        try self.make("delegated", ["/usr/bin/unshare", "-m", "/bin/sh"], preparation: self.lend + self.delegate)
    }

    /// Where parts of /proc are covered, as in most containers. Whoever makes it ends it.
    static func covered() throws -> Laboratory {
        let cover = """
            mount --make-rprivate /
            for folder in /proc/acpi /proc/scsi /proc/bus; do
              [ -d $folder ] && mount -t tmpfs none $folder && break
            done

            """
        return try self.make("covered", ["/usr/bin/unshare", "-m", "/bin/sh"], preparation: cover)
    }

    /// Why there can be none here, or nil.
    static let problem: String? = {
        guard Laboratory.isRoot else { return Laboratory.needsRoot }
        let try_ = status(asUser + ["/usr/bin/unshare", "-U", "/bin/true"])
        return try_ == 0 ? nil : "this host lets no ordinary user make a user namespace (unshare -U: status \(try_))"
    }()

    static let lentProblem: String? =
        problem ?? (TestFiles.exists("/usr/bin/newuidmap") ? nil : "newuidmap is not installed (package uidmap)")

    /// Said once where tests skip.
    static func printed(_ problem: String?) -> Bool {
        if let problem { print("sandboxes without root are not tested: \(problem)") }
        return problem == nil
    }

    static let asUser = ["/usr/bin/setpriv", "--reuid", "\(user)", "--regid", "\(user)", "--clear-groups"]

    static func status(_ words: [String]) -> Int32 { (try? self.run(words))?.status ?? -1 }

    static func run(_ words: [String]) throws -> (status: Int32, errors: String) {
        let child = try ChildProcess(words[0], Array(words.dropFirst()), in: "/")
        let status = child.wait(seconds: 20) ?? -1
        return (status, child.errors)
    }

    /// In a mount namespace of its own: an account and a range of uids for the user, which the host does not have.
    private static let lend = """
        mount --make-rprivate /
        (cat /etc/passwd; echo "apus-lent:x:\(user):\(user)::/:/bin/sh") > \(folder)/passwd
        echo "apus-lent:\(lentBase):65536" > \(folder)/subid
        chmod 644 \(folder)/passwd \(folder)/subid
        [ -e /etc/subuid ] || touch /etc/subuid
        [ -e /etc/subgid ] || touch /etc/subgid
        mount --bind \(folder)/passwd /etc/passwd
        mount --bind \(folder)/subid /etc/subuid
        mount --bind \(folder)/subid /etc/subgid

        """

    private static let group = "apus-rootless-\(getpid())"

    /// Groups of every hierarchy that this process is in, given to the user, and entered before root is given up.
    private static let delegate = """

        own() { awk -F: -v c="$1" '$2==c || (c=="" && $1=="0") {print $3; exit}' /proc/self/cgroup; }
        take() {
          mkdir -p "$1" && chown -R \(user):\(user) "$1" && echo $$ > "$1/cgroup.procs"
        }
        if [ -e /sys/fs/cgroup/cgroup.controllers ]; then
          for c in memory pids cpu; do echo +$c > /sys/fs/cgroup/cgroup.subtree_control; done
          take /sys/fs/cgroup/\(group)
        else
          for c in memory pids cpu; do take /sys/fs/cgroup/$c$(own $c)/\(group); done
          take /sys/fs/cgroup/unified$(own "")/\(group)
        fi

        """

    /// What the delegation left.
    static func removeGroups() {
        _ = self.status([
            "/bin/sh", "-c", "find /sys/fs/cgroup -depth -type d -path '*\(self.group)*' -exec rmdir {} + 2>/dev/null",
        ])
    }

    /// - Parameter interpreter: of the script that stands for the nursery's program.
    private static func make(_ name: String, _ interpreter: [String], preparation: String = "") throws -> Laboratory {
        guard Laboratory.shared != nil else { throw ApusError(.sandboxUnavailable, "there is no laboratory at all") }
        for path in [self.folder, "\(self.folder)/bin"] { TestFiles.makeFolder(path) }
        for program in ["nursery", "libapus-zygote.so", "exec-worker", "mcp-worker"] {
            let from =
                program == "nursery" ? Laboratory.nurseryExecutable : "\(Laboratory.buildFolder)/\(program)"
            let copy = "\(self.folder)/bin/\(program)"
            // The other laboratory may be running it.
            if !TestFiles.exists(copy) { TestFiles.copy(from, to: copy, mode: 0o755) }
        }
        let profiles = "\(self.folder)/profiles"
        TestFiles.makeFolder(profiles)
        for file in Folder.names("\(Laboratory.packageFolder)/sandbox/profiles") {
            TestFiles.copy(
                "\(Laboratory.packageFolder)/sandbox/profiles/\(file)", to: "\(profiles)/\(file)", mode: 0o644)
        }
        let data = "\(self.folder)/data-\(name)"
        guard self.status(["/bin/cp", "-r", Laboratory.dataDirectory + "/bundles", self.folder]) == 0 else {
            throw ApusError(.internal, "the bundles cannot be copied")
        }
        TestFiles.makeFolder(data, mode: 0o700)
        _ = self.status(["/bin/rm", "-rf", "\(data)/bundles"])
        guard rename("\(self.folder)/bundles", "\(data)/bundles") == 0,
            self.status(["/bin/chown", "-R", "\(self.user):\(self.user)", data]) == 0
        else { throw ApusError(.internal, "the data directory cannot be given to user \(self.user)") }
        let script = "\(self.folder)/bin/nursery-\(name)"
        let step = interpreter.count > 1 ? "exec \(interpreter.joined(separator: " ")) \(script).inner \"$@\"\n" : ""
        let inner =
            "#!/bin/sh\n" + preparation
            + "exec \(self.asUser.joined(separator: " ")) \(self.folder)/bin/nursery \"$@\"\n"
        TestFiles.write(inner, to: step.isEmpty ? script : "\(script).inner", mode: 0o755)
        if !step.isEmpty { TestFiles.write("#!/bin/sh\n" + step, to: script, mode: 0o755) }
        return try Laboratory(
            Nursery.Configuration(
                executable: script, dataDirectory: data, runtimes: "\(Laboratory.folder)/runtimes", profiles: profiles,
                slots: 16, isRootless: true))
    }
}
