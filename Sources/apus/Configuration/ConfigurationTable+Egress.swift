internal import ApusCore
internal import ApusEgress
internal import ApusManifest
internal import ApusServer

extension ConfigurationTable {
    static let egress: [ConfigurationField] = [
        ConfigurationField(
            "egress.allowPrivate", .texts(max: Limits.Egress.exceptions),
            "Addresses of your own network that functions may connect to where their manifest names the host: 127.0.0.1:9000, "
                + "10.1.0.0/16, [fd00::1]:443. Without a port all ports.", default: "[]",
            option: .value(
                "--egress-allow-private", "ADDRESS", "an address of your own network that functions may connect to",
                repeats: true)
        ) { options, value throws(SettingRefusal) in
            options.server.egress.allowPrivate = try value.texts.map { text throws(SettingRefusal) in
                guard let exception = AddressException(text) else {
                    throw SettingRefusal(
                        "addresses or ranges, with a port or without, as 127.0.0.1:9000 or 10.1.0.0/16")
                }
                return exception
            }
        },
        ConfigurationField(
            "egress.ca", .text,
            "File of further certificate authorities, in PEM, for servers that requests with injected headers go to; read as root at the start.",
            default: nil,
            option: .value("--egress-ca", "FILE", "further certificate authorities, in PEM", values: .files)
        ) { options, value throws(SettingRefusal) in
            options.egressAuthoritiesFile = try ConfigurationPath.absolute(value)
        },
        ConfigurationField(
            "egress.connectionBytes", .bytes((1 << 10)...(1 << 46)),
            "Bytes of one connection, both directions together.",
            default: "1Gi"
        ) { $0.server.egress.connectionBytes = UInt64($1.integer) },
        ConfigurationField(
            "egress.workerBytesPerHour", .bytes((1 << 10)...(1 << 46)),
            "Bytes of all connections of one worker in an hour.",
            default: "16Gi"
        ) { $0.server.egress.workerBytesPerHour = UInt64($1.integer) },
        ConfigurationField(
            "egress.totalBytesPerHour", .bytes((1 << 10)...(1 << 50)),
            "Bytes of all functions' connections in an hour.",
            default: "256Gi"
        ) { $0.server.egress.totalBytesPerHour = UInt64($1.integer) },
        ConfigurationField(
            "egress.idle", .span(.seconds(1) ... .seconds(86_400)), "Time that a connection may carry nothing.",
            default: "5m"
        ) { $0.server.egress.idle = $1.span },
        ConfigurationField(
            "egress.longest", .span(.seconds(1) ... .seconds(604_800)), "Time that a connection may last.",
            default: "1h"
        ) { $0.server.egress.longest = $1.span },
    ]
}
