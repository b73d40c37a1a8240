// Reads a profile and compiles it, once, at the start.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <seccomp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "nursery.h"

#define INCLUDES_DEEP_MAX 4
#define WORDS_MAX 64

// What allows the one execution of a sandbox's own program; and what does where page zero, which makes it the only one,
// cannot be mapped.
#define OWN_PROGRAM "own-program.list"
#define OWN_PROGRAM_ROOTLESS "own-program-rootless.list"
static bool execs_from_anywhere;

struct place {
    const char *file;
    int line;
};

// What a rule does, and for one that is reported, with which error and which arguments.
struct action {
    uint32_t value;
    bool is_reported;
    int error;
    uint32_t shown;
};

// What the profile that is being compiled does with calls that no rule names.
static uint32_t standard_action;

static const struct {
    const char *name;
    int number;
} error_names[] = {
    {"EPERM", EPERM},   {"EACCES", EACCES}, {"ENOSYS", ENOSYS},             {"ENOTTY", ENOTTY},
    {"EINVAL", EINVAL}, {"ENOLCK", ENOLCK}, {"EAFNOSUPPORT", EAFNOSUPPORT},
};

static int error_number(const struct place *place, const char *name) {
    for (size_t index = 0; index < sizeof error_names / sizeof error_names[0]; index++) {
        if (strcmp(error_names[index].name, name) == 0) return error_names[index].number;
    }
    die("%s:%d: unknown error '%s'", place->file, place->line, name);
}

static uint64_t number(const struct place *place, const char *text) {
    char *end = NULL;
    errno = 0;
    uint64_t value = strtoull(text, &end, 0);
    if (errno != 0 || end == text || *end != 0) die("%s:%d: '%s' is no number", place->file, place->line, text);
    return value;
}

// `arg1 == 5` or `arg1 & 0xff == 5`; returns how many words it took.
static int condition(const struct place *place, char **words, int count, struct scmp_arg_cmp *result) {
    static const struct {
        const char *name;
        enum scmp_compare operation;
    } operations[] = {{"==", SCMP_CMP_EQ}, {"!=", SCMP_CMP_NE}, {"<", SCMP_CMP_LT},
                      {"<=", SCMP_CMP_LE}, {">", SCMP_CMP_GT},  {">=", SCMP_CMP_GE}};
    if (count < 3 || strncmp(words[0], "arg", 3) != 0 || words[0][3] < '0' || words[0][3] > '5' || words[0][4] != 0) {
        die("%s:%d: expected a condition such as 'arg0 == 1'", place->file, place->line);
    }
    result->arg = (unsigned)(words[0][3] - '0');
    if (strcmp(words[1], "&") == 0) {
        if (count < 5 || strcmp(words[3], "==") != 0)
            die("%s:%d: expected 'argN & MASK == VALUE'", place->file, place->line);
        result->op = SCMP_CMP_MASKED_EQ;
        result->datum_a = number(place, words[2]);
        result->datum_b = number(place, words[4]);
        return 5;
    }
    for (size_t index = 0; index < sizeof operations / sizeof operations[0]; index++) {
        if (strcmp(operations[index].name, words[1]) != 0) continue;
        result->op = operations[index].operation;
        result->datum_a = number(place, words[2]);
        result->datum_b = 0;
        return 3;
    }
    die("%s:%d: unknown comparison '%s'", place->file, place->line, words[1]);
}

// `-`, or one or more of arg0 to arg5 joined by commas: their bits.
static uint32_t arguments_shown(const struct place *place, const char *text) {
    uint32_t shown = 0;
    if (strcmp(text, "-") == 0) return 0;
    for (const char *next = text;; next += 5) {
        if (strncmp(next, "arg", 3) != 0 || next[3] < '0' || next[3] > '5' || (next[4] != 0 && next[4] != ','))
            die("%s:%d: expected '-' or arguments such as 'arg0,arg1', not '%s'", place->file, place->line, text);
        shown |= 1u << (next[3] - '0');
        if (next[4] == 0) break;
    }
    if (__builtin_popcount(shown) > NURSERY_AUDIT_ARGUMENTS)
        die("%s:%d: at most %d arguments are recorded", place->file, place->line, NURSERY_AUDIT_ARGUMENTS);
    return shown;
}

// Where no auditor can be, the call is refused with its error by the filter itself.
static struct action reported(const struct place *place, int error, const char *shown) {
    return (struct action){
        .value = nursery.auditor.is_supported ? SCMP_ACT_NOTIFY : SCMP_ACT_ERRNO((uint32_t)error),
        .is_reported = nursery.auditor.is_supported,
        .error = error,
        .shown = arguments_shown(place, shown),
    };
}

static void add_rule(scmp_filter_ctx context, const struct place *place, struct action action, char **words, int count) {
    int names = 0;
    while (names < count && strcmp(words[names], "when") != 0) names++;
    if (names == 0) die("%s:%d: the rule names no system call", place->file, place->line);
    struct scmp_arg_cmp conditions[6];
    unsigned condition_count = 0;
    int word = names + 1;
    while (word < count) {
        if (condition_count == 6) die("%s:%d: at most 6 conditions", place->file, place->line);
        word += condition(place, words + word, count - word, &conditions[condition_count++]);
        if (word < count && strcmp(words[word], "and") != 0) die("%s:%d: expected 'and'", place->file, place->line);
        word++;
    }
    for (int index = 0; index < names; index++) {
        int call = seccomp_syscall_resolve_name(words[index]);
        if (call == __NR_SCMP_ERROR) die("%s:%d: unknown system call '%s'", place->file, place->line, words[index]);
        // Calls that this architecture does not have get a negative number: nothing to allow or refuse.
        if (call < 0) continue;
        if (action.is_reported) report_call(place->file, place->line, call, words[index], action.error, action.shown);
        // Written down for its reason only: libseccomp takes no rule that says what the default does.
        if (action.value == standard_action) continue;
        int result = seccomp_rule_add_array(context, action.value, call, condition_count, conditions);
        if (result < 0)
            die("%s:%d: the rule for '%s' was refused: %s", place->file, place->line, words[index], strerror(-result));
    }
}

static void read_rules(scmp_filter_ctx context, const char *name, int depth);

static void read_line(scmp_filter_ctx context, const struct place *place, char *line, int depth) {
    char *comment = strchr(line, '#');
    if (comment != NULL) *comment = 0;
    char *words[WORDS_MAX];
    int count = 0;
    char *rest = NULL;
    for (char *word = strtok_r(line, " \t\r\n", &rest); word != NULL; word = strtok_r(NULL, " \t\r\n", &rest)) {
        if (count == WORDS_MAX) die("%s:%d: more than %d words", place->file, place->line, WORDS_MAX);
        words[count++] = word;
    }
    if (count == 0) return;
    if (comment == NULL && strcmp(words[0], "include") != 0)
        die("%s:%d: a rule needs its reason behind '#'", place->file, place->line);
    if (strcmp(words[0], "include") == 0 && count == 2) {
        bool is_replaced = execs_from_anywhere && strcmp(words[1], OWN_PROGRAM) == 0;
        read_rules(context, is_replaced ? OWN_PROGRAM_ROOTLESS : words[1], depth + 1);
    } else if (strcmp(words[0], "allow") == 0) {
        add_rule(context, place, (struct action){.value = SCMP_ACT_ALLOW}, words + 1, count - 1);
    } else if (strcmp(words[0], "kill") == 0) {
        add_rule(context, place, (struct action){.value = SCMP_ACT_KILL_PROCESS}, words + 1, count - 1);
    } else if (strcmp(words[0], "errno") == 0 && count > 2) {
        struct action action = {.value = SCMP_ACT_ERRNO((uint32_t)error_number(place, words[1]))};
        add_rule(context, place, action, words + 2, count - 2);
    } else if (strcmp(words[0], "report") == 0 && count > 3) {
        struct action action = reported(place, error_number(place, words[1]), words[2]);
        add_rule(context, place, action, words + 3, count - 3);
    } else {
        die("%s:%d: expected allow, errno CODE, report CODE ARGUMENTS, kill or include", place->file, place->line);
    }
}

static void read_rules(scmp_filter_ctx context, const char *name, int depth) {
    if (depth > INCLUDES_DEEP_MAX || strchr(name, '/') != NULL) die("%s: may not be included here", name);
    char path[PATH_BYTES + NAME_MAX + 2];
    snprintf(path, sizeof path, "%s/%s", nursery.profiles, name);
    FILE *file = fopen(path, "re");
    if (file == NULL) die("cannot read the profile %s: %s", path, strerror(errno));
    char line[1024];
    struct place place = {.file = path, .line = 0};
    while (fgets(line, sizeof line, file) != NULL) {
        place.line++;
        if (strchr(line, '\n') == NULL && !feof(file)) die("%s:%d: the line is too long", path, place.line);
        read_line(context, &place, line, depth);
    }
    fclose(file);
}

// Compiles a profile whose calls without a rule get `standard`, into `max` instructions.
static void compile(const char *name, uint32_t standard, struct sock_filter *instructions, size_t max,
                    struct sock_fprog *filter) {
    standard_action = standard;
    scmp_filter_ctx context = seccomp_init(standard);
    if (context == NULL) die("libseccomp refused to start");
    if (seccomp_attr_set(context, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS) != 0 ||
        seccomp_attr_set(context, SCMP_FLTATR_CTL_OPTIMIZE, 2) != 0) {
        die("libseccomp is too old: 2.5 or newer is needed");
    }
    read_rules(context, name, 0);
    int program = memfd_create("profile", MFD_CLOEXEC);
    if (program < 0) die("no memory file for the profile %s: %s", name, strerror(errno));
    int result = seccomp_export_bpf(context, program);
    if (result != 0) die("the profile %s cannot be compiled: %s", name, strerror(-result));
    seccomp_release(context);
    size_t size = max * sizeof(struct sock_filter);
    ssize_t length = pread(program, instructions, size, 0);
    close(program);
    if (length <= 0 || (size_t)length == size || (size_t)length % sizeof(struct sock_filter) != 0) {
        die("the profile %s is too long: at most %zu instructions", name, max - 1);
    }
    filter->filter = instructions;
    filter->len = (unsigned short)((size_t)length / sizeof(struct sock_filter));
}

// Of two filters that both leave a call to a listener, the newer decides, and an error goes before either. So the zygote's
// leaves what it does not name to a listener that it does not have: to itself the kernel denies it with ENOSYS, and of a
// clone the clone's own filter decides, whose listener the auditor has.
void load_profile(unsigned runtime, const char *name) {
    bool is_zygote = runtime == RUNTIME_ZYGOTE && nursery.auditor.is_supported;
    execs_from_anywhere = !nursery.has_page_zero;
    compile(name, is_zygote ? SCMP_ACT_NOTIFY : SCMP_ACT_ERRNO(ENOSYS), nursery.instructions[runtime],
            FILTER_INSTRUCTIONS_MAX, &nursery.filter[runtime]);
}

void load_auditor_profile(void) {
    compile("auditor.profile", SCMP_ACT_KILL_PROCESS, nursery.auditor.instructions, AUDITOR_INSTRUCTIONS_MAX,
            &nursery.auditor.filter);
}

// A clone executes nothing: the path that the rule asks for cannot be mapped in it, root or not.
void load_clone_profile(void) {
    execs_from_anywhere = false;
    compile("python.profile", SCMP_ACT_ERRNO(ENOSYS), nursery.instructions[FILTER_CLONE], FILTER_INSTRUCTIONS_MAX,
            &nursery.filter[FILTER_CLONE]);
}

// What a zygote reads its clones' filter from.
int filter_file(const struct sock_fprog *filter) {
    int file = memfd_create("filter", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    size_t bytes = filter->len * sizeof(struct sock_filter);
    if (file < 0 || pwrite(file, filter->filter, bytes, 0) != (ssize_t)bytes ||
        fcntl(file, F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW) != 0) {
        die("no memory file for the filter of clones: %s", strerror(errno));
    }
    return file;
}

void load_call_profile(void) {
    struct sock_filter instructions[CALL_INSTRUCTIONS_MAX];
    struct sock_fprog filter;
    compile("call.profile", SCMP_ACT_ALLOW, instructions, CALL_INSTRUCTIONS_MAX, &filter);
    nursery.call_filter = filter_file(&filter);
}

// It only takes away: the stricter of two filters decides, so that what it does not name is the runtime's to say.
void load_hostile_profile(void) {
    compile("hostile.profile", SCMP_ACT_ALLOW, nursery.hostile_instructions, HOSTILE_INSTRUCTIONS_MAX,
            &nursery.hostile_filter);
}
