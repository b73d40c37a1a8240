# Sourced by the `.build` files: compiles modules of Sources/ for a fuzz target, with the address sanitizer and its coverage, apart
# from the package, since a fuzz target has no `main` of its own. Runs in the root of the repository.
#
# `objects` is a folder for what is compiled; the caller links everything that lies in it.

swift_flags=(
  -parse-as-library -swift-version 6 -O -wmo -sanitize=fuzzer,address
  -enable-upcoming-feature ExistentialAny -enable-upcoming-feature InternalImportsByDefault -enable-upcoming-feature MemberImportVisibility
  -I "$objects" -I Sources/System/CYAML -I "$objects/CSimdJSON"
)

# The Swift modules named, in the order of what they import.
swift_modules() {
  local module
  local -a files
  for module in "$@"; do
    mapfile -t files < <(find "Sources/$module" -name '*.swift' | sort)
    swiftc "${swift_flags[@]}" -module-name "$module" -emit-module -emit-module-path "$objects/$module.swiftmodule" \
      -emit-object -o "$objects/$module.o" "${files[@]}"
  done
}

# The shim around simdjson and a module map, so that Swift finds it.
simdjson_module() {
  local headers="$PWD/Sources/System/CSimdJSON/include"
  c++ -std=c++17 -O2 -fPIC -I "$headers" -c Sources/System/CSimdJSON/shim.cpp -o "$objects/CSimdJSON.o"
  mkdir -p "$objects/CSimdJSON"
  printf 'module CSimdJSON { header "%s/CSimdJSON.h" export * }\n' "$headers" >"$objects/CSimdJSON/module.modulemap"
}
