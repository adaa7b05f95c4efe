//! docker's default system call filter as data. Everything that no rule names fails with EPERM.
//! The facts are those of github.com/moby/profiles (seccomp/default_linux.go, 2026).

use oci_spec::runtime::{Arch, LinuxSeccompOperator as Operator};

/// The namespaces that `clone` must not make without CAP_SYS_ADMIN: mount, uts, ipc, user, pid, net, cgroup.
const NEW_NAMESPACES: u64 = 0x7e02_0000;
const ENOSYS: u32 = 38;

/// One rule. Empty lists do not restrict it.
pub(super) struct Rule {
    /// System calls, separated by white space.
    pub(super) names: &'static str,
    /// Conditions on arguments: index, operator, value.
    pub(super) arguments: &'static [(usize, Operator, u64)],
    /// The calls fail with this error in place of being allowed.
    pub(super) errno: Option<u32>,
    /// It holds where all of this is true.
    pub(super) when: Condition,
    /// It does not hold where any of this is true.
    pub(super) unless: Condition,
}

/// Facts of the machine and the container.
pub(super) struct Condition {
    /// A kernel at least this new.
    pub(super) kernel: Option<(u32, u32)>,
    /// One of these architectures, in Go's words.
    pub(super) architectures: &'static [&'static str],
    /// Capabilities in the bounding set.
    pub(super) capabilities: &'static [&'static str],
}

const ALWAYS: Condition = Condition { kernel: None, architectures: &[], capabilities: &[] };

const fn allow(names: &'static str) -> Rule {
    Rule { names, arguments: &[], errno: None, when: ALWAYS, unless: ALWAYS }
}

const fn with_capability(capability: &'static [&'static str], names: &'static str) -> Rule {
    Rule { when: Condition { capabilities: capability, ..ALWAYS }, ..allow(names) }
}

const fn on(architectures: &'static [&'static str], names: &'static str) -> Rule {
    Rule { when: Condition { architectures, ..ALWAYS }, ..allow(names) }
}

const fn if_argument(names: &'static str, arguments: &'static [(usize, Operator, u64)]) -> Rule {
    Rule { arguments, ..allow(names) }
}

/// The architectures whose system calls a filter of the first one also judges.
pub(super) const ARCHITECTURES: &[(&str, &[Arch])] = &[
    ("amd64", &[Arch::ScmpArchX86_64, Arch::ScmpArchX86, Arch::ScmpArchX32]),
    ("arm64", &[Arch::ScmpArchAarch64, Arch::ScmpArchArm]),
    ("mips64", &[Arch::ScmpArchMips64, Arch::ScmpArchMips, Arch::ScmpArchMips64n32]),
    ("mips64le", &[Arch::ScmpArchMipsel64, Arch::ScmpArchMipsel, Arch::ScmpArchMipsel64n32]),
    ("s390x", &[Arch::ScmpArchS390x, Arch::ScmpArchS390]),
    ("riscv64", &[Arch::ScmpArchRiscv64]),
    ("loong64", &[Arch::ScmpArchLoongarch64]),
];

/// Socket families that may be opened beside those below 12 (unix to rose): a mask and what it leaves of the
/// family, because the runtime's time goes by the number of rules, 0.4 ms each. Missing are the families that the
/// kernel has dropped, and two on purpose: 38, the kernel's cryptography, and 40, the line to the hypervisor.
pub(super) const SOCKET_FAMILIES: &[(u64, u64)] = &[
    (ONE, 13),
    (TWO, 14),
    (TWO, 16),
    (ONE, 18),
    (ONE, 21),
    (ONE, 22),
    (ONE, 24),
    (TWO, 26),
    (FOUR, 28),
    (TWO, 32),
    (ONE, 35),
    (ONE, 36),
    (ONE, 39),
    (ONE, 41),
    (TWO, 42),
    (TWO, 44),
];
const ONE: u64 = u64::MAX;
const TWO: u64 = !1;
const FOUR: u64 = !3;
/// The personalities that may be had: Linux, and Linux with a uname of 2.6 or without randomised addresses, both.
const PERSONALITIES: u64 = !0x2_0008;
/// Every family below this one may be opened.
pub(super) const SOCKET_FAMILIES_BELOW: u64 = 12;

/// The rules, without those for `socket`.
pub(super) const RULES: &[Rule] = &[
    allow(
        "accept accept4 access adjtimex alarm bind brk cachestat capget capset chdir chmod chown chown32
        clock_adjtime clock_adjtime64 clock_getres clock_getres_time64 clock_gettime clock_gettime64
        clock_nanosleep clock_nanosleep_time64 close close_range connect copy_file_range creat dup dup2 dup3
        epoll_create epoll_create1 epoll_ctl epoll_ctl_old epoll_pwait epoll_pwait2 epoll_wait epoll_wait_old
        eventfd eventfd2 execve execveat exit exit_group faccessat faccessat2 fadvise64 fadvise64_64 fallocate
        fanotify_mark fchdir fchmod fchmodat fchmodat2 fchown fchown32 fchownat fcntl fcntl64 fdatasync
        fgetxattr flistxattr flock fork fremovexattr fsetxattr fstat fstat64 fstatat64 fstatfs fstatfs64 fsync
        ftruncate ftruncate64 futex futex_requeue futex_time64 futex_wait futex_waitv futex_wake futimesat
        getcpu getcwd getdents getdents64 getegid getegid32 geteuid geteuid32 getgid getgid32 getgroups
        getgroups32 getitimer getpeername getpgid getpgrp getpid getppid getpriority getrandom getresgid
        getresgid32 getresuid getresuid32 getrlimit get_robust_list getrusage getsid getsockname getsockopt
        get_thread_area gettid gettimeofday getuid getuid32 getxattr getxattrat inotify_add_watch inotify_init
        inotify_init1 inotify_rm_watch io_cancel ioctl io_destroy io_getevents io_pgetevents
        io_pgetevents_time64 ioprio_get ioprio_set io_setup io_submit ipc kill landlock_add_rule
        landlock_create_ruleset landlock_restrict_self lchown lchown32 lgetxattr link linkat listen listmount
        listxattr listxattrat llistxattr _llseek lremovexattr lseek lsetxattr lstat lstat64 madvise
        map_shadow_stack membarrier memfd_create memfd_secret mincore mkdir mkdirat mknod mknodat mlock mlock2
        mlockall mmap mmap2 mprotect mq_getsetattr mq_notify mq_open mq_timedreceive mq_timedreceive_time64
        mq_timedsend mq_timedsend_time64 mq_unlink mremap mseal msgctl msgget msgrcv msgsnd msync munlock
        munlockall munmap name_to_handle_at nanosleep newfstatat _newselect open openat openat2 pause
        pidfd_open pidfd_send_signal pipe pipe2 pkey_alloc pkey_free pkey_mprotect poll ppoll ppoll_time64
        prctl pread64 preadv preadv2 prlimit64 process_mrelease pselect6 pselect6_time64 pwrite64 pwritev
        pwritev2 read readahead readlink readlinkat readv recv recvfrom recvmmsg recvmmsg_time64 recvmsg
        remap_file_pages removexattr removexattrat rename renameat renameat2 restart_syscall riscv_hwprobe
        rmdir rseq rt_sigaction rt_sigpending rt_sigprocmask rt_sigqueueinfo rt_sigreturn rt_sigsuspend
        rt_sigtimedwait rt_sigtimedwait_time64 rt_tgsigqueueinfo sched_getaffinity sched_getattr
        sched_getparam sched_get_priority_max sched_get_priority_min sched_getscheduler sched_rr_get_interval
        sched_rr_get_interval_time64 sched_setaffinity sched_setattr sched_setparam sched_setscheduler
        sched_yield seccomp select semctl semget semop semtimedop semtimedop_time64 send sendfile sendfile64
        sendmmsg sendmsg sendto setfsgid setfsgid32 setfsuid setfsuid32 setgid setgid32 setgroups setgroups32
        setitimer setpgid setpriority setregid setregid32 setresgid setresgid32 setresuid setresuid32 setreuid
        setreuid32 setrlimit set_robust_list setsid setsockopt set_thread_area set_tid_address setuid setuid32
        setxattr setxattrat shmat shmctl shmdt shmget shutdown sigaltstack signalfd signalfd4 sigprocmask
        sigreturn socketcall socketpair splice stat stat64 statfs statfs64 statmount statx symlink symlinkat
        sync sync_file_range syncfs sysinfo tee tgkill time timer_create timer_delete timer_getoverrun
        timer_gettime timer_gettime64 timer_settime timer_settime64 timerfd_create timerfd_gettime
        timerfd_gettime64 timerfd_settime timerfd_settime64 times tkill truncate truncate64 ugetrlimit umask
        uname unlink unlinkat uretprobe utime utimensat utimensat_time64 utimes vfork vmsplice wait4 waitid
        waitpid write writev",
    ),
    Rule {
        when: Condition { kernel: Some((4, 8)), ..ALWAYS },
        ..allow("process_vm_readv process_vm_writev ptrace")
    },
    if_argument("personality", &[(0, Operator::ScmpCmpMaskedEq, PERSONALITIES)]),
    if_argument("personality", &[(0, Operator::ScmpCmpEq, 0xffff_ffff)]),
    on(&["ppc64le"], "sync_file_range2 swapcontext"),
    on(
        &["arm", "arm64"],
        "arm_fadvise64_64 arm_sync_file_range sync_file_range2 breakpoint cacheflush set_tls",
    ),
    on(&["amd64", "x32"], "arch_prctl"),
    on(&["amd64", "x32", "386"], "modify_ldt"),
    on(&["s390", "s390x"], "s390_pci_mmio_read s390_pci_mmio_write s390_runtime_instr"),
    on(&["riscv64"], "riscv_flush_icache"),
    with_capability(&["DAC_READ_SEARCH"], "open_by_handle_at"),
    with_capability(
        &["SYS_ADMIN"],
        "bpf clone clone3 fanotify_init fsconfig fsmount fsopen fspick lookup_dcookie lsm_get_self_attr
        lsm_list_modules lsm_set_self_attr mount mount_setattr move_mount open_tree perf_event_open quotactl
        quotactl_fd setdomainname sethostname setns syslog umount umount2 unshare",
    ),
    Rule {
        unless: Condition { capabilities: &["SYS_ADMIN"], architectures: &["s390", "s390x"], ..ALWAYS },
        ..if_argument("clone", &[(0, Operator::ScmpCmpMaskedEq, NEW_NAMESPACES)])
    },
    // There the flags are the second argument.
    Rule {
        when: Condition { architectures: &["s390", "s390x"], ..ALWAYS },
        unless: Condition { capabilities: &["SYS_ADMIN"], ..ALWAYS },
        ..if_argument("clone", &[(1, Operator::ScmpCmpMaskedEq, NEW_NAMESPACES)])
    },
    // Its flags lie in memory, where no filter can look: the C library falls back to clone.
    Rule {
        errno: Some(ENOSYS),
        unless: Condition { capabilities: &["SYS_ADMIN"], ..ALWAYS },
        ..allow("clone3")
    },
    with_capability(&["SYS_BOOT"], "reboot"),
    with_capability(&["SYS_CHROOT"], "chroot"),
    with_capability(&["SYS_MODULE"], "delete_module init_module finit_module"),
    with_capability(&["SYS_PACCT"], "acct"),
    with_capability(
        &["SYS_PTRACE"],
        "kcmp pidfd_getfd process_madvise process_vm_readv process_vm_writev ptrace",
    ),
    with_capability(&["SYS_RAWIO"], "iopl ioperm"),
    with_capability(&["SYS_TIME"], "settimeofday stime clock_settime clock_settime64"),
    with_capability(&["SYS_TTY_CONFIG"], "vhangup"),
    with_capability(&["SYS_NICE"], "get_mempolicy mbind set_mempolicy set_mempolicy_home_node"),
    with_capability(&["SYSLOG"], "syslog"),
    with_capability(&["BPF"], "bpf"),
    with_capability(&["PERFMON"], "perf_event_open"),
];
