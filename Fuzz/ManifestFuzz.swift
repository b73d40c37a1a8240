// libFuzzer on the manifest parser: any bytes are either refused with errors that have a place, or accepted and then go
// through JSON unchanged.
//
// Built apart from the package, since the fuzzer brings its own `main`. From the repository's root, OUT being any folder:
//
//   F="-parse-as-library -swift-version 6 -O -wmo -sanitize=fuzzer,address -I $OUT"
//   F="$F -enable-upcoming-feature InternalImportsByDefault -enable-upcoming-feature MemberImportVisibility"
//   C="-I Sources/System/CYAML -I Sources/System/CSimdJSON/include"
//   c++ -std=c++17 -O2 -fPIC -I Sources/System/CSimdJSON/include -c Sources/System/CSimdJSON/shim.cpp -o $OUT/CSimdJSON.o
//   printf 'module CSimdJSON { header "%s/Sources/System/CSimdJSON/include/CSimdJSON.h" export * }' "$PWD" > $OUT/module.modulemap
//   for M in ApusCore ApusJSON ApusManifest; do
//     swiftc $F $C -module-name $M -emit-module -emit-module-path $OUT/$M.swiftmodule -emit-object -o $OUT/$M.o Sources/$M/*.swift
//   done
//   swiftc $F $C -module-name ManifestFuzz Fuzz/ManifestFuzz.swift $OUT/*.o -lsimdjson -lstdc++ -lyaml -o $OUT/manifest-fuzz
//   # Leaks are not looked for: Swift keeps constants behind tagged pointers, which the leak checker does not see.
//   ASAN_OPTIONS=detect_leaks=0 $OUT/manifest-fuzz -max_total_time=60 -max_len=4096 -timeout=5 -artifact_prefix=$OUT/

import ApusJSON
import ApusManifest

@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzManifest(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    let text = Array(UnsafeBufferPointer(start: start, count: count))
    let manifests: [Manifest]
    do throws(ManifestErrors) {
        manifests = try Manifest.parse(text, file: "fuzz")
    } catch {
        precondition(!error.errors.isEmpty, "refused without a reason")
        for problem in error.errors {
            precondition(problem.location != nil, "\(problem) has no place")
        }
        return 0
    }
    for manifest in manifests {
        let json = manifest.toJSON()
        do {
            let back = try Manifest(json: JSONValue.parse(json.encoded()))
            precondition(back == manifest && back.toJSON() == json, "changed on its way through JSON")
        } catch {
            preconditionFailure("its own JSON is refused: \(error)")
        }
    }
    return 0
}
