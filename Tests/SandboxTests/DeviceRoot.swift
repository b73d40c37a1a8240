import Glibc

/// A folder that stands for the host's `/dev`, `/proc` and `/sys` where a driver of NVIDIA's is: two devices, one of them on a
/// bus, and a part of a device. The nodes are of ordinary devices that tell who was reached.
enum DeviceRoot {
    static let address = "0000:3b:00.0"

    static func make(in folder: String) -> String {
        let root = "\(folder)/devices"
        for path in [
            "", "/dev", "/dev/nvidia-caps", "/proc", "/proc/driver", "/proc/driver/nvidia", "/proc/driver/nvidia/gpus",
            "/proc/driver/nvidia/gpus/\(self.address)", "/sys", "/sys/bus", "/sys/bus/pci", "/sys/bus/pci/devices",
            "/sys/devices", "/sys/devices/pci0000:3a", "/sys/devices/pci0000:3a/\(self.address)",
        ] { TestFiles.makeFolder(root + path) }
        // Minor numbers of memory devices: 3 is null, 5 zero, 7 full, 8 random.
        for (name, minor) in [
            ("nvidiactl", 3), ("nvidia-uvm", 3), ("nvidia-uvm-tools", 3), ("nvidia-modeset", 3), ("nvidia0", 5),
            ("nvidia1", 7), ("nvidia-caps/nvidia-cap11", 5), ("nvidia-caps/nvidia-cap12", 5),
        ] {
            let path = "\(root)/dev/\(name)"
            mknod(path, S_IFCHR | 0o666, UInt(1) << 8 | UInt(minor))
            chmod(path, 0o666)
        }
        TestFiles.write(
            "Model: \t\t Test\nDevice Minor: \t 0\n", to: "\(root)/proc/driver/nvidia/gpus/\(self.address)/information")
        TestFiles.write("1\n", to: "\(root)/sys/devices/pci0000:3a/\(self.address)/numa_node")
        symlink("../../../devices/pci0000:3a/\(self.address)", "\(root)/sys/bus/pci/devices/\(self.address)")
        return root
    }
}
