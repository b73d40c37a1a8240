@main
struct Bench {
    static func main() {
        print("apus-bench")
    }
}
