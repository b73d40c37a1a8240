#pragma once

struct attempt {
    const char *name;
    int (*make)(int count, char **values);
};

extern const struct attempt attempts[];

// Prints `ok`, or the current errno when the result is negative. Returns 0, the exit code of an attempt that was made.
int say(long result);

// Some program of the root, to read: where there is no /bin/echo, the probe itself.
int open_program(void);
const char *strerrorname(int error);

int read_file(int count, char **values);
int write_file(int count, char **values);
int fill_folder(int count, char **values);
int flood_folder(int count, char **values);
int list_descriptors(int count, char **values);
int print_environment(int count, char **values);
int list_processes(int count, char **values);
int make_node(int count, char **values);
int open_handle(int count, char **values);
int big_file(int count, char **values);

int connect_inet(int count, char **values);
int connect_inet6(int count, char **values);
int connect_abstract(int count, char **values);
int make_socket(int count, char **values);
int sweep_sockets(int count, char **values);

int fork_bomb(int count, char **values);
int thread_bomb(int count, char **values);
int memory_bomb(int count, char **values);
int memory_file_bomb(int count, char **values);
int ignore_signals(int count, char **values);
int leave_daemon(int count, char **values);
int spin(int count, char **values);
int descriptor_bomb(int count, char **values);
int serve_echo(int count, char **values);

int trace(int count, char **values);
int write_memory(int count, char **values);
int write_memory_file(int count, char **values);
int signal_process(int count, char **values);
int open_process(int count, char **values);

int execute(int count, char **values);
int execute_again(int count, char **values);
int execute_at(int count, char **values);
int execute_memory(int count, char **values);
int map_page_zero(int count, char **values);
int high_descriptor(int count, char **values);

int call_mount(int count, char **values);
int call_unshare(int count, char **values);
int call_clone(int count, char **values);
int call_clone3(int count, char **values);
int call_setns(int count, char **values);
int call_keyctl(int count, char **values);
int call_bpf(int count, char **values);
int call_io_uring(int count, char **values);
int call_userfaultfd(int count, char **values);
int call_int80(int count, char **values);
int call_setuid(int count, char **values);
int call_setgroups(int count, char **values);
int call_chroot(int count, char **values);
int call_reboot(int count, char **values);
int call_init_module(int count, char **values);
int call_personality(int count, char **values);
int call_perf(int count, char **values);
int call_splice(int count, char **values);
int call_raise_limit(int count, char **values);
int call_lower_core(int count, char **values);
int call_core_limit(int count, char **values);
int call_watch(int count, char **values);
int call_outlive_parent(int count, char **values);
int call_datagram_pair(int count, char **values);
int call_touch_input(int count, char **values);
int call_shmget(int count, char **values);
int call_queue(int count, char **values);
int call_sethostname(int count, char **values);
int call_x32(int count, char **values);
int call_dumpable(int count, char **values);
int call_tiocsti(int count, char **values);
int call_setxattr(int count, char **values);

int batch(int count, char **values);
int unconfined(int count, char **values);
int call_named(int count, char **values);
int new_calls(int count, char **values);
int prctl_sweep(int count, char **values);
int ioctl_sweep(int count, char **values);
int socket_option(int count, char **values);
int socket_option_tcp(int count, char **values);
int exhaust(int count, char **values);
int timer_flood(int count, char **values);
int signal_flood(int count, char **values);
int lock_memory(int count, char **values);
int reserve(int count, char **values);
int huge_pages(int count, char **values);
int huge_memory_file(int count, char **values);
int merge_pages(int count, char **values);
int merge_pages_high(int count, char **values);
int sendfile_to_pipe(int count, char **values);
int fresh_memory(int count, char **values);
int list_folder(int count, char **values);
int read_through_link(int count, char **values);
int open_for_writing(int count, char **values);
int remove_file(int count, char **values);
int hard_link(int count, char **values);
int move_file(int count, char **values);
int change_mode(int count, char **values);
int mount_flags(int count, char **values);
int find_text(int count, char **values);
int climb(int count, char **values);
int trace_me(int count, char **values);
int clone_flag(int count, char **values);
int clone_sibling(int count, char **values);
int crash(int count, char **values);
int stop_itself(int count, char **values);
int vfork_block(int count, char **values);
int fuzz_calls(int count, char **values);
