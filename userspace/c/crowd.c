// crowd DIRECTORY [ROUNDS]
//
// What it proves: several processes that make, move, link and remove the same names in one
// directory at once get no errors but those that are to be expected, and leave a directory in which
// each file has as many names as it says.

#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"
#include "sys.h"

enum { PROCESSES = 4, NAMES = 24, MOST = 200 };

static uint64_t seed;

static int below(int end)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return seed % end;
}

static char *name(char kind)
{
    static char names[4][16];
    static int next;
    char *to = names[next++ % 4];
    sprintf(to, "%c%d", kind, below(NAMES));
    return to;
}

static long list(void)
{
    DIR *directory = opendir(".");
    if (!directory)
        return -errno;
    errno = 0;
    while (readdir(directory))
        ;
    long result = -errno;
    closedir(directory);
    return result;
}

// Whether a call did what it was to, or failed for what others do.
static int is_expected(long result)
{
    static const int errors[] = {EEXIST, ENOENT, ENOTEMPTY, ENOTDIR, EISDIR};
    for (unsigned at = 0; at < sizeof errors / sizeof *errors; at++)
        if (result == -errors[at])
            return 1;
    return result >= 0;
}

static long act(void)
{
    switch (below(9)) {
    case 0:
    case 1: {
        long file = SYS(SYS_open, name('f'), O_WRONLY | O_CREAT | (below(2) ? O_EXCL : O_TRUNC), 0644);
        if (file < 0)
            return file;
        long put = SYS(SYS_write, file, "some bytes", 10);
        SYS(SYS_close, file);
        return put;
    }
    case 2:
        return SYS(SYS_unlink, name('f'));
    case 3:
        return SYS(SYS_rename, name('f'), name('f'));
    case 4:
        return SYS(SYS_link, name('f'), name('f'));
    case 5:
        return SYS(SYS_mkdir, name('d'), 0755);
    case 6:
        return SYS(SYS_rmdir, name('d'));
    case 7:
        return SYS(SYS_rename, name('d'), name('d'));
    default:
        return list();
    }
}

static int take_part(int number, int rounds)
{
    seed = number + 88172645463325252;
    for (int round = 0; round < rounds; round++) {
        long result = act();
        if (!is_expected(result)) {
            printf("FAIL process %d, round %d: %ld\n", number, round, result);
            return 1;
        }
    }
    return 0;
}

static void look_and_remove(void)
{
    static struct {
        ino_t inode;
        unsigned links, found;
    } files[MOST];
    int count = 0, bad = 0;
    DIR *directory = opendir(".");
    for (struct dirent *entry; (entry = readdir(directory));) {
        struct stat status;
        if (entry->d_name[0] == '.')
            continue;
        bad += lstat(entry->d_name, &status) || status.st_ino != entry->d_ino;
        if (S_ISDIR(status.st_mode))
            continue;
        int at = 0;
        while (at < count && files[at].inode != status.st_ino)
            at++;
        if (at == count && count < MOST - 1)
            count++;
        files[at].inode = status.st_ino;
        files[at].links = status.st_nlink;
        files[at].found++;
    }
    closedir(directory);
    for (int at = 0; at < count; at++)
        bad += files[at].links != files[at].found;
    check(!bad, "names", "%d of %d files are not as they say", bad, count);
    char text[16];
    for (int number = 0; number < NAMES; number++) {
        sprintf(text, "f%d", number);
        unlink(text);
        sprintf(text, "d%d", number);
        rmdir(text);
    }
}

int main(int argc, char **argv)
{
    int rounds = argc > 2 ? atoi(argv[2]) : 2000;
    char place[32];
    sprintf(place, "crowd.%d", (int)getpid());
    if (argc < 2 || chdir(argv[1]) || mkdir(place, 0755) || chdir(place))
        return 1;
    fflush(stdout);
    for (int number = 0; number < PROCESSES; number++)
        if (!fork()) {
            int result = take_part(number, rounds);
            fflush(stdout);
            _exit(result);
        }
    int status, bad = 0;
    while (wait(&status) > 0)
        bad += status != 0;
    check(!bad, "processes", "%d fail", bad);
    look_and_remove();
    check(!chdir("..") && !rmdir(place), "removed", "%m");
    return summary();
}
