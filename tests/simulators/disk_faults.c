/* A disk that stalls or is full, for one process: LD_PRELOAD this, name a file in DISK_FAULTS_FILE.
 *
 * While that file holds "stall MS", each fsync and fdatasync of a file below DISK_FAULTS_UNDER takes MS milliseconds
 * more; while it holds "full", writes to such files that would make them longer fail with ENOSPC. Empty: all is well.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { WELL, STALL, FULL };

static int fault(int *ms) {
    const char *name = getenv("DISK_FAULTS_FILE");
    char text[64] = "";
    int kind = WELL, file = name ? open(name, O_RDONLY | O_CLOEXEC) : -1;
    if (file < 0) return WELL;
    ssize_t size = read(file, text, sizeof text - 1);
    close(file);
    if (size > 0 && sscanf(text, "stall %d", ms) == 1) kind = STALL;
    else if (size > 0 && strncmp(text, "full", 4) == 0) kind = FULL;
    return kind;
}

static int ours(int fd) {
    const char *under = getenv("DISK_FAULTS_UNDER");
    char link[64], path[4096];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t size = readlink(link, path, sizeof path - 1);
    if (!under || size <= 0) return 0;
    path[size] = 0;
    return strncmp(path, under, strlen(under)) == 0;
}

static void stall(int fd) {
    int ms = 0;
    if (fault(&ms) == STALL && ours(fd)) {
        struct timespec wait = {ms / 1000, (ms % 1000) * 1000000L};
        nanosleep(&wait, NULL);
    }
}

static int full(int fd, off_t end) {
    int ms = 0;
    struct stat now;
    if (fault(&ms) != FULL || !ours(fd)) return 0;
    if (fstat(fd, &now) || !S_ISREG(now.st_mode) || end <= now.st_size) return 0;
    errno = ENOSPC;
    return 1;
}

#define REAL(name, type, ...) static type (*real)(__VA_ARGS__); if (!real) real = dlsym(RTLD_NEXT, #name)

int fsync(int fd) { REAL(fsync, int, int); stall(fd); return real(fd); }
int fdatasync(int fd) { REAL(fdatasync, int, int); stall(fd); return real(fd); }

ssize_t pwrite(int fd, const void *data, size_t size, off_t at) {
    REAL(pwrite, ssize_t, int, const void *, size_t, off_t);
    return full(fd, at + (off_t)size) ? -1 : real(fd, data, size, at);
}
ssize_t pwrite64(int fd, const void *data, size_t size, off_t at) {
    REAL(pwrite64, ssize_t, int, const void *, size_t, off_t);
    return full(fd, at + (off_t)size) ? -1 : real(fd, data, size, at);
}
ssize_t write(int fd, const void *data, size_t size) {
    REAL(write, ssize_t, int, const void *, size_t);
    return full(fd, lseek(fd, 0, SEEK_CUR) + (off_t)size) ? -1 : real(fd, data, size);
}
int posix_fallocate(int fd, off_t at, off_t size) {
    REAL(posix_fallocate, int, int, off_t, off_t);
    return full(fd, at + size) ? ENOSPC : real(fd, at, size);
}
int ftruncate(int fd, off_t size) {
    REAL(ftruncate, int, int, off_t);
    return full(fd, size) ? -1 : real(fd, size);
}
