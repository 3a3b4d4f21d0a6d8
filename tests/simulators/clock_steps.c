/* A time of day that steps, for one process: LD_PRELOAD this, name a file of 8 bytes in CLOCK_STEPS_FILE.
 *
 * The file holds seconds (int64, the machine's byte order) that are added to CLOCK_REALTIME. It is mapped, so that a
 * look costs nothing and waiting threads are left alone; other clocks are not touched.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static const volatile int64_t *steps;

__attribute__((constructor)) static void map(void) {
    const char *name = getenv("CLOCK_STEPS_FILE");
    int file = name ? open(name, O_RDONLY | O_CLOEXEC) : -1;
    if (file < 0) return;
    void *at = mmap(NULL, sizeof *steps, PROT_READ, MAP_SHARED, file, 0);
    close(file);
    if (at != MAP_FAILED) steps = at;
}

#define REAL(name, type, ...) static type (*real)(__VA_ARGS__); if (!real) real = dlsym(RTLD_NEXT, #name)

int clock_gettime(clockid_t clock, struct timespec *now) {
    REAL(clock_gettime, int, clockid_t, struct timespec *);
    int answer = real(clock, now);
    if (!answer && steps && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)) now->tv_sec += *steps;
    return answer;
}
int gettimeofday(struct timeval *restrict now, void *restrict zone) {
    REAL(gettimeofday, int, struct timeval *, void *);
    int answer = real(now, zone);
    if (!answer && steps) now->tv_sec += *steps;
    return answer;
}
time_t time(time_t *out) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (out) *out = now.tv_sec;
    return now.tv_sec;
}
