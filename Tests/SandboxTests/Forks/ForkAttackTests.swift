import ApusCore
import CShims
import Glibc
import Testing

extension SandboxTests {
    /// What one call may do to another of the same function, when both are processes in one sandbox.
    @Suite("Calls that share a sandbox")
    struct ForkAttackTests {
        private struct Attack: Sendable {
            var name: String
            /// An expression; `pid`, `folder` and `address` are the victim's.
            var code: String
            /// The exception that it ends with. Of what it may not trace, `/proc` shows nothing at all.
            var error: String
            /// A root without a sandbox is not refused. Its first process is another matter: containers keep it out of reach.
            var hasControl = true
        }

        private static let attacks = [
            Attack(
                name: "read its memory",
                code: "(lambda f: (f.seek(address), f.read(4)))(open(f'/proc/{pid}/mem', 'rb', 0))",
                error: "FileNotFoundError"),
            Attack(
                name: "read its environment", code: "open(f'/proc/{pid}/environ').read()", error: "FileNotFoundError"),
            Attack(name: "read its maps", code: "open(f'/proc/{pid}/maps').read()", error: "FileNotFoundError"),
            Attack(name: "read its state", code: "open(f'/proc/{pid}/status').read()", error: "FileNotFoundError"),
            Attack(name: "list its descriptors", code: "os.listdir(f'/proc/{pid}/fd')", error: "FileNotFoundError"),
            Attack(name: "open its pipe", code: "open(f'/proc/{pid}/fd/4', 'wb', 0)", error: "FileNotFoundError"),
            Attack(name: "see where it is", code: "os.readlink(f'/proc/{pid}/cwd')", error: "FileNotFoundError"),
            Attack(name: "go through its root", code: "os.stat(f'/proc/{pid}/root/usr')", error: "FileNotFoundError"),
            Attack(name: "list processes", code: "os.listdir('/proc')", error: "PermissionError"),
            Attack(name: "read its file", code: "open(f'{folder}/secret').read()", error: "PermissionError"),
            Attack(name: "list its folder", code: "os.listdir(folder)", error: "PermissionError"),
            Attack(name: "list the folders of all", code: "os.listdir('/tmp')", error: "PermissionError"),
            Attack(name: "find them by a name", code: "os.listdir('/dev/shm')", error: "PermissionError"),
            Attack(name: "write beside it", code: "open('/tmp/x-apus', 'w')", error: "PermissionError"),
            Attack(name: "write into its folder", code: "open(f'{folder}/x', 'w')", error: "PermissionError"),
            Attack(name: "take its file away", code: "os.unlink(f'{folder}/secret')", error: "PermissionError"),
            Attack(
                name: "take its folder away", code: "os.rename(folder, folder + '-x')",
                error: "PermissionError"),
            // Without a sandbox it would be the folder of the whole machine.
            Attack(
                name: "close the folder of all", code: "os.chmod('/tmp', 0)", error: "PermissionError",
                hasControl: false),
            Attack(name: "signal it", code: "os.kill(pid, 10)", error: "PermissionError"),
            Attack(
                name: "signal it by a queue",
                code: "check(libc.syscall(129, pid, 10, (ctypes.c_int * 32)(10, 0, -1)))",
                error: "PermissionError"),
            Attack(name: "watch its end", code: "os.pidfd_open(pid)", error: "PermissionError"),
            Attack(name: "trace it", code: "check(libc.ptrace(16, pid, 0, 0))", error: "PermissionError"),
            Attack(
                name: "read its memory by a call",
                code: "check(libc.process_vm_readv(pid, ctypes.byref(own), 1, ctypes.byref(other), 1, 0))",
                error: "PermissionError"),
            Attack(name: "bind it to a processor", code: "os.sched_setaffinity(pid, {0})", error: "PermissionError"),
            Attack(name: "leave a process", code: "os.fork() or os._exit(0)", error: "PermissionError"),
            Attack(
                name: "leave a process that shares memory", code: "check(libc.syscall(56, 0x4111, 0, 0, 0, 0))",
                error: "PermissionError", hasControl: false),
            Attack(
                name: "filter calls", code: "check(libc.prctl(22, 2, 0, 0, 0))", error: "PermissionError",
                hasControl: false),
            Attack(name: "signal the zygote", code: "os.kill(1, 0)", error: "PermissionError"),
            // The kernel says nothing of those that it left out; the victim lives.
            Attack(name: "end everybody", code: "os.kill(-1, 9)", error: "worked", hasControl: false),
            Attack(
                name: "read the zygote's memory", code: "open('/proc/1/mem', 'rb')", error: "FileNotFoundError",
                hasControl: false),
            Attack(
                name: "read the zygote's maps", code: "open('/proc/1/maps').read()", error: "FileNotFoundError",
                hasControl: false),
            Attack(
                name: "open the zygote's pipe", code: "open('/proc/1/fd/4', 'wb', 0)", error: "FileNotFoundError",
                hasControl: false),
            Attack(
                name: "trace the zygote", code: "check(libc.ptrace(16, 1, 0, 0))", error: "PermissionError",
                hasControl: false),
        ]

        /// Around an attack, with or without a sandbox.
        private static func code(of attack: Attack) -> String {
            """
            import ctypes, os
            libc = ctypes.CDLL(None, use_errno=True)
            class Part(ctypes.Structure): _fields_ = [('base', ctypes.c_void_p), ('length', ctypes.c_size_t)]
            here = ctypes.create_string_buffer(4)
            own, other = Part(ctypes.addressof(here), 4), Part(address, 4)
            def check(value):
                if value < 0: raise OSError(ctypes.get_errno(), 'refused')
            try:
                \(attack.code)
                result = 'worked'
            except OSError as error: result = type(error).__name__
            """
        }

        private static let victim = """
            import ctypes, os, signal
            signal.signal(10, signal.SIG_IGN)
            global kept
            kept = ctypes.create_string_buffer(b'only mine')
            __builtins__['kept'] = kept
            open(os.environ['TMPDIR'] + '/secret', 'w').write('only mine')
            result = {'pid': os.getpid(), 'folder': os.environ['TMPDIR'], 'address': ctypes.addressof(kept)}
            """

        @Test("No call reaches another one, nor what forked it")
        func attacks() throws {
            let bench = try ForkBench()
            defer { bench.close() }
            try #require(bench.zygote.next().header.type == .ready, "\(bench.errors)")
            let victim = try bench.fork()
            let given = try victim.line.run(Self.victim)
            let left = "import os; result = [kept.value.decode(), open(os.environ['TMPDIR'] + '/secret').read()]"
            for attack in Self.attacks {
                let seen = try bench.run(Self.code(of: attack), given: given)
                #expect(seen == "\"\(attack.error)\"", "\(attack.name)")
                // The neighbour is as it was, and answers.
                #expect(try victim.line.run(left) == #"["only mine","only mine"]"#, "\(attack.name)")
            }
            #expect(try bench.kill(victim.number) == SIGKILL)
        }

        @Test("Each of them works between two processes of one user without a sandbox")
        func controls() throws {
            for attack in Self.attacks where attack.hasControl {
                let script = """
                    import os, tempfile, ctypes, signal
                    folder = os.environ['TMPDIR'] = tempfile.mkdtemp()
                    reader, writer = os.pipe()
                    signal.signal(10, signal.SIG_IGN)
                    kept = ctypes.create_string_buffer(b'only mine')
                    pid = os.fork()
                    if pid == 0:
                        open(folder + '/secret', 'w').write('only mine')
                        os.dup2(writer, 4)
                        os.write(writer, b'x')
                        while True: signal.pause()
                    os.read(reader, 1)
                    address = ctypes.addressof(kept)

                    """
                let ending = "\nos.kill(pid, 9)\nprint(result, flush=True)\n"
                #expect(try Self.python(script + Self.code(of: attack) + ending) == "worked\n", "\(attack.name)")
            }
        }

        private static func python(_ script: String) throws -> String {
            let path = "\(Laboratory.folder)/control.py"
            TestFiles.write(script, to: path)
            let file = try #require(popen("/usr/bin/python3 -I -S \(path) 2>&1; rm -f /tmp/x-apus", "r"))
            defer { pclose(file) }
            return TestFiles.drain(fileno(file))
        }
    }
}
