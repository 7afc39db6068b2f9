/* Counts what a process writes below some folders and lets one of these calls fail.

   Loaded with LD_PRELOAD; does nothing until faults_plan() is called or the environment holds
   FAULTS="at mode errno journal folder[:folder...]". Journal: a line "kind path" for every call.

   A folder that is made where one is, and a file removed where none is, do not count.

   mode  o  call number `at` fails once
         f  it and every later one fails, but for removals: a disk that stays full
         t  of a write, half is done before it fails; every other kind fails
         k  the process is killed by SIGKILL after the call, in the middle of it where it writes
         K  before the call
         -  none; calls are counted and noted */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

enum { GO, FAIL, HALF, DIE };

static char folders[8192];
static int journal = -1, number;
static char mode = '-';
static long at;
static atomic_long count;

#define REAL(name) \
    static __typeof__(&name) real; \
    if (!real) real = (__typeof__(&name))dlsym(RTLD_NEXT, #name)

void faults_plan(long at_, char mode_, int errno_, const char *journal_, const char *folders_) {
    snprintf(folders, sizeof folders, "%s", folders_);
    journal = open(journal_, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
    at = at_, number = errno_, count = 0;
    mode = mode_;
}

long faults_counted(void) { return count; }

__attribute__((constructor)) static void begin(void) {
    const char *given = getenv("FAULTS");
    char journal_[4096], folders_[4096], mode_;
    long at_;
    int errno_;
    if (given && sscanf(given, "%ld %c %d %4095s %4095s", &at_, &mode_, &errno_, journal_, folders_) == 5)
        faults_plan(at_, mode_, errno_, journal_, folders_);
}

static void die(void) { kill(getpid(), SIGKILL); for (;;) pause(); }

/* What is to become of a call; a folder's own path counts as below it. */
static int strike(const char *kind, int dir, const char *name) {
    if (!*folders) return GO;
    char path[8192] = "", link[64];
    if (!name || *name != '/') {
        snprintf(link, sizeof link, dir == AT_FDCWD ? "/proc/self/cwd" : "/proc/self/fd/%d", dir);
        ssize_t n = readlink(link, path, sizeof path / 2);
        if (n < 0) return GO;
        path[n] = 0;
        if (name) strcat(path, "/");
    }
    if (name) strncat(path, name, sizeof path / 2 - 1);
    const char *folder = folders;
    for (size_t n;; folder += n + 1) {
        n = strcspn(folder, ":");
        if (n && !strncmp(path, folder, n) && (path[n] == '/' || !path[n])) break;
        if (!folder[n]) return GO;
    }
    long here = atomic_fetch_add(&count, 1) + 1;
    if (journal >= 0) dprintf(journal, "%s %s\n", kind, path);
    if (mode == 'f' && here > at && !strcmp(kind, "remove")) return GO;
    if (mode == '-' || here < at || (here > at && mode != 'f')) return GO;
    if (mode == 'K') die();
    errno = number;
    return mode == 'k' ? DIE : mode == 't' ? HALF : FAIL;
}

/* Calls without a size: half of one is none of it. */
#define GUARD(kind, dir, name, call) \
    do { \
        int fate = strike(kind, dir, name); \
        if (fate == FAIL || fate == HALF) return -1; \
        __typeof__(call) done = call; \
        if (fate == DIE) die(); \
        return done; \
    } while (0)

#define WRITING(flags) ((flags) & (O_WRONLY | O_RDWR | O_CREAT | O_TRUNC))
#define MODE(last) \
    mode_t bits = 0; \
    if (flags & (O_CREAT | __O_TMPFILE)) { \
        va_list rest; \
        va_start(rest, last); \
        bits = va_arg(rest, mode_t); \
        va_end(rest); \
    }

#define OPEN(name) \
    int name(const char *path, int flags, ...) { \
        REAL(name); \
        MODE(flags) \
        if (!WRITING(flags)) return real(path, flags, bits); \
        GUARD("open", AT_FDCWD, path, real(path, flags, bits)); \
    }
#define OPENAT(name) \
    int name(int dir, const char *path, int flags, ...) { \
        REAL(name); \
        MODE(flags) \
        if (!WRITING(flags)) return real(dir, path, flags, bits); \
        GUARD("open", dir, path, real(dir, path, flags, bits)); \
    }
OPEN(open)
OPEN(open64)
OPENAT(openat)
OPENAT(openat64)

ssize_t write(int file, const void *data, size_t size) {
    REAL(write);
    int fate = strike("write", file, NULL), why = errno;
    if (fate == FAIL) return -1;
    if (fate == GO) return real(file, data, size);
    real(file, data, size / 2);
    if (fate == DIE) die();
    errno = why;
    return -1;
}

ssize_t writev(int file, const struct iovec *parts, int n) {
    REAL(writev);
    GUARD("write", file, NULL, real(file, parts, n));
}

#define PWRITE(name, offset_t) \
    ssize_t name(int file, const void *data, size_t size, offset_t place) { \
        REAL(name); \
        GUARD("write", file, NULL, real(file, data, size, place)); \
    }
PWRITE(pwrite, off_t)
PWRITE(pwrite64, off64_t)

int fsync(int file) { REAL(fsync); GUARD("fsync", file, NULL, real(file)); }
int fdatasync(int file) { REAL(fdatasync); GUARD("fsync", file, NULL, real(file)); }
int ftruncate(int file, off_t size) { REAL(ftruncate); GUARD("truncate", file, NULL, real(file, size)); }
int ftruncate64(int file, off64_t size) { REAL(ftruncate64); GUARD("truncate", file, NULL, real(file, size)); }
int mkdir(const char *path, mode_t bits) { REAL(mkdir); if (!access(path, F_OK)) return real(path, bits); GUARD("mkdir", AT_FDCWD, path, real(path, bits)); }
int rmdir(const char *path) { REAL(rmdir); GUARD("remove", AT_FDCWD, path, real(path)); }
int unlink(const char *path) { REAL(unlink); if (access(path, F_OK)) return real(path); GUARD("remove", AT_FDCWD, path, real(path)); }
int unlinkat(int dir, const char *path, int flags) { REAL(unlinkat); GUARD("remove", dir, path, real(dir, path, flags)); }
int rename(const char *from, const char *to) { REAL(rename); GUARD("rename", AT_FDCWD, to, real(from, to)); }
int renameat(int a, const char *from, int b, const char *to) { REAL(renameat); GUARD("rename", b, to, real(a, from, b, to)); }
int mkdirat(int dir, const char *path, mode_t bits) { REAL(mkdirat); GUARD("mkdir", dir, path, real(dir, path, bits)); }
