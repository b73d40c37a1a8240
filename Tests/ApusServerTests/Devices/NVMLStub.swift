import ApusCore
import ApusTestSupport
import Glibc
import Testing

/// A library that answers as NVIDIA's does, compiled by the test that uses it, and told what to say by a file that it reads at each call.
struct NVMLStub {
    static let reasonToSkip: String? =
        access("/usr/bin/cc", X_OK) == 0 ? nil : "there is no C compiler to make a library of NVIDIA's form with"

    let folder = ScratchDirectory("nvml")
    var library: String { "\(self.folder.path)/libnvidia-ml.so.1" }

    init() throws {
        try writeFile("\(self.folder.path)/stub.c", Self.source.replacing("@STATE@", with: "\(self.folder.path)/state"))
        try self.say([])
        let compiler = try ChildProcess(
            "/usr/bin/cc", ["-shared", "-fPIC", "-o", self.library, "\(self.folder.path)/stub.c"], in: self.folder.path)
        try #require(compiler.wait(seconds: 60) == 0, "\(compiler.errors)")
    }

    /// Lines of the state: `used 0 BYTES`, `process 0 PID BYTES`, `xid 0 NUMBER`, `lost 1`, `refuse 9`, `hang`, `mig`.
    func say(_ lines: [String]) throws {
        try writeFile("\(self.folder.path)/state.new", lines.map { $0 + "\n" }.joined())
        try #require(rename("\(self.folder.path)/state.new", "\(self.folder.path)/state") == 0)
    }

    private static let source = """
        #include <stdio.h>
        #include <string.h>
        #include <unistd.h>
        typedef struct { int index; int part; } dev;
        static dev cards[2] = {{0, -1}, {1, -1}};
        static dev parts[2] = {{0, 0}, {0, 1}};
        static int says(const char *word, int index, unsigned long long *a, unsigned long long *b) {
            FILE *file = fopen("@STATE@", "r");
            char line[256], name[64];
            int found = 0;
            while (file && fgets(line, sizeof line, file)) {
                int at = -1; unsigned long long x = 0, y = 0;
                int n = sscanf(line, "%63s %d %llu %llu", name, &at, &x, &y);
                if (n >= 1 && strcmp(name, word) == 0 && (index < 0 || at == index)) {
                    found++;
                    if (a) *a = x;
                    if (b) *b = y;
                    if (index < 0 && a) *a = at;
                    break;
                }
            }
            if (file) fclose(file);
            return found;
        }
        static void hang(void) { while (says("hang", -1, 0, 0)) usleep(10000); }
        int nvmlInit_v2(void) { unsigned long long code = 0; return says("refuse", -1, &code, 0) ? (int)code : 0; }
        int nvmlShutdown(void) { return 0; }
        const char *nvmlErrorString(int code) { return code == 15 ? "GPU is lost" : code == 9 ? "Driver Not Loaded" : "an error"; }
        int nvmlSystemGetDriverVersion(char *text, unsigned int n) { snprintf(text, n, "550.54.15"); return 0; }
        int nvmlDeviceGetCount_v2(unsigned int *count) { *count = 2; return 0; }
        int nvmlDeviceGetHandleByIndex_v2(unsigned int i, void **d) { *d = &cards[i]; return 0; }
        int nvmlDeviceGetName(void *d, char *text, unsigned int n) {
            dev *x = d;
            snprintf(text, n, x->part < 0 ? "NVIDIA H100 80GB HBM3" : "NVIDIA H100 80GB HBM3 MIG 1g.10gb");
            return 0;
        }
        int nvmlDeviceGetUUID(void *d, char *text, unsigned int n) {
            dev *x = d;
            if (x->part < 0) snprintf(text, n, "GPU-%d", x->index); else snprintf(text, n, "MIG-%d-%d", x->index, x->part);
            return 0;
        }
        int nvmlDeviceGetMinorNumber(void *d, unsigned int *minor) { *minor = ((dev *)d)->index; return 0; }
        int nvmlDeviceGetMemoryInfo(void *d, unsigned long long *m) {
            dev *x = d;
            hang();
            if (says("lost", x->index, 0, 0)) return 15;
            unsigned long long used = 0;
            says("used", x->index, &used, 0);
            m[0] = 80ull << 30; m[2] = used; m[1] = m[0] - used;
            return 0;
        }
        struct info { unsigned int pid; unsigned long long used; unsigned int g, c; };
        int nvmlDeviceGetComputeRunningProcesses_v3(void *d, unsigned int *count, struct info *infos) {
            unsigned long long pid = 0, bytes = 0;
            *count = says("process", ((dev *)d)->index, &pid, &bytes) ? 1 : 0;
            if (*count) { infos[0].pid = (unsigned int)pid; infos[0].used = bytes; }
            return 0;
        }
        int nvmlDeviceGetMaxPcieLinkGeneration(void *d, unsigned int *g) { (void)d; *g = 5; return 0; }
        int nvmlDeviceGetMaxPcieLinkWidth(void *d, unsigned int *w) { (void)d; *w = 16; return 0; }
        int nvmlDeviceGetMigMode(void *d, unsigned int *now, unsigned int *next) {
            *now = *next = ((dev *)d)->index == 0 && says("mig", -1, 0, 0);
            return 0;
        }
        int nvmlDeviceGetMaxMigDeviceCount(void *d, unsigned int *n) { (void)d; *n = 7; return 0; }
        int nvmlDeviceGetMigDeviceHandleByIndex(void *d, unsigned int i, void **part) {
            (void)d;
            if (i >= 2) return 6;
            *part = &parts[i];
            return 0;
        }
        int nvmlEventSetCreate(void **set) { *set = cards; return 0; }
        int nvmlEventSetFree(void *set) { (void)set; return 0; }
        int nvmlDeviceRegisterEvents(void *d, unsigned long long types, void *set) { (void)d; (void)types; (void)set; return 0; }
        struct data { void *d; unsigned long long type, data; unsigned int g, c; };
        static unsigned long long told[2];
        int nvmlEventSetWait_v2(void *set, struct data *data, unsigned int ms) {
            (void)set; (void)ms;
            for (int i = 0; i < 2; i++) {
                unsigned long long xid = 0;
                if (!says("xid", i, &xid, 0) || told[i] == xid) continue;
                told[i] = xid;
                data->d = &cards[i]; data->type = 8; data->data = xid;
                return 0;
            }
            return 10;
        }
        """
}
