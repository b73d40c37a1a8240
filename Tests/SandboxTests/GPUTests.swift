import ApusCore
import ApusSandbox
import CShims
import Testing

extension SandboxTests {
    /// What a worker with a device has, and what it has not. The devices are stand-ins (`DeviceRoot`): whether a driver is
    /// content with it needs one.
    @Suite("Workers with a device")
    struct GPUTests {
        private func run(_ snippet: String, gpus: [UInt32] = [0], parts: [UInt32] = []) async throws -> String {
            guard let laboratory = Laboratory.shared else {
                throw ApusError(.sandboxUnavailable, "the nursery did not start")
            }
            var order = laboratory.order(python: snippet)
            order.gpus = gpus
            order.gpuCapabilities = parts
            let ending = try await laboratory.run(order)
            return ending.output + ending.errors
        }

        private static func attempt(_ code: String) -> String {
            "import os\ntry:\n" + code.split(separator: "\n").map { "    \($0)\n" }.joined()
                + "except BaseException as error:\n    print(type(error).__name__, getattr(error, 'errno', ''))"
        }

        @Test("The nursery says which devices there are")
        func devicesAreReported() throws {
            let laboratory = try #require(Laboratory.shared)
            #expect(laboratory.nursery.report.gpus == [0, 1])
        }

        @Test("It has its own device, the driver's two, and no other")
        func hasItsDevice() async throws {
            let list = "import os\nprint(sorted(n for n in os.listdir('/dev') if n.startswith('nvidia') and "
            let usable = list + "os.stat('/dev/' + n).st_rdev))"
            #expect(try await self.run(usable) == "['nvidia-uvm', 'nvidia0', 'nvidiactl']\n")
            #expect(try await self.run(usable, gpus: [1, 0]) == "['nvidia-uvm', 'nvidia0', 'nvidia1', 'nvidiactl']\n")
            // Written to as well as read, through a mount that is read-only for files.
            let use = "file = open('/dev/nvidia0', 'r+b', 0)\nfile.write(b'x')\nprint(file.read(2))"
            #expect(try await self.run(Self.attempt(use)) == "b'\\x00\\x00'\n")
            let other = "open('/dev/nvidia1', 'r+b', 0).write(b'x')\nprint('worked')"
            #expect(try await self.run(Self.attempt(other)) == "OSError 30\n", "an empty file in the root")
        }

        @Test("Parts of devices are given one by one")
        func hasItsParts() async throws {
            let usable =
                "import os\nf = '/dev/nvidia-caps/'\nprint([n for n in sorted(os.listdir(f)) if os.stat(f + n).st_rdev])"
            #expect(try await self.run(usable) == "[]\n")
            #expect(try await self.run(usable, parts: [11]) == "['nvidia-cap11']\n")
        }

        @Test("It sees its device's place on the bus, and no more of /sys")
        func seesItsPlaceOnTheBus() async throws {
            let place = "/sys/bus/pci/devices/\(DeviceRoot.address)"
            #expect(try await self.run("print(open('\(place)/numa_node').read(), end='')") == "1\n")
            #expect(try await self.run("import os\nprint(os.listdir('/sys'))").contains("kernel") == false)
            #expect(try await self.run(Self.attempt("print(os.listdir('\(place)/'))"), gpus: [1]) == "[]\n")
        }

        @Test("Of /proc it sees processes and what its driver reads, and nothing else")
        func procIsCovered() async throws {
            for name in ["cpuinfo", "meminfo", "devices", "self/status", "driver"] {
                #expect(try await self.run(Self.attempt("print(os.stat('/proc/\(name)') is not None)")) == "True\n")
            }
            for name in ["kcore", "kallsyms", "cmdline", "sysrq-trigger", "interrupts", "modules", "keys"] {
                #expect(
                    try await self.run(
                        Self.attempt(
                            "print(open('/proc/\(name)', 'rb').read(1) if os.path.exists('/proc/\(name)') else b'')"))
                        == "b''\n", "\(name)")
            }
            for name in ["sys", "irq", "bus", "fs"] {
                #expect(try await self.run(Self.attempt("print(os.listdir('/proc/\(name)'))")) == "[]\n", "\(name)")
            }
            #expect(
                try await self.run(Self.attempt("print(sorted(n for n in os.listdir('/proc') if n.isdigit()))"))
                    == "['1']\n")
        }

        @Test("It names its threads through /proc, as its driver does, and harms nothing there")
        func writesToProc() async throws {
            let name =
                "open('/proc/self/task/%d/comm' % os.getpid(), 'w').write('cuda')\n"
                + "print(open('/proc/self/comm').read(), end='')"
            #expect(try await self.run(Self.attempt(name)) == "cuda\n")
            for (path, text) in [
                ("self/oom_score_adj", "-1000"), ("self/mem", "x"), ("cmdline", "c"),
                ("sys/kernel/core_pattern", "x"),
            ] {
                let code = "open('/proc/\(path)', 'r+b', 0).write(b'\(text)')\nprint('worked')"
                let answer = try await self.run(Self.attempt(code))
                // What is covered takes every byte and does nothing with it.
                #expect(
                    path == "cmdline" ? answer == "worked\n" : !answer.hasPrefix("worked"), "\(path): \(answer)")
            }
            #expect(try await self.run("open('/proc/new', 'w')").contains("Error"))
        }

        @Test("A worker without a device has none of it")
        func othersHaveNothing() async throws {
            let nothing =
                "import os\nprint([n for n in os.listdir('/dev') if 'nvidia' in n], os.path.exists('/proc/driver'))"
            #expect(try await self.run(nothing, gpus: []) == "[] False\n")
            let write = "open('/proc/self/comm', 'w')\nprint('worked')"
            #expect(try await self.run(Self.attempt(write), gpus: []) == "OSError 30\n")
        }

        @Test("Requests of the driver pass the filter, those of other devices do not")
        func ioctls() async throws {
            let ask = "import fcntl\nfile = open('/dev/nvidiactl', 'r+b', 0)\nfcntl.ioctl(file, %s, 0)"
            // ENOTTY is the stand-in's own word: the filter says EPERM, or ENOSYS for what no rule names.
            for request in ["0xc0df46d6", "0x4627", "21", "0x30000001"] {
                let code = Self.attempt(ask.replacing("%s", with: request))
                #expect(try await self.run(code) == "OSError 25\n", "\(request)")
                #expect(try await self.run(code, gpus: []).hasPrefix("FileNotFoundError"))
            }
            for (request, refusal) in [
                ("0x5412", "PermissionError 1"), ("0x8912", "OSError 38"), ("0x5000", "OSError 38"),
            ] {
                #expect(
                    try await self.run(Self.attempt(ask.replacing("%s", with: request))).hasPrefix(refusal),
                    "\(request)")
            }
        }

        @Test(
            "Orders that no host could keep are refused",
            arguments: [
                ([2], [], LaunchOrder.Runtime.python, WorkerIsolation.Level.standard, "gpu"),
                ([0], [4_096], .python, .standard, "part"), ([], [11], .python, .standard, "part"),
                ([0], [], .exec, .standard, "native code"), ([0], [], .python, .hostile, "not trusted"),
                ([64], [], .python, .standard, "below 64"), ([0], [13], .python, .standard, "gpu"),
            ])
        func refuses(
            _ gpus: [UInt32], _ parts: [UInt32], _ runtime: LaunchOrder.Runtime, _ level: WorkerIsolation.Level,
            _ word: String
        ) async throws {
            let laboratory = try #require(Laboratory.shared)
            var order = LaunchOrder(runtime: runtime, isolation: level, bundle: Laboratory.bundle)
            order.gpus = gpus
            order.gpuCapabilities = parts
            let error = await #expect(throws: ApusError.self) { try await laboratory.run(order) }
            #expect(error.map { "\($0)".contains(word) } == true, "\(String(describing: error))")
        }
    }
}
